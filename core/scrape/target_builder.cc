#include "core/scrape/target_builder.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/duration.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/relabel/relabel.h"

namespace trawl {
namespace {

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kInterval = "__scrape_interval__";
constexpr std::string_view kTimeout = "__scrape_timeout__";
constexpr std::string_view kMetaPrefix = "__meta_";
constexpr std::string_view kToNhcb = "__convert_classic_histograms_to_nhcb__";
constexpr std::string_view kKeepClassic = "__always_scrape_classic_histograms__";
constexpr std::string_view kNative = "__scrape_native_histograms__";

// What Prometheus wants to be booleans where a target has them.
struct BoolLabel {
  std::string_view name;
  std::string_view words;
};
constexpr std::array<BoolLabel, 3> kBoolLabels = {{
    {kToNhcb, "convert classic histograms to nhcb"},
    {kKeepClassic, "always scrape classic histograms"},
    {kNative, "scrape native histograms"},
}};

void SetIfEmpty(LabelsBuilder& labels, std::string_view name, std::string_view value) {
  if (labels.Get(name).empty()) labels.Set(name, value);
}

absl::Status CheckAddress(std::string_view address) {
  if (address.empty()) return absl::InvalidArgumentError("no address");
  if (absl::StrContains(address, '/')) {
    return absl::InvalidArgumentError(absl::StrCat(GoQuote(address), " is not a valid hostname"));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Duration> ParsePositive(std::string_view text, std::string_view what) {
  const absl::StatusOr<absl::Duration> parsed = ParsePrometheusDuration(text);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("error parsing ", what, ": ", parsed.status().message()));
  }
  if (*parsed == absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " cannot be 0"));
  }
  return *parsed;
}

absl::Status CheckTimes(const LabelsBuilder& labels) {
  const std::string_view interval_text = labels.Get(kInterval);
  const std::string_view timeout_text = labels.Get(kTimeout);
  ASSIGN_OR_RETURN(const absl::Duration interval, ParsePositive(interval_text, "scrape interval"));
  ASSIGN_OR_RETURN(const absl::Duration timeout, ParsePositive(timeout_text, "scrape timeout"));
  if (timeout <= interval) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("scrape timeout cannot be greater than scrape interval (", GoQuote(timeout_text),
                   " > ", GoQuote(interval_text), ")"));
}

// What Go's strconv.ParseBool takes.
bool IsGoBool(std::string_view text) {
  constexpr std::array<std::string_view, 12> kWords = {"1", "t", "T", "TRUE",  "true",  "True",
                                                       "0", "f", "F", "FALSE", "false", "False"};
  return absl::c_linear_search(kWords, text);
}

absl::Status CheckBools(const LabelsBuilder& labels) {
  for (const BoolLabel& label : kBoolLabels) {
    const std::string_view value = labels.Get(label.name);
    if (value.empty() || IsGoBool(value)) continue;
    return absl::InvalidArgumentError(absl::StrCat("error parsing ", label.words,
                                                   ": strconv.ParseBool: parsing ", GoQuote(value),
                                                   ": invalid syntax"));
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const std::vector<Label>& labels) {
  for (const Label& label : labels) {
    if (IsValidUtf8(label.value)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("invalid label value for ", GoQuote(label.name), ": ", GoQuote(label.value)));
  }
  return absl::OkStatus();
}

void DeleteMeta(LabelsBuilder& labels) {
  std::vector<std::string> names;
  for (const Label& label : labels.labels()) {
    if (absl::StartsWith(label.name, kMetaPrefix)) names.push_back(label.name);
  }
  for (const std::string& name : names) labels.Delete(name);
}

std::shared_ptr<const Target> MakeTarget(const ScrapeConfig& config, const Labels& all) {
  auto target = std::make_shared<Target>();
  target->url = TargetUrl(all, config.params);
  target->hash = TargetHash(all, target->url);
  target->labels = std::make_shared<const Labels>(PublicLabels(all));
  target->public_hash = target->labels->Hash();
  target->interval_text = all.Get(kInterval);
  target->timeout_text = all.Get(kTimeout);
  // PopulateLabels has checked both.
  target->interval = ParsePrometheusDuration(target->interval_text).value_or(absl::Minutes(1));
  target->timeout = ParsePrometheusDuration(target->timeout_text).value_or(absl::Seconds(10));
  return target;
}

}  // namespace

Labels DiscoveredLabels(const ScrapeConfig& config, std::string_view address,
                        const Labels& group_labels) {
  LabelsBuilder labels(group_labels);
  labels.Set(kAddress, address);
  SetIfEmpty(labels, "job", config.job_name);
  SetIfEmpty(labels, kInterval, FormatPrometheusDuration(config.scrape_interval));
  SetIfEmpty(labels, kTimeout, FormatPrometheusDuration(config.scrape_timeout));
  SetIfEmpty(labels, "__metrics_path__", config.metrics_path);
  SetIfEmpty(labels, "__scheme__", config.scheme);
  SetIfEmpty(labels, kToNhcb, "false");
  SetIfEmpty(labels, kKeepClassic, config.always_scrape_classic_histograms ? "true" : "false");
  SetIfEmpty(labels, kNative, "false");
  for (const auto& [name, values] : config.params) {
    if (!values.empty()) SetIfEmpty(labels, absl::StrCat("__param_", name), values[0]);
  }
  return std::move(labels).Build();
}

absl::StatusOr<std::optional<Labels>> PopulateLabels(const ScrapeConfig& config,
                                                     const Labels& discovered) {
  LabelsBuilder labels(discovered);
  if (!config.relabel_rules->Apply(labels)) return std::nullopt;
  const std::string address(labels.Get(kAddress));
  RETURN_IF_ERROR(CheckAddress(address));
  RETURN_IF_ERROR(CheckTimes(labels));
  RETURN_IF_ERROR(CheckBools(labels));
  DeleteMeta(labels);
  SetIfEmpty(labels, "instance", address);
  RETURN_IF_ERROR(CheckValues(labels.labels()));
  return std::move(labels).Build();
}

std::string DropReason(const ScrapeConfig& config, const Labels& discovered) {
  LabelsBuilder labels(discovered);
  RelabelTrace trace;
  config.relabel_rules->Apply(labels, trace);
  if (!trace.dropped_by.has_value()) return "no public labels after relabeling";
  const size_t rule = *trace.dropped_by;
  return absl::StrCat("dropped by relabel_configs[", rule, "] (",
                      RelabelActionName(config.relabel_configs[rule].action), ")");
}

BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group) {
  BuiltGroup built;
  for (uint32_t i = 0; i < group.targets.size(); ++i) {
    const Labels discovered = DiscoveredLabels(config, group.targets[i], group.labels);
    const absl::StatusOr<std::optional<Labels>> all = PopulateLabels(config, discovered);
    if (!all.ok()) {
      built.failed.push_back(
          {i, absl::StrCat("instance ", i, " in group ", group.key, ": ", all.status().message())});
    } else if (!all->has_value()) {
      built.dropped.push_back(i);
    } else {
      built.active.push_back({i, MakeTarget(config, **all)});
    }
  }
  return built;
}

}  // namespace trawl
