#include "core/scrape/sample_labels.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr std::string_view kExported = "exported_";
constexpr size_t kQuotedRunes = 50;

// Go's %.50s: at most 50 runes; an invalid byte is a rune of its own.
std::string_view Head(std::string_view text) {
  size_t at = 0;
  for (size_t runes = 0; at < text.size() && runes < kQuotedRunes; ++runes) {
    size_t next = at + 1;
    while (next < text.size() && next < at + 4 && (text[next] & 0xc0) == 0x80) ++next;
    at = IsValidUtf8(text.substr(at, next - at)) ? next : at + 1;
  }
  return text.substr(0, at);
}

std::string_view Find(const std::vector<Label>& labels, std::string_view name) {
  for (const Label& label : labels) {
    if (label.name == name) return label.value;
  }
  return "";
}

bool Has(const std::vector<Label>& labels, std::string_view name) {
  return std::any_of(labels.begin(), labels.end(),
                     [&](const Label& label) { return label.name == name; });
}

// An empty value takes away its label, even one of the same name that has a value.
void DeleteEmpty(const std::vector<Label>& exposed, LabelsBuilder* labels) {
  if (labels->labels().size() == exposed.size()) return;
  for (const Label& label : exposed) {
    if (label.value.empty()) labels->Delete(label.name);
  }
}

void HonorExposed(const Labels& target_labels, const std::vector<Label>& exposed,
                  LabelsBuilder* labels) {
  for (const Label& label : target_labels) {
    // An exposed empty value counts: it takes the target's label away.
    if (!Has(exposed, label.name)) labels->Set(label.name, label.value);
  }
}

void HonorTarget(const Labels& target_labels, LabelsBuilder* labels) {
  std::vector<Label> conflicts;
  for (const Label& label : target_labels) {
    const std::string_view existing = labels->Get(label.name);
    if (!existing.empty()) conflicts.push_back({label.name, std::string(existing)});
    labels->Set(label.name, label.value);
  }
  std::stable_sort(conflicts.begin(), conflicts.end(),
                   [](const Label& a, const Label& b) { return a.name.size() < b.name.size(); });
  for (const Label& conflict : conflicts) {
    std::string name = absl::StrCat(kExported, conflict.name);
    while (!labels->Get(name).empty()) name.insert(0, kExported);
    labels->Set(name, conflict.value);
  }
}

bool AreValidNames(const SampleOptions& options, const std::vector<Label>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const Label& label) {
    if (label.name == kMetricName) return IsValidMetricName(label.value, options.name_validation);
    return IsValidLabelName(label.name, options.name_validation) && IsValidUtf8(label.value);
  });
}

absl::Status CheckLimits(const SampleOptions& options, const std::vector<Label>& labels) {
  const std::string metric = absl::StrCat("(metric: ", Head(Find(labels, kMetricName)));
  if (options.label_limit > 0 && labels.size() > options.label_limit) {
    return absl::InvalidArgumentError(absl::StrCat("label_limit exceeded ", metric,
                                                   ", number of labels: ", labels.size(),
                                                   ", limit: ", options.label_limit, ")"));
  }
  for (const Label& label : labels) {
    const uint64_t name_limit = options.label_name_length_limit;
    if (name_limit > 0 && label.name.size() > name_limit) {
      return absl::InvalidArgumentError(absl::StrCat(
          "label_name_length_limit exceeded ", metric, ", label name: ", Head(label.name),
          ", length: ", label.name.size(), ", limit: ", name_limit, ")"));
    }
    const uint64_t value_limit = options.label_value_length_limit;
    if (value_limit > 0 && label.value.size() > value_limit) {
      return absl::InvalidArgumentError(
          absl::StrCat("label_value_length_limit exceeded ", metric,
                       ", label name: ", Head(label.name), ", value: ", GoQuote(Head(label.value)),
                       ", length: ", label.value.size(), ", limit: ", value_limit, ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const SampleOptions& options, const std::vector<Label>& labels,
                   FailureReason* reason) {
  *reason = FailureReason::kInvalidLabels;
  if (!Has(labels, kMetricName)) {
    return absl::InvalidArgumentError("missing metric name (__name__ label)");
  }
  if (!AreValidNames(options, labels)) {
    return absl::InvalidArgumentError(absl::StrCat("invalid metric name or label names: ",
                                                   Labels::FromSorted(labels).ToString()));
  }
  *reason = FailureReason::kLabelLimit;
  return CheckLimits(options, labels);
}

// A name that stands twice in `exposed` and is in `labels` still.
std::optional<std::string> RepeatedName(const std::vector<Label>& exposed,
                                        const LabelsBuilder& labels) {
  if (exposed.size() < 2) return std::nullopt;
  std::vector<std::string_view> names;
  names.reserve(exposed.size());
  for (const Label& label : exposed) names.push_back(label.name);
  std::sort(names.begin(), names.end());
  for (auto at = names.begin();; ++at) {
    at = std::adjacent_find(at, names.end());
    if (at == names.end()) return std::nullopt;
    if (!labels.Get(*at).empty()) return std::string(*at);
  }
}

// Takes one of the suffixes off.
std::string_view Base(std::string_view name, std::initializer_list<std::string_view> suffixes) {
  for (const std::string_view suffix : suffixes) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  return name;
}

}  // namespace

void MergeSampleLabels(const SampleOptions& options, const Labels& target_labels,
                       const std::vector<Label>& exposed, LabelsBuilder* labels) {
  labels->Reset(exposed);
  DeleteEmpty(exposed, labels);
  if (options.honor_labels) {
    HonorExposed(target_labels, exposed, labels);
  } else {
    HonorTarget(target_labels, labels);
  }
}

absl::StatusOr<bool> LabelSample(const SampleOptions& options, const Labels& target_labels,
                                 const std::vector<Label>& exposed, LabelsBuilder* labels,
                                 FailureReason* reason) {
  MergeSampleLabels(options, target_labels, exposed, labels);
  const RelabelRules* const rules = options.metric_relabel_rules.get();
  if (rules != nullptr && !rules->Apply(*labels)) return false;
  if (labels->empty()) return false;
  RETURN_IF_ERROR(Check(options, labels->labels(), reason));
  *reason = FailureReason::kInvalidLabels;
  const std::optional<std::string> repeated = RepeatedName(exposed, *labels);
  if (repeated.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("label name ", GoQuote(*repeated), " is not unique: invalid sample"));
  }
  *reason = FailureReason::kNone;
  return true;
}

SeriesKey MakeSeriesKey(const std::vector<Label>& labels, const Labels& target_labels) {
  SeriesKey key;
  std::vector<Label> own;
  auto target = target_labels.begin();
  for (const Label& label : labels) {
    if (target != target_labels.end() && *target == label) {
      ++target;
    } else {
      own.push_back(label);
    }
  }
  key.complete = target != target_labels.end();
  if (key.complete) own = labels;
  key.labels = Labels::FromSorted(std::move(own));
  return key;
}

bool IsSeriesOfFamily(std::string_view metric_name, const MetricFamily& family) {
  const std::string_view name = family.name;
  if (!metric_name.starts_with(name)) return false;
  switch (family.type) {
    case MetricType::kCounter:
      return Base(metric_name, {"_total"}) == Base(name, {"_total"});
    case MetricType::kHistogram:
      return Base(metric_name, {"_bucket", "_sum", "_count"}) == name;
    case MetricType::kGaugeHistogram:
      return Base(metric_name, {"_bucket", "_gsum", "_gcount"}) == name;
    case MetricType::kSummary:
      return Base(metric_name, {"_sum", "_count"}) == name;
    case MetricType::kInfo:
      return Base(metric_name, {"_info"}) == Base(name, {"_info"});
    default:
      return metric_name == name;
  }
}

}  // namespace trawl
