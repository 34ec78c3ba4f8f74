#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace trawl {

// What the spool counts, all lanes together. Thread-safe.
class SpoolMetrics {
 public:
  explicit SpoolMetrics(prometheus::Registry& registry);

  prometheus::Gauge& degraded_lanes;  // whose newest records are in memory only
  prometheus::Gauge& bytes;           // earlier runs' included
  prometheus::Gauge& limit_bytes;
  prometheus::Gauge& memory_bytes;
  prometheus::Gauge& segments;
  prometheus::Counter& written_bytes_total;
  prometheus::Counter& unspooled_samples_total;
  prometheus::Counter& failures_total;
  prometheus::Counter& syncs_total;
  prometheus::Counter& failed_syncs_total;
  prometheus::Counter& failed_removals_total;
  prometheus::Counter& capped_samples_total;
  prometheus::Counter& aged_samples_total;
  // Of what earlier runs left.
  prometheus::Counter& torn_bytes_total;
  prometheus::Counter& lost_bytes_total;
  prometheus::Counter& set_aside_files_total;
};

}  // namespace trawl
