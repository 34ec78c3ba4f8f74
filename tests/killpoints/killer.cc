#include "tests/killpoints/killer.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace trawl {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Killer::Killer()
    : point_(Variable("TRAWL_KILL_POINT")),
      left_(std::atoi(Variable("TRAWL_KILL_AT").c_str())),
      log_(std::fopen(Variable("TRAWL_KILL_LOG").c_str(), "a")) {}

void Killer::operator()(const std::string& point) {
  MutexLock lock(mutex_);
  if (log_ != nullptr && seen_.insert(point).second) {
    std::fprintf(log_, "%s\n", point.c_str());
    std::fflush(log_);
  }
  if (point == point_ && --left_ <= 0) kill(getpid(), SIGKILL);
}

}  // namespace trawl
