#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/functional/any_invocable.h"
#include "core/base/event_loop.h"

namespace trawl {

// Tells when something happens in directories (inotify): a file is written and closed, moved in
// or out, made or removed. A directory that can't be watched is logged and left out: who needs
// its files reads them now and then, too.
//
// The loop's thread only.
class DirectoryWatch {
 public:
  // `directories`: those in which something happened; all of them when events were lost.
  using Callback = absl::AnyInvocable<void(const std::set<std::string>& directories)>;

  DirectoryWatch(FdWatcher& fds, Callback on_events);
  ~DirectoryWatch();

  // What is watched from now on.
  void Set(std::set<std::string> directories);

 private:
  bool Open();
  void OnEvents();

  FdWatcher& fds_;
  Callback on_events_;
  int fd_ = -1;
  std::map<int, std::string> watches_;  // inotify's number → directory
};

}  // namespace trawl
