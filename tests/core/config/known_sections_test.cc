#include "core/config/known_sections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "core/config/load.h"

namespace trawl {
namespace {

using testing::HasSubstr;

// "" when the file is valid.
std::string Problems(const std::string& text) {
  return std::string(LoadConfig(text, {}).status().message());
}

// The only field of a job.
std::string InJob(const std::string& field) {
  return Problems("scrape_configs:\n- job_name: a\n  " + field + "\n");
}

struct Case {
  std::string text;
  std::string problem;
};

TEST(KnownSectionsTest, EveryKindThatAFieldHasIsKnown) {
  Findings findings("");
  for (const std::string_view section : KnownSections()) {
    std::set<std::string> names;
    for (const KnownField& field : FieldsOfSection(section)) {
      EXPECT_TRUE(names.insert(field.name).second) << section << " has " << field.name << " twice";
      CheckKind(YamlNode(), field.name, field.kind, findings);  // ends the test if it is not
    }
  }
  EXPECT_EQ(findings.error_count(), 0u) << "a null is of any kind";
}

TEST(KnownSectionsTest, AMisspeltFieldIsFoundWhereNoneHasAnEffect) {
  const Case cases[] = {
      {"storage: {bogus: 1}",
       "line 1, column 11: field bogus not found in type "
       "config.StorageConfig"},
      {"storage: {tsdb: {retention: {tme: 1d}}}", "line 1, column 30: field tme not found"},
      {"alerting: {alertmanager: []}", "line 1, column 12: field alertmanager not found"},
      {"alerting: {alertmanagers: [{dns_sd_configs: [{name: x}]}]}", "field name not found"},
      {"alerting: {alert_relabel_configs: [{actoin: drop}]}", "field actoin not found"},
      {"tracing: {bogus: 1}", "line 1, column 11: field bogus"},
      {"runtime: {bogus: 1}", "line 1, column 11: field bogus"},
      {"otlp: {bogus: 1}", "line 1, column 8: field bogus"},
      {"remote_read: [{url: 'http://x', bogus: 1}]", "line 1, column 33: field bogus"},
      {"remote_write: [{url: 'http://x', queue_config: {bogus: 1}}]", "column 49: field bogus"},
  };
  for (const Case& test : cases) EXPECT_THAT(Problems(test.text), HasSubstr(test.problem));
}

TEST(KnownSectionsTest, AValueOfAnotherKindIsFoundWhereNoneHasAnEffect) {
  const Case cases[] = {
      {"rule_files: {a: b}", "line 1, column 13: cannot unmarshal !!map into []string"},
      {"global: {evaluation_interval: xyz}", "line 1, column 31: "},
      {"global: {query_max_series: many}", "into uint"},
      {"storage: {exemplars: {max_exemplars: '1'}}", "cannot unmarshal !!str `1` into int"},
      {"storage: {tsdb: {stale_series_compaction_threshold: high}}", "into float64"},
      {"storage: {tsdb: {out_of_order_time_window: 5}}", "line 1, column 44: "},
      {"tracing: {insecure: perhaps}", "into bool"},
      {"tracing: {headers: {a: [b]}}", "into string"},
      {"tracing: {headers: [a]}", "into map[string]string"},
      {"alerting: []", "into config.AlertingConfig"},
  };
  for (const Case& test : cases) EXPECT_THAT(Problems(test.text), HasSubstr(test.problem));
}

TEST(KnownSectionsTest, DiscoveriesThatAreNotRunAreReadAllTheSame) {
  const Case cases[] = {
      {"http_sd_configs: [{url: 'http://x', bogus: 1}]",
       "line 3, column 39: field bogus not found in type http.SDConfig"},
      {"kubernetes_sd_configs: foo",
       "line 3, column 26: cannot unmarshal !!str `foo` into []*kubernetes.SDConfig"},
      {"kubernetes_sd_configs: [{role: pod, namespaces: {name: [a]}}]", "field name not found"},
      {"consul_sd_configs: [null]", "empty or null section in consul_sd_configs"},
      {"ec2_sd_configs: [{port: http}]", "into int"},
      {"dns_sd_configs: [{names: [a], refresh_interval: soon}]", "line 3, column 51"},
      {"docker_sd_configs: [{tls_config: {ca_fil: x}}]", "field ca_fil not found"},
  };
  for (const Case& test : cases) EXPECT_THAT(InJob(test.text), HasSubstr(test.problem));
}

TEST(KnownSectionsTest, WhatPrometheusTakesIsTaken) {
  EXPECT_EQ(Problems(R"(
global:
  {evaluation_interval: 1m, rule_query_offset: 1m, query_log_file: q, query_max_series: 1}
alerting:
  alert_relabel_configs: [{action: drop, source_labels: [a], regex: b}]
  alertmanagers:
    - {scheme: https, api_version: v2, timeout: 10s, static_configs: [{targets: [a]}]}
    - {kubernetes_sd_configs: [{role: pod}], oauth2: {client_id: x, proxy_url: 'http://x'}}
rule_files: [a]
storage:
  tsdb: {out_of_order_time_window: 30m, retention: {time: 15d, size: 10GB, percentage: 1.5}}
  exemplars: {max_exemplars: -1}
tracing: {endpoint: x, sampling_fraction: 0.1, headers: {a: b}, tls_config: {}}
runtime: {gogc: 75}
remote_read: [{url: 'http://x', required_matchers: {a: b}, read_recent: yes}]
)"),
            "");
  EXPECT_EQ(Problems(R"(
scrape_configs:
- job_name: a
  native_histogram_min_bucket_factor: 1.1
  http_sd_configs: [{url: 'http://x', http_headers: {A: {values: [b]}}, refresh_interval: 1m}]
  kubernetes_sd_configs:
    - {role: node, api_server: 'https://x', attach_metadata: {node: true, deployment: true},
       selectors: [{role: pod, label: a=b}], namespaces: {own_namespace: true, names: [a]}}
  ec2_sd_configs: [{region: r, filters: [{name: a, values: [b]}], port: 9100}]
  consul_sd_configs: [{server: x, services: [a], node_meta: {a: b}, allow_stale: false}]
  dns_sd_configs: [{names: [a], type: A, port: 9100}]
)"),
            "");
}

}  // namespace
}  // namespace trawl
