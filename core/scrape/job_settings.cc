#include "core/scrape/job_settings.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/config/config_diff.h"

namespace trawl {
namespace {

std::optional<ExpositionFormat> FormatOf(ScrapeProtocol protocol) {
  switch (protocol) {
    case ScrapeProtocol::kPrometheusText004:
      return ExpositionFormat::kText004;
    case ScrapeProtocol::kPrometheusText100:
      return ExpositionFormat::kText100;
    case ScrapeProtocol::kPrometheusProto:
    case ScrapeProtocol::kOpenMetricsText001:
    case ScrapeProtocol::kOpenMetricsText100:
    case ScrapeProtocol::kOpenMetricsText200:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::string> HeadersOf(const ScrapeConfig& config) {
  std::vector<ExpositionFormat> formats;
  for (ScrapeProtocol protocol : config.scrape_protocols) {
    if (const auto format = FormatOf(protocol)) formats.push_back(*format);
  }
  const std::string_view escaping = EscapingSchemeName(config.metric_name_escaping_scheme);
  return {absl::StrCat("Accept: ", AcceptHeader(formats, escaping)),
          absl::StrCat("Accept-Encoding: ", config.enable_compression ? "gzip" : "identity")};
}

std::shared_ptr<const SampleOptions> SamplesOf(const ScrapeConfig& config) {
  auto samples = std::make_shared<SampleOptions>();
  samples->honor_labels = config.honor_labels;
  samples->honor_timestamps = config.honor_timestamps;
  samples->track_timestamps_staleness = config.track_timestamps_staleness;
  samples->metric_relabel_rules = config.metric_relabel_rules.rules;
  samples->name_validation = config.metric_name_validation_scheme;
  samples->extra_scrape_metrics = config.extra_scrape_metrics;
  samples->sample_limit = config.sample_limit;
  samples->label_limit = config.label_limit;
  samples->label_name_length_limit = config.label_name_length_limit;
  samples->label_value_length_limit = config.label_value_length_limit;
  return samples;
}

// Without what a running loop does not look at: it is in its target, or decides only which
// targets there are.
ScrapeConfig LoopPart(ScrapeConfig config) {
  config.scrape_interval = config.scrape_timeout = absl::ZeroDuration();
  config.metrics_path.clear();
  config.scheme.clear();
  config.params.clear();
  config.always_scrape_classic_histograms = false;
  config.target_limit = config.keep_dropped_targets = 0;
  config.static_configs.clear();
  config.file_sd_configs.clear();
  config.pushed_sd_configs.clear();
  config.relabel_configs.clear();
  return config;
}

}  // namespace

std::shared_ptr<const JobSettings> MakeJobSettings(const ScrapeConfig& config,
                                                   std::shared_ptr<const HttpClient> client,
                                                   uint64_t offset_seed,
                                                   uint64_t cache_generation) {
  auto settings = std::make_shared<JobSettings>();
  settings->job = config.job_name;
  settings->client = std::move(client);
  settings->headers = HeadersOf(config);
  settings->samples = SamplesOf(config);
  if (config.fallback_scrape_protocol.has_value()) {
    settings->fallback_format = FormatOf(*config.fallback_scrape_protocol);
  }
  settings->body_size_limit = config.body_size_limit;
  settings->offset_seed = offset_seed;
  settings->cache_generation = cache_generation;
  return settings;
}

std::vector<std::string> LoopFields(const ScrapeConfig& a, const ScrapeConfig& b) {
  return DifferentFields(LoopPart(a), LoopPart(b));
}

bool SameLoopSettings(const ScrapeConfig& a, const ScrapeConfig& b) {
  return LoopPart(a) == LoopPart(b);
}

bool ReusableCache(const ScrapeConfig& a, const ScrapeConfig& b) {
  ScrapeConfig left = LoopPart(a);
  ScrapeConfig right = LoopPart(b);
  left.sample_limit = right.sample_limit = 0;
  left.http = right.http = {};
  return left == right;
}

}  // namespace trawl
