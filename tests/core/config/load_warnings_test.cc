#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/config/load.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using testing::ElementsAre;

std::vector<std::string> Warnings(std::string_view text) {
  absl::StatusOr<LoadResult> result = LoadConfig(text, {.file = "p.yml"});
  EXPECT_OK(result.status());
  std::vector<std::string> warnings;
  if (!result.ok()) return warnings;
  for (const ConfigWarning& warning : result->warnings) warnings.push_back(warning.ToString());
  return warnings;
}

TEST(LoadConfigWarningsTest, SectionsOfNoUseHereAreNamed) {
  EXPECT_THAT(
      Warnings("alerting: {alertmanagers: []}\nrule_files: [a]\nstorage: {tsdb: {}}\n"
               "tracing: {endpoint: x}\notlp: {promote_scope_metadata: true}\nruntime: {gogc: 5}\n"
               "remote_read: [{url: x}]\n"),
      ElementsAre(
          "p.yml: line 1, column 1: field alerting has no effect: trawl evaluates no rules",
          "p.yml: line 2, column 1: field rule_files has no effect: trawl evaluates no rules",
          "p.yml: line 3, column 1: field storage has no effect: trawl has no TSDB",
          "p.yml: line 4, column 1: field tracing has no effect: trawl exports no traces",
          "p.yml: line 5, column 1: field otlp has no effect: trawl receives no OTLP",
          "p.yml: line 6, column 1: field runtime has no effect: it tunes the Go runtime",
          "p.yml: line 7, column 1: field remote_read has no effect: trawl answers no "
          "queries"));
}

TEST(LoadConfigWarningsTest, SectionsThatSayNothingAreNotNamed) {
  EXPECT_THAT(Warnings("alerting:\nrule_files: []\nstorage: {}\nremote_write:\n"), ElementsAre());
}

TEST(LoadConfigWarningsTest, GlobalFieldsOfNoUseAreNamed) {
  EXPECT_THAT(Warnings("global: {evaluation_interval: 1m, query_log_file: f}\n"),
              ElementsAre(testing::HasSubstr("line 1, column 10: field evaluation_interval"),
                          testing::HasSubstr("field query_log_file")));
}

TEST(LoadConfigWarningsTest, OtherDiscoveriesAreToBePushed) {
  absl::StatusOr<LoadResult> result = LoadConfig(
      "scrape_configs:\n- job_name: k8s\n  kubernetes_sd_configs: [{role: pod}]\n"
      "- job_name: none\n  consul_sd_configs: []\n",
      {});

  ASSERT_OK(result.status());
  EXPECT_TRUE(result->config.scrape_configs[0].expects_push());
  EXPECT_THAT(result->config.scrape_configs[0].pushed_sd_configs,
              ElementsAre("kubernetes_sd_configs"));
  EXPECT_FALSE(result->config.scrape_configs[1].expects_push());
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_EQ(result->warnings[0].ToString(),
            "line 3, column 3: kubernetes_sd_configs is not run by trawl: the targets of job "
            "\"k8s\" are to be pushed");
}

TEST(LoadConfigWarningsTest, RemoteWritesOwnQueueIsNotUsed) {
  EXPECT_THAT(Warnings("remote_write:\n- url: http://x/\n  queue_config: {capacity: 1}\n"
                       "  metadata_config: {send: false}\n  send_exemplars: true\n"
                       "  send_native_histograms: false\n"),
              ElementsAre(testing::HasSubstr("field queue_config has no effect"),
                          testing::HasSubstr("field metadata_config has no effect"),
                          testing::HasSubstr("field send_exemplars has no effect")));
}

TEST(LoadConfigWarningsTest, ProtocolsThatAreNotOfferedAreNamed) {
  const std::string text =
      "scrape_configs:\n- job_name: a\n  scrape_protocols: [PrometheusProto, "
      "OpenMetricsText2.0.0, PrometheusText0.0.4]\n";

  EXPECT_THAT(
      Warnings(text),
      ElementsAre("p.yml: line 3, column 21: scrape_protocols: not offered to targets: "
                  "PrometheusProto, OpenMetricsText2.0.0 for scrape config with job name \"a\""));
  EXPECT_THAT(LoadConfig(text, {})->config.scrape_configs[0].scrape_protocols,
              ElementsAre(ScrapeProtocol::kPrometheusText004));
}

TEST(LoadConfigWarningsTest, EmptyVariablesInExternalLabelsAreNamed) {
  EXPECT_THAT(Warnings("global:\n  external_labels: {a: $NONE}\n"),
              ElementsAre("p.yml: line 2, column 3: environment variable \"NONE\" is empty; "
                          "external label a"));
}

TEST(LoadConfigWarningsTest, WhatIsKnownAndDoneInAnotherWayIsNamedWhereItIsAskedFor) {
  EXPECT_THAT(
      Warnings("global: {always_scrape_classic_histograms: true}\n"
               "scrape_configs:\n- {job_name: a, enable_http2: true}\n"
               "- {job_name: b, always_scrape_classic_histograms: true}\n"
               "- {job_name: c, enable_http2: false, always_scrape_classic_histograms: false}\n"),
      ElementsAre("p.yml: line 1, column 10: field always_scrape_classic_histograms has no effect: "
                  "no native histograms are scraped",
                  "p.yml: line 3, column 17: field enable_http2 has no effect: requests are made "
                  "with HTTP/1.1",
                  "p.yml: line 4, column 17: field always_scrape_classic_histograms has no effect: "
                  "no native histograms are scraped"));
}

}  // namespace
}  // namespace trawl
