#pragma once

#include <cstdint>
#include <map>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"

namespace trawl {

// How many sockets the process' fetchers may hold together, and how many descriptors libcurl may
// have around them. It keeps the rest of the process' descriptors for its servers and files:
// gRPC 1.51's listener never accepts again after the process ran out once.
//
// Thread-safe; one object for all fetchers.
class DescriptorBudget {
 public:
  using WaitId = uint64_t;

  // `overhead_limit`: of what is around the sockets, in addition to `limit`.
  explicit DescriptorBudget(int64_t limit, int64_t overhead_limit = 1000)
      : limit_(limit), overhead_limit_(overhead_limit) {}

  bool TryAcquire();
  // Wakes all who wait.
  void Release();

  // Takes `count` for what sockets need around them; false if there is no room.
  bool TryTakeOverhead(int64_t count);
  // The same where it must be: what is over the limit there, sockets go without.
  void TakeOverhead(int64_t count);
  void ReturnOverhead(int64_t count);

  // Calls `notify` once as soon as a descriptor is free, possibly before this returns, on the
  // thread that released it: it may only post. Until then the fetchers are under pressure.
  WaitId NotifyWhenFree(absl::AnyInvocable<void()> notify);
  // Afterwards `notify` does not run, nor is it running. Not from inside a notify.
  void CancelNotify(WaitId id);

  // Somebody waits: connections should be closed after use instead of kept.
  bool UnderPressure() const;
  int64_t used() const;
  int64_t limit() const { return limit_; }

 private:
  bool IsUsedUp() const TRAWL_REQUIRES(mutex_);
  void NotifyWaiting();

  const int64_t limit_;
  const int64_t overhead_limit_;
  // Held while waiters are told, so that CancelNotify can wait for that; taken before mutex_.
  Mutex notify_mutex_;
  mutable Mutex mutex_;
  int64_t used_ TRAWL_GUARDED_BY(mutex_) = 0;
  int64_t overhead_ TRAWL_GUARDED_BY(mutex_) = 0;
  WaitId next_id_ TRAWL_GUARDED_BY(mutex_) = 1;
  std::map<WaitId, absl::AnyInvocable<void()>> waiting_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
