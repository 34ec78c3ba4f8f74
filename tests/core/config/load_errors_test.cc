#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/config/config_text.h"
#include "core/config/load.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

std::string Problems(std::string_view text) {
  const absl::StatusOr<LoadResult> result = LoadConfig(text, {});
  return std::string(result.status().message());
}

struct Case {
  std::string text;     // of the section under test
  std::string problem;  // its one problem
};

TEST(LoadConfigErrorsTest, GlobalFields) {
  const std::vector<Case> cases = {
      {"{scrape_intervall: 1s}",
       "column 10: field scrape_intervall not found in type config.GlobalConfig"},
      {"{scrape_interval: 1s, scrape_timeout: 2s}",
       "column 31: global scrape timeout greater than scrape interval"},
      {"{scrape_timeout: 5}", "column 26: not a valid duration string: \"5\""},
      {"{scrape_interval: [1s]}", "column 27: cannot unmarshal !!seq into string"},
      {"{sample_limit: x}", "column 24: cannot unmarshal !!str `x` into uint"},
      {"{body_size_limit: 100}", "column 27: units: unknown unit  in 100"},
      {"{sample_limit: 1, sample_limit: 2}",
       "column 27: field sample_limit already set in type config.GlobalConfig"},
      {"{external_labels: {a: 1, a: 2}}", "column 34: key \"a\" already set in map"},
      {"{external_labels: {'': 1}}", "column 28: \"\" is not a valid label name"},
      {"{metric_name_validation_scheme: legacy, external_labels: {a.b: c}}",
       "column 67: \"a.b\" is not a valid label name"},
      {"{metric_name_validation_scheme: ascii}",
       "column 10: unknown global name validation method specified, must be either '', 'legacy' or "
       "'utf8', got ascii"},
      {"{metric_name_escaping_scheme: x}",
       "column 10: unknown global name escaping method specified, must be one of 'allow-utf-8', "
       "'underscores', 'dots', or 'values', got \"x\""},
      {"{scrape_protocols: []}", "column 28: scrape_protocols cannot be empty for global config"},
      {"[1]", "column 9: cannot unmarshal !!seq into config.GlobalConfig"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Problems("global: " + test.text + "\n"), "line 1, " + test.problem) << test.text;
  }
}

TEST(LoadConfigErrorsTest, JobFields) {
  const std::string job = " for scrape config with job name \"j\"";
  const std::string supported =
      ", supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 OpenMetricsText2.0.0 "
      "PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]";
  const std::vector<Case> cases = {
      {"honor_label: true", "3: field honor_label not found in type config.ScrapeConfig"},
      {"scrape_timeout: 2m", "3: scrape timeout greater than scrape interval" + job},
      {"honor_labels: maybe", "17: cannot unmarshal !!str `maybe` into bool"},
      {"sample_limit: -1", "17: cannot unmarshal !!int `-1` into uint"},
      {"params: {a: b}", "15: cannot unmarshal !!str `b` into []string"},
      {"scrape_protocols: []", "21: scrape_protocols cannot be empty" + job},
      {"scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]",
       "21: duplicated protocol in scrape_protocols, got [PrometheusText0.0.4 "
       "PrometheusText0.0.4]" +
           job},
      {"scrape_protocols: [prometheusproto]",
       "21: scrape_protocols: unknown scrape protocol prometheusproto" + supported + job},
      {"scrape_protocols: [PrometheusProto]",
       "21: none of scrape_protocols is supported: have PrometheusText1.0.0, PrometheusText0.0.4" +
           job},
      {"fallback_scrape_protocol: x",
       "3: invalid fallback_scrape_protocol" + job + ": unknown scrape protocol x" + supported},
      {"fallback_scrape_protocol: PrometheusProto",
       "3: fallback_scrape_protocol PrometheusProto is not supported" + job},
      {"metric_name_validation_scheme: x",
       "3: unknown scrape config name validation method specified, must be either '', 'legacy' or "
       "'utf8', got x"},
      {"metric_name_escaping_scheme: x",
       "3: unknown scrape config name escaping method specified, must be one of 'allow-utf-8', "
       "'underscores', 'dots', or 'values', got \"x\""},
      {"static_configs: [{targets: ['http://a']}]", "3: \"http://a\" is not a valid hostname"},
      {"static_configs: [{targets: [a], label: {}}]",
       "35: field label not found in type targetgroup.Group"},
      {"static_configs: [~]", "20: empty or null section in static_configs"},
      {"file_sd_configs: [{}]",
       "21: file service discovery config must contain at least one path name"},
      {"file_sd_configs: [{files: [a.txt]}]",
       "22: path name \"a.txt\" is not valid for file discovery"},
      {"file_sd_configs: [{files: ['*/a.json']}]",
       "22: path name \"*/a.json\" is not valid for file discovery"},
      {"consult_sd_configs: []",
       "3: field consult_sd_configs not found in type config.ScrapeConfig"},
      {"relabel_configs: [~]", "21: empty or null target relabeling rule in scrape config"},
      {"metric_relabel_configs: [~]", "28: empty or null metric relabeling rule in scrape config"},
      {"relabel_configs: [{action: x}]", "30: unknown relabel action \"x\""},
      {"relabel_configs: [{action: }]", "22: relabel action cannot be empty"},
      {"relabel_configs: [{source_labels: [''], target_label: a}]",
       "22: \"\" is not a valid label name"},
      {"relabel_configs: [{action: hashmod, target_label: a}]",
       "21: relabel configuration for hashmod requires non-zero modulus"},
      {"relabel_configs: [{action: keep, regex: 'a['}]",
       "36: error parsing regexp \"a[\": missing ]: [)$"},
      {"relabel_configs: [{target_label: a, regx: b}]",
       "39: field regx not found in type relabel.Config"},
      {"scrape_native_histograms: true",
       "3: field scrape_native_histograms is not supported: leaving it out would change what is "
       "stored" +
           job},
      {"convert_classic_histograms_to_nhcb: true",
       "3: field convert_classic_histograms_to_nhcb is not supported: leaving it out would change "
       "what is stored" +
           job},
      {"scrape_classic_histograms: true",
       "3: field scrape_classic_histograms not found in type config.ScrapeConfig"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Problems("scrape_configs:\n- job_name: j\n  " + test.text + "\n"),
              "line 3, column " + test.problem)
        << test.text;
  }
}

TEST(LoadConfigErrorsTest, HttpClientFields) {
  const std::string request =
      " is not supported: leaving it out would change how requests are made";
  const std::vector<Case> cases = {
      {"basic_auth: {username: a, username_file: b}",
       "15: at most one of basic_auth username, username_file & username_ref must be configured"},
      {"basic_auth: {password: a, password_file: b}",
       "15: at most one of basic_auth password, password_file & password_ref must be configured"},
      {"basic_auth: {password_ref: a}", "16: cannot use secret ref without manager"},
      {"basic_auth: {user: a}", "16: field user not found in type config.BasicAuth"},
      {"authorization: {credentials: a, credentials_file: b}",
       "18: at most one of authorization credentials & credentials_file must be configured"},
      {"authorization: {type: Basic}",
       "19: authorization type cannot be set to \"basic\", use \"basic_auth\" instead"},
      {"basic_auth: {username: a}\n  authorization: {credentials: b}",
       "3: at most one of basic_auth, oauth2 & authorization must be configured"},
      {"bearer_token: a\n  bearer_token_file: b",
       "3: at most one of bearer_token & bearer_token_file must be configured"},
      {"basic_auth: {username: a}\n  bearer_token: b",
       "3: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"},
      {"authorization: {credentials: a}\n  bearer_token: b",
       "3: authorization is not compatible with bearer_token & bearer_token_file"},
      {"oauth2: {client_id: a}",
       "3: field oauth2 is not supported: leaving it out would change what is trusted"},
      {"proxy_url: http://p", "3: field proxy_url" + request},
      {"proxy_from_environment: true", "3: field proxy_from_environment" + request},
      {"http_headers: {X: {values: [a]}}", "3: field http_headers" + request},
      {"tls_config: {ca: a, ca_file: b}",
       "15: at most one of ca, ca_file & ca_ref must be configured"},
      {"tls_config: {cert: a, cert_file: b, key: c}",
       "15: at most one of cert, cert_file & cert_ref must be configured"},
      {"tls_config: {cert: a, key: b, key_file: c}",
       "15: at most one of key and key_file must be configured"},
      {"tls_config: {cert_file: a}",
       "15: exactly one of key or key_file must be configured when a client certificate is "
       "configured"},
      {"tls_config: {key_file: a}",
       "15: exactly one of cert or cert_file must be configured when a client key is configured"},
      {"tls_config: {min_version: TLS9}", "16: unknown TLS version: TLS9"},
      {"tls_config: {min_version: TLS13, max_version: TLS12}",
       "15: tls_config.max_version must be greater than or equal to tls_config.min_version if both "
       "are specified"},
  };
  for (const Case& test : cases) {
    EXPECT_THAT(Problems("scrape_configs:\n- job_name: j\n  " + test.text + "\n"),
                testing::MatchesRegex("line [34], column .*"))
        << test.text;
    EXPECT_TRUE(Problems("scrape_configs:\n- job_name: j\n  " + test.text + "\n")
                    .ends_with("column " + test.problem))
        << Problems("scrape_configs:\n- job_name: j\n  " + test.text + "\n");
  }
}

TEST(LoadConfigErrorsTest, RemoteWriteFields) {
  const std::string sent = " is not supported: leaving it out would change what is sent";
  const std::vector<Case> cases = {
      {"{}", "3: url for remote_write is empty"},
      {"{url: 'localhost:9090'}",
       "4: url for remote_write must be http or https with a host, got \"localhost:9090\""},
      {"{url: 'http:///x'}",
       "4: url for remote_write must be http or https with a host, got \"http:///x\""},
      {"{url: 'http://x', write_relabel_configs: [{action: drop}]}",
       "21: field write_relabel_configs" + sent},
      {"{url: 'http://x', headers: {a: b}}", "21: field headers" + sent},
      {"{url: 'http://x', sigv4: {}}", "21: field sigv4" + sent},
      {"{url: 'http://x', azuread: {cloud: x}}", "21: field azuread" + sent},
      {"{url: 'http://x', protobuf_message: io.prometheus.write.v2.Request}",
       "21: protobuf_message io.prometheus.write.v2.Request" + sent},
      {"{url: 'http://x', protobuf_message: x}",
       "21: invalid protobuf_message value: unknown type for remote write protobuf message x, "
       "supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"},
      {"{url: 'http://x', queue_config: {capcity: 1}}",
       "36: field capcity not found in type config.QueueConfig"},
      {"{url: 'http://x', timeout: 1s}",
       "21: field timeout not found in type config.RemoteWriteConfig"},
      {"", "1: empty or null remote write config section"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Problems("remote_write:\n- " + test.text + "\n"), "line 2, column " + test.problem)
        << test.text;
  }
}

TEST(LoadConfigErrorsTest, TopLevel) {
  EXPECT_EQ(Problems("scrape_config: []\n"),
            "line 1, column 1: field scrape_config not found in type config.Config");
  EXPECT_EQ(Problems("[1]\n"), "line 1, column 1: cannot unmarshal !!seq into config.Config");
  EXPECT_EQ(Problems("scrape_configs: {}\n"),
            "line 1, column 17: cannot unmarshal !!map into []*config.ScrapeConfig");
  EXPECT_EQ(Problems("scrape_configs: [~]\n"),
            "line 1, column 18: empty or null scrape config section");
  EXPECT_EQ(Problems("scrape_configs: [{scheme: http}]\n"), "line 1, column 18: job_name is empty");
  EXPECT_EQ(Problems("scrape_configs: [{job_name: a}, {job_name: a}]\n"),
            "line 1, column 33: found multiple scrape configs with job name \"a\"");
  EXPECT_EQ(Problems("remote_write: [{url: 'http://x', name: a}, {url: 'http://y', name: a}]\n"),
            "line 1, column 44: found multiple remote write configs with job name \"a\"");
  EXPECT_EQ(Problems("scrape_config_files: [a.yml]\n"),
            "line 1, column 1: scrape_config_files cannot be read here");
}

TEST(LoadConfigErrorsTest, EveryProblemIsReportedInTheFilesOrder) {
  std::vector<ConfigProblem> problems;
  const auto result = LoadConfig(
      "remote_write:\n- {}\nscrape_configs:\n- job_name: a\n  sample_limit: x\n"
      "  relabel_configs: [{action: mangle}, {regex: '('}]\nglobal: {x: 1}\n",
      {.file = "p.yml"}, &problems);

  EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument));
  std::vector<int> lines;
  for (const ConfigProblem& problem : problems) lines.push_back(problem.line);
  EXPECT_THAT(lines, testing::ElementsAre(2, 5, 6, 6, 6, 7));
  EXPECT_EQ(problems[0].file, "p.yml");
}

TEST(LoadConfigErrorsTest, OfSyntaxErrorsTheFirstIsReported) {
  std::vector<ConfigProblem> problems;

  EXPECT_FALSE(LoadConfig("a: ]\nb: }\n", {}, &problems).ok());

  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].line, 1);
}

TEST(LoadConfigErrorsTest, ProblemsAreClearedWhenThereAreNone) {
  std::vector<ConfigProblem> problems(1);

  EXPECT_OK(LoadConfig("", {}, &problems).status());

  EXPECT_TRUE(problems.empty());
}

TEST(LoadConfigErrorsTest, AGlobalFieldThatJobsInheritAndIsRefusedIsToldOnceWhereItStands) {
  const std::string jobs =
      "scrape_configs:\n- job_name: a\n- job_name: b\n- {job_name: c, "
      "scrape_native_histograms: false}\n";

  EXPECT_EQ(Problems("global: {scrape_native_histograms: true}\n" + jobs),
            "line 1, column 10: field scrape_native_histograms is not supported: leaving it out "
            "would change what is stored");
  EXPECT_EQ(Problems("global: {scrape_native_histograms: true}\nscrape_configs: [{job_name: a, "
                     "scrape_native_histograms: false}]\n"),
            "");
}

TEST(LoadConfigErrorsTest, AUrlMustNameAHost) {
  for (const char* url : {"http://user:topsecret@:80/x", "http://:80/", "http:///x", "http://?a"}) {
    const std::string problem = Problems(absl::StrCat("remote_write: [{url: '", url, "'}]\n"));
    EXPECT_THAT(problem, testing::HasSubstr("must be http or https with a host")) << url;
    EXPECT_THAT(problem, testing::Not(testing::HasSubstr("topsecret")));
  }
  for (const char* url : {"http://a", "https://user:p@a:80/x?y", "http://[::1]:9090/"}) {
    EXPECT_EQ(Problems(absl::StrCat("remote_write: [{url: '", url, "'}]\n")), "") << url;
  }
}

// What the sender would refuse at the start, or Prometheus.
TEST(LoadConfigErrorsTest, AUrlIsCheckedWhereItStands) {
  const std::string host = "must have a valid host";
  const std::string port = "must have a valid port";
  const std::string blank = "must have no blank or control character";
  const std::string escape = "must have two hexadecimal digits behind each %";
  const std::vector<Case> cases = {
      {"http://[::1", host},
      {"http://[::1]x/", host},
      {"http://[1.2.3.4]/", host},
      {"http://[::1]]/", host},
      {"http://a[b]/", host},
      {"http://x%41/", host},
      {"http://x:abc/", port},
      {"http://x:99999/", port},
      {"http://x:-1/", port},
      {"http://[::1]:x/", port},
      {"http://x:1:2/", port},
      {"http://x y/", blank},
      {"http://x/a b", blank},
      {"http://x/%zz", escape},
      {"http://x/%", escape},
      {"http://x/a%2", escape},
      {"http://u%zz:p@x/", escape},
      {"http://a+b/", host},
      {"http://u:p@q@x/", "must have %40 for an @ of user or password"},
      {"http://x/#%zz", escape},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Problems("remote_write:\n- url: '" + test.text + "'\n"),
              absl::StrCat("line 2, column 3: url for remote_write ", test.problem, ", got \"",
                           MaskUrl(test.text), "\""));
  }
  for (const char* url : {"http://x:/", "http://x:65535", "http://[::1]/", "http://x/%2f%2F",
                          "http://x?%zz", "http://[fe80::1%25eth0]:1/", "http://1.2.3.4/a:b@c"}) {
    EXPECT_EQ(Problems(absl::StrCat("remote_write: [{url: '", url, "'}]\n")), "") << url;
  }
}

}  // namespace
}  // namespace trawl
