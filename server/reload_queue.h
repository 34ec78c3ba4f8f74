#pragma once

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "server/status_service.h"

namespace trawl {

// Who waits for a reload of the configuration: any thread adds, the main thread takes. Nobody
// waits for ever: after Close everyone is told at once that it is too late. Thread-safe.
class ReloadQueue {
 public:
  // True: the main thread should be woken.
  bool Add(StatusService::ReloadCallback done) {
    {
      MutexLock lock(mutex_);
      if (!closed_) {
        waiting_.push_back(std::move(done));
        return waiting_.size() == 1;
      }
    }
    done(TooLate());
    return false;
  }

  std::vector<StatusService::ReloadCallback> Take() {
    MutexLock lock(mutex_);
    return std::exchange(waiting_, {});
  }

  void Close() {
    std::vector<StatusService::ReloadCallback> late;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      late = std::exchange(waiting_, {});
    }
    for (StatusService::ReloadCallback& done : late) done(TooLate());
  }

 private:
  static absl::Status TooLate() { return absl::UnavailableError("the server is stopping"); }

  Mutex mutex_;
  bool closed_ TRAWL_GUARDED_BY(mutex_) = false;
  std::vector<StatusService::ReloadCallback> waiting_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
