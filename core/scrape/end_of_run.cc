#include "core/scrape/end_of_run.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "core/base/log.h"
#include "core/scrape/scrape_scratch.h"

namespace trawl {

EndOfRun::EndOfRun(Options options, Deps deps)
    : target_(std::move(options.target)),
      continuation_(std::move(options.continuation)),
      deps_(std::move(deps)) {
  timer_ = deps_.shard.loop.RunAfter(options.until_next_tick, [this] { OnStaleTime(); });
}

EndOfRun::~EndOfRun() {
  deps_.shard.loop.Cancel(timer_);
  if (continuation_.cache != nullptr && continuation_.cache->layout() != nullptr) {
    deps_.shard.appender.Forget(continuation_.cache->layout());
  }
}

void EndOfRun::OnStaleTime() {
  const int64_t now_ms = absl::ToUnixMillis(deps_.shard.loop.clock().Now());
  stale_ms_ = NextTimestamp(now_ms, continuation_.last_timestamp_ms).ms;
  const absl::Duration rest = target_->interval + target_->interval / 10;
  timer_ = deps_.shard.loop.RunAfter(rest, [this] { WriteMarkers(); });
}

void EndOfRun::WriteMarkers() {
  timer_ = 0;
  SeriesCache& cache = *continuation_.cache;
  LayoutPtr appended = cache.layout();
  if (appended != nullptr) {
    ScrapeScratch& scratch = deps_.shard.scratch;
    cache.IngestEndOfRun(stale_ms_, scratch);
    if (Append(scratch.batch())) appended = cache.layout();
    deps_.shard.appender.Forget(appended);
  }
  continuation_.cache.reset();
  deps_.on_done(*this);  // may destroy this
}

// False when there was nothing to append, or it was refused.
bool EndOfRun::Append(ScrapeBatch batch) {
  std::vector<uint64_t> stale(batch.stale.begin(), batch.stale.end());
  std::vector<uint64_t> absent(batch.absent.begin(), batch.absent.end());
  const LayoutPtr successor = deps_.successor_layout(*target_);
  if (successor != nullptr) {
    const std::vector<uint64_t> continued = Continued(*batch.layout, stale, *successor);
    absent.resize(continued.size());
    for (size_t i = 0; i < continued.size(); ++i) {
      stale[i] &= ~continued[i];
      absent[i] |= continued[i];
    }
    batch.stale = stale;
    batch.absent = absent;
  }
  if (std::ranges::all_of(stale, [](uint64_t word) { return word == 0; })) return false;
  const absl::Status appended = deps_.shard.appender.Append(batch);
  if (!appended.ok()) {
    LogWarn("Stale commit failed", {{"target", target_->url}, {"err", appended}});
  }
  return appended.ok();
}

std::vector<uint64_t> Continued(const Layout& layout, std::span<const uint64_t> stale,
                                const Layout& successor) {
  std::vector<uint64_t> continued(stale.size());
  const absl::flat_hash_set<KeyId> keys(successor.keys().begin(), successor.keys().end());
  for (size_t i = 0; i < layout.size(); ++i) {
    if (keys.contains(layout.keys()[i])) {
      continued[i / 64] |= stale[i / 64] & uint64_t{1} << (i % 64);
    }
  }
  return continued;
}

}  // namespace trawl
