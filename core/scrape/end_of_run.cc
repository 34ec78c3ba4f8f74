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
  const LayoutPtr layout = continuation_.cache->layout();
  if (layout != nullptr) {
    ScrapeScratch& scratch = deps_.shard.scratch;
    continuation_.cache->IngestEndOfRun(stale_ms_, scratch);
    Append(scratch.batch());
    deps_.shard.appender.Forget(layout);
  }
  continuation_.cache.reset();
  deps_.on_done(*this);  // may destroy this
}

void EndOfRun::Append(const ScrapeBatch& batch) {
  ScrapeBatch markers = batch;
  std::vector<uint64_t> stale;
  const LayoutPtr successor = deps_.successor_layout(*target_);
  if (successor != nullptr) {
    stale = WithoutContinued(*batch.layout, batch.stale, *successor);
    markers.stale = stale;
  }
  if (std::ranges::all_of(markers.stale, [](uint64_t word) { return word == 0; })) return;
  const absl::Status appended = deps_.shard.appender.Append(markers);
  if (!appended.ok()) {
    LogWarn("Stale commit failed", {{"target", target_->url}, {"err", appended}});
  }
}

std::vector<uint64_t> WithoutContinued(const Layout& layout, std::span<const uint64_t> stale,
                                       const Layout& successor) {
  std::vector<uint64_t> kept(stale.begin(), stale.end());
  const absl::flat_hash_set<KeyId> continued(successor.keys().begin(), successor.keys().end());
  for (size_t i = 0; i < layout.size(); ++i) {
    if (continued.contains(layout.keys()[i])) kept[i / 64] &= ~(uint64_t{1} << (i % 64));
  }
  return kept;
}

}  // namespace trawl
