#include "core/config/config_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/config/load.h"
#include "core/config/yaml_writer.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config Load(const std::string& text) {
  absl::StatusOr<LoadResult> result = LoadConfig(text, {});
  EXPECT_OK(result.status()) << text;
  return result.ok() ? std::move(result->config) : Config();
}

// Every field that stands in a job, none of them with its default.
constexpr std::string_view kEverything = R"yaml(
global:
  scrape_interval: 30s
  scrape_timeout: 7s
  scrape_protocols: [PrometheusText0.0.4]
  body_size_limit: 10MB
  sample_limit: 5
  target_limit: 6
  label_limit: 7
  label_name_length_limit: 8
  label_value_length_limit: 9
  keep_dropped_targets: 10
  metric_name_validation_scheme: legacy
  extra_scrape_metrics: true
  always_scrape_classic_histograms: true
  external_labels: {zone: 'a $$1 "b"', b: "yes"}
scrape_configs:
  - job_name: "a: #b"
    scrape_interval: 1m30s
    scrape_timeout: 20s
    metrics_path: /m?x=1
    scheme: https
    params: {module: [a, "true", ""], "x y": ["1"]}
    enable_compression: false
    scrape_protocols: [PrometheusText1.0.0]
    fallback_scrape_protocol: PrometheusText0.0.4
    basic_auth: {username: me, password_file: /secret}
    tls_config: {ca_file: /ca, cert_file: /cert, key_file: /key, server_name: s,
                 insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}
    follow_redirects: false
    enable_http2: false
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    body_size_limit: 1KiB
    metric_name_validation_scheme: utf8
    metric_name_escaping_scheme: dots
    static_configs:
      - targets: ["a:1", "[::1]:2"]
        labels: {l: "tab\t and \u0085 \u00e9", n: "null"}
      - targets: []
    file_sd_configs: [{files: [/x/*.json], refresh_interval: 10s}]
    kubernetes_sd_configs: [{role: pod}]
    relabel_configs:
      - {source_labels: [a, b], separator: ",", regex: "(.*)",
                           target_label : "c", replacement : "$1-x"
}
      - {source_labels: [a], modulus: 8, target_label: d, action: hashmod}
      - {source_labels: [a], target_label: d, action: keepequal}
    metric_relabel_configs: [{regex: "a|b: #", action: labeldrop}]
  - job_name: plain
remote_write:
  - url: http://store/write
    remote_timeout: 5s
    authorization: {type: Token, credentials_file: /token}
)yaml";

TEST(ConfigTextTest, ReadAgainItIsTheSameConfiguration) {
  const Config config = Load(std::string(kEverything));

  EXPECT_EQ(Load(ConfigText(config)), config) << ConfigText(config);
  EXPECT_EQ(ConfigText(Load(ConfigText(config))), ConfigText(config));
  EXPECT_EQ(Load(ConfigText(Config())), Config());
}

TEST(ConfigTextTest, AJobStandsAloneWithWhatItInherits) {
  const Config config = Load(std::string(kEverything));

  for (const ScrapeConfig& job : config.scrape_configs) {
    const Config alone = Load(JobText(job));
    ASSERT_EQ(alone.scrape_configs.size(), 1);
    EXPECT_EQ(alone.scrape_configs[0], job);
  }
}

// T10: every field that may hold a secret.
TEST(ConfigTextTest, NoSecretIsShown) {
  const Config config = Load(R"(
scrape_configs:
  - job_name: a
    basic_auth: {username: me, password: s3cret-1}
    tls_config: {ca: A, cert: B, key: s3cret-2}
  - job_name: b
    authorization: {credentials: s3cret-3}
  - job_name: c
    bearer_token: s3cret-4
remote_write:
  - url: https://user:s3cret-5@host/write?x=a@b
    basic_auth: {username: me, password: s3cret-6}
  - url: https://user:s3c%40s3cret-7@host
    name: other
    authorization: {credentials: s3cret-8}
    tls_config: {cert: B, key: s3cret-9}
)");

  std::string all = ConfigText(config);
  for (const ScrapeConfig& job : config.scrape_configs) all += JobText(job);

  EXPECT_THAT(all, Not(HasSubstr("s3c")));
  EXPECT_THAT(all, HasSubstr("username: me\n      password: \"<secret>\""));
  EXPECT_THAT(all, HasSubstr("https://user:<secret>@host/write?x=a@b"));
}

TEST(ConfigTextTest, AWrongUrlIsQuotedWithoutItsPassword) {
  const auto result = LoadConfig("remote_write: [{url: 'ftp://user:s3cret@host'}]", {});

  EXPECT_THAT(result.status().message(), HasSubstr("ftp://user:<secret>@host"));
  EXPECT_THAT(result.status().message(), Not(HasSubstr("s3cret")));
  EXPECT_EQ(MaskUrl("https://user:s3c@s3cret@host"), "https://user:<secret>@host");
}

TEST(ConfigTextTest, TheSecondFileIsShownToo) {
  const std::string text =
      "global:\n  first_scrape: immediate\njobs:\n  \"a b\":\n    first_scrape: offset\n";
  ASSERT_OK_AND_ASSIGN(const TrawlConfig config, LoadTrawlConfig(text));

  EXPECT_EQ(TrawlConfigText(config), text);
}

TEST(ConfigTextTest, ARuleIsOneLineWithoutWhatIsDefault) {
  RelabelConfig rule;
  rule.source_labels = {"__meta_a", "b c"};
  rule.regex = "x|y";
  rule.action = RelabelAction::kKeep;

  EXPECT_EQ(RelabelRuleText(rule),
            R"({source_labels: [__meta_a, "b c"], regex: "x|y", action: keep})");
  EXPECT_EQ(RelabelRuleText(RelabelConfig()), "{action: replace}");
}

TEST(ConfigTextTest, UrlsWithoutAPasswordStayAsTheyAre) {
  for (const char* url : {"http://h", "http://u@h/a:b@c", "http://h/u:p@x", "h:1", ""}) {
    EXPECT_EQ(MaskUrl(url), url);
  }
}

TEST(YamlScalarTest, WhatMightReadAsSomethingElseIsQuoted) {
  EXPECT_EQ(YamlScalar("a.b/c:9-x*"), "a.b/c:9-x*");
  for (const char* text : {"", "1", "yes", "Null", "-a", "*a", "a:", "a b", "a#", "~", "ä"}) {
    EXPECT_EQ(YamlScalar(text).front(), '"') << text;
  }
  EXPECT_EQ(YamlScalar("a\"\\\n\x01"), R"("a\"\\\n\x01")");
}

}  // namespace
}  // namespace trawl
