#include "server/quiet_connections.h"

#include <unistd.h>

namespace trawl {

void QuietConnections::Add(int fd) {
  if (quiet_.size() + handed_on_.load() >= options_.max_connections) {
    if (quiet_.empty()) {
      close(fd);
      return callbacks_.closed();
    }
    CloseUnheard(quiet_.front().fd);
  }
  const TimerId timer = loop_.RunAfter(options_.max_silence, [this, fd] { CloseUnheard(fd); });
  by_fd_[fd] = quiet_.insert(quiet_.end(), {fd, timer});
  watcher_.Watch(fd, FdWatcher::kReadable, [this, fd](uint32_t) { OnSpeaks(fd); });
}

void QuietConnections::OnSpeaks(int fd) {
  Leave(fd);
  handed_on_.fetch_add(1);
  callbacks_.speaks(fd);
}

void QuietConnections::CloseUnheard(int fd) {
  Leave(fd);
  close(fd);
  callbacks_.closed();
}

void QuietConnections::CloseAll() {
  while (!quiet_.empty()) {
    const int fd = quiet_.front().fd;
    Leave(fd);
    close(fd);
  }
}

void QuietConnections::Leave(int fd) {
  watcher_.Unwatch(fd);
  const auto found = by_fd_.find(fd);
  loop_.Cancel(found->second->timer);
  quiet_.erase(found->second);
  by_fd_.erase(found);
}

}  // namespace trawl
