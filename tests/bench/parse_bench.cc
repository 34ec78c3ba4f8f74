// How long a sample takes from inflated body to batch, in the steady state and at first contact.
//
//   parse_bench DIR   where DIR holds consecutive captures of one page (*.txt)

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/scrape/scrape_body.h"

namespace trawl {
namespace {

std::vector<std::string>& Pages() {
  static auto* const pages = new std::vector<std::string>;
  return *pages;
}

void ReadPages(const std::string& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() == ".txt") paths.push_back(file.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    Pages().emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
}

struct BenchTarget {
  explicit BenchTarget(KeyTable& keys)
      : cache({std::make_shared<const SampleOptions>(),
               std::make_shared<const Labels>(
                   Labels{{"job", "node"}, {"instance", "localhost:9100"}})},
              {keys, HashKey{7}}) {}
  SeriesCache cache;
  int64_t time = 0;

  int64_t Scrape(const std::string& page, ScrapeScratch& scratch) {
    time += 1000;
    return ScrapeBody(cache, scratch, {page, time, time}).Finish().total;
  }
};

void SetSampleRate(benchmark::State& state, int64_t samples) {
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// As many targets as the argument says, each at another page of the captures: with many of
// them caches and bodies are not in the processor's cache.
void SteadyState(benchmark::State& state) {
  KeyTable keys;
  ScrapeScratch scratch;
  std::vector<std::unique_ptr<BenchTarget>> targets;
  for (int64_t i = 0; i < state.range(0); ++i) {
    targets.push_back(std::make_unique<BenchTarget>(keys));
    targets.back()->Scrape(Pages()[0], scratch);
  }
  int64_t samples = 0;
  size_t i = 0;
  for (auto _ : state) {
    samples +=
        targets[i % targets.size()]->Scrape(Pages()[i / targets.size() % Pages().size()], scratch);
    ++i;
  }
  SetSampleRate(state, samples);
  state.counters["bytes/series"] = static_cast<double>(targets[0]->cache.memory_bytes()) /
                                   static_cast<double>(targets[0]->cache.entry_count());
}

void FirstContact(benchmark::State& state) {
  KeyTable keys;
  ScrapeScratch scratch;
  BenchTarget keeper(keys);
  keeper.Scrape(Pages()[0], scratch);
  int64_t samples = 0;
  for (auto _ : state) {
    BenchTarget target(keys);
    samples += target.Scrape(Pages()[0], scratch);
  }
  SetSampleRate(state, samples);
}

BENCHMARK(SteadyState)->Arg(1)->Arg(2000);
BENCHMARK(FirstContact);

}  // namespace
}  // namespace trawl

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) return 2;
  trawl::ReadPages(argv[1]);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
