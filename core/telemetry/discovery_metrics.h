#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <string_view>

#include "core/telemetry/labelled.h"

namespace trawl {

// What discovery counts. A source is a discovery service by its name, or a built-in one.
// Thread-safe.
class DiscoveryMetrics {
 public:
  explicit DiscoveryMetrics(prometheus::Registry& registry);

  LabelledCounter updates_total;                    // source, kind, status
  prometheus::Gauge& sources;                       // sources known now
  LabelledGauge groups;                             // source
  LabelledGauge targets;                            // source
  LabelledGauge held_targets;                       // source; removed, and scraped all the same
  LabelledCounter removals_held_total;              // source; targets
  prometheus::Gauge& withheld_sources;              // restored and not scraped: not confirmed
  prometheus::Gauge& orphaned_sources;              // nobody speaks for them any more
  LabelledCounter limit_hits_total;                 // limit
  prometheus::Gauge& streams;                       // Sync streams open now that said Hello
  prometheus::Gauge& staged_bytes;                  // reserved for snapshots on their way
  prometheus::Counter& file_read_errors_total;      // prometheus_sd_file_read_errors_total
  prometheus::Gauge& pending_groups;                // groups of jobs that no config names
  prometheus::Counter& state_damaged_files_total;   // set aside at start-up
  prometheus::Counter& state_torn_writes_total;     // changes cut off at start-up: half written
  prometheus::Counter& state_write_failures_total;  // changes refused: they could not be kept
  LabelledGauge job_without_source;  // job; 1: its targets' source has not come, or has gone

  // Ends the series of a source that is gone, or of a job that is gone.
  void RemoveSource(std::string_view source);
  void RemoveJob(std::string_view job);
};

}  // namespace trawl
