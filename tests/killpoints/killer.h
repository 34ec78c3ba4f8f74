#pragma once

#include <cstdio>
#include <set>
#include <string>

#include "core/base/mutex.h"

namespace trawl {

// Ends the process at a named point, as a crash would. Environment:
//
//   TRAWL_KILL_POINT="half append segment" TRAWL_KILL_AT=3
//                        SIGKILL as the process comes to the point for the third time
//   TRAWL_KILL_LOG=FILE  the point is written there when the process comes to it first
//
// One a process. Thread-safe.
class Killer {
 public:
  Killer();
  // The process comes to the point.
  void operator()(const std::string& point);

 private:
  const std::string point_;
  Mutex mutex_;
  int left_ TRAWL_GUARDED_BY(mutex_);
  std::FILE* log_ TRAWL_GUARDED_BY(mutex_);  // null: none
  std::set<std::string> seen_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
