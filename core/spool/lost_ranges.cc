#include "core/spool/lost_ranges.h"

#include <algorithm>
#include <utility>

namespace trawl {

uint64_t LostRanges::Range::SamplesBelow(uint64_t number) const {
  if (number <= first) return samples_before;
  if (number >= end) return samples_end;
  if (samples.size() == end - first) {
    uint64_t below = samples_before;
    for (uint64_t i = 0; i < number - first; ++i) below += samples[i];
    return below;
  }
  const double part = static_cast<double>(number - first) / static_cast<double>(end - first);
  return samples_before +
         static_cast<uint64_t>(static_cast<double>(samples_end - samples_before) * part);
}

void LostRanges::Add(Range range) {
  const auto above = std::upper_bound(ranges_.begin(), ranges_.end(), range.first,
                                      [](uint64_t n, const Range& r) { return n < r.first; });
  const auto added = ranges_.insert(above, std::move(range));
  if (ranges_.size() <= kMaxRanges) return;
  // Together with a neighbour: at the end most likely, where the samples of single records are the
  // least asked for.
  for (auto at = std::prev(ranges_.end()); at != ranges_.begin(); --at) {
    const auto before = std::prev(at);
    if (before->end != at->first) continue;
    before->end = at->end;
    before->samples_end = at->samples_end;
    before->samples.clear();
    ranges_.erase(at);
    return;
  }
  (void)added;
  ranges_.pop_front();
}

const LostRanges::Range* LostRanges::Find(uint64_t number) const {
  for (const Range& range : ranges_) {
    if (number >= range.first && number < range.end) return &range;
  }
  return nullptr;
}

const LostRanges::Range* LostRanges::NextAbove(uint64_t number) const {
  for (const Range& range : ranges_) {
    if (range.first > number) return &range;
  }
  return nullptr;
}

void LostRanges::Forget(uint64_t durable) {
  while (!ranges_.empty() && ranges_.front().end <= durable + 1) ranges_.pop_front();
}

size_t LostRanges::exact_records() const {
  size_t records = 0;
  for (const Range& range : ranges_) records += range.samples.size();
  return records;
}

}  // namespace trawl
