#pragma once

#include <functional>

#include "core/base/epoll_loop.h"

namespace trawl {

// SIGHUP, SIGINT and SIGTERM as events of a loop, instead of interruptions of whatever runs. They
// must be blocked in every thread.
//
// The loop's thread only. The loop outlives the object, and doesn't run when it goes.
class OsSignals {
 public:
  struct Callbacks {
    std::function<void()> reload;
    std::function<void()> stop;
  };

  OsSignals(EpollLoop& loop, Callbacks callbacks);
  ~OsSignals();
  OsSignals(const OsSignals&) = delete;
  OsSignals& operator=(const OsSignals&) = delete;

 private:
  void Read();

  const Callbacks callbacks_;
  const int fd_;
};

}  // namespace trawl
