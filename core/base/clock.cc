#include "core/base/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace trawl {

absl::Time SystemClock::Now() const { return absl::Now(); }

absl::Duration SystemClock::Steady() const {
  // CLOCK_MONOTONIC: the clock that epoll_pwait2 measures its timeout with.
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace trawl
