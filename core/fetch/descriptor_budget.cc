#include "core/fetch/descriptor_budget.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace trawl {

int64_t DescriptorBudget::LimitOfProcess(int64_t reserve) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kPlenty = 1 << 30;  // RLIM_INFINITY is larger than an int64_t
  return std::max<int64_t>(16, static_cast<int64_t>(std::min(limit.rlim_cur, kPlenty)) - reserve);
}

bool DescriptorBudget::TryAcquire() {
  MutexLock lock(mutex_);
  if (used_ >= limit_) return false;
  ++used_;
  return true;
}

void DescriptorBudget::Release() {
  {
    MutexLock lock(mutex_);
    --used_;
    if (waiting_.empty()) return;
  }
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
    if (used_ >= limit_) {
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
