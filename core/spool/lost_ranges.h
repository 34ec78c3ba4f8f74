#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "core/append/record_log.h"

namespace trawl {

// What dropping took from a log: ranges of numbers with a reason and the samples in them.
// A value; not thread-safe.
class LostRanges {
 public:
  struct Range {
    uint64_t first = 0;
    uint64_t end = 0;             // behind the last number
    uint64_t samples_before = 0;  // of the lane
    uint64_t samples_end = 0;
    HoleReason reason = HoleReason::kCap;
    // Of each record; empty: only their sum is known.
    std::vector<uint32_t> samples;

    uint64_t SamplesBelow(uint64_t number) const;
  };
  // Beyond it the newest that follow on each other are counted together, by reason. There are more
  // only where records between them are still there.
  static constexpr size_t kMaxRanges = 100;

  // Ranges are added in any order and don't overlap.
  void Add(Range range);
  // The range that `number` is in; null: none.
  const Range* Find(uint64_t number) const;
  // The first one that begins above `number`; null: none.
  const Range* NextAbove(uint64_t number) const;
  // All up to `durable` is no more anybody's.
  void Forget(uint64_t durable);

  const std::deque<Range>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  // Of ranges that have them record by record.
  size_t exact_records() const;

 private:
  bool JoinNewest();
  void Join(size_t at, size_t later);

  std::deque<Range> ranges_;  // by number
};

}  // namespace trawl
