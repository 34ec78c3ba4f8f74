#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/model/layout.h"

namespace trawl {

// One scrape of one target, whole: a value. Submitting it is the commit; destroying it is the
// rollback. All spans are valid during Append only.
struct ScrapeBatch {
  enum Flag : uint32_t {
    // The series of `stale` end here. In a failed scrape all others but the report series are
    // absent; a target that is gone has no sample but stale markers.
    kTargetGone = 2,
    kScrapeFailed = 4,
    kClockStepped = 8,
  };
  struct ExplicitTime {
    uint32_t position;
    int64_t timestamp_ms;
  };

  LayoutPtr layout;
  int64_t timestamp_ms = 0;  // of every sample without an explicit time
  uint32_t flags = 0;
  // One for each position of the layout. A series that ends here has the stale marker as value.
  std::span<const double> values;
  // Bitmap, bit p of word p/64: position p has no sample in this scrape. Empty: none is absent.
  std::span<const uint64_t> absent;
  // With kScrapeFailed or kTargetGone: bitmap of the series that get a stale marker.
  std::span<const uint64_t> stale;
  // Samples with their own time; ascending positions.
  std::span<const ExplicitTime> times;
};

// Takes whole scrapes and brings them to storage. The seam between scraping and storing.
//
// Guarantees: after OK the scrape is committed (it is in the record log in the turn of the event
// loop in which Append was called); after an error nothing of it is. Errors: kInvalidArgument
// (too large for a record), kResourceExhausted (the log takes nothing at all).
// One thread: the shard's.
class Appender {
 public:
  virtual ~Appender() = default;
  virtual absl::Status Append(const ScrapeBatch& batch) = 0;
  // The target behind a layout will append no more: what is kept for it may be freed.
  virtual void Forget(const LayoutPtr& layout) = 0;
};

}  // namespace trawl
