#include "core/base/epoll_loop.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/base/log.h"

namespace trawl {
namespace {

// Generation 0 is the eventfd's; what is watched starts at 1.
constexpr uint64_t kWakeData = 0;
constexpr size_t kMaxReadyPerTurn = 256;

uint64_t PackData(int fd, uint32_t generation) {
  return (uint64_t{generation} << 32) | static_cast<uint32_t>(fd);
}

uint32_t ToEpoll(uint32_t events) {
  return ((events & FdWatcher::kReadable) ? EPOLLIN : 0u) |
         ((events & FdWatcher::kWritable) ? EPOLLOUT : 0u);
}

uint32_t FromEpoll(uint32_t events) {
  return ((events & EPOLLIN) ? FdWatcher::kReadable : 0u) |
         ((events & EPOLLOUT) ? FdWatcher::kWritable : 0u) |
         ((events & (EPOLLERR | EPOLLHUP)) ? FdWatcher::kError : 0u);
}

// Rounded up: a timer must not run before its time.
int CeilMilliseconds(absl::Duration wait) {
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1)));
  return static_cast<int>(std::min<int64_t>(ms, std::numeric_limits<int>::max()));
}

// Kernels before 5.11, and some sandboxes, have no epoll_pwait2: milliseconds must do there.
int WaitForEvents(int epoll_fd, std::vector<epoll_event>& events, absl::Duration wait) {
  const int size = static_cast<int>(events.size());
  if (wait == absl::InfiniteDuration()) return epoll_wait(epoll_fd, events.data(), size, -1);
  if (wait <= absl::ZeroDuration()) return epoll_wait(epoll_fd, events.data(), size, 0);
  const timespec timeout = absl::ToTimespec(absl::Ceil(wait, absl::Nanoseconds(1)));
  const int count = epoll_pwait2(epoll_fd, events.data(), size, &timeout, nullptr);
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  return epoll_wait(epoll_fd, events.data(), size, CeilMilliseconds(wait));
}

}  // namespace

EpollLoop::EpollLoop(const Clock& clock)
    : clock_(clock),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      ready_(kMaxReadyPerTurn) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) {
    LogError("cannot make an event loop", {{"err", strerror(errno)}});
    abort();
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeData;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
}

EpollLoop::~EpollLoop() {
  // What the callbacks own may still call Cancel or Unwatch: destroy it while all is there.
  std::vector<Callback> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  posted.clear();
  auto timers = std::move(timers_);
  timers_.clear();
  timers.clear();
  auto watched = std::move(watched_);
  watched_.clear();
  watched.clear();
  auto turn_end = std::move(turn_end_);
  turn_end_.clear();
  turn_end.clear();
  close(wake_fd_);
  close(epoll_fd_);
}

void EpollLoop::Run() {
  thread_ = std::this_thread::get_id();
  while (!stop_.exchange(false)) {
    Wait();
    RunReady();
    RunDueTimers();
    RunPosted();
    RunTurnEnd();
  }
  thread_ = std::thread::id();
}

void EpollLoop::Stop() {
  stop_ = true;
  Wake();
}

void EpollLoop::Post(Callback callback) {
  bool wake;
  {
    MutexLock lock(mutex_);
    wake = posted_.empty();
    posted_.push_back(std::move(callback));
  }
  // The loop's own thread looks at posted_ before it waits.
  if (wake && !InLoopThread()) Wake();
}

TimerId EpollLoop::RunAfter(absl::Duration delay, Callback callback) {
  const TimerId id = next_timer_++;
  const absl::Duration due = clock_.Steady() + std::max(delay, absl::ZeroDuration());
  timers_.emplace(std::make_pair(due, id), std::move(callback));
  timer_due_.emplace(id, due);
  return id;
}

void EpollLoop::Cancel(TimerId timer) {
  const auto due = timer_due_.find(timer);
  if (due == timer_due_.end()) return;
  // Out of the maps first: destroying the callback may cancel other timers.
  auto cancelled = timers_.extract({due->second, timer});
  timer_due_.erase(due);
}

void EpollLoop::AtTurnEnd(Callback callback) { turn_end_.push_back(std::move(callback)); }

bool EpollLoop::InLoopThread() const { return thread_.load() == std::this_thread::get_id(); }

void EpollLoop::Watch(int fd, uint32_t events, FdCallback callback) {
  const uint32_t generation = next_generation_++;
  if (next_generation_ == 0) next_generation_ = 1;
  auto [entry, added] = watched_.try_emplace(fd);
  const auto replaced = std::exchange(
      entry->second, Watched{generation, std::make_shared<FdCallback>(std::move(callback))});
  Control(added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, events, generation);
}

void EpollLoop::SetEvents(int fd, uint32_t events) {
  const auto entry = watched_.find(fd);
  if (entry != watched_.end()) Control(EPOLL_CTL_MOD, fd, events, entry->second.generation);
}

void EpollLoop::Unwatch(int fd) {
  const auto entry = watched_.find(fd);
  if (entry == watched_.end()) return;
  const auto removed = std::exchange(entry->second, Watched{});
  watched_.erase(entry);
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void EpollLoop::Control(int operation, int fd, uint32_t events, uint32_t generation) {
  epoll_event event{};
  event.events = ToEpoll(events);
  event.data.u64 = PackData(fd, generation);
  if (epoll_ctl(epoll_fd_, operation, fd, &event) == 0) return;
  // The number was closed and given again behind our back.
  if (errno == ENOENT && epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0) return;
  if (errno == EEXIST && epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0) return;
  LogError("cannot watch a descriptor", {{"fd", fd}, {"err", strerror(errno)}});
}

void EpollLoop::Wait() {
  const int count = WaitForEvents(epoll_fd_, ready_, WaitTime());
  ready_count_ = count > 0 ? static_cast<size_t>(count) : 0;
}

absl::Duration EpollLoop::WaitTime() {
  {
    MutexLock lock(mutex_);
    if (!posted_.empty() || stop_) return absl::ZeroDuration();
  }
  if (!turn_end_.empty()) return absl::ZeroDuration();  // given before Run
  if (timers_.empty()) return absl::InfiniteDuration();
  return std::max(timers_.begin()->first.first - clock_.Steady(), absl::ZeroDuration());
}

void EpollLoop::Wake() {
  const uint64_t one = 1;
  // EAGAIN means that it is awake already.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void EpollLoop::RunReady() {
  for (size_t i = 0; i < ready_count_; ++i) {
    const epoll_event event = ready_[i];
    if (event.data.u64 == kWakeData) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof(count));
      continue;
    }
    const auto entry = watched_.find(static_cast<int>(event.data.u64 & 0xFFFFFFFFu));
    if (entry == watched_.end() || entry->second.generation != event.data.u64 >> 32) continue;
    const std::shared_ptr<FdCallback> callback = entry->second.callback;
    (*callback)(FromEpoll(event.events));
  }
  ready_count_ = 0;
}

void EpollLoop::RunDueTimers() {
  if (timers_.empty()) return;
  const absl::Duration now = clock_.Steady();
  // Timers that these callbacks make wait for the next turn: a loop of RunAfter(0) must not
  // keep descriptors and posts from running.
  const TimerId end = next_timer_;
  while (!timers_.empty()) {
    const auto [due, id] = timers_.begin()->first;
    if (due > now || id >= end) return;
    auto timer = timers_.extract(timers_.begin());
    timer_due_.erase(id);
    timer.mapped()();
  }
}

void EpollLoop::RunPosted() {
  std::vector<Callback> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (Callback& callback : posted) {
    callback();
    callback = nullptr;  // what it owns goes before the next one runs
  }
}

void EpollLoop::RunTurnEnd() {
  while (!turn_end_.empty()) {
    std::vector<Callback> callbacks;
    callbacks.swap(turn_end_);
    for (Callback& callback : callbacks) callback();
  }
}

LoopThread::LoopThread(const Clock& clock, const std::string& name)
    : loop_(clock), thread_([this] { loop_.Run(); }) {
  constexpr size_t kMaxThreadName = 15;
  pthread_setname_np(thread_.native_handle(), name.substr(0, kMaxThreadName).c_str());
}

LoopThread::~LoopThread() { Shutdown(); }

void LoopThread::Shutdown() {
  loop_.Stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace trawl
