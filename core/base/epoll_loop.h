#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/event_loop.h"
#include "core/base/mutex.h"

namespace trawl {

// The real EventLoop: epoll, an eventfd for posts, and an ordered map of timers.
//
// A turn is: wait, ready descriptors, due timers, posted callbacks, callbacks of the turn's end.
// Timers are as exact as the kernel's (tens of microseconds), see RunAfter. A callback of a
// descriptor never runs after Unwatch, not even in the same turn.
//
// Run() runs on the calling thread until Stop(), and may be called again then (a Stop while it
// does not run ends the next one at once). Stop and Post are thread-safe, the rest as
// EventLoop says. The clock must outlive the loop.
class EpollLoop final : public EventLoop, public FdWatcher {
 public:
  explicit EpollLoop(const Clock& clock);
  ~EpollLoop() override;

  void Run();
  // Idempotent; returns at once. The loop ends after its current turn.
  void Stop();

  const Clock& clock() const override { return clock_; }
  void Post(Callback callback) override;
  TimerId RunAfter(absl::Duration delay, Callback callback) override;
  void Cancel(TimerId timer) override;
  void AtTurnEnd(Callback callback) override;
  bool InLoopThread() const override;

  void Watch(int fd, uint32_t events, FdCallback callback) override;
  void SetEvents(int fd, uint32_t events) override;
  void Unwatch(int fd) override;

 private:
  struct Watched {
    uint32_t generation = 0;               // tells two watches of one descriptor's number apart
    std::shared_ptr<FdCallback> callback;  // shared: it may unwatch itself while it runs
  };

  void RunReady();
  void RunDueTimers();
  void RunPosted();
  void RunTurnEnd();
  // Fills ready_; waits until something is to be done.
  void Wait();
  // How long Wait may take; InfiniteDuration when there is nothing to wait for but posts.
  absl::Duration WaitTime();
  void Wake();
  void Control(int operation, int fd, uint32_t events, uint32_t generation);

  // Constant after construction.
  const Clock& clock_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;

  std::atomic<bool> stop_{false};
  std::atomic<std::thread::id> thread_{};  // of Run

  // Owned by the loop's thread.
  TimerId next_timer_ = 1;
  std::map<std::pair<absl::Duration, TimerId>, Callback> timers_;
  absl::flat_hash_map<TimerId, absl::Duration> timer_due_;
  absl::flat_hash_map<int, Watched> watched_;
  std::vector<Callback> turn_end_;
  std::vector<epoll_event> ready_;
  size_t ready_count_ = 0;
  uint32_t next_generation_ = 1;

  Mutex mutex_;
  std::vector<Callback> posted_ TRAWL_GUARDED_BY(mutex_);
};

// An EpollLoop and the thread that runs it. Start is in the constructor; Stop and join in
// Shutdown or the destructor.
class LoopThread {
 public:
  // `name` is the thread's name as operators see it (at most 15 characters).
  LoopThread(const Clock& clock, const std::string& name);
  ~LoopThread();

  EpollLoop& loop() { return loop_; }
  // Idempotent; waits for the thread to end. Not from the loop's own thread.
  void Shutdown();

 private:
  EpollLoop loop_;
  std::thread thread_;
};

}  // namespace trawl
