#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/model/http_client_config.h"
#include "core/model/labels.h"
#include "core/model/target_group.h"
#include "core/relabel/relabel.h"

namespace trawl {

// Prometheus' configuration as plain values, after defaults, inheritance and validation (spec 7).
// core/config/load.h makes it from YAML. Everything here is copyable and, once loaded, constant:
// share it as shared_ptr<const Config>.

// What a scrape may negotiate, named as in `scrape_protocols`.
enum class ScrapeProtocol {
  kPrometheusProto,
  kOpenMetricsText001,
  kOpenMetricsText100,
  kOpenMetricsText200,
  kPrometheusText004,
  kPrometheusText100,
};
std::string_view ScrapeProtocolName(ScrapeProtocol protocol);  // "PrometheusText0.0.4"
std::optional<ScrapeProtocol> ParseScrapeProtocol(std::string_view name);

// How a client is asked to write names that are not legacy names: `escaping=` in Accept.
enum class EscapingScheme { kAllowUtf8, kUnderscores, kDots, kValues };
std::string_view EscapingSchemeName(EscapingScheme scheme);  // "allow-utf-8"

// `global:`. A job's fields have inherited from it already; it is kept for status pages.
struct GlobalConfig {
  absl::Duration scrape_interval = absl::Minutes(1);
  absl::Duration scrape_timeout = absl::Seconds(10);
  Labels external_labels;                                       // environment variables expanded
  std::optional<std::vector<ScrapeProtocol>> scrape_protocols;  // what is supported of them
  uint64_t body_size_limit = 0;                                 // bytes; of all limits 0 means none
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;   // bytes
  uint64_t label_value_length_limit = 0;  // bytes
  uint64_t keep_dropped_targets = 0;
  NameValidation metric_name_validation_scheme = NameValidation::kUtf8;
  EscapingScheme metric_name_escaping_scheme = EscapingScheme::kAllowUtf8;
  bool extra_scrape_metrics = false;
  bool scrape_native_histograms = false;            // a job that inherits true is an error
  bool convert_classic_histograms_to_nhcb = false;  // likewise
  bool always_scrape_classic_histograms = false;
  friend bool operator==(const GlobalConfig&, const GlobalConfig&) = default;
};

// One entry of `file_sd_configs`. Files are globs in their last element, resolved against the
// directory of the config file.
struct FileSdConfig {
  std::vector<std::string> files;
  absl::Duration refresh_interval = absl::Minutes(5);
  friend bool operator==(const FileSdConfig&, const FileSdConfig&) = default;
};

// Rules in their compiled form beside the plain one they were made from. All are equal: whoever
// compares configs compares the plain form.
struct CompiledRelabelRules {
  std::shared_ptr<const RelabelRules> rules = std::make_shared<const RelabelRules>();
  const RelabelRules& operator*() const { return *rules; }
  const RelabelRules* operator->() const { return rules.get(); }
  friend bool operator==(const CompiledRelabelRules&, const CompiledRelabelRules&) { return true; }
};

// One job: how to find and scrape its targets. `==` tells whether a reload changed it.
struct ScrapeConfig {
  std::string job_name;

  absl::Duration scrape_interval = absl::Minutes(1);
  absl::Duration scrape_timeout = absl::Seconds(10);  // never over the interval
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  std::map<std::string, std::vector<std::string>> params;
  HttpClientConfig http;
  bool enable_compression = true;
  // In order of preference, never empty; only what this build can parse.
  std::vector<ScrapeProtocol> scrape_protocols = {ScrapeProtocol::kPrometheusText100,
                                                  ScrapeProtocol::kPrometheusText004};
  // For targets whose Content-Type says nothing usable; unset: such a scrape fails.
  std::optional<ScrapeProtocol> fallback_scrape_protocol;

  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  bool extra_scrape_metrics = false;
  // In the text format they are always scraped: this only shows in the targets' labels.
  bool always_scrape_classic_histograms = false;
  NameValidation metric_name_validation_scheme = NameValidation::kUtf8;
  EscapingScheme metric_name_escaping_scheme = EscapingScheme::kAllowUtf8;

  uint64_t body_size_limit = 0;  // bytes after decompression; of all limits 0 means none
  uint64_t sample_limit = 0;     // samples after metric relabeling
  uint64_t target_limit = 0;     // targets after relabeling
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;   // bytes
  uint64_t label_value_length_limit = 0;  // bytes
  uint64_t keep_dropped_targets = 0;

  std::vector<TargetGroup> static_configs;  // keys "0", "1", …
  std::vector<FileSdConfig> file_sd_configs;
  // The `*_sd_configs` of this job that trawl does not run itself; their targets are to be pushed.
  std::vector<std::string> pushed_sd_configs;
  bool expects_push() const { return !pushed_sd_configs.empty(); }

  std::vector<RelabelConfig> relabel_configs;
  std::vector<RelabelConfig> metric_relabel_configs;
  CompiledRelabelRules relabel_rules;
  CompiledRelabelRules metric_relabel_rules;

  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

// One entry of `remote_write`. External labels are the global ones; they are added by the sink.
struct RemoteWriteConfig {
  std::string url;   // http or https, with a host
  std::string name;  // unique; made of a hash of the url ("remote-5f3a…") when the file has none
  absl::Duration remote_timeout = absl::Seconds(30);
  HttpClientConfig http;
  friend bool operator==(const RemoteWriteConfig&, const RemoteWriteConfig&) = default;
};

struct Config {
  GlobalConfig global;
  std::vector<ScrapeConfig> scrape_configs;  // in the file's order; job names are unique
  std::vector<RemoteWriteConfig> remote_writes;

  // nullptr when there is none.
  const ScrapeConfig* FindJob(std::string_view job_name) const;
  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace trawl
