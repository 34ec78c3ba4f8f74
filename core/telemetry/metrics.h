#pragma once

#include <prometheus/registry.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"
#include "core/telemetry/append_metrics.h"
#include "core/telemetry/discovery_metrics.h"
#include "core/telemetry/fetch_metrics.h"
#include "core/telemetry/process_metrics.h"
#include "core/telemetry/scrape_metrics.h"
#include "core/telemetry/server_metrics.h"
#include "core/telemetry/spool_metrics.h"

namespace trawl {

// All that a trawl process tells about itself; made in main and handed down by its parts: a
// class gets a reference to the group that it needs (`ScrapeMetrics&`) in its Deps.
//
// Thread-safe.
class Metrics {
 public:
  struct Options {
    std::string version = "unknown";  // of trawl_build_info
    std::string revision = "unknown";
  };

  Metrics() : Metrics(Options()) {}
  explicit Metrics(const Options& options);
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  ScrapeMetrics& scrape() { return scrape_; }
  DiscoveryMetrics& discovery() { return discovery_; }
  AppendMetrics& append() { return append_; }
  FetchMetrics& fetch() { return fetch_; }
  SpoolMetrics& spool() { return spool_; }
  ServerMetrics& server() { return server_; }
  // For what does not fit in a group.
  prometheus::Registry& registry() { return registry_; }

  // Runs before each Serialize, on its thread, one at a time: for gauges that are computed when
  // they are asked for. What the callback uses must outlive this object, or its last Serialize.
  void OnCollect(absl::AnyInvocable<void()> callback);

  // The text format 0.0.4, families sorted by name.
  std::string Serialize();
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  prometheus::Registry registry_;
  ProcessMetrics process_;
  ScrapeMetrics scrape_;
  DiscoveryMetrics discovery_;
  AppendMetrics append_;
  FetchMetrics fetch_;
  SpoolMetrics spool_;
  ServerMetrics server_;

  // Held while the callbacks run: they are few and only set gauges.
  Mutex collect_mutex_;
  std::vector<absl::AnyInvocable<void()>> on_collect_ TRAWL_GUARDED_BY(collect_mutex_);
};

}  // namespace trawl
