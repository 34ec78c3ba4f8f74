#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"
#include "core/model/labels.h"
#include "core/relabel/relabel.h"

namespace trawl {
namespace {

void CheckSourceLabels(const RelabelConfig& rule, StructReader& reader) {
  for (const std::string& name : rule.source_labels) {
    if (IsValidLabelName(name, NameValidation::kUtf8)) continue;
    reader.Error("source_labels", absl::StrCat(GoQuote(name), " is not a valid label name"));
  }
}

// Reports a bad regex where it stands, and goes on with another: the rule may have more problems.
void CheckRegex(StructReader& reader, RelabelConfig& rule) {
  const absl::Status valid = ValidateRelabelRegex(rule.regex);
  if (valid.ok()) return;
  reader.Error("regex", std::string(valid.message()));
  rule.regex = RelabelConfig::kDefaultRegex;
}

void ReadAction(StructReader& reader, RelabelConfig& rule) {
  const YamlNode* node = reader.Find("action");
  if (node == nullptr) return;
  std::string text;
  const size_t errors = reader.findings().error_count();
  ReadValue(*node, text, reader.findings());
  if (reader.findings().error_count() > errors) return;
  if (node->is_null()) return reader.Error("action", "relabel action cannot be empty");
  const absl::StatusOr<RelabelAction> action = ParseRelabelAction(text);
  if (action.ok()) {
    rule.action = *action;
  } else {
    reader.findings().Error(node->mark, std::string(action.status().message()));
  }
}

RelabelConfig ReadRelabelConfig(const YamlNode& node, NameValidation names, Findings& findings) {
  RelabelConfig rule;
  const size_t errors = findings.error_count();
  StructReader reader(node, "relabel.Config", findings);
  reader.Read("source_labels", rule.source_labels);
  reader.Read("separator", rule.separator);
  reader.Read("regex", rule.regex);
  rule.regex_set = reader.Has("regex");
  reader.Read("modulus", rule.modulus);
  reader.Read("target_label", rule.target_label);
  reader.Read("replacement", rule.replacement);
  ReadAction(reader, rule);
  reader.Finish();
  CheckSourceLabels(rule, reader);
  const bool well_formed = findings.error_count() == errors;
  CheckRegex(reader, rule);
  if (!well_formed) return rule;
  const absl::Status valid = ValidateRelabelConfig(rule, names);
  if (!valid.ok()) findings.Error(node.mark, std::string(valid.message()));
  return rule;
}

}  // namespace

std::vector<RelabelConfig> ReadRelabelConfigs(const YamlNode& node, std::string_view kind,
                                              NameValidation names, Findings& findings) {
  std::vector<RelabelConfig> rules;
  const std::string null_message =
      absl::StrCat("empty or null ", kind, " relabeling rule in scrape config");
  for (const YamlNode::Ptr& item : ReadStructs(node, "relabel.Config", null_message, findings)) {
    rules.push_back(ReadRelabelConfig(*item, names, findings));
  }
  return rules;
}

}  // namespace trawl
