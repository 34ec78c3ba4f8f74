#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "core/telemetry/labelled.h"

namespace trawl {

// What the fetcher and the resolver count. Thread-safe.
class FetchMetrics {
 public:
  explicit FetchMetrics(prometheus::Registry& registry);

  prometheus::Gauge& open_descriptors;
  prometheus::Gauge& max_descriptors;
  prometheus::Gauge& inflight_bytes;
  prometheus::Counter& body_waits_total;
  prometheus::Counter& waiting_for_descriptor_total;
  prometheus::Counter& connections_opened_total;
  LabelledCounter dns_lookups_total;  // result: ok, not_found, failed
};

}  // namespace trawl
