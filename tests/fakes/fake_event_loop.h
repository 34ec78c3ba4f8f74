#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/event_loop.h"
#include "core/base/mutex.h"

namespace trawl {

// A Clock and an EventLoop in one, in virtual time: nothing happens and no time passes but in
// Advance and RunUntilIdle. The thread that calls these is the loop's thread.
//
//   FakeEventLoop loop;
//   loop.RunAfter(absl::Seconds(10), [&] { ++fired; });
//   loop.Advance(absl::Seconds(15));  // fires at 10 s; the time is 15 s afterwards
//
// The wall clock runs along with the steady clock; SetWall and StepWall move it alone, as an
// operator or NTP does. Post is thread-safe, and so are Now and Steady; the rest is for the
// test's thread.
class FakeEventLoop final : public EventLoop, public Clock {
 public:
  // 2026-01-01T00:00:00Z, and a steady time that is not near 0.
  FakeEventLoop();
  explicit FakeEventLoop(absl::Time wall);

  // Clock.
  absl::Time Now() const override;
  absl::Duration Steady() const override;

  // EventLoop.
  const Clock& clock() const override { return *this; }
  void Post(Callback callback) override;
  TimerId RunAfter(absl::Duration delay, Callback callback) override;
  void Cancel(TimerId timer) override;
  void AtTurnEnd(Callback callback) override;
  // True while callbacks run, and outside of them: the test's thread stands for the loop's.
  bool InLoopThread() const override { return true; }

  // Runs what is due now: posted callbacks, timers, turn ends, and what these add, until nothing
  // is left. A timer of delay 0 that makes another for ever is a bug of the caller.
  void RunUntilIdle();
  // Runs every timer that comes due within `duration`, each at its own time, ties in the order
  // of ids, each in a turn of its own; leaves the clock at `duration` from now.
  void Advance(absl::Duration duration);
  // Advances to the next timer, if there is one; true if there was.
  bool AdvanceToNextTimer();

  void SetWall(absl::Time wall);
  void StepWall(absl::Duration step) { SetWall(Now() + step); }

  // Timers that wait.
  size_t pending_timers() const { return timers_.size(); }
  // Time until the next timer; InfiniteDuration when there is none.
  absl::Duration NextTimerIn() const;

 private:
  void RunPosted();
  void RunTurnEnd();
  // Runs the first timer if it is due; false if none is.
  bool RunOneDueTimer();
  bool HasPosted() const;
  void SetSteady(absl::Duration steady);

  mutable Mutex mutex_;
  absl::Duration steady_ TRAWL_GUARDED_BY(mutex_);
  absl::Time wall_at_zero_ TRAWL_GUARDED_BY(mutex_);  // wall time at steady time 0
  std::vector<Callback> posted_ TRAWL_GUARDED_BY(mutex_);

  // Test's thread.
  TimerId next_timer_ = 1;
  std::map<std::pair<absl::Duration, TimerId>, Callback> timers_;
  absl::flat_hash_map<TimerId, absl::Duration> timer_due_;
  std::vector<Callback> turn_end_;
};

}  // namespace trawl
