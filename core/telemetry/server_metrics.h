#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "absl/time/time.h"

namespace trawl {

// What the process says of its configuration. Thread-safe.
class ServerMetrics {
 public:
  explicit ServerMetrics(prometheus::Registry& registry);

  // A (re)load of the configuration at `now`, under Prometheus' names and trawl's own.
  void ConfigLoaded(absl::Time now);
  void ConfigFailed();

  // Of StatusService.WatchTargets.
  prometheus::Gauge& watchers;
  prometheus::Counter& watchers_refused_total;

 private:
  prometheus::Gauge& last_reload_successful_;
  prometheus::Gauge& trawl_last_reload_successful_;
  prometheus::Gauge& last_reload_success_timestamp_seconds_;
};

}  // namespace trawl
