#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/directory_watch.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/config/config.h"
#include "core/config/target_files.h"
#include "core/discovery/discovery.h"

namespace trawl {

// The two sources that the configuration file brings along: static_configs ("static") and
// file_sd_configs ("file"). Files are read when the configuration is applied, whenever something
// happens in their directories (inotify), and every refresh_interval. A file that can't be read
// or parsed keeps the targets it last gave, as in Prometheus; one that is gone gives none.
//
// The discovery loop's thread only, but for ApplyAsync.
class ConfigSources {
 public:
  struct Deps {
    EventLoop& loop;  // discovery's
    FdWatcher& fds;   // of the same loop
    FileSystem& files;
    Discovery& discovery;
    DiscoveryMetrics& metrics;
  };

  explicit ConfigSources(const Deps& deps);
  ~ConfigSources();

  // Takes a new configuration's sources; `done` runs on the loop when every loop was told.
  void ApplyAsync(std::shared_ptr<const Config> config, absl::AnyInvocable<void()> done);

 private:
  struct FileJob {
    TargetFiles files;
    absl::Duration refresh_interval;
    TimerId timer = 0;
  };

  void Apply(const Config& config, absl::AnyInvocable<void()> done);
  void DropOldJobs(const Config& config, absl::AnyInvocable<void()> done);
  void Refresh(const std::string& job, absl::AnyInvocable<void()> done);
  void ArmTimer(const std::string& job);
  void WatchDirectories();
  void OnDirectoryEvents(const std::set<std::string>& directories);

  const Deps deps_;
  std::set<std::string> static_jobs_;
  std::map<std::string, FileJob> file_jobs_;
  DirectoryWatch watch_;
};

}  // namespace trawl
