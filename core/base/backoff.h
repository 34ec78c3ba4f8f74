#pragma once

#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"

namespace trawl {

// Exponential back-off with full jitter, as a value: copy it to start anew.
// Not thread-safe.
class Backoff {
 public:
  struct Options {
    absl::Duration initial = absl::Milliseconds(30);  // upper bound of the first delay
    absl::Duration max = absl::Seconds(5);            // upper bound of every delay
    double factor = 2;
  };

  explicit Backoff(const Options& options);

  // A delay in (0, bound], and doubles the bound.
  absl::Duration Next(absl::BitGenRef random);
  // After a success: the next delay starts at `initial` again.
  void Reset();
  // Takes the longest step from now on, until Reset: for errors that waiting hardly mends.
  void UseMax();

 private:
  Options options_;
  absl::Duration bound_;
};

}  // namespace trawl
