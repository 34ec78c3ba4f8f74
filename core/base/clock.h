#pragma once

#include "absl/time/time.h"

namespace trawl {

// Tells the time. Two kinds, which must not be confused: wall time is for what people and
// storage see, steady time (a duration since an arbitrary origin) is for measuring intervals
// and never goes back. Code that waits uses an EventLoop, which owns the waiting.
//
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  virtual absl::Duration Steady() const = 0;
};

// The machine's clocks. The only place in the project that reads them.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Steady() const override;
};

}  // namespace trawl
