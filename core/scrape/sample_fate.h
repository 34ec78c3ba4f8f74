#pragma once

#include <cstdint>

namespace trawl {

// What became of one sample line of a page.
enum class SampleFate : uint8_t {
  kKept,         // it would be stored, unless the scrape as a whole fails
  kDropped,      // by the metric rules
  kOverLimit,    // sample_limit; or a limit on labels, which fails the scrape
  kDuplicate,    // the same series stands on the page before
  kOutOfOrder,   // its time is before its series' newest
  kOutOfBounds,  // its time is too far in the future
  kBad,          // it can't be read, or its labels are invalid: the scrape fails
};

}  // namespace trawl
