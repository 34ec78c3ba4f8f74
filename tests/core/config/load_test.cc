#include "core/config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/config/config.h"
#include "core/model/labels.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

Config Load(std::string_view text, const LoadOptions& options = {}) {
  absl::StatusOr<LoadResult> result = LoadConfig(text, options);
  EXPECT_OK(result.status());
  return result.ok() ? std::move(result->config) : Config();
}

// A config with one job, whose fields are `fields`, indented by four.
ScrapeConfig LoadJob(const std::string& fields, const std::string& global = "") {
  Config config = Load(global + "scrape_configs:\n  - job_name: job\n" + fields);
  EXPECT_THAT(config.scrape_configs, SizeIs(1));
  return config.scrape_configs.empty() ? ScrapeConfig() : std::move(config.scrape_configs[0]);
}

TEST(LoadConfigTest, AnEmptyFileHasPrometheusDefaults) {
  const Config config = Load("");

  EXPECT_EQ(config.global, GlobalConfig());
  EXPECT_EQ(config.global.scrape_interval, absl::Minutes(1));
  EXPECT_EQ(config.global.scrape_timeout, absl::Seconds(10));
  EXPECT_THAT(config.scrape_configs, IsEmpty());
  EXPECT_THAT(config.remote_writes, IsEmpty());
}

TEST(LoadConfigTest, AnEmptyGlobalHasTheDefaultsToo) {
  EXPECT_EQ(Load("global:\n").global, GlobalConfig());
  EXPECT_EQ(Load("global: {}\n").global, GlobalConfig());
}

TEST(LoadConfigTest, AJobHasPrometheusDefaults) {
  ScrapeConfig expected;
  expected.job_name = "job";

  const ScrapeConfig job = LoadJob("");

  EXPECT_EQ(job, expected);
  EXPECT_EQ(job.metrics_path, "/metrics");
  EXPECT_EQ(job.scheme, "http");
  EXPECT_TRUE(job.honor_timestamps);
  EXPECT_FALSE(job.honor_labels);
  EXPECT_TRUE(job.enable_compression);
  EXPECT_TRUE(job.http.follow_redirects);
  EXPECT_THAT(job.scrape_protocols,
              ElementsAre(ScrapeProtocol::kPrometheusText100, ScrapeProtocol::kPrometheusText004));
}

TEST(LoadConfigTest, AnAgentsConfigLoadsUnchanged) {
  const LoadOptions options = {.base_dir = "/etc/prometheus",
                               .env = [](std::string_view name) -> std::optional<std::string> {
                                 return name == "REGION" ? std::optional<std::string>("eu")
                                                         : std::nullopt;
                               }};
  absl::StatusOr<LoadResult> result = LoadConfig(R"(
global:
  scrape_interval: 15s
  external_labels:
    replica: 'a'
    region: ${REGION}
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ['localhost:9100', "[::1]:9100"]
        labels: {env: prod}
      - targets: [other:9100]
    basic_auth:
      username: user
      password_file: secrets/password
    relabel_configs:
      - source_labels: [__address__]
        regex: '(.*):\d+'
        target_label: instance
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: go_.*
        action: drop
  - job_name: files
    scrape_interval: 5s
    file_sd_configs:
      - files: ['targets/*.json', /abs/t.yml]
remote_write:
  - url: https://example.org/api/v1/write
    authorization: {credentials: token}
)",
                                                 options);

  ASSERT_OK(result.status());
  EXPECT_THAT(result->warnings, IsEmpty());
  const Config& config = result->config;
  EXPECT_EQ(config.global.external_labels, (Labels{{"region", "eu"}, {"replica", "a"}}));
  ASSERT_THAT(config.scrape_configs, SizeIs(2));
  const ScrapeConfig& node = config.scrape_configs[0];
  EXPECT_EQ(node.scrape_interval, absl::Seconds(15));
  EXPECT_EQ(node.scrape_timeout, absl::Seconds(10));
  EXPECT_THAT(node.static_configs,
              ElementsAre(TargetGroup{"0", {"localhost:9100", "[::1]:9100"}, {{"env", "prod"}}},
                          TargetGroup{"1", {"other:9100"}, {}}));
  ASSERT_TRUE(node.http.basic_auth);
  EXPECT_EQ(node.http.basic_auth->username.value, "user");
  EXPECT_EQ(node.http.basic_auth->password.file, "/etc/prometheus/secrets/password");
  EXPECT_EQ(node.relabel_rules->size(), 1u);
  EXPECT_EQ(node.metric_relabel_rules->size(), 1u);
  const ScrapeConfig* files = config.FindJob("files");
  ASSERT_NE(files, nullptr);
  EXPECT_EQ(files->scrape_timeout, absl::Seconds(5));
  EXPECT_THAT(files->file_sd_configs,
              ElementsAre(FileSdConfig{{"/etc/prometheus/targets/*.json", "/abs/t.yml"},
                                       absl::Minutes(5)}));
  ASSERT_THAT(config.remote_writes, SizeIs(1));
  EXPECT_EQ(config.remote_writes[0].url, "https://example.org/api/v1/write");
  EXPECT_THAT(config.remote_writes[0].name, ::testing::MatchesRegex("remote-[0-9a-f]+"));
  EXPECT_EQ(config.remote_writes[0].remote_timeout, absl::Seconds(30));
  EXPECT_EQ(config.remote_writes[0].http.authorization->credentials.value, "token");
}

TEST(LoadConfigTest, LimitsAreInheritedUnlessTheJobSetsThem) {
  const std::string global =
      "global: {body_size_limit: 15MB, sample_limit: 1500, target_limit: 30, label_limit: 31,\n"
      "  label_name_length_limit: 200, label_value_length_limit: 201, keep_dropped_targets: 5,\n"
      "  extra_scrape_metrics: true, always_scrape_classic_histograms: true}\n";

  const ScrapeConfig inherited = LoadJob("    sample_limit: 0\n", global);
  EXPECT_EQ(inherited.body_size_limit, 15u << 20);
  EXPECT_EQ(inherited.sample_limit, 1500u);
  EXPECT_EQ(inherited.target_limit, 30u);
  EXPECT_EQ(inherited.label_limit, 31u);
  EXPECT_EQ(inherited.label_name_length_limit, 200u);
  EXPECT_EQ(inherited.label_value_length_limit, 201u);
  EXPECT_EQ(inherited.keep_dropped_targets, 5u);
  EXPECT_TRUE(inherited.extra_scrape_metrics);
  EXPECT_TRUE(inherited.always_scrape_classic_histograms);

  const ScrapeConfig own = LoadJob(
      "    sample_limit: 7\n    body_size_limit: 1KiB\n    extra_scrape_metrics: false\n", global);
  EXPECT_EQ(own.sample_limit, 7u);
  EXPECT_EQ(own.body_size_limit, 1024u);
  EXPECT_FALSE(own.extra_scrape_metrics);
}

struct TimesCase {
  std::string global;
  std::string job;
  absl::Duration interval;
  absl::Duration timeout;
};

TEST(LoadConfigTest, ATimeoutIsNeverOverItsInterval) {
  const std::vector<TimesCase> cases = {
      {"", "", absl::Minutes(1), absl::Seconds(10)},
      {"", "    scrape_interval: 5s\n", absl::Seconds(5), absl::Seconds(5)},
      {"global: {scrape_interval: 4s}\n", "", absl::Seconds(4), absl::Seconds(4)},
      {"global: {scrape_interval: 4s}\n", "    scrape_interval: 1m\n", absl::Minutes(1),
       absl::Seconds(4)},
      {"global: {scrape_timeout: 30s}\n", "    scrape_interval: 2m\n", absl::Minutes(2),
       absl::Seconds(30)},
      {"", "    scrape_interval: 0s\n    scrape_timeout:\n", absl::Minutes(1), absl::Seconds(10)},
  };
  for (const TimesCase& test : cases) {
    const ScrapeConfig job = LoadJob(test.job, test.global);
    EXPECT_EQ(job.scrape_interval, test.interval) << test.global << test.job;
    EXPECT_EQ(job.scrape_timeout, test.timeout) << test.global << test.job;
  }
}

TEST(LoadConfigTest, ReadsTheRequestsFields) {
  const ScrapeConfig job = LoadJob(R"(
    metrics_path: /probe
    scheme: https
    params: {module: [http_2xx, x], a: []}
    enable_compression: false
    follow_redirects: false
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    fallback_scrape_protocol: PrometheusText0.0.4
    scrape_protocols: [PrometheusText0.0.4]
)");

  EXPECT_EQ(job.metrics_path, "/probe");
  EXPECT_EQ(job.scheme, "https");
  EXPECT_THAT(job.params,
              ElementsAre(Pair("a", IsEmpty()), Pair("module", ElementsAre("http_2xx", "x"))));
  EXPECT_FALSE(job.enable_compression);
  EXPECT_FALSE(job.http.follow_redirects);
  EXPECT_TRUE(job.honor_labels);
  EXPECT_FALSE(job.honor_timestamps);
  EXPECT_TRUE(job.track_timestamps_staleness);
  EXPECT_EQ(job.fallback_scrape_protocol, ScrapeProtocol::kPrometheusText004);
  EXPECT_THAT(job.scrape_protocols, ElementsAre(ScrapeProtocol::kPrometheusText004));
}

TEST(LoadConfigTest, ANullIsTheZeroValueNotTheDefault) {
  const ScrapeConfig job = LoadJob("    metrics_path:\n    honor_timestamps: ~\n");

  EXPECT_EQ(job.metrics_path, "");
  EXPECT_FALSE(job.honor_timestamps);
}

TEST(LoadConfigTest, ReadsTlsAndResolvesItsFiles) {
  const LoadOptions options = {.base_dir = "/etc/p"};
  const Config config = Load(R"(
scrape_configs:
  - job_name: tls
    tls_config:
      ca_file: ca.pem
      cert_file: /abs/cert.pem
      key: inline
      server_name: name
      insecure_skip_verify: true
      min_version: TLS12
      max_version: TLS13
)",
                             options);

  ASSERT_THAT(config.scrape_configs, SizeIs(1));
  const TlsConfig& tls = config.scrape_configs[0].http.tls_config;
  EXPECT_EQ(tls.ca.file, "/etc/p/ca.pem");
  EXPECT_EQ(tls.cert.file, "/abs/cert.pem");
  EXPECT_EQ(tls.key.value, "inline");
  EXPECT_EQ(tls.server_name, "name");
  EXPECT_TRUE(tls.insecure_skip_verify);
  EXPECT_EQ(tls.min_version, TlsVersion::kTls12);
  EXPECT_EQ(tls.max_version, TlsVersion::kTls13);
}

TEST(LoadConfigTest, BearerTokensBecomeAuthorizations) {
  EXPECT_EQ(LoadJob("    bearer_token: x\n").http.authorization,
            (Authorization{"Bearer", {"x", ""}}));
  EXPECT_EQ(LoadJob("    bearer_token_file: f\n").http.authorization,
            (Authorization{"Bearer", {"", "f"}}));
}

TEST(LoadConfigTest, AnAuthorizationsTypeIsTrimmedAndDefaultsToBearer) {
  EXPECT_EQ(LoadJob("    authorization: {type: ' Token ', credentials: x}\n").http.authorization,
            (Authorization{"Token", {"x", ""}}));
  EXPECT_EQ(LoadJob("    authorization: {type: '', credentials: x}\n").http.authorization,
            (Authorization{"Bearer", {"x", ""}}));
}

struct NamesCase {
  std::string global;
  std::string job;
  NameValidation validation;
  EscapingScheme escaping;
};

TEST(LoadConfigTest, EscapingFollowsTheValidationScheme) {
  const std::string legacy_global = "global: {metric_name_validation_scheme: legacy}\n";
  const std::vector<NamesCase> cases = {
      {"", "", NameValidation::kUtf8, EscapingScheme::kAllowUtf8},
      {legacy_global, "", NameValidation::kLegacy, EscapingScheme::kUnderscores},
      {"", "    metric_name_validation_scheme: legacy\n", NameValidation::kLegacy,
       EscapingScheme::kUnderscores},
      {legacy_global, "    metric_name_validation_scheme: utf8\n", NameValidation::kUtf8,
       EscapingScheme::kAllowUtf8},
      {"global: {metric_name_escaping_scheme: dots}\n", "", NameValidation::kUtf8,
       EscapingScheme::kDots},
      {"global: {metric_name_escaping_scheme: dots}\n", "    metric_name_escaping_scheme: values\n",
       NameValidation::kUtf8, EscapingScheme::kValues},
  };
  for (const NamesCase& test : cases) {
    const ScrapeConfig job = LoadJob(test.job, test.global);
    EXPECT_EQ(job.metric_name_validation_scheme, test.validation) << test.global << test.job;
    EXPECT_EQ(job.metric_name_escaping_scheme, test.escaping) << test.global << test.job;
  }
}

TEST(LoadConfigTest, RelabelRulesKeepWhatTheFileSays) {
  const ScrapeConfig job = LoadJob(R"(
    relabel_configs:
      - {source_labels: [a, b], separator: '', regex: , target_label: c, action: Replace}
)");

  ASSERT_THAT(job.relabel_configs, SizeIs(1));
  const RelabelConfig& rule = job.relabel_configs[0];
  EXPECT_THAT(rule.source_labels, ElementsAre("a", "b"));
  EXPECT_EQ(rule.separator, "");
  EXPECT_EQ(rule.regex, "");
  EXPECT_TRUE(rule.regex_set);
  EXPECT_EQ(rule.replacement, "$1");
  EXPECT_EQ(rule.action, RelabelAction::kReplace);
}

TEST(LoadConfigTest, AnchorsAndMergeKeysWork) {
  const Config config = Load(R"(
scrape_configs:
  - &defaults
    job_name: a
    scrape_interval: 5s
    static_configs: &targets
      - targets: [x]
  - <<: *defaults
    job_name: b
  - job_name: c
    static_configs: *targets
)");

  ASSERT_THAT(config.scrape_configs, SizeIs(3));
  EXPECT_EQ(config.scrape_configs[1].job_name, "b");
  EXPECT_EQ(config.scrape_configs[1].scrape_interval, absl::Seconds(5));
  EXPECT_EQ(config.scrape_configs[2].static_configs, config.scrape_configs[0].static_configs);
}

TEST(ScrapeConfigTest, EqualityTellsWhatAReloadChanged) {
  const std::string rules = "    relabel_configs: [{regex: x, target_label: a}]\n";

  EXPECT_EQ(LoadJob(rules), LoadJob(rules));
  EXPECT_NE(LoadJob(rules), LoadJob("    relabel_configs: [{regex: y, target_label: a}]\n"));
  EXPECT_NE(LoadJob(""), LoadJob("    scrape_interval: 5s\n"));
  EXPECT_NE(LoadJob(""), LoadJob("    basic_auth: {username: a}\n"));
}

}  // namespace
}  // namespace trawl
