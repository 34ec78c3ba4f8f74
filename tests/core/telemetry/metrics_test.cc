#include "core/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, CountersWithoutLabelsAreExposedFromTheStart) {
  Metrics metrics;

  const std::string text = metrics.Serialize();

  EXPECT_THAT(text, HasSubstr("# HELP prometheus_target_scrape_pools_total Total number of scrape "
                              "pool creation attempts.\n"
                              "# TYPE prometheus_target_scrape_pools_total counter\n"
                              "prometheus_target_scrape_pools_total 0\n"));
  for (const char* name : {"prometheus_target_scrape_pools_failed_total",
                           "prometheus_target_scrape_pool_reloads_total",
                           "prometheus_target_scrape_pool_reloads_failed_total",
                           "prometheus_target_scrape_pool_exceeded_target_limit_total",
                           "prometheus_target_scrapes_exceeded_body_size_limit_total",
                           "prometheus_target_scrapes_exceeded_sample_limit_total",
                           "prometheus_target_scrape_pool_exceeded_label_limits_total",
                           "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                           "prometheus_target_scrapes_sample_out_of_order_total",
                           "prometheus_target_scrapes_sample_out_of_bounds_total",
                           "prometheus_target_scrapes_cache_flush_forced_total"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " 0\n"));
  }
}

TEST(MetricsTest, BuildInfoCarriesTheVersion) {
  Metrics metrics(Metrics::Options{"1.2.3", "abc"});

  EXPECT_THAT(metrics.Serialize(), HasSubstr("trawl_build_info{"));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("version=\"1.2.3\""));
}

TEST(MetricsTest, AnIntervalIsObservedInBothTwinsUnderGosName) {
  Metrics metrics;

  metrics.scrape().ObserveInterval(absl::Minutes(1), absl::Seconds(5));

  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("prometheus_target_interval_length_seconds{interval=\"1m0s\","
                              "quantile=\"0.99\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("prometheus_target_interval_length_seconds_count{"
                              "interval=\"1m0s\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("prometheus_target_interval_length_histogram_seconds_bucket{"
                              "interval=\"1m0s\",le=\"10\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("prometheus_target_interval_length_histogram_seconds_bucket{"
                              "interval=\"1m0s\",le=\"1\"} 0\n"));
}

TEST(MetricsTest, ARemovedJobLeavesNoSeries) {
  Metrics metrics;
  ScrapeMetrics& scrape = metrics.scrape();
  for (const char* job : {"gone", "kept"}) {
    scrape.pool_targets.Set({job}, 3);
    scrape.pool_target_limit.Set({job}, 0);
    scrape.sync_failed_total.Increment({job}, 0);
    scrape.ObserveSync(job, absl::Milliseconds(1));
    scrape.CountFailure(job, FailureReason::kDns);
    scrape.CountFailure(job, FailureReason::kParse);
    metrics.discovery().job_without_source.Set({job}, 1);
  }

  scrape.RemoveJob("gone");
  metrics.discovery().RemoveJob("gone");

  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, Not(HasSubstr("gone")));
  EXPECT_THAT(text, HasSubstr("trawl_scrape_failures_total{job=\"kept\",reason=\"dns\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("trawl_job_without_source{job=\"kept\"} 1\n"));
}

TEST(MetricsTest, ARemovedJobThatComesBackStartsAtZero) {
  Metrics metrics;
  metrics.scrape().CountFailure("job", FailureReason::kDns);
  metrics.scrape().RemoveJob("job");
  EXPECT_EQ(metrics.scrape().failures_total.Value({"job", "dns"}), 0);

  metrics.scrape().CountFailure("job", FailureReason::kDns);

  EXPECT_EQ(metrics.scrape().failures_total.Value({"job", "dns"}), 1);
}

TEST(MetricsTest, ARemovedSourceOrSinkLeavesNoSeries) {
  Metrics metrics;
  metrics.discovery().updates_total.Increment({"gone", "sync", "ok"});
  metrics.discovery().groups.Set({"gone"}, 1);
  metrics.discovery().targets.Set({"gone"}, 1);
  metrics.append().sink_connected.Set({"gone", "0"}, 1);
  metrics.append().sink_rejected_samples_total.Increment({"gone", "out_of_order"}, 5);

  metrics.discovery().RemoveSource("gone");
  metrics.append().RemoveSink("gone");

  EXPECT_THAT(metrics.Serialize(), Not(HasSubstr("gone")));
}

TEST(MetricsTest, AHostileLabelValueIsEscaped) {
  Metrics metrics;

  metrics.discovery().groups.Set({"a\"\n\\"}, 1);

  EXPECT_THAT(metrics.Serialize(), HasSubstr(R"(trawl_discovery_groups{source="a\"\n\\"} 1)"));
}

TEST(MetricsTest, ReloadsOfTheConfigurationAreToldUnderBothNames) {
  Metrics metrics;
  metrics.server().ConfigLoaded(absl::FromUnixSeconds(1000));
  metrics.server().ConfigFailed();

  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("\nprometheus_config_last_reload_successful 0\n"));
  EXPECT_THAT(text, HasSubstr("\ntrawl_config_last_reload_successful 0\n"));
  EXPECT_THAT(text, HasSubstr("\nprometheus_config_last_reload_success_timestamp_seconds 1000\n"));
}

TEST(MetricsTest, CallbacksSetGaugesBeforeEachCollection) {
  Metrics metrics;
  int calls = 0;
  metrics.OnCollect([&] { metrics.discovery().sources.Set(++calls); });

  EXPECT_THAT(metrics.Serialize(), HasSubstr("\ntrawl_discovery_sources 1\n"));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("\ntrawl_discovery_sources 2\n"));
}

TEST(MetricsTest, TheProcessTellsAboutItself) {
  Metrics metrics;

  const std::string text = metrics.Serialize();

  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
        "process_max_fds", "process_start_time_seconds", "process_virtual_memory_bytes"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
  }
  EXPECT_THAT(text, HasSubstr("# TYPE process_cpu_seconds_total counter\n"));
}

}  // namespace
}  // namespace trawl
