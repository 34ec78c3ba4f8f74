#include "core/telemetry/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/duration.h"

namespace trawl {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Registry;
using prometheus::Summary;

using Names = std::vector<std::string>;

prometheus::Family<Counter>& CounterFamily(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<Gauge>& GaugeFamily(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Counter& PlainCounter(Registry& registry, const char* name, const char* help) {
  return CounterFamily(registry, name, help).Add({});
}

Gauge& PlainGauge(Registry& registry, const char* name, const char* help) {
  return GaugeFamily(registry, name, help).Add({});
}

LabelledCounter Counters(Registry& registry, const char* name, const char* help, Names labels) {
  return {CounterFamily(registry, name, help), std::move(labels)};
}

LabelledGauge Gauges(Registry& registry, const char* name, const char* help, Names labels) {
  return {GaugeFamily(registry, name, help), std::move(labels)};
}

// With the quantiles, the errors and the window of Prometheus' own.
LabelledSummary Summaries(Registry& registry, const char* name, const char* help, Names labels) {
  const Summary::Quantiles quantiles = {
      {0.01, 0.001}, {0.05, 0.005}, {0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
  return {prometheus::BuildSummary().Name(name).Help(help).Register(registry), std::move(labels),
          quantiles, std::chrono::milliseconds(std::chrono::minutes(10))};
}

// Of what should be over in a millisecond and may take seconds.
prometheus::Histogram& PlainHistogram(Registry& registry, const char* name, const char* help) {
  const prometheus::Histogram::BucketBoundaries bounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                                          0.005,  0.01,    0.025,  0.1,   1};
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, bounds);
}

LabelledHistogram Histograms(Registry& registry, const char* name, const char* help, Names labels) {
  const prometheus::Histogram::BucketBoundaries bounds = {0.01, 0.1, 1, 10};
  return {prometheus::BuildHistogram().Name(name).Help(help).Register(registry), std::move(labels),
          bounds};
}

constexpr char kSyncLength[] = "Actual interval to sync the scrape pool.";
constexpr char kIntervalLength[] = "Actual intervals between scrapes.";

}  // namespace

ScrapeMetrics::ScrapeMetrics(Registry& r)
    : pools_total(PlainCounter(r, "prometheus_target_scrape_pools_total",
                               "Total number of scrape pool creation attempts.")),
      pools_failed_total(PlainCounter(r, "prometheus_target_scrape_pools_failed_total",
                                      "Total number of scrape pool creations that failed.")),
      pool_reloads_total(PlainCounter(r, "prometheus_target_scrape_pool_reloads_total",
                                      "Total number of scrape pool reloads.")),
      pool_reloads_failed_total(PlainCounter(r,
                                             "prometheus_target_scrape_pool_reloads_failed_total",
                                             "Total number of failed scrape pool reloads.")),
      pool_exceeded_target_limit_total(
          PlainCounter(r, "prometheus_target_scrape_pool_exceeded_target_limit_total",
                       "Total number of times scrape pools hit the target limit, during sync or "
                       "config reload.")),
      reload_length_seconds(Summaries(
          r, "prometheus_target_reload_length_seconds",
          "Actual interval to reload the scrape pool with a given configuration.", {"interval"})),
      pool_target_limit(Gauges(r, "prometheus_target_scrape_pool_target_limit",
                               "Maximum number of targets allowed in this scrape pool.",
                               {"scrape_job"})),
      pool_targets(Gauges(r, "prometheus_target_scrape_pool_targets",
                          "Current number of targets in this scrape pool.", {"scrape_job"})),
      pool_sync_total(Counters(r, "prometheus_target_scrape_pool_sync_total",
                               "Total number of syncs that were executed on a scrape pool.",
                               {"scrape_job"})),
      sync_length_seconds(
          Summaries(r, "prometheus_target_sync_length_seconds", kSyncLength, {"scrape_job"})),
      sync_length_histogram_seconds(Histograms(r, "prometheus_target_sync_length_histogram_seconds",
                                               kSyncLength, {"scrape_job"})),
      sync_failed_total(Counters(r, "prometheus_target_sync_failed_total",
                                 "Total number of target sync failures.", {"scrape_job"})),
      interval_length_seconds(
          Summaries(r, "prometheus_target_interval_length_seconds", kIntervalLength, {"interval"})),
      interval_length_histogram_seconds(Histograms(
          r, "prometheus_target_interval_length_histogram_seconds", kIntervalLength, {"interval"})),
      exceeded_body_size_limit_total(
          PlainCounter(r, "prometheus_target_scrapes_exceeded_body_size_limit_total",
                       "Total number of scrapes that hit the body size limit")),
      exceeded_sample_limit_total(
          PlainCounter(r, "prometheus_target_scrapes_exceeded_sample_limit_total",
                       "Total number of scrapes that hit the sample limit and were rejected.")),
      exceeded_label_limits_total(
          PlainCounter(r, "prometheus_target_scrape_pool_exceeded_label_limits_total",
                       "Total number of times scrape pools hit the label limits, during sync or "
                       "config reload.")),
      sample_duplicate_timestamp_total(
          PlainCounter(r, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                       "Total number of samples rejected due to duplicate timestamps but "
                       "different values.")),
      sample_out_of_order_total(PlainCounter(
          r, "prometheus_target_scrapes_sample_out_of_order_total",
          "Total number of samples rejected due to not being out of the expected order.")),
      sample_out_of_bounds_total(PlainCounter(
          r, "prometheus_target_scrapes_sample_out_of_bounds_total",
          "Total number of samples rejected due to timestamp falling outside of the time "
          "bounds.")),
      cache_flush_forced_total(
          PlainCounter(r, "prometheus_target_scrapes_cache_flush_forced_total",
                       "How many times a scrape cache was flushed due to getting big while "
                       "scrapes are failing.")),
      failures_total(Counters(r, "trawl_scrape_failures_total",
                              "Total number of failed scrapes, by the reason of the failure.",
                              {"job", "reason"})),
      reconcile_duration_seconds(PlainHistogram(
          r, "trawl_reconcile_duration_seconds",
          "How long the scrape manager worked on one batch of changed targets or configs.")),
      loops(
          Gauges(r, "trawl_scrape_loops", "Current number of scrape loops of a shard.", {"shard"})),
      scrape_now_total(PlainCounter(r, "trawl_scrape_now_total",
                                    "Total number of scrapes out of turn, which are not stored.")),
      scrape_now_refused_total(
          Counters(r, "trawl_scrape_now_refused_total",
                   "Total number of scrapes out of turn that were refused: because one of the "
                   "target was under way, or too many were.",
                   {"reason"})) {}

void ScrapeMetrics::ObserveSync(std::string_view job, absl::Duration length) {
  pool_sync_total.Increment({job});
  sync_length_seconds.Observe({job}, absl::ToDoubleSeconds(length));
  sync_length_histogram_seconds.Observe({job}, absl::ToDoubleSeconds(length));
}

void ScrapeMetrics::ObserveInterval(absl::Duration interval, absl::Duration actual) {
  const std::string label = FormatGoDuration(interval);
  interval_length_seconds.Observe({label}, absl::ToDoubleSeconds(actual));
  interval_length_histogram_seconds.Observe({label}, absl::ToDoubleSeconds(actual));
}

void ScrapeMetrics::ObserveReload(absl::Duration interval, absl::Duration length) {
  reload_length_seconds.Observe({FormatGoDuration(interval)}, absl::ToDoubleSeconds(length));
}

void ScrapeMetrics::CountFailure(std::string_view job, FailureReason reason) {
  failures_total.Increment({job, FailureReasonName(reason)});
}

void ScrapeMetrics::RemoveJob(std::string_view job) {
  pool_target_limit.Remove(job);
  pool_targets.Remove(job);
  pool_sync_total.Remove(job);
  sync_length_seconds.Remove(job);
  sync_length_histogram_seconds.Remove(job);
  sync_failed_total.Remove(job);
  failures_total.Remove(job);
}

DiscoveryMetrics::DiscoveryMetrics(Registry& r)
    : updates_total(Counters(r, "trawl_discovery_updates_total",
                             "Total number of updates from discovery, by what came of them.",
                             {"source", "kind", "status"})),
      sources(
          PlainGauge(r, "trawl_discovery_sources", "Current number of sources of target groups.")),
      groups(Gauges(r, "trawl_discovery_groups", "Current number of target groups of a source.",
                    {"source"})),
      targets(Gauges(r, "trawl_discovery_targets",
                     "Current number of targets of a source, before relabeling.", {"source"})),
      held_targets(Gauges(r, "trawl_discovery_held_targets",
                          "Current number of targets of a source that were removed and are still "
                          "scraped, because the shrink guard holds their removal.",
                          {"source"})),
      removals_held_total(Counters(r, "trawl_discovery_removals_held_total",
                                   "Total number of targets whose removal the shrink guard held.",
                                   {"source"})),
      withheld_sources(PlainGauge(r, "trawl_discovery_withheld_sources",
                                  "Current number of sources that were restored after too long an "
                                  "absence and are not scraped before they are confirmed.")),
      orphaned_sources(PlainGauge(r, "trawl_discovery_orphaned_sources",
                                  "Current number of sources that nobody was heard of for long, or "
                                  "that were released with their targets kept.")),
      limit_hits_total(Counters(r, "trawl_discovery_limit_hits_total",
                                "Total number of things that were refused for a limit.",
                                {"limit"})),
      streams(PlainGauge(r, "trawl_discovery_streams",
                         "Current number of Sync streams that said Hello.")),
      staged_bytes(PlainGauge(r, "trawl_discovery_staged_bytes",
                              "Current number of bytes reserved for snapshots on their way.")),
      file_read_errors_total(PlainCounter(r, "prometheus_sd_file_read_errors_total",
                                          "The number of File-SD read errors.")),
      pending_groups(PlainGauge(r, "trawl_discovery_pending_groups",
                                "Current number of target groups of jobs that the configuration "
                                "does not name.")),
      state_damaged_files_total(
          PlainCounter(r, "trawl_discovery_state_damaged_files_total",
                       "Total number of damaged files of discovery state, set aside at start-up.")),
      state_torn_writes_total(
          PlainCounter(r, "trawl_discovery_state_torn_writes_total",
                       "Total number of changes that were found half written at start-up, and were "
                       "cut off: none of them was acked.")),
      state_write_failures_total(PlainCounter(r, "trawl_discovery_state_write_failures_total",
                                              "Total number of changes that were not taken because "
                                              "they could not be written to disk.")),
      job_without_source(Gauges(r, "trawl_job_without_source",
                                "1 when no source gives this job target groups.", {"job"})) {}

void DiscoveryMetrics::RemoveSource(std::string_view source) {
  updates_total.Remove(source);
  groups.Remove(source);
  targets.Remove(source);
  held_targets.Remove(source);
  removals_held_total.Remove(source);
}

void DiscoveryMetrics::RemoveJob(std::string_view job) { job_without_source.Remove(job); }

SpoolMetrics::SpoolMetrics(Registry& r)
    : degraded_lanes(PlainGauge(r, "trawl_spool_degraded_lanes",
                                "Lanes whose newest records are in memory only, because the disk "
                                "does not take them.")),
      bytes(PlainGauge(r, "trawl_spool_bytes", "Bytes of the spool's files.")),
      limit_bytes(PlainGauge(r, "trawl_spool_limit_bytes", "Bytes that the spool may take.")),
      memory_bytes(PlainGauge(r, "trawl_spool_memory_bytes",
                              "Bytes of records that wait in memory instead of the spool.")),
      segments(PlainGauge(r, "trawl_spool_segments", "Segments of this run.")),
      written_bytes_total(PlainCounter(r, "trawl_spool_written_bytes_total",
                                       "Total number of bytes written to the spool.")),
      unspooled_samples_total(PlainCounter(r, "trawl_spool_unspooled_samples_total",
                                           "Total number of samples that the spool's disk did not "
                                           "take.")),
      failures_total(PlainCounter(r, "trawl_spool_failures_total",
                                  "Total number of files that could not be opened, written or "
                                  "synced.")),
      syncs_total(PlainCounter(r, "trawl_spool_syncs_total", "Total number of syncs.")),
      failed_syncs_total(
          PlainCounter(r, "trawl_spool_failed_syncs_total", "Total number of failed syncs.")),
      failed_removals_total(PlainCounter(r, "trawl_spool_failed_removals_total",
                                         "Total number of files that could not be removed at "
                                         "once.")),
      capped_samples_total(PlainCounter(r, "trawl_spool_capped_samples_total",
                                        "Total number of samples that not every sink had "
                                        "acknowledged when the spool's limit took them.")),
      aged_samples_total(PlainCounter(r, "trawl_spool_aged_samples_total",
                                      "Total number of samples that not every sink had "
                                      "acknowledged when the spool's age limit took them.")),
      torn_bytes_total(PlainCounter(r, "trawl_spool_torn_bytes_total",
                                    "Total number of bytes of writes that a crash cut off.")),
      lost_bytes_total(PlainCounter(r, "trawl_spool_lost_bytes_total",
                                    "Total number of bytes of earlier runs' files in which, up to "
                                    "the file's end, no record can be read.")),
      set_aside_files_total(PlainCounter(r, "trawl_spool_set_aside_files_total",
                                         "Total number of files of earlier runs that are not "
                                         "used.")) {}

AppendMetrics::AppendMetrics(Registry& r)
    : queue_bytes(Gauges(r, "trawl_append_queue_bytes",
                         "Bytes of records that not every sink has acknowledged.", {"lane"})),
      queue_limit_bytes(PlainGauge(r, "trawl_append_queue_limit_bytes",
                                   "Bytes that the queues of all lanes may hold.")),
      records_total(Counters(r, "trawl_append_records_total",
                             "Total number of records committed to a lane.", {"lane"})),
      samples_total(PlainCounter(r, "trawl_append_samples_total",
                                 "Total number of samples committed to the lanes.")),
      dropped_samples_total(Counters(r, "trawl_append_dropped_samples_total",
                                     "Total number of samples that no lane took (refused), or "
                                     "that went before every sink had acknowledged them.",
                                     {"reason"})),
      sink_connected(Gauges(r, "trawl_sink_connected",
                            "1 while a lane's stream to a sink is established.", {"sink", "lane"})),
      sink_durable_number(Gauges(r, "trawl_sink_durable_number",
                                 "Number of the last record that a sink has acknowledged as "
                                 "durable.",
                                 {"sink", "lane"})),
      sink_stuck(Gauges(r, "trawl_sink_stuck",
                        "1 while a record breaks a sink's streams again and again, and waits to "
                        "be skipped.",
                        {"sink", "lane"})),
      sink_degraded(Gauges(r, "trawl_sink_degraded",
                           "1 while samples don't get through to a sink because its endpoint fails "
                           "or its store refuses this writer.",
                           {"sink"})),
      sink_bytes_sent_total(Counters(r, "trawl_sink_bytes_sent_total",
                                     "Total number of bytes sent to a sink, compressed.",
                                     {"sink"})),
      sink_samples_acked_total(Counters(r, "trawl_sink_samples_acked_total",
                                        "Total number of samples that a sink has acknowledged.",
                                        {"sink"})),
      sink_rejected_samples_total(Counters(r, "trawl_sink_rejected_samples_total",
                                           "Total number of samples that a sink has rejected.",
                                           {"sink", "code"})),
      sink_undivided_samples_total(
          Counters(r, "trawl_sink_undivided_samples_total",
                   "Total number of samples that were rejected with others "
                   "and not asked for alone, as so many were.",
                   {"sink"})),
      sink_lost_samples_total(Counters(r, "trawl_sink_lost_samples_total",
                                       "Total number of committed samples that a sink will "
                                       "never get.",
                                       {"sink", "reason"})),
      sink_reconnects_total(Counters(r, "trawl_sink_reconnects_total",
                                     "Total number of streams to a sink that ended and were "
                                     "opened again.",
                                     {"sink"})) {}

void AppendMetrics::RemoveSink(std::string_view sink) {
  sink_connected.Remove(sink);
  sink_stuck.Remove(sink);
  sink_degraded.Remove(sink);
  sink_durable_number.Remove(sink);
  sink_bytes_sent_total.Remove(sink);
  sink_samples_acked_total.Remove(sink);
  sink_rejected_samples_total.Remove(sink);
  sink_undivided_samples_total.Remove(sink);
  sink_lost_samples_total.Remove(sink);
  sink_reconnects_total.Remove(sink);
}

FetchMetrics::FetchMetrics(Registry& r)
    : open_descriptors(PlainGauge(r, "trawl_fetch_open_descriptors",
                                  "Current number of open connections to targets.")),
      max_descriptors(PlainGauge(r, "trawl_fetch_max_descriptors",
                                 "How many connections to targets there may be: the process' limit "
                                 "of open files less what other things need.")),
      inflight_bytes(PlainGauge(r, "trawl_fetch_inflight_bytes",
                                "Current bytes that targets have sent and that are not yet "
                                "parsed.")),
      body_waits_total(PlainCounter(r, "trawl_fetch_body_waits_total",
                                    "Total number of times that a target had to wait for memory "
                                    "before it could send more (--scrape.max-inflight-bytes).")),
      waiting_for_descriptor_total(
          PlainCounter(r, "trawl_fetch_waiting_for_descriptor_total",
                       "Total number of scrapes that waited for a free descriptor.")),
      connections_opened_total(PlainCounter(r, "trawl_fetch_connections_opened_total",
                                            "Total number of connections opened to targets.")),
      dns_lookups_total(Counters(r, "trawl_dns_lookups_total",
                                 "Total number of name lookups, by their result.", {"result"})) {}

ServerMetrics::ServerMetrics(Registry& r)
    : watchers(PlainGauge(r, "trawl_status_watchers", "Watches of targets that are open.")),
      watchers_refused_total(
          PlainCounter(r, "trawl_status_watchers_refused_total",
                       "Watches of targets that were refused, as there were too many.")),
      watchers_given_up_total(
          PlainCounter(r, "trawl_status_watchers_given_up_total",
                       "Times that a watcher read nothing for too long, and had to start anew.")),
      plans_refused_total(
          PlainCounter(r, "trawl_status_plans_refused_total",
                       "Plans of configurations that were refused, as too many were waiting.")),
      grpc_connections(PlainGauge(r, "trawl_grpc_connections",
                                  "Current number of connections to the gRPC port.")),
      grpc_connections_refused_total(
          PlainCounter(r, "trawl_grpc_connections_refused_total",
                       "Total number of connections that were closed because "
                       "--grpc.max-connections were open.")),
      grpc_connections_reset_total(
          PlainCounter(r, "trawl_grpc_connections_reset_total",
                       "Total number of connections that were closed because their client gave up "
                       "more than --grpc.max-resets calls in a second.")),
      http_connections_closed_unheard_total(
          PlainCounter(r, "trawl_http_connections_closed_unheard_total",
                       "Total number of connections to the HTTP port that were closed before their "
                       "client had said what it wants: it took longer than --web.read-timeout, or "
                       "--web.max-connections were open.")),
      access_last_reload_successful(
          Gauges(r, "trawl_access_last_reload_successful",
                 "Whether the files that say who may come in were right when they were last read: "
                 "grpc_tls, grpc_tokens, web_config. Those that are wrong change nothing.",
                 {"files"})),
      last_reload_successful_(
          PlainGauge(r, "prometheus_config_last_reload_successful",
                     "Whether the last configuration reload attempt was successful.")),
      trawl_last_reload_successful_(
          PlainGauge(r, "trawl_config_last_reload_successful",
                     "Whether the last configuration reload attempt was successful.")),
      last_reload_success_timestamp_seconds_(
          PlainGauge(r, "prometheus_config_last_reload_success_timestamp_seconds",
                     "Timestamp of the last successful configuration reload.")) {}

void ServerMetrics::ConfigLoaded(absl::Time now) {
  last_reload_successful_.Set(1);
  trawl_last_reload_successful_.Set(1);
  last_reload_success_timestamp_seconds_.Set(absl::ToDoubleSeconds(now - absl::UnixEpoch()));
}

void ServerMetrics::ConfigFailed() {
  last_reload_successful_.Set(0);
  trawl_last_reload_successful_.Set(0);
}

Metrics::Metrics(const Options& options)
    : scrape_(registry_),
      discovery_(registry_),
      append_(registry_),
      fetch_(registry_),
      spool_(registry_),
      server_(registry_) {
  GaugeFamily(registry_, "trawl_build_info", "1, with the build's version in labels.")
      .Add({{"version", options.version}, {"revision", options.revision}})
      .Set(1);
}

void Metrics::OnCollect(absl::AnyInvocable<void()> callback) {
  MutexLock lock(collect_mutex_);
  on_collect_.push_back(std::move(callback));
}

std::string Metrics::Serialize() {
  {
    MutexLock lock(collect_mutex_);
    for (absl::AnyInvocable<void()>& callback : on_collect_) callback();
  }
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : process_.Collect()) {
    families.push_back(std::move(family));
  }
  std::sort(families.begin(), families.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace trawl
