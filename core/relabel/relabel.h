#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model/labels.h"

namespace trawl {

enum class RelabelAction {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};

// The action's name in a config, in any case; `unknown relabel action "x"` otherwise.
absl::StatusOr<RelabelAction> ParseRelabelAction(std::string_view name);
std::string_view RelabelActionName(RelabelAction action);

// One rule as it stands in a config file (spec 6.1): plain values, nothing checked yet.
struct RelabelConfig {
  static constexpr std::string_view kDefaultSeparator = ";";
  static constexpr std::string_view kDefaultRegex = "(.*)";
  static constexpr std::string_view kDefaultReplacement = "$1";

  std::vector<std::string> source_labels;
  std::string separator{kDefaultSeparator};
  std::string regex{kDefaultRegex};  // as written, without the anchors that Compile adds
  uint64_t modulus = 0;
  std::string target_label;
  std::string replacement{kDefaultReplacement};
  RelabelAction action = RelabelAction::kReplace;
  // Whether the file says `regex:`. keepequal and dropequal refuse even the default when it is
  // written out, as Prometheus does.
  bool regex_set = false;

  friend bool operator==(const RelabelConfig&, const RelabelConfig&) = default;
};

// Whether a rule's regex compiles.
absl::Status ValidateRelabelRegex(std::string_view regex);

// The first rule that `config` breaks, with Prometheus' words and in its order (spec 6.4).
// A regex that does not compile counts as the last of them.
absl::Status ValidateRelabelConfig(const RelabelConfig& config, NameValidation names);

// What one rule did, for "explain".
struct RelabelStep {
  size_t rule = 0;  // index in the list
  Labels before;
  Labels after;  // as it was when the rule dropped the set
  bool kept = true;
  friend bool operator==(const RelabelStep&, const RelabelStep&) = default;
};

struct RelabelTrace {
  std::vector<RelabelStep> steps;    // up to and including the one that dropped
  std::optional<size_t> dropped_by;  // index of the rule that dropped; unset: kept
};

// A list of compiled rules: what `relabel_configs` and `metric_relabel_configs` do to a label set
// (spec 6). Rules run in order; the first one that drops ends the list.
//
// Immutable. Thread-safe: threads may apply one object at the same time.
class RelabelRules {
 public:
  // No rules: Apply keeps everything as it is.
  RelabelRules();
  ~RelabelRules();
  RelabelRules(RelabelRules&&) noexcept;
  RelabelRules& operator=(RelabelRules&&) noexcept;

  // kInvalidArgument with the message of the first rule that is wrong, followed by `; rule 2` (from
  // 0).
  static absl::StatusOr<RelabelRules> Compile(std::span<const RelabelConfig> configs,
                                              NameValidation names);

  bool empty() const { return rules_.empty(); }
  size_t size() const { return rules_.size(); }

  // False: dropped; `labels` is then as it was when the dropping rule saw it. Reads no state but
  // its arguments. Setting an empty value deletes the label.
  bool Apply(LabelsBuilder& labels) const { return ApplyUntilDropped(labels) == size(); }

  // The same; the index of the rule that dropped, or size().
  size_t ApplyUntilDropped(LabelsBuilder& labels) const;

  // The same, and says what each rule did, and which one dropped.
  bool Apply(LabelsBuilder& labels, RelabelTrace& trace) const;

 private:
  class Rule;
  explicit RelabelRules(std::vector<std::unique_ptr<const Rule>> rules);

  std::vector<std::unique_ptr<const Rule>> rules_;
};

}  // namespace trawl
