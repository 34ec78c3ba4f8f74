#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <string_view>

#include "core/telemetry/labelled.h"

namespace trawl {

// What the append side counts: lanes (one a shard, by number) and sinks (by name).
// Thread-safe.
class AppendMetrics {
 public:
  explicit AppendMetrics(prometheus::Registry& registry);

  // The queue: records that not every sink has acknowledged.
  LabelledGauge queue_bytes;  // lane
  prometheus::Gauge& queue_limit_bytes;
  LabelledCounter records_total;  // lane
  prometheus::Counter& samples_total;
  LabelledCounter dropped_samples_total;  // reason: cap, age, refused

  // Sinks.
  LabelledGauge sink_connected;                  // sink, lane: 1 or 0
  LabelledGauge sink_durable_number;             // sink, lane: the last record that it acked
  LabelledGauge sink_stuck;                      // sink, lane: 1 if a record waits for a person
  LabelledGauge sink_degraded;                   // sink: 1 while its endpoint or store refuses us
  LabelledCounter sink_bytes_sent_total;         // sink
  LabelledCounter sink_samples_acked_total;      // sink
  LabelledCounter sink_rejected_samples_total;   // sink, code
  LabelledCounter sink_undivided_samples_total;  // sink: of the rejected, not asked for alone
  LabelledCounter sink_lost_samples_total;       // sink, reason
  LabelledCounter sink_reconnects_total;         // sink

  // Ends the series of a sink that is gone.
  void RemoveSink(std::string_view sink);
};

}  // namespace trawl
