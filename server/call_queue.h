#pragma once

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace trawl {

// Calls that wait for a thread: any thread adds, that one takes. Nobody waits for
// ever: after Close everyone is told at once that it is too late. `Call` is something that can be
// called with that status. Thread-safe.
template <typename Call>
class CallQueue {
 public:
  // True: the thread should be woken.
  bool Add(Call call) {
    {
      MutexLock lock(mutex_);
      if (!closed_) {
        waiting_.push_back(std::move(call));
        return waiting_.size() == 1;
      }
    }
    call(TooLate());
    return false;
  }

  std::vector<Call> Take() {
    MutexLock lock(mutex_);
    return std::exchange(waiting_, {});
  }

  void Close() {
    std::vector<Call> late;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      late = std::exchange(waiting_, {});
    }
    for (Call& call : late) call(TooLate());
  }

 private:
  static absl::Status TooLate() { return absl::UnavailableError("the server is stopping"); }

  Mutex mutex_;
  bool closed_ TRAWL_GUARDED_BY(mutex_) = false;
  std::vector<Call> waiting_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
