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
  ranges_.insert(above, std::move(range));
  while (ranges_.size() > kMaxRanges && JoinNewest()) continue;
}

// The newest of one reason in a run, as the samples of single records are the least asked for
// there. False: there are none.
bool LostRanges::JoinNewest() {
  for (size_t later = ranges_.size() - 1; later > 0; --later) {
    for (size_t at = later; at > 0 && ranges_[at - 1].end == ranges_[at].first; --at) {
      if (ranges_[at - 1].reason != ranges_[later].reason) continue;
      Join(at - 1, later);
      return true;
    }
  }
  return false;
}

// What stands between them comes behind them: how much was lost for which reason stays exact, not
// which of the numbers it was.
void LostRanges::Join(size_t at, size_t later) {
  const uint64_t numbers = ranges_[later].end - ranges_[later].first;
  const uint64_t samples = ranges_[later].samples_end - ranges_[later].samples_before;
  for (size_t between = at + 1; between < later; ++between) {
    ranges_[between].first += numbers;
    ranges_[between].end += numbers;
    ranges_[between].samples_before += samples;
    ranges_[between].samples_end += samples;
  }
  ranges_[at].end += numbers;
  ranges_[at].samples_end += samples;
  ranges_[at].samples.clear();
  ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(later));
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
