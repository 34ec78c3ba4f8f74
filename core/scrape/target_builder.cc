#include "core/scrape/target_builder.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
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
constexpr std::string_view kUnixSocket = "__unix_socket__";

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

bool IsGoTrue(std::string_view text) {
  constexpr std::array<std::string_view, 6> kWords = {"1", "t", "T", "TRUE", "true", "True"};
  return absl::c_linear_search(kWords, text);
}

absl::Status Unsupported(std::string_view label, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "label ", label, " is not supported: leaving it out would change what is ", what));
}

// Where Prometheus would dial a socket in the address's stead.
absl::Status CheckSocket(const LabelsBuilder& labels) {
  if (labels.Get(kUnixSocket).empty()) return absl::OkStatus();
  return Unsupported(kUnixSocket, "scraped");
}

absl::Status CheckBools(const LabelsBuilder& labels) {
  for (const BoolLabel& label : kBoolLabels) {
    const std::string_view value = labels.Get(label.name);
    if (value.empty() || IsGoBool(value)) continue;
    return absl::InvalidArgumentError(absl::StrCat("error parsing ", label.words,
                                                   ": strconv.ParseBool: parsing ", GoQuote(value),
                                                   ": invalid syntax"));
  }
  // The others say nothing of text, and trawl asks for nothing else.
  if (IsGoTrue(labels.Get(kToNhcb))) return Unsupported(kToNhcb, "stored");
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
  labels.DeleteIf([](const Label& label) { return absl::StartsWith(label.name, kMetaPrefix); });
}

// Passes a check's outcome on, and says what it is a reason for.
absl::Status Because(DropReason reason, absl::Status status, Drop* drop) {
  if (!status.ok() && drop != nullptr) *drop = {reason, 0};
  return status;
}

// What Prometheus wants of a target's labels once the rules have run.
absl::Status CheckLabels(const LabelsBuilder& labels, Drop* drop) {
  RETURN_IF_ERROR(Because(DropReason::kBadLabel, CheckSocket(labels), drop));
  const std::string_view address = labels.Get(kAddress);
  const DropReason no_address = address.empty() ? DropReason::kNoAddress : DropReason::kBadAddress;
  RETURN_IF_ERROR(Because(no_address, CheckAddress(address), drop));
  RETURN_IF_ERROR(Because(DropReason::kBadInterval, CheckTimes(labels), drop));
  return Because(DropReason::kBadLabel, CheckBools(labels), drop);
}

// Notes what each step makes of the labels; nothing when nobody asks.
class Tracer {
 public:
  Tracer(const LabelsBuilder& labels, BuildTrace* trace) : labels_(labels), trace_(trace) {
    if (trace_ != nullptr) before_ = labels.Build();
  }

  void Note(BuildStep::Kind kind) {
    if (trace_ == nullptr) return;
    Labels after = labels_.Build();
    trace_->push_back({kind, 0, std::exchange(before_, after), after, false, ""});
  }
  // A check: of `what`, with this outcome, which is returned.
  absl::Status Checked(absl::Status status, std::string_view what) {
    if (trace_ == nullptr) return status;
    Note(BuildStep::Kind::kCheck);
    BuildStep& step = trace_->back();
    step.detail = status.ok() ? what : std::string_view(status.message());
    step.dropped = !status.ok();
    if (step.dropped) step.after = Labels();
    return status;
  }
  // The rules have run.
  void Relabeled(const ScrapeConfig& config, const RelabelTrace& rules) {
    for (const RelabelStep& rule : rules.steps) {
      trace_->push_back({BuildStep::Kind::kRelabel, rule.rule, rule.before,
                         rule.kept ? rule.after : Labels(), !rule.kept,
                         rule.kept ? "" : RuleDropText(config, static_cast<uint32_t>(rule.rule))});
    }
    before_ = labels_.Build();
  }

 private:
  const LabelsBuilder& labels_;
  BuildTrace* const trace_;
  Labels before_;
};

// The index of the rule that dropped the target, or their number.
size_t ApplyRules(const ScrapeConfig& config, LabelsBuilder& labels, BuildTrace* trace,
                  Tracer& tracer) {
  if (trace == nullptr) return config.relabel_rules->ApplyUntilDropped(labels);
  RelabelTrace rules;
  config.relabel_rules->Apply(labels, rules);
  tracer.Relabeled(config, rules);
  return rules.dropped_by.value_or(config.relabel_rules->size());
}

// What PopulateLabels does, where the labels are; false: a rule dropped the target.
absl::StatusOr<bool> Populate(const ScrapeConfig& config, LabelsBuilder& labels, Drop* drop,
                              BuildTrace* trace) {
  Tracer tracer(labels, trace);
  const size_t rule = ApplyRules(config, labels, trace, tracer);
  if (rule < config.relabel_rules->size()) {
    if (drop != nullptr) *drop = {DropReason::kRelabel, static_cast<uint32_t>(rule)};
    return false;
  }
  RETURN_IF_ERROR(
      tracer.Checked(CheckLabels(labels, drop), "address, interval, timeout, booleans"));
  DeleteMeta(labels);
  tracer.Note(BuildStep::Kind::kRemoveMeta);
  SetIfEmpty(labels, "instance", labels.Get(kAddress));
  tracer.Note(BuildStep::Kind::kInstance);
  const absl::Status values = Because(DropReason::kBadLabel, CheckValues(labels.labels()), drop);
  RETURN_IF_ERROR(tracer.Checked(values, "values are UTF-8"));
  return true;
}

// Builds a group's targets one by one. What they have in common is made once, and the labels' texts
// are written over those of the target before.
class GroupBuilder {
 public:
  GroupBuilder(const ScrapeConfig& config, const TargetGroup& group)
      : config_(config),
        group_(group),
        common_(DiscoveredLabels(config, /*address=*/"?", group.labels)) {}

  void Build(uint32_t index) {
    Drop drop;
    Discover(index);
    const bool active = Passes(drop);
    if (!active) Discover(index);  // as it was before the rules
    Labels all = std::move(labels_).Build();
    if (active) {
      built_.active.push_back({index, MakeTarget(config_, all)});
    } else {
      built_.dropped.push_back({all.Hash(), index, drop.reason, static_cast<uint16_t>(drop.rule)});
    }
    labels_ = LabelsBuilder(std::move(all));
  }
  void Keep(uint32_t index, const BuiltGroup::Active& active) {
    built_.active.push_back({index, active.target});
  }
  void Keep(uint32_t index, BuiltGroup::Dropped dropped) {
    dropped.index = index;
    built_.dropped.push_back(dropped);
  }
  BuiltGroup Finish() && {
    built_.active.shrink_to_fit();
    built_.dropped.shrink_to_fit();
    return std::move(built_);
  }

 private:
  void Discover(uint32_t index) {
    labels_.Reset(common_);
    labels_.Set(kAddress, group_.targets[index]);
  }
  // False: there is no target, and why.
  bool Passes(Drop& drop) {
    drop.reason = DropReason::kSourceHeld;
    if (group_.withheld) return false;
    const absl::StatusOr<bool> kept = Populate(config_, labels_, &drop, nullptr);
    return kept.ok() && *kept;
  }

  const ScrapeConfig& config_;
  const TargetGroup& group_;
  const Labels common_;
  LabelsBuilder labels_;
  BuiltGroup built_;
};

}  // namespace

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

Labels DiscoveredLabels(const ScrapeConfig& config, std::string_view address,
                        const Labels& group_labels, BuildTrace* trace) {
  LabelsBuilder labels(group_labels);
  Tracer tracer(labels, trace);
  labels.Set(kAddress, address);
  tracer.Note(BuildStep::Kind::kDiscovered);
  SetIfEmpty(labels, "job", config.job_name);
  SetIfEmpty(labels, kInterval, FormatPrometheusDuration(config.scrape_interval));
  SetIfEmpty(labels, kTimeout, FormatPrometheusDuration(config.scrape_timeout));
  SetIfEmpty(labels, "__metrics_path__", config.metrics_path);
  SetIfEmpty(labels, "__scheme__", config.scheme);
  SetIfEmpty(labels, kToNhcb, "false");
  SetIfEmpty(labels, kKeepClassic, config.always_scrape_classic_histograms ? "true" : "false");
  SetIfEmpty(labels, kNative, "false");
  tracer.Note(BuildStep::Kind::kDefaults);
  for (const auto& [name, values] : config.params) {
    if (!values.empty()) SetIfEmpty(labels, absl::StrCat("__param_", name), values[0]);
  }
  tracer.Note(BuildStep::Kind::kParams);
  return std::move(labels).Build();
}

absl::StatusOr<std::optional<Labels>> PopulateLabels(const ScrapeConfig& config,
                                                     const Labels& discovered, Drop* drop,
                                                     BuildTrace* trace) {
  LabelsBuilder labels(discovered);
  ASSIGN_OR_RETURN(const bool kept, Populate(config, labels, drop, trace));
  if (!kept) return std::nullopt;
  return std::move(labels).Build();
}

std::string RuleDropText(const ScrapeConfig& config, uint32_t rule) {
  return absl::StrCat("dropped by relabel_configs[", rule, "] (",
                      RelabelActionName(config.relabel_configs[rule].action), ")");
}

BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group) {
  GroupBuilder builder(config, group);
  for (uint32_t i = 0; i < group.targets.size(); ++i) builder.Build(i);
  return std::move(builder).Finish();
}

BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group,
                            const TargetGroup& before, const BuiltGroup& built_before) {
  absl::flat_hash_map<std::string_view, const BuiltGroup::Active*> active;
  absl::flat_hash_map<std::string_view, const BuiltGroup::Dropped*> dropped;
  for (const auto& target : built_before.active) active[before.targets[target.index]] = &target;
  for (const auto& target : built_before.dropped) dropped[before.targets[target.index]] = &target;
  GroupBuilder builder(config, group);
  for (uint32_t i = 0; i < group.targets.size(); ++i) {
    if (const auto found = active.find(group.targets[i]); found != active.end()) {
      builder.Keep(i, *found->second);
    } else if (const auto out = dropped.find(group.targets[i]); out != dropped.end()) {
      builder.Keep(i, *out->second);
    } else {
      builder.Build(i);
    }
  }
  return std::move(builder).Finish();
}

std::string BuildError(const ScrapeConfig& config, std::string_view group_key, uint32_t index,
                       std::string_view address, const Labels& group_labels) {
  const auto all = PopulateLabels(config, DiscoveredLabels(config, address, group_labels));
  return absl::StrCat("instance ", index, " in group ", group_key, ": ", all.status().message());
}

}  // namespace trawl
