#include "core/config/yaml_reader.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/duration.h"
#include "core/base/text.h"
#include "core/config/config_problem.h"
#include "core/config/yaml.h"
#include "core/config/yaml_scalar.h"
#include "core/model/labels.h"

namespace trawl {
namespace {

using Kind = YamlNode::Kind;

void ReportType(const YamlNode& node, std::string_view type, Findings& findings) {
  findings.Error(node.mark, absl::StrCat("cannot unmarshal ", node.Describe(), " into ", type));
}

// False, after reporting it, unless the node is a map (or null).
bool ExpectMap(const YamlNode& node, std::string_view type, Findings& findings) {
  if (node.kind == Kind::kMap || node.is_null()) return true;
  ReportType(node, type, findings);
  return false;
}

void ReportDuplicateKeys(const YamlNode& node, Findings& findings) {
  std::unordered_set<std::string_view> seen;
  for (const YamlNode::Entry& entry : node.entries) {
    if (!seen.insert(entry.key).second && !entry.merged) {
      findings.Error(entry.mark, absl::StrCat("key ", GoQuote(entry.key), " already set in map"));
    }
  }
}

bool SaysNo(const YamlNode& node) {
  return node.says_nothing() || ScalarBool(node) == false || ScalarUint(node) == uint64_t{0};
}

std::vector<ConfigProblem> Sorted(std::vector<ConfigProblem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
  return problems;
}

}  // namespace

void Findings::Error(YamlMark mark, std::string message) {
  errors_.push_back({file_, mark.line, mark.column, std::move(message)});
}

void Findings::Warn(YamlMark mark, std::string message) {
  warnings_.push_back({file_, mark.line, mark.column, std::move(message)});
}

void Findings::Take(Findings&& other) {
  std::move(other.errors_.begin(), other.errors_.end(), std::back_inserter(errors_));
  std::move(other.warnings_.begin(), other.warnings_.end(), std::back_inserter(warnings_));
}

std::vector<ConfigProblem> Findings::TakeErrors() { return Sorted(std::move(errors_)); }
std::vector<ConfigWarning> Findings::TakeWarnings() { return Sorted(std::move(warnings_)); }

void ReadValue(const YamlNode& node, std::string& out, Findings& findings) {
  if (node.kind == Kind::kScalar || node.is_null()) {
    out = node.text;
  } else {
    ReportType(node, "string", findings);
  }
}

void ReadValue(const YamlNode& node, bool& out, Findings& findings) {
  std::optional<bool> value;
  ReadValue(node, value, findings);
  if (value || node.is_null()) out = value.value_or(false);
}

void ReadValue(const YamlNode& node, std::optional<bool>& out, Findings& findings) {
  const std::optional<bool> value = ScalarBool(node);
  if (value || node.is_null()) {
    out = value;
  } else {
    ReportType(node, "bool", findings);
  }
}

void ReadValue(const YamlNode& node, uint64_t& out, Findings& findings) {
  const std::optional<uint64_t> value = ScalarUint(node);
  if (value || node.is_null()) {
    out = value.value_or(0);
  } else {
    ReportType(node, "uint", findings);
  }
}

void ReadValue(const YamlNode& node, absl::Duration& out, Findings& findings) {
  if (node.is_null()) {
    out = absl::ZeroDuration();
    return;
  }
  std::string text;
  const size_t errors = findings.error_count();
  ReadValue(node, text, findings);
  if (findings.error_count() > errors) return;
  const absl::StatusOr<absl::Duration> value = ParsePrometheusDuration(text);
  if (value.ok()) {
    out = *value;
  } else {
    findings.Error(node.mark, std::string(value.status().message()));
  }
}

void ReadByteSize(const YamlNode& node, uint64_t& out, Findings& findings) {
  if (node.is_null()) {
    out = 0;
    return;
  }
  std::string text;
  const size_t errors = findings.error_count();
  ReadValue(node, text, findings);
  if (findings.error_count() > errors) return;
  const absl::StatusOr<uint64_t> value = ParseByteSize(text);
  if (value.ok()) {
    out = *value;
  } else {
    findings.Error(node.mark, std::string(value.status().message()));
  }
}

void ReadValue(const YamlNode& node, std::vector<std::string>& out, Findings& findings) {
  out.clear();
  for (const YamlNode::Ptr& item : ReadSequence(node, "[]string", findings)) {
    ReadValue(*item, out.emplace_back(), findings);
  }
}

void ReadValue(const YamlNode& node, std::map<std::string, std::vector<std::string>>& out,
               Findings& findings) {
  out.clear();
  if (!ExpectMap(node, "url.Values", findings)) return;
  ReportDuplicateKeys(node, findings);
  for (const YamlNode::Entry& entry : node.entries) {
    ReadValue(*entry.value, out[entry.key], findings);
  }
}

void ReadLabels(const YamlNode& node, NameValidation names, Labels& out, Findings& findings) {
  if (!ExpectMap(node, "model.LabelSet", findings)) return;
  ReportDuplicateKeys(node, findings);
  LabelsBuilder builder;
  for (const YamlNode::Entry& entry : node.entries) {
    if (!IsValidLabelName(entry.key, names)) {
      findings.Error(entry.mark, absl::StrCat(GoQuote(entry.key), " is not a valid label name"));
    }
    std::string value;
    ReadValue(*entry.value, value, findings);
    if (!IsValidUtf8(value)) {
      findings.Error(entry.value->mark,
                     absl::StrCat(GoQuote(value), " is not a valid label value"));
    }
    builder.Set(entry.key, value);
  }
  out = std::move(builder).Build();
}

const std::vector<YamlNode::Ptr>& ReadSequence(const YamlNode& node, std::string_view type,
                                               Findings& findings) {
  if (node.kind != Kind::kSequence && !node.is_null()) ReportType(node, type, findings);
  return node.items;
}

std::vector<YamlNode::Ptr> ReadStructs(const YamlNode& node, std::string_view type,
                                       std::string_view null_message, Findings& findings) {
  std::vector<YamlNode::Ptr> maps;
  for (const YamlNode::Ptr& item : ReadSequence(node, absl::StrCat("[]*", type), findings)) {
    if (item->kind == Kind::kMap) {
      maps.push_back(item);
    } else if (item->is_null()) {
      findings.Error(item->mark, std::string(null_message));
    } else {
      ReportType(*item, type, findings);
    }
  }
  return maps;
}

StructReader::StructReader(const YamlNode& node, std::string_view type, Findings& findings)
    : node_(node), type_(type), findings_(findings) {
  if (ExpectMap(node, type_, findings_)) ReportDuplicates();
}

void StructReader::ReportDuplicates() {
  std::unordered_set<std::string_view> seen;
  for (const YamlNode::Entry& entry : node_.entries) {
    if (!seen.insert(entry.key).second && !entry.merged) {
      findings_.Error(entry.mark,
                      absl::StrCat("field ", entry.key, " already set in type ", type_));
    }
  }
}

const YamlNode::Entry* StructReader::FindEntry(std::string_view field) const {
  const auto found = std::find_if(node_.entries.begin(), node_.entries.end(),
                                  [field](const auto& entry) { return entry.key == field; });
  return found == node_.entries.end() ? nullptr : &*found;
}

const YamlNode* StructReader::Find(std::string_view field) {
  known_.emplace(field);
  const YamlNode::Entry* entry = FindEntry(field);
  return entry == nullptr ? nullptr : entry->value.get();
}

YamlMark StructReader::MarkOf(std::string_view field) const {
  const YamlNode::Entry* entry = FindEntry(field);
  return entry == nullptr ? node_.mark : entry->mark;
}

void StructReader::Ignore(std::string_view field, std::string_view reason) {
  const YamlNode* value = Find(field);
  if (value == nullptr || value->says_nothing()) return;
  Warn(field, absl::StrCat("field ", field, " has no effect: ", reason));
}

void StructReader::Refuse(std::string_view field, std::string_view reason) {
  const YamlNode* value = Find(field);
  if (value == nullptr || SaysNo(*value)) return;
  Error(field, absl::StrCat("field ", field, " is not supported: ", reason));
}

void StructReader::Error(std::string_view field, std::string message) {
  findings_.Error(MarkOf(field), std::move(message));
}

void StructReader::Warn(std::string_view field, std::string message) {
  findings_.Warn(MarkOf(field), std::move(message));
}

void StructReader::Finish() {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (known_.contains(entry.key)) continue;
    findings_.Error(entry.mark, absl::StrCat("field ", entry.key, " not found in type ", type_));
  }
}

}  // namespace trawl
