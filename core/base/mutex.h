#pragma once

#include <condition_variable>
#include <mutex>

// Clang's thread-safety annotations over std::mutex: the distribution's absl::Mutex is not
// instrumented and gives false reports under ThreadSanitizer.

#if defined(__clang__)
#define TRAWL_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define TRAWL_THREAD_ANNOTATION(x)
#endif
#define TRAWL_CAPABILITY(x) TRAWL_THREAD_ANNOTATION(capability(x))
#define TRAWL_SCOPED_CAPABILITY TRAWL_THREAD_ANNOTATION(scoped_lockable)
#define TRAWL_GUARDED_BY(x) TRAWL_THREAD_ANNOTATION(guarded_by(x))
#define TRAWL_REQUIRES(...) TRAWL_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define TRAWL_EXCLUDES(...) TRAWL_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define TRAWL_ACQUIRE(...) TRAWL_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TRAWL_RELEASE(...) TRAWL_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TRAWL_NO_THREAD_SAFETY_ANALYSIS TRAWL_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace trawl {

class TRAWL_CAPABILITY("mutex") Mutex {
 public:
  void Lock() TRAWL_ACQUIRE() { mutex_.lock(); }
  void Unlock() TRAWL_RELEASE() { mutex_.unlock(); }
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

class TRAWL_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TRAWL_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() TRAWL_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for Mutex. Wait atomically releases `mutex` and re-acquires it.
class CondVar {
 public:
  void Wait(Mutex& mutex) TRAWL_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace trawl
