#include "core/discovery/change_plan.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

// What a group adds to a source, or takes from it.
struct Growth {
  int64_t groups = 0;
  int64_t targets = 0;
};

class Planner {
 public:
  Planner(const Change& change, const SourceState& state, const PlanOptions& options)
      : change_(change), state_(state), options_(options) {}

  ChangePlan Run(const SourceSizes& sizes, absl::Time now) {
    for (size_t i = 0; i < change_.groups.size(); ++i) CheckOne(i);
    CheckJobs();
    if (change_.scope == Change::Scope::kGroups) {
      RemoveNamed();
    } else {
      RemoveUnnamed();
    }
    FitIntoLimits(sizes);
    Count(sizes);
    PlanHeld(sizes, now);
    return std::move(plan_);
  }

 private:
  const TargetGroup* Listed(const GroupName& name) const {
    const auto it = state_.groups.find(name);
    return it == state_.groups.end() ? nullptr : it->second.get();
  }
  static GroupName NameOf(const JobGroup& group) { return {group.job, group.group.key}; }
  std::string PathOf(size_t i) const {
    return absl::StrCat(GroupsField(change_.scope), "[", i, "]");
  }

  void CheckOne(size_t i) {
    const JobGroup& group = change_.groups[i];
    const std::string path = PathOf(i);
    std::vector<Issue> issues = CheckGroup(group, path, options_.group);
    if (!named_.insert(NameOf(group)).second) issues.push_back(Twice(NameOf(group), path));
    if (!MayWrite(group.job)) issues.push_back(NotAllowed(NameOf(group), path));
    auto error = std::find_if(issues.begin(), issues.end(), [](const Issue& x) { return x.error; });
    if (error != issues.end()) {
      plan_.refused.push_back(*error);
    } else {
      plan_.upsert.push_back(&group);
    }
    std::move(issues.begin(), issues.end(), std::back_inserter(plan_.issues));
  }

  bool MayWrite(const std::string& job) const { return trawl::MayWrite(change_.may_write, job); }

  static Issue NotAllowed(GroupName name, std::string path) {
    Issue issue;
    issue.code = IssueCode::kNotOwner;
    issue.field = std::move(path);
    issue.detail = absl::StrCat("this client may not write job ", GoQuote(name.job));
    issue.group = std::move(name);
    return issue;
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
      if (!MayWrite(change_.jobs[i])) {
        Refuse(NotAllowed({change_.jobs[i], ""}, absl::StrCat("jobs[", i, "]")));
      }
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
      } else if (!MayWrite(name.job)) {
        Refuse(NotAllowed(name, absl::StrCat("remove[", i, "]")));
      } else {
        Remove(name);
      }
    }
  }

  // Push, snapshot: what is covered and not named goes. A refused group is named, and stays.
  void RemoveUnnamed() {
    std::set<std::string> jobs(change_.jobs.begin(), change_.jobs.end());
    for (const GroupName& name : named_) jobs.insert(name.job);
    const auto remove = [&](const auto& names) {
      for (const auto& [name, unused] : names) {
        const bool covered = change_.scope == Change::Scope::kSource || jobs.contains(name.job);
        if (covered && !named_.contains(name) && MayWrite(name.job)) Remove(name);
      }
    };
    remove(state_.groups);
    remove(state_.refused);
    remove(state_.held);
  }

  void Remove(const GroupName& name) {
    if (state_.groups.contains(name) || state_.refused.contains(name)) plan_.remove.insert(name);
    if (state_.groups.contains(name) || state_.held.contains(name)) edits_[name] = nullptr;
  }

  Growth GrowthOf(const JobGroup& group) const {
    const TargetGroup* old = Listed(NameOf(group));
    const int64_t was = old == nullptr ? 0 : static_cast<int64_t>(old->targets.size());
    return {old == nullptr ? 1 : 0, static_cast<int64_t>(group.group.targets.size()) - was};
  }

  void FitIntoLimits(const SourceSizes& sizes) {
    auto groups = static_cast<int64_t>(state_.groups.size());
    auto targets = static_cast<int64_t>(sizes.targets);
    for (const GroupName& name : plan_.remove) {
      const TargetGroup* listed = Listed(name);
      if (listed == nullptr) continue;
      --groups;
      targets -= static_cast<int64_t>(listed->targets.size());
    }
    for (const JobGroup* group : plan_.upsert) {
      groups += GrowthOf(*group).groups;
      targets += GrowthOf(*group).targets;
    }
    const auto fits = [&] {
      return groups <= static_cast<int64_t>(options_.max_groups) &&
             targets <= static_cast<int64_t>(options_.max_targets);
    };
    if (fits()) return;
    if (!change_.allow_partial) return Refuse(NoRoom(groups, targets));
    for (size_t i = plan_.upsert.size(); i-- > 0 && !fits();) {
      const JobGroup& group = *plan_.upsert[i];
      const Growth growth = GrowthOf(group);
      if (growth.groups <= 0 && growth.targets <= 0) continue;
      Issue issue = NoRoom(groups, targets);
      issue.group = NameOf(group);
      issue.field = PathOf(&group - change_.groups.data());
      Refuse(std::move(issue));
      groups -= growth.groups;
      targets -= growth.targets;
      plan_.upsert[i] = nullptr;
    }
    std::erase(plan_.upsert, nullptr);
  }

  Issue NoRoom(int64_t groups, int64_t targets) const {
    const bool too_many_groups = groups > static_cast<int64_t>(options_.max_groups);
    Issue issue;
    issue.code = IssueCode::kLimit;
    issue.limit = too_many_groups ? "groups" : "targets";
    issue.detail =
        absl::StrFormat("source %s: %d %s, at most %d are allowed in a source",
                        GoQuote(change_.source), too_many_groups ? groups : targets, issue.limit,
                        too_many_groups ? options_.max_groups : options_.max_targets);
    return issue;
  }

  void Count(const SourceSizes& sizes) {
    SourceCounts& counts = plan_.counts;
    counts.groups = state_.groups.size();
    counts.targets = counts.unchanged = sizes.targets;
    for (const JobGroup* group : plan_.upsert) CountUpsert(*group);
    for (const GroupName& name : plan_.remove) {
      const TargetGroup* listed = Listed(name);
      if (listed == nullptr) continue;
      --counts.groups;
      CountTargets(listed->targets.size(), 0, 0);
      plan_.jobs.insert(name.job);
    }
    plan_.any |= !plan_.jobs.empty() || !plan_.remove.empty();
  }

  void CountUpsert(const JobGroup& group) {
    GroupName name = NameOf(group);
    const TargetGroup* old = Listed(name);
    const bool same = old != nullptr && *old == group.group;
    plan_.any |= state_.refused.contains(name);  // and is no more
    if (!same || state_.held.contains(name)) edits_[std::move(name)] = &group.group;
    if (same) return;
    if (old == nullptr) {
      ++plan_.counts.groups;
      CountTargets(0, group.group.targets.size(), 0);
    } else {
      // A target with other labels is another target.
      const bool same_labels = old->labels == group.group.labels;
      CountTargets(old->targets.size(), group.group.targets.size(),
                   same_labels ? CommonTargets(*old, group.group) : 0);
    }
    plan_.jobs.insert(group.job);
  }

  void CountTargets(uint64_t was, uint64_t now, uint64_t common) {
    plan_.counts.added += now - common;
    plan_.counts.removed += was - common;
    plan_.counts.unchanged -= was - common;
    plan_.counts.targets += now - was;
  }

  void PlanHeld(const SourceSizes& sizes, absl::Time now) {
    plan_.removals = PlanRemovals(change_, edits_, state_, sizes, options_.guard, now);
    const RemovalPlan& removals = plan_.removals;
    plan_.counts.removed += removals.carried_out - removals.newly_held;
    plan_.counts.held = removals.held_after;
    for (const auto& [name, unused] : removals.held) plan_.jobs.insert(name.job);
    plan_.any |= !removals.held.empty();
    if (removals.newly_held == 0 || removals.held_after <= options_.max_targets) return;
    Issue issue;
    issue.code = IssueCode::kLimit;
    issue.limit = "held";
    issue.detail =
        absl::StrFormat("source %s: %d targets whose removal is held, at most %d are allowed",
                        GoQuote(change_.source), removals.held_after, options_.max_targets);
    plan_.no_room_to_hold = true;
    plan_.issues.push_back(std::move(issue));
  }

  const Change& change_;
  const SourceState& state_;
  const PlanOptions& options_;
  std::set<GroupName> named_;
  GroupEdits edits_;
  ChangePlan plan_;
};

}  // namespace

ChangePlan PlanChange(const Change& change, const SourceState& state, const SourceSizes& sizes,
                      const PlanOptions& options, absl::Time now) {
  return Planner(change, state, options).Run(sizes, now);
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
