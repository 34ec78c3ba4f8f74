#pragma once

#include <cstdint>
#include <string_view>

#include "absl/time/time.h"
#include "core/model/labels.h"

namespace trawl {

// When targets are scraped, and with which timestamp: pure functions.

// Mixed into every target's offset, so that replicas scrape at different moments (spec 1.5).
uint64_t OffsetSeed(std::string_view fqdn, const Labels& external_labels);

// How long from `now` until a target's next place in its interval: in (0, interval]. Pinned to
// absolute time, so that every restart lands on the same phase (spec 3.8).
absl::Duration OffsetFromNow(uint64_t target_hash, uint64_t seed, absl::Duration interval,
                             absl::Time now);

// The ticks of one loop on the steady clock: origin, origin + interval, …
//
// As Go's ticker: one tick that passed during a scrape is due at once when the scrape ends, the
// ticks before it are dropped. Ticks are never queued.
class Ticker {
 public:
  Ticker() = default;
  Ticker(absl::Duration origin, absl::Duration interval) : next_(origin), interval_(interval) {}

  // How long to wait for the next tick; zero when one has passed.
  absl::Duration Wait(absl::Duration steady_now) const;
  // How long ago it was due; zero when it is not.
  absl::Duration Lateness(absl::Duration steady_now) const;
  // The tick is served now: the next one is the first after `steady_now`. Says how many were
  // dropped between.
  uint64_t Serve(absl::Duration steady_now);

 private:
  absl::Duration next_;
  absl::Duration interval_;
};

// Moves scrape times onto an exact grid where they are at most 2 ms (and 1 % of the interval)
// late, so that storage can compress them (spec 4.1).
class TimestampAligner {
 public:
  // `origin` is the time of the first scrape.
  void Start(absl::Time origin) { aligned_ = origin; }
  absl::Time Align(absl::Time now, absl::Duration interval);

  static constexpr absl::Duration kTolerance = absl::Milliseconds(2);

 private:
  absl::Time aligned_ = absl::InfinitePast();
};

// A scrape's timestamp after the one before (storage-protocol: strictly rising within a target).
// A wall clock that was set back by at most 10 s gives last + 1 ms; by more, it is believed and
// the scrape is flagged.
struct ScrapeTimestamp {
  int64_t ms = 0;
  bool clock_stepped = false;
};
ScrapeTimestamp NextTimestamp(int64_t now_ms, int64_t last_ms);

inline constexpr int64_t kNoTimestamp = INT64_MIN;  // there was no scrape before
inline constexpr absl::Duration kMaxClockSlew = absl::Seconds(10);

}  // namespace trawl
