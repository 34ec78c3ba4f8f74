#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace trawl {

// What became of a call that was added to a queue.
enum class CallAdded : uint8_t {
  kFirst,  // the thread should be woken
  kBehindOthers,
  kFull,     // was told so: kResourceExhausted
  kTooLate,  // was told so: kUnavailable
};

// Calls that wait for a thread: any thread adds, that one takes. Nobody waits for
// ever: after Close everyone is told at once that it is too late. `Call` is something that can be
// called with that status. Thread-safe.
template <typename Call>
class CallQueue {
 public:
  CallQueue() = default;
  // At most `max` wait; to one more `full` is told.
  CallQueue(size_t max, std::string full) : max_(max), full_(std::move(full)) {}

  CallAdded Add(Call call) {
    CallAdded refused = CallAdded::kTooLate;
    {
      MutexLock lock(mutex_);
      if (!closed_ && waiting_.size() < max_) {
        waiting_.push_back(std::move(call));
        return waiting_.size() == 1 ? CallAdded::kFirst : CallAdded::kBehindOthers;
      }
      if (!closed_) refused = CallAdded::kFull;
    }
    call(refused == CallAdded::kFull ? absl::ResourceExhaustedError(full_) : TooLate());
    return refused;
  }

  std::deque<Call> Take() {
    MutexLock lock(mutex_);
    return std::exchange(waiting_, {});
  }

  // The others go on waiting.
  std::optional<Call> TakeFirst() {
    MutexLock lock(mutex_);
    if (waiting_.empty()) return std::nullopt;
    std::optional<Call> first(std::move(waiting_.front()));
    waiting_.pop_front();
    return first;
  }

  void Close() {
    std::deque<Call> late;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      late = std::exchange(waiting_, {});
    }
    for (Call& call : late) call(TooLate());
  }

 private:
  static absl::Status TooLate() { return absl::UnavailableError("the server is stopping"); }

  const size_t max_ = SIZE_MAX;
  const std::string full_;
  Mutex mutex_;
  bool closed_ TRAWL_GUARDED_BY(mutex_) = false;
  std::deque<Call> waiting_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
