#pragma once

#include <memory>

#include "absl/status/status.h"
#include "core/base/published.h"
#include "core/config/config_files.h"
#include "core/discovery/config_sources.h"
#include "core/discovery/discovery.h"
#include "core/model/labels.h"
#include "core/scrape/scrape_manager.h"
#include "server/push_jobs.h"
#include "server/shard_threads.h"
#include "server/sinks.h"

namespace trawl {

// Makes trawld run by a configuration: tells each part what it is to do from now on, and waits
// until it does.
//
// Main thread only, but for external_labels.
class ConfigApplier {
 public:
  struct Deps {
    Sinks& sinks;
    ShardThreads& shards;
    ScrapeManager& manager;
    Discovery& discovery;
    ConfigSources& sources;
    PushJobs& push_jobs;
  };

  ConfigApplier(SinkFlags sink_flags, const Deps& deps);

  // First: what can refuse a configuration as a whole; that HTTP clients can be made was seen when
  // it was loaded. An error has changed nothing.
  absl::Status Accept(const Config& config);
  // Then all the rest. An error names the jobs that keep what they had
  // (ScrapeManager::ApplyConfig); everything else is by the new configuration.
  absl::Status Apply(const LoadedConfig& next);

  // Of what was applied last. Any thread.
  std::shared_ptr<const Labels> external_labels() const { return external_labels_.Get(); }

 private:
  void TellDiscovery(const LoadedConfig& next);

  const SinkFlags sink_flags_;
  const Deps deps_;
  Published<Labels> external_labels_;
};

}  // namespace trawl
