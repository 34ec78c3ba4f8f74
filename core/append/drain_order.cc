#include "core/append/drain_order.h"

#include <iterator>

namespace trawl {

std::vector<EpochLane> DrainOrder::Streaming() const {
  std::vector<EpochLane> lanes;
  if (left_.empty()) return lanes;
  const uint64_t epoch = newest_first_ ? std::prev(left_.end())->epoch : left_.begin()->epoch;
  for (auto lane = left_.lower_bound({epoch, 0}); lane != left_.end() && lane->epoch == epoch;
       ++lane) {
    lanes.push_back(*lane);
  }
  return lanes;
}

}  // namespace trawl
