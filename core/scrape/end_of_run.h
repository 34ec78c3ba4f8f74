#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/model/layout.h"
#include "core/scrape/scrape_loop.h"
#include "core/scrape/shard.h"
#include "core/scrape/target.h"

namespace trawl {

// The end of a target's series: one batch of stale markers, written late, so that a target that
// is only restarted or handed from one source to another gets none (spec 4.7).
//
// The markers carry the time of what would have been the next tick, and are written another
// interval and a tenth after it. Until then a loop that goes on with the series may take the
// continuation, and there are no markers. Series that another loop has meanwhile brought on are
// left out.
//
// Destroying it before its time writes nothing. Shard's thread only.
class EndOfRun {
 public:
  struct Options {
    std::shared_ptr<const Target> target;
    Continuation continuation;  // with a cache
    absl::Duration until_next_tick;
  };
  struct Deps {
    Shard& shard;
    // Asked when the markers are written: the layout of the loop that has the target's public
    // labels now; null if there is none.
    absl::AnyInvocable<LayoutPtr(const Target& target) const> successor_layout;
    // The markers are written; may destroy this object.
    absl::AnyInvocable<void(EndOfRun& ended)> on_done;
  };

  EndOfRun(Options options, Deps deps);
  ~EndOfRun();
  EndOfRun(const EndOfRun&) = delete;
  EndOfRun& operator=(const EndOfRun&) = delete;

  const Target& target() const { return *target_; }
  uint64_t generation() const { return continuation_.generation; }
  // A loop goes on with the series; destroy this object then.
  Continuation Take() { return std::move(continuation_); }

 private:
  void OnStaleTime();
  void WriteMarkers();
  bool Append(ScrapeBatch batch);

  const std::shared_ptr<const Target> target_;
  Continuation continuation_;
  Deps deps_;
  TimerId timer_ = 0;
  int64_t stale_ms_ = kNoTimestamp;
};

// The bits of `stale`, a bitmap over the positions of `layout`, whose series `successor` has too.
// Both layouts are of one table and one target.
std::vector<uint64_t> Continued(const Layout& layout, std::span<const uint64_t> stale,
                                const Layout& successor);

}  // namespace trawl
