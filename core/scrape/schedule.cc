#include "core/scrape/schedule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/hash.h"

namespace trawl {

uint64_t OffsetSeed(std::string_view fqdn, const Labels& external_labels) {
  return Fnv1a64(external_labels.ToString(), Fnv1a64(fqdn));
}

absl::Duration OffsetFromNow(uint64_t target_hash, uint64_t seed, absl::Duration interval,
                             absl::Time now) {
  const int64_t interval_ns = absl::ToInt64Nanoseconds(interval);
  const int64_t base = interval_ns - absl::ToUnixNanos(now) % interval_ns;
  const uint64_t offset = (target_hash ^ seed) % static_cast<uint64_t>(interval_ns);
  int64_t next = base + static_cast<int64_t>(offset);
  if (next > interval_ns) next -= interval_ns;
  return absl::Nanoseconds(next);
}

absl::Duration Ticker::Wait(absl::Duration steady_now) const {
  return std::max(next_ - steady_now, absl::ZeroDuration());
}

absl::Duration Ticker::Lateness(absl::Duration steady_now) const {
  return std::max(steady_now - next_, absl::ZeroDuration());
}

uint64_t Ticker::Serve(absl::Duration steady_now) {
  next_ += interval_;
  if (next_ > steady_now) return 0;
  absl::Duration rest;
  const int64_t passed = absl::IDivDuration(steady_now - next_, interval_, &rest) + 1;
  next_ += passed * interval_;
  return static_cast<uint64_t>(passed);
}

absl::Time TimestampAligner::Align(absl::Time now, absl::Duration interval) {
  const absl::Duration tolerance = std::min(interval / 100, kTolerance);
  if (now - aligned_ >= interval) {
    absl::Duration rest;
    aligned_ += absl::IDivDuration(now - aligned_, interval, &rest) * interval;
  }
  if (now < aligned_) aligned_ = now;  // the wall clock was set back: a new grid starts here
  return now - aligned_ <= tolerance ? aligned_ : now;
}

ScrapeTimestamp NextTimestamp(int64_t now_ms, int64_t last_ms) {
  if (last_ms == kNoTimestamp || now_ms > last_ms) return {now_ms, false};
  if (last_ms - now_ms <= absl::ToInt64Milliseconds(kMaxClockSlew)) return {last_ms + 1, false};
  return {now_ms, true};
}

}  // namespace trawl
