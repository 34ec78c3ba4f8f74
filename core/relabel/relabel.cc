#include "core/relabel/relabel.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/model/labels.h"
#include "core/relabel/regex.h"
#include "core/relabel/template.h"
#include "core/relabel/unicode.h"

namespace trawl {
namespace {

// The last 8 bytes of the MD5, big-endian: Prometheus' hash for sharding.
uint64_t Md5Tail(std::string_view text) {
  std::array<unsigned char, 16> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_md5(), nullptr);
  uint64_t tail = 0;
  for (size_t i = 8; i < digest.size(); ++i) tail = tail << 8 | digest[i];
  return tail;
}

}  // namespace

// One rule, compiled. Immutable.
class RelabelRules::Rule {
 public:
  static absl::StatusOr<std::unique_ptr<const Rule>> Compile(const RelabelConfig& config,
                                                             NameValidation names) {
    RETURN_IF_ERROR(ValidateRelabelConfig(config, names));
    ASSIGN_OR_RETURN(AnchoredRegex regex, AnchoredRegex::Compile(config.regex));
    return std::unique_ptr<const Rule>(new Rule(config, names, std::move(regex)));
  }

  // False: the rule drops the set.
  bool Apply(LabelsBuilder& labels) const {
    switch (config_.action) {
      case RelabelAction::kKeep:
        return regex_.Matches(Source(labels));
      case RelabelAction::kDrop:
        return !regex_.Matches(Source(labels));
      case RelabelAction::kKeepEqual:
        return labels.Get(config_.target_label) == Source(labels);
      case RelabelAction::kDropEqual:
        return labels.Get(config_.target_label) != Source(labels);
      default:
        Change(labels);
        return true;
    }
  }

 private:
  Rule(const RelabelConfig& config, NameValidation names, AnchoredRegex regex)
      : config_(config),
        names_(names),
        regex_(std::move(regex)),
        target_(config.target_label, regex_.groups()),
        replacement_(config.replacement, regex_.groups()) {}

  void Change(LabelsBuilder& labels) const {
    switch (config_.action) {
      case RelabelAction::kReplace:
        return Replace(labels);
      case RelabelAction::kHashMod:
        labels.Set(config_.target_label, absl::StrCat(Md5Tail(Source(labels)) % config_.modulus));
        return;
      case RelabelAction::kLowercase:
        labels.Set(config_.target_label, ToLowerUtf8(Source(labels)));
        return;
      case RelabelAction::kUppercase:
        labels.Set(config_.target_label, ToUpperUtf8(Source(labels)));
        return;
      case RelabelAction::kLabelMap:
        return MapNames(labels);
      case RelabelAction::kLabelDrop:
        return DeleteNames(labels, /*matching=*/true);
      case RelabelAction::kLabelKeep:
        return DeleteNames(labels, /*matching=*/false);
      default:
        return;  // the actions that only decide
    }
  }

  // The source labels' values, joined; a missing label counts as empty.
  std::string Source(const LabelsBuilder& labels) const {
    std::string joined;
    for (size_t i = 0; i < config_.source_labels.size(); ++i) {
      if (i > 0) joined.append(config_.separator);
      joined.append(labels.Get(config_.source_labels[i]));
    }
    return joined;
  }

  void Replace(LabelsBuilder& labels) const {
    const std::string source = Source(labels);
    std::vector<std::string_view> captures;
    const int groups = std::max(target_.max_group(), replacement_.max_group());
    if (!regex_.Match(source, groups, captures)) return;
    const std::string target = target_.Expand(captures);
    if (!IsValidLabelName(target, names_)) return;
    labels.Set(target, replacement_.Expand(captures));
  }

  void MapNames(LabelsBuilder& labels) const {
    std::vector<Label> mapped = labels.labels();
    std::vector<std::string_view> captures;
    for (const Label& label : labels.labels()) {
      if (!regex_.Match(label.name, replacement_.max_group(), captures)) continue;
      mapped.push_back({replacement_.Expand(captures), label.value});
    }
    if (mapped.size() > labels.labels().size()) labels.Reset(std::move(mapped));
  }

  void DeleteNames(LabelsBuilder& labels, bool matching) const {
    labels.DeleteIf([&](const Label& label) { return regex_.Matches(label.name) == matching; });
  }

  const RelabelConfig config_;
  const NameValidation names_;
  const AnchoredRegex regex_;
  const ReplacementTemplate target_;
  const ReplacementTemplate replacement_;
};

RelabelRules::RelabelRules() = default;
RelabelRules::~RelabelRules() = default;
RelabelRules::RelabelRules(RelabelRules&&) noexcept = default;
RelabelRules& RelabelRules::operator=(RelabelRules&&) noexcept = default;
RelabelRules::RelabelRules(std::vector<std::unique_ptr<const Rule>> rules)
    : rules_(std::move(rules)) {}

absl::StatusOr<RelabelRules> RelabelRules::Compile(std::span<const RelabelConfig> configs,
                                                   NameValidation names) {
  std::vector<std::unique_ptr<const Rule>> rules;
  for (const RelabelConfig& config : configs) {
    auto rule = Rule::Compile(config, names);
    if (!rule.ok()) return Annotate(rule.status(), absl::StrCat("rule ", rules.size()));
    rules.push_back(*std::move(rule));
  }
  return RelabelRules(std::move(rules));
}

size_t RelabelRules::ApplyUntilDropped(LabelsBuilder& labels) const {
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i]->Apply(labels)) return i;
  }
  return rules_.size();
}

bool RelabelRules::Apply(LabelsBuilder& labels, RelabelTrace& trace) const {
  trace = {};
  for (size_t i = 0; i < rules_.size(); ++i) {
    Labels before = labels.Build();
    const bool kept = rules_[i]->Apply(labels);
    trace.steps.push_back({i, std::move(before), labels.Build(), kept});
    if (!kept) {
      trace.dropped_by = i;
      return false;
    }
  }
  return true;
}

}  // namespace trawl
