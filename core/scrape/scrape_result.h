#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/base/failure_reason.h"

namespace trawl {

// What became of one scrape's body. The three counts are report series, also after a failure
// (spec 4.5, 4.8).
struct ScrapeResult {
  absl::Status status;  // not OK: `up` is 0 and the batch holds stale markers only
  FailureReason reason = FailureReason::kNone;
  int64_t total = 0;         // series lines read
  int64_t added = 0;         // left after metric relabeling
  int64_t series_added = 0;  // new to the cache

  // Samples that were left out without failing the scrape.
  int64_t out_of_order = 0;
  int64_t duplicates = 0;
  int64_t out_of_bounds = 0;  // more than ten minutes ahead

  int64_t stale_markers = 0;
  bool sample_limit_exceeded = false;
  bool label_limit_exceeded = false;
  bool cache_flush_forced = false;
};

}  // namespace trawl
