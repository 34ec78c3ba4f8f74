#include "core/base/directory_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "core/base/log.h"

namespace trawl {

DirectoryWatch::DirectoryWatch(FdWatcher& fds, Callback on_events)
    : fds_(fds), on_events_(std::move(on_events)) {}

DirectoryWatch::~DirectoryWatch() {
  if (fd_ < 0) return;
  fds_.Unwatch(fd_);
  close(fd_);
}

bool DirectoryWatch::Open() {
  if (fd_ >= 0) return true;
  fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd_ < 0) {
    LogWarn("Can't watch files, they are read every refresh_interval", {});
    return false;
  }
  fds_.Watch(fd_, FdWatcher::kReadable, [this](uint32_t) { OnEvents(); });
  return true;
}

void DirectoryWatch::Set(std::set<std::string> directories) {
  if ((directories.empty() && fd_ < 0) || !Open()) return;
  for (auto it = watches_.begin(); it != watches_.end();) {
    if (directories.erase(it->second) > 0) {
      ++it;
      continue;
    }
    inotify_rm_watch(fd_, it->first);
    it = watches_.erase(it);
  }
  for (const std::string& directory : directories) {
    const int watch = inotify_add_watch(
        fd_, directory.c_str(),
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR);
    if (watch >= 0) {
      watches_[watch] = directory;
    } else {
      LogWarn("Can't watch directory, its files are read every refresh_interval",
              {{"directory", directory}});
    }
  }
}

void DirectoryWatch::OnEvents() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  std::set<std::string> directories;
  for (;;) {
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        for (const auto& [watch, directory] : watches_) directories.insert(directory);
      }
      auto it = watches_.find(event->wd);
      if (it != watches_.end()) directories.insert(it->second);
      at += static_cast<ssize_t>(sizeof(inotify_event)) + event->len;
    }
  }
  on_events_(directories);
}

}  // namespace trawl
