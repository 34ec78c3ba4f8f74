#include "server/worker_pool.h"

#include <pthread.h>

#include <utility>

namespace trawl {

WorkerPool::WorkerPool(size_t threads, const std::string& name) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

void WorkerPool::Add(std::function<void()> task) {
  MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.NotifyOne();
}

void WorkerPool::Shutdown() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerPool::Run() {
  while (std::optional<std::function<void()>> task = Next()) (*task)();
}

std::optional<std::function<void()>> WorkerPool::Next() {
  MutexLock lock(mutex_);
  while (tasks_.empty() && !stopping_) changed_.Wait(mutex_);
  if (tasks_.empty()) return std::nullopt;
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

}  // namespace trawl
