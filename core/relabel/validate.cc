#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/model/labels.h"
#include "core/relabel/regex.h"
#include "core/relabel/relabel.h"

namespace trawl {
namespace {

using enum RelabelAction;

constexpr std::array<std::pair<RelabelAction, std::string_view>, 11> kActionNames = {{
    {kReplace, "replace"},
    {kKeep, "keep"},
    {kDrop, "drop"},
    {kKeepEqual, "keepequal"},
    {kDropEqual, "dropequal"},
    {kHashMod, "hashmod"},
    {kLabelMap, "labelmap"},
    {kLabelDrop, "labeldrop"},
    {kLabelKeep, "labelkeep"},
    {kLowercase, "lowercase"},
    {kUppercase, "uppercase"},
}};

template <typename... Actions>
bool IsOneOf(RelabelAction action, Actions... actions) {
  return ((action == actions) || ...);
}

bool HasVariable(std::string_view text) { return text.find('$') != std::string_view::npos; }

// Label names with `$name` and `${name}` in them; anything else than ASCII words is refused.
constexpr std::string_view kLegacyTemplate = R"(^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$)";

bool IsValidTemplate(std::string_view text, NameValidation names) {
  if (names == NameValidation::kUtf8) return IsValidLabelName(text, names);
  return RegexMatches(kLegacyTemplate, text);
}

absl::Status Invalid(const RelabelConfig& config, std::string_view field, std::string_view value) {
  return absl::InvalidArgumentError(absl::StrCat(GoQuote(value), " is invalid '", field, "' for ",
                                                 RelabelActionName(config.action), " action"));
}

absl::Status CheckRequired(const RelabelConfig& config) {
  if (config.modulus == 0 && config.action == kHashMod) {
    return absl::InvalidArgumentError(
        "relabel configuration for hashmod requires non-zero modulus");
  }
  if (config.target_label.empty() &&
      IsOneOf(config.action, kReplace, kHashMod, kLowercase, kUppercase, kKeepEqual, kDropEqual)) {
    return absl::InvalidArgumentError(absl::StrCat("relabel configuration for ",
                                                   RelabelActionName(config.action),
                                                   " action requires 'target_label' value"));
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const RelabelConfig& config, NameValidation names) {
  const RelabelAction action = config.action;
  const std::string& target = config.target_label;
  if (action == kReplace) {
    const bool valid =
        HasVariable(target) ? IsValidTemplate(target, names) : IsValidLabelName(target, names);
    if (!valid) return Invalid(config, "target_label", target);
  }
  if (IsOneOf(action, kLowercase, kUppercase, kKeepEqual, kDropEqual)) {
    if (!IsValidLabelName(target, names)) return Invalid(config, "target_label", target);
    if (config.replacement != RelabelConfig::kDefaultReplacement) {
      return absl::InvalidArgumentError(
          absl::StrCat("'replacement' can not be set for ", RelabelActionName(action), " action"));
    }
  }
  if (action == kLabelMap && !IsValidTemplate(config.replacement, names)) {
    return Invalid(config, "replacement", config.replacement);
  }
  if (action == kHashMod && !IsValidLabelName(target, names)) {
    return Invalid(config, "target_label", target);
  }
  return absl::OkStatus();
}

absl::Status CheckSuperfluous(const RelabelConfig& config) {
  const RelabelAction action = config.action;
  const bool changed = config.modulus != 0 ||
                       config.separator != RelabelConfig::kDefaultSeparator ||
                       config.replacement != RelabelConfig::kDefaultReplacement;
  if (IsOneOf(action, kKeepEqual, kDropEqual) && (changed || config.regex_set)) {
    return absl::InvalidArgumentError(
        absl::StrCat(RelabelActionName(action),
                     " action requires only 'source_labels' and `target_label`, and no other "
                     "fields"));
  }
  if (IsOneOf(action, kLabelDrop, kLabelKeep) &&
      (changed || !config.source_labels.empty() || !config.target_label.empty())) {
    return absl::InvalidArgumentError(absl::StrCat(
        RelabelActionName(action), " action requires only 'regex', and no other fields"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RelabelAction> ParseRelabelAction(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const auto& [action, action_name] : kActionNames) {
    if (action_name == lower) return action;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown relabel action ", GoQuote(name)));
}

std::string_view RelabelActionName(RelabelAction action) {
  const auto* found = std::find_if(kActionNames.begin(), kActionNames.end(),
                                   [action](const auto& entry) { return entry.first == action; });
  return found->second;
}

absl::Status ValidateRelabelRegex(std::string_view regex) {
  return AnchoredRegex::Compile(regex).status();
}

absl::Status ValidateRelabelConfig(const RelabelConfig& config, NameValidation names) {
  RETURN_IF_ERROR(CheckRequired(config));
  RETURN_IF_ERROR(CheckNames(config, names));
  RETURN_IF_ERROR(CheckSuperfluous(config));
  return ValidateRelabelRegex(config.regex);
}

}  // namespace trawl
