#pragma once

#include <deque>
#include <utility>

#include "core/base/event_loop.h"

namespace trawl {

// One after the other: what enters begins once everything that entered before it has left.
//
// A shard's large bodies take turns, because each may grow to 512 MiB when it is inflated: taken
// up together, a few hundred targets that send some compressed zeros would take all memory. Their
// sum is done no later than if they took slices of the thread together.
//
// Loop's thread only.
class TurnQueue {
 public:
  explicit TurnQueue(EventLoop& loop) : loop_(loop) {}

  // `begin` runs at once if nobody has the turn, else from the loop, once it is free.
  void Enter(EventLoop::Callback begin) {
    if (taken_) return waiting_.push_back(std::move(begin));
    taken_ = true;
    begin();
  }

  // Of the one whose turn it is.
  void Leave() {
    taken_ = !waiting_.empty();
    if (!taken_) return;
    loop_.Post(std::move(waiting_.front()));
    waiting_.pop_front();
  }

 private:
  EventLoop& loop_;
  bool taken_ = false;
  std::deque<EventLoop::Callback> waiting_;
};

}  // namespace trawl
