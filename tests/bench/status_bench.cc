// What looking at many targets costs: status_bench [TARGETS].
//
// Prints the time of a ListTargets page in the middle of the list, with and without filters, of a
// watcher's look when nothing changed, when one target in fifteen was scraped, and after a target
// came; the time of noting a scrape; and the memory of a target's history.

#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/scrape/pool_status.h"
#include "server/target_list.h"
#include "server/target_view.h"

namespace trawl {
namespace {

namespace pb = status::v1;

template <typename F>
double MillisecondsOf(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

std::shared_ptr<const ActiveTarget> MakeTarget(size_t number) {
  auto target = std::make_shared<Target>();
  const std::string host = absl::StrCat("host-", number, ".example:9100");
  target->url = absl::StrCat("http://", host, "/metrics");
  target->labels = std::make_shared<const Labels>(
      Labels{{"instance", host}, {"job", "node"}, {"rack", absl::StrCat(number % 100)}});
  target->public_hash = target->labels->Hash();
  target->hash = target->public_hash + 1;
  auto active = std::make_shared<ActiveTarget>();
  active->target = std::move(target);
  active->owners.push_back(
      {std::make_shared<const GroupOrigin>(GroupOrigin{"bench", absl::StrCat(number), {}}), host});
  active->status = std::make_shared<TargetStatus>();
  return active;
}

std::shared_ptr<const PoolsSnapshot> MakePools(ActiveTargets active) {
  auto config = std::make_shared<ScrapeConfig>();
  config->job_name = "node";
  auto pool = std::make_shared<PoolStatus>();
  pool->job = "node";
  pool->config = std::move(config);
  pool->active = std::move(active);
  auto pools = std::make_shared<PoolsSnapshot>();
  pools->pools.push_back(std::move(pool));
  return pools;
}

void Scrape(const ActiveTarget& target) {
  ScrapeRecord record;
  record.phases.first_byte = absl::Milliseconds(2);
  record.content_type = "text/plain; version=0.0.4; charset=utf-8";
  const_cast<TargetStatus&>(*target.status).Set({.health = TargetHealth::kUp}, record);
}

size_t HeapBytes() { return mallinfo2().uordblks; }

void Run(size_t count) {
  std::vector<std::shared_ptr<const ActiveTarget>> targets;
  for (size_t i = 0; i < count; ++i) targets.push_back(MakeTarget(i));
  const auto pools = MakePools(ActiveTargets(targets));

  const size_t before = HeapBytes();
  for (const auto& target : targets) Scrape(*target);
  std::printf("history: %zu bytes a target\n", (HeapBytes() - before) / count);
  const double noted = MillisecondsOf([&] {
    for (const auto& target : targets) Scrape(*target);
  });
  std::printf("noting a scrape: %.0f ns\n", noted * 1e6 / static_cast<double>(count));

  pb::ListTargetsRequest request;
  const auto page = [&] { return ListTargets(*pools, request).value(); };
  request.set_page_token(page().next_page_token());
  std::printf("page of 1000: %.1f ms\n", MillisecondsOf(page));
  request.add_matchers("rack=~\"1.\"");
  std::printf("page of 1000 with a regex: %.1f ms\n", MillisecondsOf(page));

  TargetView view(TargetFilter::Make({}).value());
  const auto look = [&](const PoolsSnapshot& at) { return view.Advance(at).changed.size(); };
  std::printf("watch, first look: %.1f ms\n", MillisecondsOf([&] { look(*pools); }));
  std::printf("watch, nothing changed: %.2f ms\n", MillisecondsOf([&] { look(*pools); }));
  for (size_t i = 0; i < count; i += 15) Scrape(*targets[i]);
  std::printf("watch, 1 in 15 scraped: %.2f ms\n", MillisecondsOf([&] { look(*pools); }));
  const auto more = MakePools(pools->pools[0]->active.Edit({}, {MakeTarget(count)}));
  std::printf("watch, one target came: %.1f ms\n", MillisecondsOf([&] { look(*more); }));
}

}  // namespace
}  // namespace trawl

int main(int argc, char** argv) {
  trawl::Run(argc > 1 ? static_cast<size_t>(std::atol(argv[1])) : 100'000);
}
