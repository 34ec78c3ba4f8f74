#include "core/config/config_text.h"

#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/base/duration.h"
#include "core/config/yaml_writer.h"

namespace trawl {
namespace {

constexpr std::string_view kSecret = "<secret>";

std::string_view Bool(bool value) { return value ? "true" : "false"; }

std::string Bytes(uint64_t bytes) { return absl::StrCat(bytes, "B"); }

std::string_view NamesText(NameValidation names) {
  return names == NameValidation::kLegacy ? "legacy" : "utf8";
}

std::string ProtocolsText(const std::vector<ScrapeProtocol>& protocols) {
  std::vector<std::string> names;
  names.reserve(protocols.size());
  for (const ScrapeProtocol protocol : protocols) names.emplace_back(ScrapeProtocolName(protocol));
  return YamlList(names);
}

void WriteLabels(std::string_view field, const Labels& labels, YamlWriter& out) {
  if (labels.empty()) return;
  out.Begin(field);
  for (const Label& label : labels) out.Field(YamlScalar(label.name), YamlScalar(label.value));
  out.End();
}

void WriteNumber(std::string_view field, uint64_t value, YamlWriter& out) {
  if (value != 0) out.Field(field, absl::StrCat(value));
}

// The limits that jobs inherit.
template <typename Limits>
void WriteLimits(const Limits& limits, YamlWriter& out) {
  if (limits.body_size_limit != 0) out.Field("body_size_limit", Bytes(limits.body_size_limit));
  WriteNumber("sample_limit", limits.sample_limit, out);
  WriteNumber("target_limit", limits.target_limit, out);
  WriteNumber("label_limit", limits.label_limit, out);
  WriteNumber("label_name_length_limit", limits.label_name_length_limit, out);
  WriteNumber("label_value_length_limit", limits.label_value_length_limit, out);
  WriteNumber("keep_dropped_targets", limits.keep_dropped_targets, out);
}

template <typename Config>
void WriteNameSchemes(const Config& config, YamlWriter& out) {
  out.Field("metric_name_validation_scheme", NamesText(config.metric_name_validation_scheme));
  out.Field("metric_name_escaping_scheme", EscapingSchemeName(config.metric_name_escaping_scheme));
}

void WriteGlobal(const GlobalConfig& global, YamlWriter& out) {
  out.Begin("global");
  out.Field("scrape_interval", FormatPrometheusDuration(global.scrape_interval));
  out.Field("scrape_timeout", FormatPrometheusDuration(global.scrape_timeout));
  if (global.scrape_protocols.has_value()) {
    out.Field("scrape_protocols", ProtocolsText(*global.scrape_protocols));
  }
  WriteLimits(global, out);
  WriteNameSchemes(global, out);
  out.Field("extra_scrape_metrics", Bool(global.extra_scrape_metrics));
  out.Field("scrape_native_histograms", Bool(global.scrape_native_histograms));
  out.Field("convert_classic_histograms_to_nhcb", Bool(global.convert_classic_histograms_to_nhcb));
  out.Field("always_scrape_classic_histograms", Bool(global.always_scrape_classic_histograms));
  LabelsBuilder external;
  for (const Label& label : global.external_labels) {
    // Variables have been expanded: what is left is text.
    external.Set(label.name, absl::StrReplaceAll(label.value, {{"$", "$$"}}));
  }
  WriteLabels("external_labels", std::move(external).Build(), out);
  out.End();
}

// A value that is no secret, or the file that has it.
void WriteSource(std::string_view field, const SecretSource& source, YamlWriter& out) {
  if (!source.value.empty()) out.Field(field, YamlScalar(source.value));
  if (!source.file.empty()) out.Field(absl::StrCat(field, "_file"), YamlScalar(source.file));
}

void WriteSecret(std::string_view field, const SecretSource& source, YamlWriter& out) {
  SecretSource masked = source;
  if (!masked.value.empty()) masked.value = kSecret;
  WriteSource(field, masked, out);
}

std::string_view VersionText(TlsVersion version) {
  switch (version) {
    case TlsVersion::kDefault:
      return "";
    case TlsVersion::kTls10:
      return "TLS10";
    case TlsVersion::kTls11:
      return "TLS11";
    case TlsVersion::kTls12:
      return "TLS12";
    case TlsVersion::kTls13:
      return "TLS13";
  }
  return "";
}

void WriteTls(const TlsConfig& tls, YamlWriter& out) {
  if (tls == TlsConfig()) return;
  out.Begin("tls_config");
  WriteSource("ca", tls.ca, out);
  WriteSource("cert", tls.cert, out);
  WriteSecret("key", tls.key, out);
  if (!tls.server_name.empty()) out.Field("server_name", YamlScalar(tls.server_name));
  out.Field("insecure_skip_verify", Bool(tls.insecure_skip_verify));
  if (tls.min_version != TlsVersion::kDefault) {
    out.Field("min_version", VersionText(tls.min_version));
  }
  if (tls.max_version != TlsVersion::kDefault) {
    out.Field("max_version", VersionText(tls.max_version));
  }
  out.End();
}

void WriteHttp(const HttpClientConfig& http, YamlWriter& out) {
  if (http.basic_auth.has_value() && *http.basic_auth == BasicAuth()) {
    out.Field("basic_auth", "{}");
  } else if (http.basic_auth.has_value()) {
    out.Begin("basic_auth");
    WriteSource("username", http.basic_auth->username, out);
    WriteSecret("password", http.basic_auth->password, out);
    out.End();
  }
  if (http.authorization.has_value()) {
    out.Begin("authorization");
    out.Field("type", YamlScalar(http.authorization->type));
    WriteSecret("credentials", http.authorization->credentials, out);
    out.End();
  }
  WriteTls(http.tls_config, out);
  out.Field("follow_redirects", Bool(http.follow_redirects));
  out.Field("enable_http2", Bool(http.enable_http2));
}

// The fields of a rule that are not default, in the order of Prometheus' documentation.
std::vector<std::pair<std::string, std::string>> RuleFields(const RelabelConfig& rule) {
  const RelabelConfig defaults;
  std::vector<std::pair<std::string, std::string>> out;
  if (!rule.source_labels.empty()) out.emplace_back("source_labels", YamlList(rule.source_labels));
  if (rule.separator != defaults.separator) {
    out.emplace_back("separator", YamlScalar(rule.separator));
  }
  if (rule.regex_set || rule.regex != defaults.regex) {
    out.emplace_back("regex", YamlScalar(rule.regex));
  }
  if (rule.modulus != 0) out.emplace_back("modulus", absl::StrCat(rule.modulus));
  if (!rule.target_label.empty()) {
    out.emplace_back("target_label", YamlScalar(rule.target_label));
  }
  if (rule.replacement != defaults.replacement) {
    out.emplace_back("replacement", YamlScalar(rule.replacement));
  }
  out.emplace_back("action", RelabelActionName(rule.action));
  return out;
}

void WriteRules(std::string_view field, const std::vector<RelabelConfig>& rules, YamlWriter& out) {
  if (rules.empty()) return;
  out.Begin(field);
  for (const RelabelConfig& rule : rules) {
    out.BeginItem();
    for (const auto& [name, value] : RuleFields(rule)) out.Field(name, value);
    out.End();
  }
  out.End();
}

void WriteRequest(const ScrapeConfig& job, YamlWriter& out) {
  out.Field("metrics_path", YamlScalar(job.metrics_path));
  out.Field("scheme", YamlScalar(job.scheme));
  if (!job.params.empty()) {
    out.Begin("params");
    for (const auto& [name, values] : job.params) out.Field(YamlScalar(name), YamlList(values));
    out.End();
  }
  out.Field("enable_compression", Bool(job.enable_compression));
  out.Field("scrape_protocols", ProtocolsText(job.scrape_protocols));
  if (job.fallback_scrape_protocol.has_value()) {
    out.Field("fallback_scrape_protocol", ScrapeProtocolName(*job.fallback_scrape_protocol));
  }
  WriteHttp(job.http, out);
}

void WriteDiscovery(const ScrapeConfig& job, YamlWriter& out) {
  if (!job.static_configs.empty()) {
    out.Begin("static_configs");
    for (const TargetGroup& group : job.static_configs) {
      out.BeginItem();
      out.Field("targets", YamlList(group.targets));
      WriteLabels("labels", group.labels, out);
      out.End();
    }
    out.End();
  }
  if (!job.file_sd_configs.empty()) {
    out.Begin("file_sd_configs");
    for (const FileSdConfig& sd : job.file_sd_configs) {
      out.BeginItem();
      out.Field("files", YamlList(sd.files));
      out.Field("refresh_interval", FormatPrometheusDuration(sd.refresh_interval));
      out.End();
    }
    out.End();
  }
  for (const std::string& field : job.pushed_sd_configs) {
    out.Field(field, "[{}]  # its targets are pushed; what stood here is not kept");
  }
}

void WriteJob(const ScrapeConfig& job, YamlWriter& out) {
  out.BeginItem();
  out.Field("job_name", YamlScalar(job.job_name));
  out.Field("scrape_interval", FormatPrometheusDuration(job.scrape_interval));
  out.Field("scrape_timeout", FormatPrometheusDuration(job.scrape_timeout));
  WriteRequest(job, out);
  out.Field("honor_labels", Bool(job.honor_labels));
  out.Field("honor_timestamps", Bool(job.honor_timestamps));
  out.Field("track_timestamps_staleness", Bool(job.track_timestamps_staleness));
  out.Field("extra_scrape_metrics", Bool(job.extra_scrape_metrics));
  out.Field("always_scrape_classic_histograms", Bool(job.always_scrape_classic_histograms));
  WriteNameSchemes(job, out);
  WriteLimits(job, out);
  WriteDiscovery(job, out);
  WriteRules("relabel_configs", job.relabel_configs, out);
  WriteRules("metric_relabel_configs", job.metric_relabel_configs, out);
  out.End();
}

void WriteRemoteWrite(const RemoteWriteConfig& remote, YamlWriter& out) {
  out.BeginItem();
  out.Field("url", YamlScalar(MaskUrl(remote.url)));
  out.Field("name", YamlScalar(remote.name));
  out.Field("remote_timeout", FormatPrometheusDuration(remote.remote_timeout));
  WriteHttp(remote.http, out);
  out.End();
}

void WriteTrawlJob(const TrawlJobConfig& job, YamlWriter& out) {
  out.Field("first_scrape", job.first_scrape == FirstScrape::kImmediate ? "immediate" : "offset");
}

void WriteJobs(std::span<const ScrapeConfig> jobs, YamlWriter& out) {
  if (jobs.empty()) return;
  out.Begin("scrape_configs");
  for (const ScrapeConfig& job : jobs) WriteJob(job, out);
  out.End();
}

}  // namespace

std::string ConfigText(const Config& config) {
  YamlWriter out;
  WriteGlobal(config.global, out);
  WriteJobs(config.scrape_configs, out);
  if (!config.remote_writes.empty()) {
    out.Begin("remote_write");
    for (const RemoteWriteConfig& remote : config.remote_writes) WriteRemoteWrite(remote, out);
    out.End();
  }
  return out.Take();
}

std::string JobText(const ScrapeConfig& job) {
  YamlWriter out;
  WriteJobs({&job, 1}, out);
  return out.Take();
}

std::string TrawlConfigText(const TrawlConfig& config) {
  YamlWriter out;
  out.Begin("global");
  WriteTrawlJob(config.global, out);
  out.End();
  if (config.jobs.empty()) return out.Take();
  out.Begin("jobs");
  for (const auto& [name, job] : config.jobs) {
    out.Begin(YamlScalar(name));
    WriteTrawlJob(job, out);
    out.End();
  }
  out.End();
  return out.Take();
}

std::string RelabelRuleText(const RelabelConfig& rule) {
  const std::string fields =
      absl::StrJoin(RuleFields(rule), ", ", [](std::string* out, const auto& field) {
        absl::StrAppend(out, field.first, ": ", field.second);
      });
  return absl::StrCat("{", fields, "}");
}

std::string MaskUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::string_view authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = authority.rfind('@');
  const size_t colon = authority.substr(0, at).find(':');
  if (at == std::string_view::npos || colon == std::string_view::npos) return std::string(url);
  return absl::StrCat(url.substr(0, begin + colon + 1), kSecret, url.substr(begin + at));
}

}  // namespace trawl
