#pragma once

#include <set>
#include <utility>
#include <vector>

#include "core/append/sink.h"

namespace trawl {

// In which order one sink gets what earlier runs left, and this run's records behind it
// (storage-protocol.md, Session 5): epoch by epoch, the oldest first; or, if its store takes
// samples out of order, this run's at once and the newest of the others beside it. A pure policy;
// not thread-safe.
class DrainOrder {
 public:
  // What there is to be drained.
  explicit DrainOrder(std::set<EpochLane> lanes) : left_(std::move(lanes)) {}

  void SetNewestFirst() { newest_first_ = true; }
  void Drained(const EpochLane& lane) { left_.erase(lane); }

  // The lanes that stream now, in order.
  std::vector<EpochLane> Streaming() const;
  // This run's records stream now.
  bool RunningStreams() const { return newest_first_ || left_.empty(); }
  bool done() const { return left_.empty(); }
  const std::set<EpochLane>& left() const { return left_; }

 private:
  std::set<EpochLane> left_;
  bool newest_first_ = false;
};

}  // namespace trawl
