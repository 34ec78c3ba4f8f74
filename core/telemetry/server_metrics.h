#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "absl/time/time.h"
#include "core/telemetry/labelled.h"

namespace trawl {

// What the process says of its configuration and its servers. Thread-safe.
class ServerMetrics {
 public:
  explicit ServerMetrics(prometheus::Registry& registry);

  // A (re)load of the configuration at `now`, under Prometheus' names and trawl's own.
  void ConfigLoaded(absl::Time now);
  void ConfigFailed();

  // Of StatusService.WatchTargets.
  prometheus::Gauge& watchers;
  prometheus::Counter& watchers_refused_total;
  prometheus::Counter& watchers_given_up_total;  // silent for too long
  prometheus::Counter& plans_refused_total;      // of StatusService.PlanConfig
  prometheus::Gauge& grpc_connections;
  prometheus::Counter& grpc_connections_refused_total;
  prometheus::Counter& grpc_connections_reset_total;  // they gave up calls too fast
  prometheus::Counter& http_connections_closed_unheard_total;
  LabelledGauge access_last_reload_successful;  // certificates, tokens, web configuration

 private:
  prometheus::Gauge& last_reload_successful_;
  prometheus::Gauge& trawl_last_reload_successful_;
  prometheus::Gauge& last_reload_success_timestamp_seconds_;
};

}  // namespace trawl
