#pragma once

#include <memory>
#include <utility>

#include "core/base/mutex.h"

namespace trawl {

// The newest immutable snapshot of something: one side publishes, any thread reads.
// Readers keep what they got for as long as they hold the pointer. Thread-safe.
template <typename T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> initial = std::make_shared<const T>())
      : value_(std::move(initial)) {}

  std::shared_ptr<const T> Get() const {
    MutexLock lock(mutex_);
    return value_;
  }
  void Set(std::shared_ptr<const T> value) {
    MutexLock lock(mutex_);
    value_.swap(value);  // the old one is destroyed after the lock is released
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const T> value_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
