#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/event_loop.h"
#include "core/base/mutex.h"

namespace trawl {

// A result that another thread gives and this one waits for: how the main thread, and no other,
// talks to the loops. Copies share the result. Thread-safe.
template <typename T>
class Awaited {
 public:
  void Set(T value) const {
    MutexLock lock(state_->mutex);
    state_->value = std::move(value);
    state_->changed.NotifyAll();
  }
  T Wait() const {
    MutexLock lock(state_->mutex);
    while (!state_->value) state_->changed.Wait(state_->mutex);
    return *state_->value;
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Runs `task` on the loop's thread, and returns when it has run. Not from that thread.
inline void RunOn(EventLoop& loop, absl::AnyInvocable<void()> task) {
  Awaited<bool> done;
  loop.Post([task = std::move(task), done]() mutable {
    task();
    done.Set(true);
  });
  done.Wait();
}

}  // namespace trawl
