#include "server/os_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "core/base/log.h"

namespace trawl {
namespace {

int OpenSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

}  // namespace

OsSignals::OsSignals(EpollLoop& loop, Callbacks callbacks)
    : callbacks_(std::move(callbacks)), fd_(OpenSignals()) {
  loop.Watch(fd_, FdWatcher::kReadable, [this](uint32_t) { Read(); });
}

OsSignals::~OsSignals() { close(fd_); }

void OsSignals::Read() {
  signalfd_siginfo info = {};
  while (read(fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      callbacks_.reload();
      continue;
    }
    LogInfo("Received an OS signal, exiting gracefully...",
            {{"signal", info.ssi_signo == SIGINT ? "interrupt" : "terminated"}});
    callbacks_.stop();
  }
}

}  // namespace trawl
