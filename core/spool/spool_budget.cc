#include "core/spool/spool_budget.h"

namespace trawl {

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
  return used > max_bytes_ && oldest == &share && share.oldest_ms != kNothing;
}

void SpoolBudget::CountDropped(HoleReason reason, uint64_t samples) {
  dropped_samples_[static_cast<size_t>(reason)] += samples;
}

uint64_t SpoolBudget::dropped_samples(HoleReason reason) const {
  return dropped_samples_[static_cast<size_t>(reason)];
}

}  // namespace trawl
