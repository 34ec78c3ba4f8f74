#include "core/spool/spool_budget.h"

#include <algorithm>

namespace trawl {

void SpoolBudget::NoteDisk(uint64_t used_bytes, uint64_t free_bytes) {
  MutexLock lock(mutex_);
  const bool first = !least_used_;
  least_used_ = std::min(least_used_.value_or(used_bytes), used_bytes);
  const uint64_t half = (used_bytes - *least_used_ + free_bytes) / 2;
  const uint64_t allowed = std::min(configured_, *least_used_ + half);
  max_bytes_.store(first ? allowed : std::max(allowed, max_bytes()), std::memory_order_relaxed);
}

std::shared_ptr<SpoolBudget::Share> SpoolBudget::Join() {
  auto share = std::make_shared<Share>();
  MutexLock lock(mutex_);
  shares_.push_back(share);
  return share;
}

void SpoolBudget::Leave(const std::shared_ptr<Share>& share) {
  MutexLock lock(mutex_);
  std::erase(shares_, share);
}

uint64_t SpoolBudget::used_bytes() const {
  MutexLock lock(mutex_);
  uint64_t used = 0;
  for (const auto& share : shares_) used += share->bytes.load(std::memory_order_relaxed);
  return used;
}

bool SpoolBudget::MustDrop(const Share& share) const {
  MutexLock lock(mutex_);
  uint64_t used = 0;
  const Share* oldest = nullptr;
  for (const auto& other : shares_) {
    used += other->bytes.load(std::memory_order_relaxed);
    if (oldest == nullptr || other->oldest_ms.load(std::memory_order_relaxed) <
                                 oldest->oldest_ms.load(std::memory_order_relaxed)) {
      oldest = other.get();
    }
  }
  return used > max_bytes() && oldest == &share && share.oldest_ms != kNothing;
}

void SpoolBudget::CountDropped(HoleReason reason, uint64_t samples) {
  dropped_samples_[static_cast<size_t>(reason)] += samples;
}

uint64_t SpoolBudget::dropped_samples(HoleReason reason) const {
  return dropped_samples_[static_cast<size_t>(reason)];
}

}  // namespace trawl
