#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/config/config_problem.h"
#include "core/config/yaml.h"
#include "core/model/labels.h"

namespace trawl {

// Collects what is wrong, and what is worth a warning, while a file is read. Not thread-safe.
class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}

  void Error(YamlMark mark, std::string message);
  void Warn(YamlMark mark, std::string message);
  void Add(ConfigProblem problem) { errors_.push_back(std::move(problem)); }
  // What was found in another file.
  void Take(Findings&& other);

  size_t error_count() const { return errors_.size(); }
  const std::string& file() const { return file_; }
  // In the file's order.
  std::vector<ConfigProblem> TakeErrors();
  std::vector<ConfigWarning> TakeWarnings();

 private:
  const std::string file_;
  std::vector<ConfigProblem> errors_;
  std::vector<ConfigWarning> warnings_;
};

// Each reads one value with Go's conversions and reports what does not fit, leaving `out` alone.
// A null sets the zero value, as in Go: a null in the file is not the same as no field.
void ReadValue(const YamlNode& node, std::string& out, Findings& findings);
void ReadValue(const YamlNode& node, bool& out, Findings& findings);
void ReadValue(const YamlNode& node, std::optional<bool>& out, Findings& findings);
void ReadValue(const YamlNode& node, uint64_t& out, Findings& findings);
void ReadValue(const YamlNode& node, absl::Duration& out, Findings& findings);
void ReadValue(const YamlNode& node, std::vector<std::string>& out, Findings& findings);
void ReadValue(const YamlNode& node, std::map<std::string, std::vector<std::string>>& out,
               Findings& findings);
// Label names must be valid UTF-8 and not empty; `names` may be narrower.
void ReadLabels(const YamlNode& node, NameValidation names, Labels& out, Findings& findings);
// Bytes with a unit (`10MB`).
void ReadByteSize(const YamlNode& node, uint64_t& out, Findings& findings);

// The items of a sequence; reports, and gives none, when the node is something else.
const std::vector<YamlNode::Ptr>& ReadSequence(const YamlNode& node, std::string_view type,
                                               Findings& findings);

// The maps of a sequence of structs. Reports items that are null (with `null_message`) or of
// another kind, and leaves them out.
std::vector<YamlNode::Ptr> ReadStructs(const YamlNode& node, std::string_view type,
                                       std::string_view null_message, Findings& findings);

// Reads a map into a struct, field by field, and reports fields it was not asked about.
//
//   StructReader reader(node, "config.GlobalConfig", findings);
//   reader.Read("scrape_interval", global.scrape_interval);
//   reader.Finish();
class StructReader {
 public:
  // `type` is Go's name of the struct, for messages. A null node reads as an empty map.
  StructReader(const YamlNode& node, std::string_view type, Findings& findings);

  // The field's value; nullptr when there is none. The field is known from then on.
  const YamlNode* Find(std::string_view field);
  bool Has(std::string_view field) { return Find(field) != nullptr; }
  // The place of the field's key; the struct's own when there is no such field.
  YamlMark MarkOf(std::string_view field) const;
  YamlMark mark() const { return node_.mark; }
  const YamlNode& node() const { return node_; }
  Findings& findings() { return findings_; }

  // True when the field stands there and is not null.
  template <typename T>
  bool Read(std::string_view field, T& out) {
    const YamlNode* value = Find(field);
    if (value == nullptr) return false;
    ReadValue(*value, out, findings_);
    return !value->is_null();
  }

  // A field that has no effect here: a warning with the reason, unless it says nothing.
  void Ignore(std::string_view field, std::string_view reason);
  // A field that is not supported and must not be ignored: an error with the reason, unless it
  // says nothing, or says `false`, or is 0.
  void Refuse(std::string_view field, std::string_view reason);

  void Error(std::string_view field, std::string message);
  void Warn(std::string_view field, std::string message);

  // Fields that were not asked about are errors.
  void Finish();

 private:
  const YamlNode::Entry* FindEntry(std::string_view field) const;
  void ReportDuplicates();

  const YamlNode& node_;
  const std::string type_;
  Findings& findings_;
  std::unordered_set<std::string> known_;
};

}  // namespace trawl
