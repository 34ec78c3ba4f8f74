#include "core/config/target_groups.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/config/config_problem.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"
#include "core/model/labels.h"
#include "core/model/target_group.h"

namespace trawl {
namespace {

// The value of `\uXXXX` at the start of `text`; -1 when it is none.
int ReadJsonEscape(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  int value = 0;
  for (const char c : text.substr(2, 4)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return -1;
    value = value * 16 + (absl::ascii_isdigit(static_cast<unsigned char>(c))
                              ? c - '0'
                              : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10);
  }
  return value;
}

// JSON writes characters beyond U+FFFF as two surrogates, which YAML does not know; YAML's own
// `\UXXXXXXXX` takes their place. Padded with nothing: columns behind it shift by two.
std::string WithYamlEscapes(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    size_t take = 1;
    if (json[0] == '\\') {
      const int high = ReadJsonEscape(json);
      const int low = high < 0 ? -1 : ReadJsonEscape(json.substr(6));
      if (high >= 0xD800 && high < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
        const int code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        absl::StrAppend(&out, "\\U", absl::Hex(code, absl::kZeroPad8));
        json.remove_prefix(12);
        continue;
      }
      take = json.size() > 1 ? 2 : 1;
    }
    out.append(json.substr(0, take));
    json.remove_prefix(take);
  }
  return out;
}

// A file that is named JSON must be JSON, whole: one that is just being written is often empty, or
// ends early, and as YAML an empty text would be a list without targets.
std::optional<ConfigProblem> JsonProblem(std::string_view text, const std::string& path) {
  if (nlohmann::json::accept(text)) return std::nullopt;
  try {
    const auto parsed = nlohmann::json::parse(text);  // for the exception, which says where
    return std::nullopt;
  } catch (const nlohmann::json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
    const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view what = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 1: …" says the place as well.
    const size_t words = what.find(": ");
    return ConfigProblem{
        path, 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')),
        1 + static_cast<int>(before.size() - line_start),
        absl::StrCat("not JSON: ", words == std::string_view::npos ? what : what.substr(words + 2))};
  }
}

bool LooksLikeJson(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '[' || text[first] == '{');
}

}  // namespace

TargetGroup ReadTargetGroup(const YamlNode& node, Findings& findings) {
  TargetGroup group;
  StructReader reader(node, "targetgroup.Group", findings);
  reader.Read("targets", group.targets);
  if (const YamlNode* labels = reader.Find("labels")) {
    ReadLabels(*labels, NameValidation::kUtf8, group.labels, findings);
  }
  reader.Finish();
  return group;
}

std::vector<TargetGroup> ReadStaticConfigs(const YamlNode& node, Findings& findings) {
  std::vector<TargetGroup> groups;
  for (const YamlNode::Ptr& item : ReadStructs(
           node, "targetgroup.Group", "empty or null section in static_configs", findings)) {
    TargetGroup group = ReadTargetGroup(*item, findings);
    group.key = absl::StrCat(groups.size());
    groups.push_back(std::move(group));
  }
  return groups;
}

absl::StatusOr<std::vector<TargetGroup>> ParseTargetGroups(std::string_view text,
                                                           const std::string& path,
                                                           std::vector<ConfigProblem>* problems) {
  Findings findings(path);
  if (absl::EndsWithIgnoreCase(path, ".json")) {
    if (const auto problem = JsonProblem(text, path)) {
      if (problems != nullptr) *problems = {*problem};
      return ProblemsToStatus({&*problem, 1});
    }
  }
  std::vector<TargetGroup> groups;
  const YamlDocument document =
      LooksLikeJson(text) ? ParseYaml(WithYamlEscapes(text), path) : ParseYaml(text, path);
  if (document.problem) {
    findings.Add(*document.problem);
  } else {
    for (const YamlNode::Ptr& item : ReadStructs(*document.root, "targetgroup.Group",
                                                 "nil target group item found", findings)) {
      TargetGroup group = ReadTargetGroup(*item, findings);
      group.key = absl::StrCat(path, ":", groups.size());
      groups.push_back(std::move(group));
    }
  }
  const std::vector<ConfigProblem> errors = findings.TakeErrors();
  if (problems != nullptr) *problems = errors;
  if (!errors.empty()) return ProblemsToStatus(errors);
  return groups;
}

}  // namespace trawl
