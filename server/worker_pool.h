#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"

namespace trawl {

// A few threads that run tasks, which may block, in the order in which they were added.
//
// Thread-safe, but for Shutdown.
class WorkerPool {
 public:
  // `name` is the threads' name as operators see it.
  WorkerPool(size_t threads, const std::string& name);
  // As Shutdown.
  ~WorkerPool() { Shutdown(); }

  void Add(std::function<void()> task);
  // Idempotent; waits until all that was added has run.
  void Shutdown();

 private:
  void Run();
  std::optional<std::function<void()>> Next();

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ TRAWL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> tasks_ TRAWL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace trawl
