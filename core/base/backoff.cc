#include "core/base/backoff.h"

#include <algorithm>
#include <cstdint>

#include "absl/random/distributions.h"

namespace trawl {

Backoff::Backoff(const Options& options)
    : options_(options), bound_(std::min(options.initial, options.max)) {}

absl::Duration Backoff::Next(absl::BitGenRef random) {
  const int64_t bound_ns = std::max<int64_t>(1, absl::ToInt64Nanoseconds(bound_));
  bound_ = std::min(bound_ * options_.factor, options_.max);
  return absl::Nanoseconds(absl::Uniform<int64_t>(absl::IntervalClosedClosed, random, 1, bound_ns));
}

void Backoff::Reset() { bound_ = std::min(options_.initial, options_.max); }

void Backoff::UseMax() { bound_ = options_.max; }

}  // namespace trawl
