#pragma once

#include <atomic>
#include <cstdint>

namespace trawl {

// A count that one thread makes, without the price of an atomic addition, and any thread reads.
class SharedCount {
 public:
  void Add(uint64_t count = 1) { count_.store(Get() + count, std::memory_order_relaxed); }
  uint64_t Get() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> count_{0};
};

}  // namespace trawl
