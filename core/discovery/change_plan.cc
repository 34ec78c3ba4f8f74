#include "core/discovery/change_plan.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// How many addresses two versions of a group share; lists may hold one twice.
uint64_t CommonTargets(const TargetGroup& a, const TargetGroup& b) {
  absl::flat_hash_map<std::string_view, int> left;
  for (const std::string& target : a.targets) ++left[target];
  uint64_t common = 0;
  for (const std::string& target : b.targets) {
    auto it = left.find(target);
    if (it == left.end() || it->second == 0) continue;
    --it->second;
    ++common;
  }
  return common;
}

void AppendText(std::string& out, const std::string& text) {
  absl::StrAppend(&out, text.size(), ":", text);
}

class Planner {
 public:
  Planner(const Change& change, const GroupMap& groups, const GroupLimits& limits)
      : change_(change), groups_(groups), limits_(limits) {}

  ChangePlan Run(uint64_t targets) {
    for (size_t i = 0; i < change_.groups.size(); ++i) CheckOne(i);
    CheckJobs();
    if (change_.scope == Change::Scope::kGroups) {
      RemoveNamed();
    } else {
      RemoveUnnamed();
    }
    Count(targets);
    return std::move(plan_);
  }

 private:
  void CheckOne(size_t i) {
    const JobGroup& group = change_.groups[i];
    const std::string path = absl::StrCat(GroupsField(change_.scope), "[", i, "]");
    std::vector<Issue> issues = CheckGroup(group, path, limits_);
    if (!named_.insert({group.job, group.group.key}).second) {
      issues.push_back(Twice({group.job, group.group.key}, path));
    }
    auto error = std::find_if(issues.begin(), issues.end(), [](const Issue& x) { return x.error; });
    if (error != issues.end()) {
      plan_.refused.push_back(*error);
    } else {
      plan_.upsert.push_back(&group);
    }
    std::move(issues.begin(), issues.end(), std::back_inserter(plan_.issues));
  }

  static Issue Twice(GroupName name, std::string path) {
    Issue issue;
    issue.code = IssueCode::kDuplicateGroup;
    issue.field = std::move(path);
    issue.detail = absl::StrCat("group ", GoQuote(name.key), " of job ", GoQuote(name.job),
                                " stands in the request twice");
    issue.group = std::move(name);
    return issue;
  }

  void Refuse(Issue issue) {
    plan_.refused.push_back(issue);
    plan_.issues.push_back(std::move(issue));
  }

  void CheckJobs() {
    for (size_t i = 0; i < change_.jobs.size(); ++i) {
      if (!change_.jobs[i].empty()) continue;
      Issue issue;
      issue.code = IssueCode::kMissingField;
      issue.field = absl::StrCat("jobs[", i, "]");
      issue.detail = "a job's name is empty";
      Refuse(std::move(issue));
    }
  }

  // Update, delta: a group that is to be put and to be removed is a contradiction.
  void RemoveNamed() {
    for (size_t i = 0; i < change_.remove.size(); ++i) {
      const GroupName& name = change_.remove[i];
      if (named_.contains(name)) {
        Refuse(Twice(name, absl::StrCat("remove[", i, "]")));
      } else if (groups_.contains(name)) {
        plan_.remove.insert(name);
      }
    }
  }

  // Push, snapshot: what is covered and not named goes. A refused group is named, and stays.
  void RemoveUnnamed() {
    std::set<std::string> jobs(change_.jobs.begin(), change_.jobs.end());
    for (const GroupName& name : named_) jobs.insert(name.job);
    for (const auto& [name, unused] : groups_) {
      const bool covered = change_.scope == Change::Scope::kSource || jobs.contains(name.job);
      if (covered && !named_.contains(name)) plan_.remove.insert(name);
    }
  }

  void Count(uint64_t targets) {
    SourceCounts& counts = plan_.counts;
    counts.groups = groups_.size();
    counts.targets = counts.unchanged = targets;
    for (const JobGroup* group : plan_.upsert) CountUpsert(*group);
    for (const GroupName& name : plan_.remove) {
      const uint64_t was = groups_.at(name)->targets.size();
      --counts.groups;
      CountTargets(was, 0, 0);
      plan_.jobs.insert(name.job);
    }
    plan_.any = !plan_.jobs.empty();
  }

  void CountUpsert(const JobGroup& group) {
    auto old = groups_.find({group.job, group.group.key});
    if (old == groups_.end()) {
      ++plan_.counts.groups;
      CountTargets(0, group.group.targets.size(), 0);
    } else if (*old->second == group.group) {
      return;
    } else {
      // A target with other labels is another target.
      const bool same_labels = old->second->labels == group.group.labels;
      CountTargets(old->second->targets.size(), group.group.targets.size(),
                   same_labels ? CommonTargets(*old->second, group.group) : 0);
    }
    plan_.jobs.insert(group.job);
  }

  void CountTargets(uint64_t was, uint64_t now, uint64_t common) {
    plan_.counts.added += now - common;
    plan_.counts.removed += was - common;
    plan_.counts.unchanged -= was - common;
    plan_.counts.targets += now - was;
  }

  const Change& change_;
  const GroupMap& groups_;
  const GroupLimits& limits_;
  std::set<GroupName> named_;
  ChangePlan plan_;
};

}  // namespace

ChangePlan PlanChange(const Change& change, const GroupMap& groups, uint64_t targets,
                      const GroupLimits& limits) {
  return Planner(change, groups, limits).Run(targets);
}

const char* GroupsField(Change::Scope scope) {
  return scope == Change::Scope::kGroups ? "upsert" : "groups";
}

uint64_t ContentDigest(const Change& change) {
  std::string text = absl::StrCat(static_cast<int>(change.scope), ";");
  for (const std::string& job : change.jobs) AppendText(text, job);
  for (const JobGroup& group : change.groups) {
    AppendText(text, group.job);
    AppendText(text, group.group.key);
    absl::StrAppend(&text, group.group.targets.size(), "t");
    for (const std::string& target : group.group.targets) AppendText(text, target);
    for (const Label& label : group.group.labels) {
      AppendText(text, label.name);
      AppendText(text, label.value);
    }
  }
  text += "-";
  for (const GroupName& name : change.remove) {
    AppendText(text, name.job);
    AppendText(text, name.key);
  }
  return XxHash64(text);
}

}  // namespace trawl
