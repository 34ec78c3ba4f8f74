#include "core/discovery/group_check.h"

#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"
#include "core/model/labels.h"

namespace trawl {
namespace {

constexpr size_t kMaxQuoted = 256;

class Checker {
 public:
  Checker(const JobGroup& group, const std::string& path, const GroupLimits& limits)
      : group_(group), path_(path), limits_(limits) {}

  std::vector<Issue> Run() {
    CheckNames();
    CheckTargets();
    CheckLabels();
    return std::move(issues_);
  }

 private:
  void AddTooLong(std::string_view limit, std::string_view field, size_t size, size_t max,
                  int target = -1) {
    Add(IssueCode::kTooLarge, field, absl::StrFormat("%d bytes, at most %d are allowed", size, max),
        target);
    issues_.back().limit = limit;
  }

  void AddTooMany(std::string_view limit, std::string_view field, size_t size, size_t max) {
    Add(IssueCode::kTooLarge, field,
        absl::StrFormat("%d %s, at most %d are allowed in a group", size, field, max));
    issues_.back().limit = limit;
  }

  void Add(IssueCode code, std::string_view field, std::string detail, int target = -1) {
    Issue issue;
    issue.code = code;
    issue.group = {group_.job, group_.group.key};
    issue.target_index = target;
    issue.field = absl::StrCat(path_, ".", field);
    issue.detail = std::move(detail);
    issues_.push_back(std::move(issue));
  }

  void CheckNames() {
    if (group_.job.empty()) Add(IssueCode::kMissingField, "job", "a job is required");
    if (group_.group.key.empty()) Add(IssueCode::kMissingField, "key", "a key is required");
    CheckName(group_.job, "job");
    CheckName(group_.group.key, "key");
  }

  void CheckName(const std::string& text, const std::string& field) {
    if (text.size() > limits_.max_name_bytes) {
      AddTooLong("name_bytes", field, text.size(), limits_.max_name_bytes);
    } else if (!IsValidUtf8(text)) {
      Add(IssueCode::kBadLabelValue, field, absl::StrCat(Quoted(text), " is not valid UTF-8"));
    }
  }

  void CheckTargets() {
    const auto& targets = group_.group.targets;
    if (targets.size() > limits_.max_targets) {
      return AddTooMany("group_targets", "targets", targets.size(), limits_.max_targets);
    }
    absl::flat_hash_set<std::string_view> seen;
    for (size_t i = 0; i < targets.size(); ++i) {
      CheckTarget(i, targets[i]);
      if (!seen.insert(targets[i]).second) WarnDuplicate(i, targets[i]);
    }
  }

  void CheckTarget(size_t i, const std::string& address) {
    const std::string field = absl::StrCat("targets[", i, "]");
    const int index = static_cast<int>(i);
    if (address.empty()) {
      Add(IssueCode::kBadAddress, field, "no address", index);
    } else if (address.size() > limits_.max_value_bytes) {
      AddTooLong("value_bytes", field, address.size(), limits_.max_value_bytes, index);
    } else if (!IsValidUtf8(address) || address.find('/') != std::string::npos) {
      Add(IssueCode::kBadAddress, field, absl::StrCat(Quoted(address), " is not a valid hostname"),
          index);
    }
  }

  void WarnDuplicate(size_t i, const std::string& address) {
    Add(IssueCode::kDuplicateTarget, absl::StrCat("targets[", i, "]"),
        absl::StrCat(Quoted(address), " is listed twice in the group"), static_cast<int>(i));
    issues_.back().error = false;
  }

  void CheckLabels() {
    const Labels& labels = group_.group.labels;
    if (labels.size() > limits_.max_labels) {
      AddTooMany("group_labels", "labels", labels.size(), limits_.max_labels);
    }
    for (const Label& label : labels) CheckLabel(label);
  }

  void CheckLabel(const Label& label) {
    const std::string field = absl::StrCat("labels[", Quoted(label.name), "]");
    if (!IsValidLabelName(label.name, NameValidation::kUtf8)) {
      Add(IssueCode::kBadLabelName, field,
          absl::StrCat(Quoted(label.name), " is not a valid label name"));
    } else if (label.name == "__address__") {
      Add(IssueCode::kBadLabelName, field, "addresses stand in targets, not in a label");
    } else if (label.name.size() > limits_.max_name_bytes) {
      AddTooLong("name_bytes", field, label.name.size(), limits_.max_name_bytes);
    }
    if (label.value.size() > limits_.max_value_bytes) {
      AddTooLong("value_bytes", field, label.value.size(), limits_.max_value_bytes);
    } else if (!IsValidUtf8(label.value)) {
      Add(IssueCode::kBadLabelValue, field,
          absl::StrCat(Quoted(label.value), " is not a valid label value"));
    }
  }

  // A hundred issues fit into an answer, whatever was pushed. PresentableText would change bytes
  // that are not UTF-8, which are what is to be seen.
  static std::string Quoted(const std::string& text) {
    return text.size() <= kMaxQuoted ? GoQuote(text)
                                     : absl::StrCat(GoQuote(text.substr(0, kMaxQuoted)), "...");
  }

  const JobGroup& group_;
  const std::string& path_;
  const GroupLimits& limits_;
  std::vector<Issue> issues_;
};

}  // namespace

std::string DescribeIssue(const Issue& issue) {
  return issue.field.empty() ? issue.detail : absl::StrCat(issue.field, ": ", issue.detail);
}

std::vector<Issue> CheckGroup(const JobGroup& group, const std::string& path,
                              const GroupLimits& limits) {
  return Checker(group, path, limits).Run();
}

}  // namespace trawl
