#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/append/sink.h"
#include "core/telemetry/append_metrics.h"

namespace trawl {

// Turns lanes' snapshots into metrics: gauges as they are, counters by what was added since the
// last time. Not thread-safe: collections come one at a time (Metrics::OnCollect).
class AppendCollector {
 public:
  explicit AppendCollector(AppendMetrics& metrics) : metrics_(metrics) {}

  // `failing`: sinks whose endpoint takes nothing for now.
  void Collect(std::span<const std::shared_ptr<const LaneStatus>> lanes,
               const std::set<std::string>& failing);
  // Of a sink's endpoint: EndpointCondition's, so far.
  void CollectUndivided(const std::string& sink, uint64_t samples);

 private:
  void CollectLane(const LaneStatus& lane);
  void CountDropped(const std::string& lane, std::string_view reason, uint64_t samples);
  void CollectSink(const LaneStatus& of, const SinkStatus& sink);
  // What was added to a counter; one that went back (the sink is another) counts from 0.
  double Added(const std::string& counter, uint64_t value);

  AppendMetrics& metrics_;
  std::map<std::string, uint64_t> seen_;
};

}  // namespace trawl
