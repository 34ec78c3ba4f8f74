#pragma once

#include <memory>
#include <set>
#include <string>

#include "core/base/published.h"
#include "core/config/config.h"
#include "core/discovery/discovery.h"
#include "core/telemetry/discovery_metrics.h"

namespace trawl {

// The jobs whose targets are to be pushed, and whether anybody pushes them: a job without a source
// is most often a discovery service that was never started, and nothing else would tell.
//
// Set: one thread. Count: any thread. Must outlive what it left on discovery's loop.
class PushJobs {
 public:
  struct Deps {
    Discovery& discovery;
    DiscoveryMetrics& metrics;
  };

  explicit PushJobs(const Deps& deps) : deps_(deps) {}

  // Those of the configuration that runs now.
  void Set(const Config& config);
  // Into the gauges, which follow a moment later: discovery is asked on its own loop.
  void Count();

 private:
  const Deps deps_;
  Published<std::set<std::string>> jobs_;
};

}  // namespace trawl
