#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/file_system.h"
#include "core/discovery/config_sources.h"
#include "core/discovery/discovery.h"
#include "core/discovery/state_store.h"
#include "core/telemetry/discovery_metrics.h"

namespace trawl {

// The discovery state and its thread: what was pushed, which is on disk, and what the configuration
// lists itself.
//
// Made and destroyed by the main thread.
class DiscoveryThread {
 public:
  struct Options {
    std::string directory;  // of what was pushed
    Discovery::Options discovery;
  };
  struct Deps {
    const Clock& clock;
    FileSystem& files;
    DiscoveryMetrics& metrics;
    Discovery::Reconcile reconcile;
  };

  // With what the last run left. Errors: that can't be read.
  static absl::StatusOr<std::unique_ptr<DiscoveryThread>> Start(const Options& options, Deps deps);
  // As Shutdown.
  ~DiscoveryThread();

  // Ends the thread: what it was asked before is done. Its loop stays until the object goes, for
  // answers of the manager that come late. Idempotent.
  void Shutdown();

  // Any thread, the methods that say so.
  Discovery& discovery() { return *discovery_; }
  ConfigSources& sources() { return *sources_; }

  // Every stream gets a Goaway and ends. Waits until all were told.
  void CloseStreams();

 private:
  DiscoveryThread(const Options& options, const Deps& deps);
  void Build(const Options& options, Deps deps, std::vector<RestoredSource> restored);

  StateStore store_;  // the thread's, once that runs
  LoopThread thread_;
  bool ended_ = false;
  // Made and destroyed on the thread.
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<ConfigSources> sources_;
};

}  // namespace trawl
