#include "core/fetch/descriptor_budget.h"

#include <algorithm>
#include <utility>

namespace trawl {

bool DescriptorBudget::IsUsedUp() const {
  return used_ + std::max<int64_t>(0, overhead_ - overhead_limit_) >= limit_;
}

bool DescriptorBudget::TryAcquire() {
  MutexLock lock(mutex_);
  if (IsUsedUp()) return false;
  ++used_;
  return true;
}

void DescriptorBudget::Release() {
  {
    MutexLock lock(mutex_);
    --used_;
    if (waiting_.empty()) return;
  }
  NotifyWaiting();
}

bool DescriptorBudget::TryTakeOverhead(int64_t count) {
  MutexLock lock(mutex_);
  if (overhead_ + count > overhead_limit_) return false;
  overhead_ += count;
  return true;
}

void DescriptorBudget::TakeOverhead(int64_t count) {
  MutexLock lock(mutex_);
  overhead_ += count;
}

void DescriptorBudget::ReturnOverhead(int64_t count) {
  {
    MutexLock lock(mutex_);
    const bool sockets_gain = overhead_ > overhead_limit_;
    overhead_ -= count;
    if (!sockets_gain || waiting_.empty()) return;
  }
  NotifyWaiting();
}

void DescriptorBudget::NotifyWaiting() {
  MutexLock notifying(notify_mutex_);
  std::map<WaitId, absl::AnyInvocable<void()>> woken;
  {
    MutexLock lock(mutex_);
    woken.swap(waiting_);
  }
  for (auto& [id, notify] : woken) notify();
}

DescriptorBudget::WaitId DescriptorBudget::NotifyWhenFree(absl::AnyInvocable<void()> notify) {
  {
    MutexLock lock(mutex_);
    if (IsUsedUp()) {
      waiting_.emplace(next_id_, std::move(notify));
      return next_id_++;
    }
  }
  notify();
  return 0;
}

void DescriptorBudget::CancelNotify(WaitId id) {
  MutexLock notifying(notify_mutex_);
  MutexLock lock(mutex_);
  waiting_.erase(id);
}

bool DescriptorBudget::UnderPressure() const {
  MutexLock lock(mutex_);
  return !waiting_.empty();
}

int64_t DescriptorBudget::used() const {
  MutexLock lock(mutex_);
  return used_;
}

}  // namespace trawl
