#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string_view>

#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/telemetry/labelled.h"

namespace trawl {

// What the scrape manager, its pools and its loops count: Prometheus' names, types, labels and
// help texts (spec 8), so that its dashboards and alerts work; and trawl's own.
//
// Members without a label are there from the start. `interval` is written as Go prints a
// duration. Those of things that trawl has not (native histograms and exemplars,
// a symbol table, a cache of metadata) are not there.
// Thread-safe.
class ScrapeMetrics {
 public:
  explicit ScrapeMetrics(prometheus::Registry& registry);

  // Pools.
  prometheus::Counter& pools_total;
  prometheus::Counter& pools_failed_total;
  prometheus::Counter& pool_reloads_total;
  prometheus::Counter& pool_reloads_failed_total;
  prometheus::Counter& pool_exceeded_target_limit_total;
  LabelledSummary reload_length_seconds;            // interval
  LabelledGauge pool_target_limit;                  // scrape_job
  LabelledGauge pool_targets;                       // scrape_job
  LabelledCounter pool_sync_total;                  // scrape_job
  LabelledSummary sync_length_seconds;              // scrape_job
  LabelledHistogram sync_length_histogram_seconds;  // scrape_job
  LabelledCounter sync_failed_total;                // scrape_job

  // Loops.
  LabelledSummary interval_length_seconds;              // interval
  LabelledHistogram interval_length_histogram_seconds;  // interval
  prometheus::Counter& exceeded_body_size_limit_total;
  prometheus::Counter& exceeded_sample_limit_total;
  prometheus::Counter& exceeded_label_limits_total;
  prometheus::Counter& sample_duplicate_timestamp_total;
  prometheus::Counter& sample_out_of_order_total;
  prometheus::Counter& sample_out_of_bounds_total;
  prometheus::Counter& cache_flush_forced_total;

  // trawl's own.
  LabelledCounter failures_total;  // job, reason
  prometheus::Histogram& reconcile_duration_seconds;
  LabelledGauge loops;  // shard
  prometheus::Counter& scrape_now_total;
  LabelledCounter scrape_now_refused_total;  // reason: target, limit

  // Prometheus' summary and its histogram twin at once.
  void ObserveSync(std::string_view job, absl::Duration length);
  void ObserveInterval(absl::Duration interval, absl::Duration actual);
  void ObserveReload(absl::Duration interval, absl::Duration length);
  void CountFailure(std::string_view job, FailureReason reason);

  // Ends the series of a job that is gone, those that Prometheus ends too (spec 2.6) and
  // trawl's own. Call it when the job's pool has stopped.
  void RemoveJob(std::string_view job);
};

}  // namespace trawl
