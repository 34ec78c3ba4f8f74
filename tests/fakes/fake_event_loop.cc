#include "tests/fakes/fake_event_loop.h"

#include <algorithm>

namespace trawl {
namespace {

constexpr absl::Duration kFirstSteady = absl::Hours(1000);

}  // namespace

FakeEventLoop::FakeEventLoop()
    : FakeEventLoop(absl::FromCivil(absl::CivilSecond(2026, 1, 1), absl::UTCTimeZone())) {}

FakeEventLoop::FakeEventLoop(absl::Time wall)
    : steady_(kFirstSteady), wall_at_zero_(wall - kFirstSteady) {}

absl::Time FakeEventLoop::Now() const {
  MutexLock lock(mutex_);
  return wall_at_zero_ + steady_;
}

absl::Duration FakeEventLoop::Steady() const {
  MutexLock lock(mutex_);
  return steady_;
}

void FakeEventLoop::SetSteady(absl::Duration steady) {
  MutexLock lock(mutex_);
  steady_ = steady;
}

void FakeEventLoop::SetWall(absl::Time wall) {
  MutexLock lock(mutex_);
  wall_at_zero_ = wall - steady_;
}

void FakeEventLoop::Post(Callback callback) {
  MutexLock lock(mutex_);
  posted_.push_back(std::move(callback));
}

TimerId FakeEventLoop::RunAfter(absl::Duration delay, Callback callback) {
  const TimerId id = next_timer_++;
  const absl::Duration due = Steady() + std::max(delay, absl::ZeroDuration());
  timers_.emplace(std::make_pair(due, id), std::move(callback));
  timer_due_.emplace(id, due);
  return id;
}

void FakeEventLoop::Cancel(TimerId timer) {
  const auto due = timer_due_.find(timer);
  if (due == timer_due_.end()) return;
  const auto cancelled = timers_.extract({due->second, timer});
  timer_due_.erase(due);
}

void FakeEventLoop::AtTurnEnd(Callback callback) { turn_end_.push_back(std::move(callback)); }

bool FakeEventLoop::HasPosted() const {
  MutexLock lock(mutex_);
  return !posted_.empty();
}

void FakeEventLoop::RunUntilIdle() {
  RunTurnEnd();
  while (true) {
    if (HasPosted()) {
      RunPosted();
    } else if (!RunOneDueTimer()) {
      return;
    }
    RunTurnEnd();
  }
}

void FakeEventLoop::Advance(absl::Duration duration) {
  const absl::Duration end = Steady() + duration;
  RunUntilIdle();
  while (!timers_.empty() && timers_.begin()->first.first <= end) {
    // Callbacks that were posted meanwhile ran before time went on.
    SetSteady(std::max(Steady(), timers_.begin()->first.first));
    RunUntilIdle();
  }
  SetSteady(end);
}

bool FakeEventLoop::AdvanceToNextTimer() {
  if (timers_.empty()) return false;
  Advance(NextTimerIn());
  return true;
}

absl::Duration FakeEventLoop::NextTimerIn() const {
  if (timers_.empty()) return absl::InfiniteDuration();
  return std::max(timers_.begin()->first.first - Steady(), absl::ZeroDuration());
}

bool FakeEventLoop::RunOneDueTimer() {
  if (timers_.empty() || timers_.begin()->first.first > Steady()) return false;
  auto timer = timers_.extract(timers_.begin());
  timer_due_.erase(timer.key().second);
  timer.mapped()();
  return true;
}

void FakeEventLoop::RunPosted() {
  std::vector<Callback> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (Callback& callback : posted) {
    callback();
    callback = nullptr;
  }
}

void FakeEventLoop::RunTurnEnd() {
  while (!turn_end_.empty()) {
    std::vector<Callback> callbacks;
    callbacks.swap(turn_end_);
    for (Callback& callback : callbacks) callback();
  }
}

}  // namespace trawl
