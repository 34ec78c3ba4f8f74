// What the values of a scrape take in records and on the wire, and how long coding them takes.
//
//   columns_bench DIR   where DIR holds consecutive captures of one page (*.txt)
//
// Four scrapes a message, zstd-1 over each, record framing included. `delta` counts the records
// of scrapes from the second one on, `all` the dictionary and the first scrape as well.

#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/append/decimal_delta_codec.h"
#include "core/append/record_encoder.h"
#include "core/scrape/scrape_body.h"

namespace trawl {
namespace {

constexpr size_t kScrapesAMessage = 4;

std::vector<std::string> ReadPages(const std::string& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() == ".txt") paths.push_back(file.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> pages;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    pages.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return pages;
}

// The scrapes of the pages, one every 10 s.
class Target {
 public:
  Target()
      : cache_({std::make_shared<const SampleOptions>(),
                std::make_shared<const Labels>(
                    Labels{{"job", "node"}, {"instance", "localhost:9100"}})},
               {keys_, HashKey{7}}) {}

  const ScrapeBatch& Scrape(const std::string& page) {
    time_ms_ += 10'000;
    ScrapeBody(cache_, scratch_, {page, time_ms_, time_ms_}).Finish();
    const double duration = 0.003 + static_cast<double>(time_ms_ % 9'973) / 1e7;
    const double samples = static_cast<double>(scratch_.batch().values.size());
    scratch_.SetReport(std::vector<double>{1, duration, samples, samples, 0});
    return scratch_.batch();
  }

 private:
  KeyTable keys_;
  SeriesCache cache_;
  ScrapeScratch scratch_;
  int64_t time_ms_ = 1'763'959'250'000;
};

size_t Zstd1(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  return ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1);
}

struct Sizes {
  uint64_t samples = 0;
  uint64_t plain = 0;
  uint64_t compressed = 0;

  void Add(const std::string& message, uint64_t count) {
    samples += count;
    plain += message.size();
    compressed += message.empty() ? 0 : Zstd1(message);
  }
  void Print(const char* what) const {
    const auto per_sample = [this](uint64_t bytes) {
      return static_cast<double>(bytes) / static_cast<double>(samples);
    };
    std::printf("  %-8s %8lu samples  plain %.3f  zstd-1 %.3f bytes a sample\n", what, samples,
                per_sample(plain), per_sample(compressed));
  }
};

void MeasureBytes(const std::vector<std::string>& pages, storage::v1::Encoding encoding) {
  Target target;
  RecordEncoder encoder(encoding);
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  Sizes delta;
  Sizes all;
  std::string message;
  std::string first;  // and definitions
  uint64_t samples = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (!encoder.Encode(target.Scrape(pages[i]), encoded).ok()) return;
    for (const std::string& record : encoded.dictionary) first += record;
    if (i == 0) {
      all.Add(first + encoded.scrape, encoded.samples);
      first.clear();
      continue;
    }
    message += encoded.scrape;
    samples += encoded.samples;
    if (i % kScrapesAMessage != 0 && i + 1 != pages.size()) continue;
    delta.Add(message, samples);
    all.Add(first + message, samples);
    first.clear();
    message.clear();
    samples = 0;
  }
  delta.Print("delta");
  all.Print("all");
}

template <typename F>
double SecondsOf(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Nanoseconds a sample of the codec alone, best of several rounds over all scrapes.
void MeasureTime(const std::vector<std::string>& pages) {
  Target target;
  std::vector<std::vector<double>> values;
  uint64_t samples = 0;
  for (const std::string& page : pages) {
    const ScrapeBatch& batch = target.Scrape(page);
    values.emplace_back(batch.values.begin(), batch.values.end());
    if (values.back().size() != values.front().size()) values.pop_back();
  }
  for (const auto& scrape : values) samples += scrape.size();
  std::vector<storage::v1::Scrape> scrapes(values.size());
  DecimalDeltaEncoder encoder;
  DecimalDeltaDecoder decoder;
  DecodedColumns out;
  double encode = 1;
  double decode = 1;
  for (int round = 0; round < 50; ++round) {
    encoder.Reset();
    decoder.Reset();
    encode = std::min(encode, SecondsOf([&] {
                        for (size_t i = 0; i < values.size(); ++i) {
                          encoder.Encode(1, values[i], {}, scrapes[i]);
                        }
                      }));
    decode = std::min(decode, SecondsOf([&] {
                        for (const auto& scrape : scrapes) {
                          if (!decoder.Decode(1, values[0].size(), scrape, out).ok()) return;
                        }
                      }));
  }
  const double crc = SecondsOf([&] {
    uint32_t sum = 0;
    for (const auto& scrape : values) sum += ValueCrc32c(scrape, {});
    if (sum == 1) std::puts("");
  });
  const double ns = 1e9 / static_cast<double>(samples);
  std::printf(
      "  encode %.1f, decode %.1f ns a sample, of which checksum %.1f; %.1f bytes a series\n",
      encode * ns, decode * ns, crc * ns,
      static_cast<double>(encoder.memory_bytes()) / static_cast<double>(values[0].size()));
}

}  // namespace
}  // namespace trawl

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::vector<std::string> pages = trawl::ReadPages(argv[1]);
  if (pages.empty()) return 1;
  std::puts("raw columns");
  trawl::MeasureBytes(pages, trawl::storage::v1::ENCODING_RAW_COLUMNS);
  std::puts("decimal delta");
  trawl::MeasureBytes(pages, trawl::storage::v1::ENCODING_DECIMAL_DELTA);
  trawl::MeasureTime(pages);
  return 0;
}
