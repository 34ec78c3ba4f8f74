#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace trawl {

// The process_* metrics that every Prometheus client library gives (CPU, memory, descriptors,
// start time), read from /proc at each collection; what cannot be read is left out.
// Thread-safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace trawl
