#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace trawl {

inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// Counts the calls that gRPC still knows, so that who made them can wait for gRPC to be done.
// Thread-safe.
class OpenCalls {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void Remove() {
    MutexLock lock(mutex_);
    if (--count_ == 0) none_.NotifyAll();
  }
  void WaitForNone() {
    MutexLock lock(mutex_);
    while (count_ != 0) none_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  int count_ TRAWL_GUARDED_BY(mutex_) = 0;
};

}  // namespace trawl
