#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "core/base/text.h"
#include "core/config/config.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"
#include "core/model/labels.h"

namespace trawl {
namespace {

void ReadTimes(StructReader& reader, GlobalConfig& global) {
  const GlobalConfig defaults;
  absl::Duration interval = absl::ZeroDuration();
  absl::Duration timeout = absl::ZeroDuration();
  reader.Read("scrape_interval", interval);
  reader.Read("scrape_timeout", timeout);
  if (interval == absl::ZeroDuration()) interval = defaults.scrape_interval;
  if (timeout > interval) {
    reader.Error("scrape_timeout", "global scrape timeout greater than scrape interval");
  }
  if (timeout == absl::ZeroDuration()) timeout = std::min(defaults.scrape_timeout, interval);
  global.scrape_interval = interval;
  global.scrape_timeout = timeout;
}

void ReadLimits(StructReader& reader, GlobalConfig& global) {
  if (const YamlNode* node = reader.Find("body_size_limit")) {
    ReadByteSize(*node, global.body_size_limit, reader.findings());
  }
  reader.Read("sample_limit", global.sample_limit);
  reader.Read("target_limit", global.target_limit);
  reader.Read("label_limit", global.label_limit);
  reader.Read("label_name_length_limit", global.label_name_length_limit);
  reader.Read("label_value_length_limit", global.label_value_length_limit);
  reader.Read("keep_dropped_targets", global.keep_dropped_targets);
}

void ReadExternalLabels(StructReader& reader, const SectionContext& context, GlobalConfig& global) {
  const YamlNode* node = reader.Find("external_labels");
  if (node == nullptr) return;
  Labels raw;
  ReadLabels(*node, global.metric_name_validation_scheme, raw, context.findings);
  LabelsBuilder expanded;
  for (const Label& label : raw) {
    std::vector<std::string> missing;
    expanded.Set(label.name, ExpandEnv(label.value, context.options.env, missing));
    for (const std::string& name : missing) {
      reader.Warn("external_labels", absl::StrCat("environment variable ", GoQuote(name),
                                                  " is empty; external label ", label.name));
    }
  }
  global.external_labels = std::move(expanded).Build();
}

void IgnoreUnused(StructReader& reader) {
  static constexpr std::string_view kNoRules = "trawl evaluates no rules";
  static constexpr std::string_view kNoQueries = "trawl answers no queries";
  IgnoreIfTrue(reader, "always_scrape_classic_histograms", "no native histograms are scraped");
  IgnoreField(reader, "evaluation_interval", "duration", kNoRules);
  IgnoreField(reader, "rule_query_offset", "duration", kNoRules);
  IgnoreField(reader, "query_log_file", "string", kNoQueries);
  IgnoreField(reader, "query_max_series", "uint", kNoQueries);
  IgnoreField(reader, "query_max_samples_read", "uint", kNoQueries);
  IgnoreField(reader, "query_max_duration", "duration", kNoQueries);
  IgnoreField(reader, "scrape_failure_log_file", "string",
              "the reason stands on each target's status");
}

}  // namespace

std::optional<NameValidation> ReadNameValidation(StructReader& reader, std::string_view scope) {
  static constexpr std::string_view kField = "metric_name_validation_scheme";
  std::string text;
  reader.Read(kField, text);
  if (text.empty()) return std::nullopt;
  if (text == "legacy") return NameValidation::kLegacy;
  if (text == "utf8") return NameValidation::kUtf8;
  reader.Error(kField, absl::StrCat("unknown ", scope,
                                    " name validation method specified, must be either '', "
                                    "'legacy' or 'utf8', got ",
                                    text));
  return std::nullopt;
}

std::optional<EscapingScheme> ReadEscapingScheme(StructReader& reader, std::string_view scope) {
  static constexpr std::string_view kField = "metric_name_escaping_scheme";
  std::string text;
  reader.Read(kField, text);
  if (text.empty()) return std::nullopt;
  for (const EscapingScheme scheme : {EscapingScheme::kAllowUtf8, EscapingScheme::kUnderscores,
                                      EscapingScheme::kDots, EscapingScheme::kValues}) {
    if (EscapingSchemeName(scheme) == text) return scheme;
  }
  reader.Error(kField, absl::StrCat("unknown ", scope,
                                    " name escaping method specified, must be one of "
                                    "'allow-utf-8', 'underscores', 'dots', or 'values', got ",
                                    GoQuote(text)));
  return std::nullopt;
}

void RefuseGlobals(const YamlNode& node, const std::set<std::string>& fields, Findings& findings) {
  StructReader reader(node, "config.GlobalConfig", findings);
  for (const std::string& field : fields) reader.Refuse(field, kChangesWhatIsStored);
}

GlobalConfig ReadGlobal(const YamlNode* node, const SectionContext& context) {
  GlobalConfig global;
  if (node == nullptr || node->is_null()) return global;
  StructReader reader(*node, "config.GlobalConfig", context.findings);
  ReadTimes(reader, global);
  ReadLimits(reader, global);
  global.metric_name_validation_scheme =
      ReadNameValidation(reader, "global").value_or(NameValidation::kUtf8);
  const bool legacy = global.metric_name_validation_scheme == NameValidation::kLegacy;
  global.metric_name_escaping_scheme =
      ReadEscapingScheme(reader, "global")
          .value_or(legacy ? EscapingScheme::kUnderscores : EscapingScheme::kAllowUtf8);
  if (const YamlNode* protocols = reader.Find("scrape_protocols")) {
    global.scrape_protocols = ReadScrapeProtocols(*protocols, " for global config", context);
  }
  reader.Read("extra_scrape_metrics", global.extra_scrape_metrics);
  reader.Read("always_scrape_classic_histograms", global.always_scrape_classic_histograms);
  ReadExternalLabels(reader, context, global);
  reader.Read("scrape_native_histograms", global.scrape_native_histograms);
  reader.Read("convert_classic_histograms_to_nhcb", global.convert_classic_histograms_to_nhcb);
  IgnoreUnused(reader);
  reader.Finish();
  return global;
}

}  // namespace trawl
