// trawld that kills itself: as server/main.cc makes it, but over a file system that knows the
// points at which a crash leaves something different behind. For tests/e2e/test_kill_points.py.
//
//   TRAWL_KILL_POINT="half append segment" TRAWL_KILL_AT=3 trawld_kill_points FLAGS
//                       SIGKILLs itself as it comes to the point for the third time
//   TRAWL_KILL_LOG=FILE  writes there each point that it comes to first

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "core/base/mutex.h"
#include "server/run_trawld.h"
#include "tests/killpoints/kill_point_file_system.h"

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Counts the points, and ends the process at the one that is asked for.
class Killer {
 public:
  void operator()(const std::string& point) {
    trawl::MutexLock lock(mutex_);
    if (log_ != nullptr && seen_.insert(point).second) {
      std::fprintf(log_, "%s\n", point.c_str());
      std::fflush(log_);
    }
    if (point == point_ && --left_ <= 0) kill(getpid(), SIGKILL);
  }

 private:
  trawl::Mutex mutex_;
  const std::string point_ = Variable("TRAWL_KILL_POINT");
  int left_ = std::atoi(Variable("TRAWL_KILL_AT").c_str());
  std::FILE* log_ = std::fopen(Variable("TRAWL_KILL_LOG").c_str(), "a");
  std::set<std::string> seen_;
};

}  // namespace

int main(int argc, char** argv) {
  Killer killer;
  trawl::PosixFileSystem disk;
  trawl::KillPointFileSystem files(disk, [&killer](const std::string& point) { killer(point); });
  return trawl::RunTrawld(argc, argv, files);
}
