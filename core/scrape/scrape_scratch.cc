#include "core/scrape/scrape_scratch.h"

#include <algorithm>

namespace trawl {

namespace {

// Indexes larger than this are freed after use: one odd target must not keep memory forever.
constexpr size_t kKeptIndexSize = size_t{1} << 16;

template <typename Map>
void Empty(Map& map) {
  if (map.size() > kKeptIndexSize) {
    Map().swap(map);
  } else {
    map.clear();
  }
}

}  // namespace

void ScrapeScratch::Begin(size_t positions, size_t entries) {
  batch_ = ScrapeBatch();
  if (values_.size() < positions) values_.resize(positions);
  present_.assign(WordCount(positions), 0);
  tracked_.assign(WordCount(positions), 0);
  stale_.clear();
  times_.clear();
  visits_.clear();
  visited_.assign(WordCount(entries), 0);
  new_series_.clear();
  undo_.clear();
  if (entry_index_valid_) Empty(entry_index_);
  if (position_index_valid_) Empty(position_index_);
  entry_index_valid_ = false;
  position_index_valid_ = false;
}

void ScrapeScratch::SetReport(std::span<const double> values) {
  const size_t first = batch_.layout->size() - values.size();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!TestBit(present_, first + i)) values_[first + i] = values[i];
  }
}

}  // namespace trawl
