#pragma once

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/clock.h"

namespace trawl {

using TimerId = uint64_t;  // 0 is never a timer's id

// A thread that runs callbacks: posted ones, timers, and readiness of file descriptors.
//
// Guarantees:
//   1. CALLBACKS RUN ONE AT A TIME on the loop's thread, posted ones in the order of posting.
//   2. A timer never runs before its time; timers due at the same time run in the order of
//      their ids (order of creation). A cancelled timer does not run.
//   3. Callbacks given to AtTurnEnd run after all callbacks of the current turn, before the
//      loop waits again; they are how work of one turn is grouped into one write.
//   4. A posted callback that has not run when the loop is destroyed is destroyed unrun.
//
// Post is thread-safe; everything else is for the loop's own thread, or for before Run.
class EventLoop {
 public:
  using Callback = absl::AnyInvocable<void()>;

  virtual ~EventLoop() = default;

  virtual const Clock& clock() const = 0;
  virtual void Post(Callback callback) = 0;
  virtual TimerId RunAfter(absl::Duration delay, Callback callback) = 0;
  // Unknown and 0 ids are ignored: a timer that already ran may be cancelled.
  virtual void Cancel(TimerId timer) = 0;
  virtual void AtTurnEnd(Callback callback) = 0;
  virtual bool InLoopThread() const = 0;
};

// Readiness of file descriptors on an event loop; level-triggered.
// Loop's thread only. The descriptor is not owned and must be unwatched before it is closed.
class FdWatcher {
 public:
  enum : uint32_t { kReadable = 1, kWritable = 2, kError = 4 };
  using FdCallback = absl::AnyInvocable<void(uint32_t ready)>;

  virtual ~FdWatcher() = default;

  // Watches or changes what is watched; `events` is a set of kReadable and kWritable.
  virtual void Watch(int fd, uint32_t events, FdCallback callback) = 0;
  virtual void SetEvents(int fd, uint32_t events) = 0;
  virtual void Unwatch(int fd) = 0;
};

}  // namespace trawl
