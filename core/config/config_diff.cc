#include "core/config/config_diff.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

using Fields = std::set<std::string>;

// Notes FIELD under its name when it differs in `a` and `b`.
#define TRAWL_DIFF(field) \
  if (!(a.field == b.field)) out.insert(absl::StrCat(prefix, #field))

void DiffRule(const std::string& prefix, const RelabelConfig& a, const RelabelConfig& b,
              Fields& out) {
  TRAWL_DIFF(source_labels);
  TRAWL_DIFF(separator);
  TRAWL_DIFF(modulus);
  TRAWL_DIFF(target_label);
  TRAWL_DIFF(replacement);
  TRAWL_DIFF(action);
  if (a.regex != b.regex || a.regex_set != b.regex_set) out.insert(absl::StrCat(prefix, "regex"));
}

// Rules are compared by their place; those that one list has more differ as a whole.
void DiffRules(std::string_view name, const std::vector<RelabelConfig>& a,
               const std::vector<RelabelConfig>& b, Fields& out) {
  const size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    DiffRule(absl::StrCat(name, "[", i, "]."), a[i], b[i], out);
  }
  for (size_t i = common; i < std::max(a.size(), b.size()); ++i) {
    out.insert(absl::StrCat(name, "[", i, "]"));
  }
}

void DiffTls(const TlsConfig& a, const TlsConfig& b, Fields& out) {
  constexpr std::string_view prefix = "tls_config.";
  TRAWL_DIFF(ca);
  TRAWL_DIFF(cert);
  TRAWL_DIFF(key);
  TRAWL_DIFF(server_name);
  TRAWL_DIFF(insecure_skip_verify);
  TRAWL_DIFF(min_version);
  TRAWL_DIFF(max_version);
}

void DiffHttp(const HttpClientConfig& a, const HttpClientConfig& b, Fields& out) {
  constexpr std::string_view prefix;
  TRAWL_DIFF(basic_auth);
  TRAWL_DIFF(authorization);
  TRAWL_DIFF(follow_redirects);
  TRAWL_DIFF(enable_http2);
  DiffTls(a.tls_config, b.tls_config, out);
}

// The discoveries that only one of the two has.
void DiffPushed(const std::vector<std::string>& a, const std::vector<std::string>& b, Fields& out) {
  if (a == b) return;
  const Fields left(a.begin(), a.end());
  const Fields right(b.begin(), b.end());
  if (left == right) out.insert(a.begin(), a.end());
  std::set_symmetric_difference(left.begin(), left.end(), right.begin(), right.end(),
                                std::inserter(out, out.end()));
}

void DiffLimits(const ScrapeConfig& a, const ScrapeConfig& b, Fields& out) {
  constexpr std::string_view prefix;
  TRAWL_DIFF(body_size_limit);
  TRAWL_DIFF(sample_limit);
  TRAWL_DIFF(target_limit);
  TRAWL_DIFF(label_limit);
  TRAWL_DIFF(label_name_length_limit);
  TRAWL_DIFF(label_value_length_limit);
  TRAWL_DIFF(keep_dropped_targets);
}

}  // namespace

std::vector<std::string> DifferentFields(const ScrapeConfig& a, const ScrapeConfig& b) {
  constexpr std::string_view prefix;
  Fields out;
  TRAWL_DIFF(job_name);
  TRAWL_DIFF(scrape_interval);
  TRAWL_DIFF(scrape_timeout);
  TRAWL_DIFF(metrics_path);
  TRAWL_DIFF(scheme);
  TRAWL_DIFF(params);
  TRAWL_DIFF(enable_compression);
  TRAWL_DIFF(scrape_protocols);
  TRAWL_DIFF(fallback_scrape_protocol);
  TRAWL_DIFF(honor_labels);
  TRAWL_DIFF(honor_timestamps);
  TRAWL_DIFF(track_timestamps_staleness);
  TRAWL_DIFF(extra_scrape_metrics);
  TRAWL_DIFF(always_scrape_classic_histograms);
  TRAWL_DIFF(metric_name_validation_scheme);
  TRAWL_DIFF(metric_name_escaping_scheme);
  TRAWL_DIFF(static_configs);
  TRAWL_DIFF(file_sd_configs);
  DiffLimits(a, b, out);
  DiffHttp(a.http, b.http, out);
  DiffPushed(a.pushed_sd_configs, b.pushed_sd_configs, out);
  DiffRules("relabel_configs", a.relabel_configs, b.relabel_configs, out);
  DiffRules("metric_relabel_configs", a.metric_relabel_configs, b.metric_relabel_configs, out);
  // A field that is not named above would go unseen: better a vague word than none.
  if (out.empty() && !(a == b)) out.insert("(other)");
  return {out.begin(), out.end()};
}

#undef TRAWL_DIFF

}  // namespace trawl
