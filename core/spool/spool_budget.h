#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "core/append/record_log.h"
#include "core/base/mutex.h"

namespace trawl {

// What all logs of a spool may take of the disk together, and whose turn it is to drop when it is
// too much: the one with the oldest segment. Thread-safe.
class SpoolBudget {
 public:
  // One log's part. Written by its thread, read by all.
  struct Share {
    std::atomic<uint64_t> bytes{0};
    // Unix time of the oldest segment that may be dropped.
    std::atomic<int64_t> oldest_ms{kNothing};
  };
  static constexpr int64_t kNothing = std::numeric_limits<int64_t>::max();

  explicit SpoolBudget(uint64_t max_bytes) : configured_(max_bytes), max_bytes_(max_bytes) {}

  // What the logs have on the disk, and what is free there: together with the least that they had
  // since the start, they may take half of the rest. The limit rises when others leave more, and
  // never sinks below what it was at first: what is there is not dropped for a neighbour.
  void NoteDisk(uint64_t used_bytes, uint64_t free_bytes);
  // The same for the logs that have joined.
  void NoteFree(uint64_t free_bytes) { NoteDisk(used_bytes(), free_bytes); }

  std::shared_ptr<Share> Join();
  void Leave(const std::shared_ptr<Share>& share);

  uint64_t max_bytes() const { return max_bytes_.load(std::memory_order_relaxed); }
  uint64_t used_bytes() const;
  // All together take too much, and this one has the oldest.
  bool MustDrop(const Share& share) const;

  // What the logs of earlier runs dropped that some sink did not have; they go when they are
  // drained.
  void CountDropped(HoleReason reason, uint64_t samples);
  uint64_t dropped_samples(HoleReason reason) const;

 private:
  const uint64_t configured_;
  std::atomic<uint64_t> max_bytes_;

  std::array<std::atomic<uint64_t>, kHoleReasons> dropped_samples_{};  // by HoleReason

  mutable Mutex mutex_;
  std::optional<uint64_t> least_used_ TRAWL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Share>> shares_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
