#include "core/discovery/target_sets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/base/text.h"

namespace trawl {

// --- apply

ApplyResult TargetSets::Apply(const Change& change, const Now& now) {
  ApplyResult result;
  auto it = sources_.find(change.source);
  static const Source kNone;
  const Source& before = it == sources_.end() ? kNone : it->second;
  result.applied_version = before.version;
  result.counts = Counts(before);

  if (change.source.empty()) {
    result = Reject(std::move(result), IssueCode::kMissingField, "a source is required");
    result.issues.back().field = "source";
    return result;
  }
  if (it == sources_.end() && sources_.size() >= options_.max_sources) {
    return Reject(std::move(result), IssueCode::kLimit,
                  absl::StrFormat("%d sources, at most %d are allowed", sources_.size(),
                                  options_.max_sources));
  }
  if (!CheckHolder(change, before, result) || !CheckVersion(change, before, result)) {
    return result;
  }
  ChangePlan plan = PlanChange(change, before.groups, before.targets, options_.group);
  result.issue_count = plan.issues.size();
  result.issues = std::move(plan.issues);
  if (!plan.refused.empty() && !change.allow_partial) {
    result.status = ApplyStatus::kRejected;
    FinishIssues(result);
    return result;
  }
  if (!CheckLimits(change, plan, result)) return result;
  result.counts = plan.counts;
  result.status = plan.refused.empty() ? ApplyStatus::kApplied : ApplyStatus::kAppliedPartly;
  if (change.dry_run) {
    if (!plan.any && plan.refused.empty()) result.status = ApplyStatus::kNoop;
    WarnUnknownJobs(change, result);
    FinishIssues(result);
    return result;
  }
  const bool renewal = change.scope == Change::Scope::kGroups && change.groups.empty() &&
                       change.remove.empty() && !change.version;
  const StateDelta delta = renewal ? Renewal(change, before) : DeltaOf(change, plan, before);
  const absl::Status recorded = Record(change.source, before, delta);
  if (!recorded.ok()) {
    ApplyResult refused;
    refused.applied_version = before.version;
    refused.counts = Counts(before);
    return Reject(std::move(refused), IssueCode::kNotPersisted, std::string(recorded.message()));
  }
  Source& source = sources_[change.source];
  if (!change.peer.empty()) source.peer = change.peer;
  Heard(change.source, now);
  if (renewal) {
    ApplyDelta(delta, source);
    result.status = ApplyStatus::kNoop;
    return result;
  }
  Commit(change, plan, delta);
  result.applied_version = source.version;
  result.changed_jobs.assign(plan.jobs.begin(), plan.jobs.end());
  WarnUnknownJobs(change, result);
  FinishIssues(result);
  return result;
}

ApplyResult TargetSets::Reject(ApplyResult result, IssueCode code, std::string detail) const {
  Issue issue;
  issue.code = code;
  issue.detail = std::move(detail);
  result.issues.push_back(std::move(issue));
  result.status = ApplyStatus::kRejected;
  result.precondition = code == IssueCode::kVersionGap || code == IssueCode::kStaleVersion ||
                        code == IssueCode::kVersionConflict || code == IssueCode::kFenced ||
                        code == IssueCode::kHeldByOther || code == IssueCode::kNotOwner;
  FinishIssues(result);
  return result;
}

bool TargetSets::CheckHolder(const Change& change, const Source& source,
                             ApplyResult& result) const {
  if (source.kind != SourceView::Kind::kPushed) {
    result = Reject(
        std::move(result), IssueCode::kNotOwner,
        absl::StrCat("source ", GoQuote(change.source), " belongs to the configuration file"));
    return false;
  }
  const bool from_holder = change.stream_id != 0 && change.stream_id == source.stream_id;
  if (change.stream_id != 0 && !from_holder) {
    result = Reject(std::move(result), IssueCode::kFenced, "another client took the source over");
    return false;
  }
  if (!from_holder && source.fencing_token) {
    if (!change.fencing_token || *change.fencing_token < *source.fencing_token) {
      result = Reject(std::move(result), IssueCode::kFenced,
                      absl::StrCat("the source is fenced with token ", *source.fencing_token));
      return false;
    }
  }
  const bool higher = change.fencing_token &&
                      (!source.fencing_token || *change.fencing_token > *source.fencing_token);
  if (!from_holder && source.stream_id != 0 && !higher) {
    result = Reject(std::move(result), IssueCode::kHeldByOther,
                    absl::StrCat("a stream of instance ", GoQuote(source.instance), " (",
                                 source.peer, ") holds the source"));
    return false;
  }
  return true;
}

bool TargetSets::MendsRefused(const Change& change, const Source& source) const {
  return change.remove.empty() && !change.groups.empty() &&
         std::all_of(change.groups.begin(), change.groups.end(), [&](const JobGroup& g) {
           return source.refused.contains({g.job, g.group.key});
         });
}

bool TargetSets::CheckVersion(const Change& change, const Source& source,
                              ApplyResult& result) const {
  const bool has_history = !change.history_id.empty();
  if (has_history != change.version.has_value()) {
    result = Reject(std::move(result), IssueCode::kMissingField,
                    "history_id and version go together: set both or none");
    return false;
  }
  if (change.base_version && *change.base_version != source.version) {
    if (change.version && *change.version == source.version &&
        change.history_id == source.history_id && ContentDigest(change) == source.last_digest) {
      result.status = ApplyStatus::kNoop;
      return false;
    }
    result = Reject(std::move(result), IssueCode::kVersionGap,
                    absl::StrFormat("base version %d is not the applied version %d",
                                    *change.base_version, source.version));
    result.resync = true;
    return false;
  }
  if (!has_history) return true;
  if (change.history_id != source.history_id) {
    const bool covers_all = change.scope == Change::Scope::kSource || source.groups.empty();
    if (covers_all) return true;
    result =
        Reject(std::move(result), IssueCode::kVersionGap,
               absl::StrCat("the source's applied state is of ",
                            source.history_id.empty() ? "no history"
                                                      : "history " + GoQuote(source.history_id),
                            ": a snapshot is needed"));
    result.resync = true;
    return false;
  }
  if (*change.version > source.version) return true;
  if (*change.version < source.version) {
    result = Reject(std::move(result), IssueCode::kStaleVersion,
                    absl::StrFormat("version %d is older than the applied version %d",
                                    *change.version, source.version));
    return false;
  }
  if (ContentDigest(change) == source.last_digest) {
    result.status = ApplyStatus::kNoop;
    return false;
  }
  if (change.scope == Change::Scope::kGroups && MendsRefused(change, source)) return true;
  if (change.scope == Change::Scope::kSource) return true;  // a snapshot at the applied version
  result =
      Reject(std::move(result), IssueCode::kVersionConflict,
             absl::StrFormat("version %d is applied already, with other content", *change.version));
  return false;
}

bool TargetSets::CheckLimits(const Change& change, const ChangePlan& plan,
                             ApplyResult& result) const {
  std::string detail;
  if (plan.counts.groups > options_.max_groups_per_source) {
    detail = absl::StrFormat("%d groups, at most %d are allowed in a source", plan.counts.groups,
                             options_.max_groups_per_source);
  } else if (plan.counts.targets > options_.max_targets_per_source) {
    detail = absl::StrFormat("%d targets, at most %d are allowed in a source", plan.counts.targets,
                             options_.max_targets_per_source);
  } else {
    return true;
  }
  result = Reject(std::move(result), IssueCode::kLimit,
                  absl::StrCat("source ", GoQuote(change.source), ": ", detail));
  return false;
}

StateDelta TargetSets::Renewal(const Change& change, const Source& before) {
  StateDelta delta;
  delta.head = before;
  if (change.lease) delta.head.lease = *change.lease;
  if (change.fencing_token) delta.head.fencing_token = change.fencing_token;
  return delta;
}

StateDelta TargetSets::DeltaOf(const Change& change, const ChangePlan& plan, const Source& before) {
  StateDelta delta = Renewal(change, before);
  delta.head.history_id = change.history_id;
  delta.head.version = change.version ? *change.version : before.version + 1;
  delta.head.last_digest = ContentDigest(change);
  delta.remove.assign(plan.remove.begin(), plan.remove.end());
  for (const JobGroup* group : plan.upsert) {
    GroupName name{group->job, group->group.key};
    auto old = before.groups.find(name);
    const bool same = old != before.groups.end() && *old->second == group->group;
    if (same && !before.refused.contains(name)) continue;
    delta.upsert.emplace_back(
        std::move(name), same ? old->second : std::make_shared<const TargetGroup>(group->group));
  }
  delta.refused = plan.refused;
  return delta;
}

absl::Status TargetSets::Record(const std::string& name, const Source& before,
                                const StateDelta& delta) {
  const bool groups =
      delta.remove_all || !delta.remove.empty() || !delta.upsert.empty() || !delta.refused.empty();
  const bool changes = groups || delta.head != static_cast<const SourceHead&>(before);
  if (journal_ == nullptr || !changes) return absl::OkStatus();
  return journal_->Record(name, before, delta);
}

absl::Status TargetSets::Forget(const std::string& name) {
  return journal_ == nullptr ? absl::OkStatus() : journal_->Forget(name);
}

void TargetSets::Commit(const Change& change, const ChangePlan& plan, const StateDelta& delta) {
  Source& source = sources_[change.source];
  ApplyDelta(delta, source);
  for (const auto& [name, unused] : delta.upsert) job_sources_[name.job].insert(change.source);
  for (const GroupName& name : delta.remove) {
    auto left = source.groups.lower_bound({name.job, ""});
    if (left == source.groups.end() || left->first.job != name.job) {
      job_sources_[name.job].erase(change.source);
    }
  }
  source.targets = plan.counts.targets;
  if (change.stream_id == 0) source.instance.clear();
}

void TargetSets::WarnUnknownJobs(const Change& change, ApplyResult& result) const {
  std::set<std::string> unknown;
  for (size_t i = 0; i < change.groups.size(); ++i) {
    const std::string& job = change.groups[i].job;
    if (job.empty() || Known(job) || !unknown.insert(job).second) continue;
    Issue issue;
    issue.error = false;
    issue.code = IssueCode::kUnknownJob;
    issue.group = {job, change.groups[i].group.key};
    issue.field = absl::StrCat(GroupsField(change.scope), "[", i, "].job");
    issue.detail = absl::StrCat("job ", GoQuote(job),
                                " is not in the running configuration: held as pending; known are ",
                                known_jobs_.empty() ? "none" : absl::StrJoin(known_jobs_, ", "));
    ++result.issue_count;
    if (result.issues.size() < options_.max_issues) result.issues.push_back(std::move(issue));
  }
}

void TargetSets::FinishIssues(ApplyResult& result) const {
  std::stable_sort(result.issues.begin(), result.issues.end(),
                   [](const Issue& a, const Issue& b) { return a.error && !b.error; });
  if (result.issues.size() > options_.max_issues) result.issues.resize(options_.max_issues);
  result.issue_count = std::max<uint64_t>(result.issue_count, result.issues.size());
}

// --- streams

HelloResult TargetSets::Hello(const StreamHello& hello, const Now& now) {
  HelloResult result;
  if (hello.source.empty() || hello.history_id.empty()) {
    result.status = absl::InvalidArgumentError(hello.source.empty()
                                                   ? "hello.source: a source is required"
                                                   : "hello.history_id: a history id is required");
    return result;
  }
  auto it = sources_.find(hello.source);
  if (it == sources_.end() && sources_.size() >= options_.max_sources) {
    result.status = absl::ResourceExhaustedError(absl::StrFormat(
        "%d sources, at most %d are allowed", sources_.size(), options_.max_sources));
    return result;
  }
  if (it != sources_.end() && it->second.kind != SourceView::Kind::kPushed) {
    result.status = absl::PermissionDeniedError(
        absl::StrCat("source ", GoQuote(hello.source), " belongs to the configuration file"));
    return result;
  }
  static const Source kNone;
  const Source& before = it == sources_.end() ? kNone : it->second;
  if (before.fencing_token &&
      (!hello.fencing_token || *hello.fencing_token < *before.fencing_token)) {
    result.fenced = true;
    result.status =
        absl::AbortedError(absl::StrCat("the source is fenced with token ", *before.fencing_token));
    return result;
  }
  const bool higher = hello.fencing_token &&
                      (!before.fencing_token || *hello.fencing_token > *before.fencing_token);
  if (before.stream_id != 0 && !higher && before.instance != hello.instance) {
    result.status =
        absl::AbortedError(absl::StrCat("a stream of instance ", GoQuote(before.instance), " (",
                                        before.peer, ") holds the source"));
    return result;
  }
  StateDelta delta;
  delta.head = before;
  if (hello.fencing_token) delta.head.fencing_token = hello.fencing_token;
  if (hello.lease) delta.head.lease = *hello.lease;
  const absl::Status recorded = Record(hello.source, before, delta);
  if (!recorded.ok()) {
    result.status = absl::UnavailableError(recorded.message());
    return result;
  }
  Source& source = sources_[hello.source];
  ApplyDelta(delta, source);
  result.displaced = source.stream_id;
  result.outranked = higher;
  source.stream_id = hello.stream_id;
  source.instance = hello.instance;
  source.peer = hello.peer;
  Heard(hello.source, now);

  result.applied_version = source.version;
  result.history_id = source.history_id;
  result.counts = Counts(source);
  for (const auto& [name, issue] : source.refused) {
    if (result.refused.size() < options_.max_issues) result.refused.push_back(issue);
  }
  if (source.history_id == hello.history_id && hello.version == source.version) {
    result.need = SyncNeed::kNothing;
  } else if (source.history_id == hello.history_id && hello.version > source.version) {
    result.need = SyncNeed::kDelta;
  }
  return result;
}

void TargetSets::EndStream(const std::string& source, uint64_t stream_id) {
  auto it = sources_.find(source);
  if (it == sources_.end() || it->second.stream_id != stream_id) return;
  it->second.stream_id = 0;
}

void TargetSets::Heard(const std::string& source, const Now& now) {
  auto it = sources_.find(source);
  if (it == sources_.end()) return;
  it->second.last_heard = now.wall;
  it->second.last_heard_steady = now.steady;
  it->second.restored = false;
}

void TargetSets::Restore(RestoredSource restored, const Now& now) {
  Source& source = sources_[restored.source];
  static_cast<SourceState&>(source) = std::move(restored.state);
  for (const auto& [name, group] : source.groups) {
    source.targets += group->targets.size();
    job_sources_[name.job].insert(restored.source);
  }
  source.last_heard_steady = now.steady;
  source.restored = true;
}

uint64_t TargetSets::Holder(const std::string& source) const {
  auto it = sources_.find(source);
  return it == sources_.end() ? 0 : it->second.stream_id;
}

uint64_t TargetSets::AppliedVersion(const std::string& source) const {
  auto it = sources_.find(source);
  return it == sources_.end() ? 0 : it->second.version;
}

std::string TargetSets::HistoryId(const std::string& source) const {
  auto it = sources_.find(source);
  return it == sources_.end() ? "" : it->second.history_id;
}

std::optional<SourceCounts> TargetSets::CountsOf(const std::string& source) const {
  auto it = sources_.find(source);
  if (it == sources_.end()) return std::nullopt;
  return Counts(it->second);
}

size_t TargetSets::PendingGroups() const {
  size_t pending = 0;
  for (const auto& [job, sources] : job_sources_) {
    if (Known(job)) continue;
    for (const std::string& name : sources) {
      const GroupMap& groups = sources_.at(name).groups;
      for (auto it = groups.lower_bound({job, ""}); it != groups.end() && it->first.job == job;
           ++it) {
        ++pending;
      }
    }
  }
  return pending;
}

std::optional<LeasePolicy> TargetSets::Lease(const std::string& source) const {
  auto it = sources_.find(source);
  if (it == sources_.end()) return std::nullopt;
  return it->second.lease;
}

absl::Duration TargetSets::LastHeard(const std::string& source) const {
  auto it = sources_.find(source);
  return it == sources_.end() ? absl::ZeroDuration() : it->second.last_heard_steady;
}

absl::StatusOr<ApplyResult> TargetSets::Release(const std::string& name,
                                                const ReleaseOptions& options) {
  auto it = sources_.find(name);
  if (it == sources_.end() || it->second.kind != SourceView::Kind::kPushed) {
    return absl::NotFoundError(absl::StrCat("no pushed source ", GoQuote(name)));
  }
  Source& source = it->second;
  const bool outranked = source.fencing_token &&
                         (!options.fencing_token || *options.fencing_token < *source.fencing_token);
  if (!options.force && (outranked || source.stream_id != 0)) {
    return absl::FailedPreconditionError(
        outranked ? absl::StrCat("the source is fenced with token ", *source.fencing_token)
                  : absl::StrCat("a stream of instance ", GoQuote(source.instance), " (",
                                 source.peer, ") holds the source"));
  }
  ApplyResult result;
  result.applied_version = source.version;
  result.counts = Counts(source);
  result.counts.unchanged = options.remove_targets ? 0 : source.targets;
  result.counts.removed = options.remove_targets ? source.targets : 0;
  result.status = ApplyStatus::kApplied;
  if (options.dry_run) return result;
  StateDelta delta;
  delta.head = source;
  delta.head.history_id.clear();
  delta.head.lease = {};
  if (options.force) delta.head.fencing_token.reset();
  delta.remove_all = options.remove_targets;
  if (options.remove_targets) ++delta.head.version;
  // Nothing is left to remember but a fence that must outlive it.
  const bool forget = options.remove_targets && !delta.head.fencing_token;
  absl::Status recorded = forget ? Forget(name) : Record(name, source, delta);
  if (!recorded.ok()) return absl::UnavailableError(recorded.message());
  if (options.force) source.stream_id = 0;
  if (options.remove_targets) {
    result.changed_jobs = Empty(name, delta);
    result.counts.groups = result.counts.targets = 0;
  } else {
    ApplyDelta(delta, source);
  }
  if (forget) sources_.erase(name);
  return result;
}

ApplyResult TargetSets::Expire(const std::string& name) {
  ApplyResult result;
  auto it = sources_.find(name);
  if (it == sources_.end()) return result;
  StateDelta delta;
  delta.head = it->second;
  delta.head.history_id.clear();
  ++delta.head.version;
  delta.remove_all = true;
  Record(name, it->second, delta).IgnoreError();  // it was counted
  result.status = ApplyStatus::kApplied;
  result.counts.removed = it->second.targets;
  result.applied_version = delta.head.version;
  result.changed_jobs = Empty(name, delta);
  return result;
}

std::vector<std::string> TargetSets::Empty(const std::string& name, const StateDelta& delta) {
  Source& source = sources_.at(name);
  std::set<std::string> jobs;
  for (const auto& [group, unused] : source.groups) jobs.insert(group.job);
  for (const std::string& job : jobs) job_sources_[job].erase(name);
  ApplyDelta(delta, source);
  source.targets = 0;
  return {jobs.begin(), jobs.end()};
}

// --- the configuration's own sources

void TargetSets::Claim(const std::string& source, SourceView::Kind kind) {
  sources_[source].kind = kind;
}

bool TargetSets::SetConfigured(const std::string& name, SourceView::Kind kind,
                               const std::string& job, std::vector<TargetGroup> groups) {
  Source& source = sources_[name];
  source.kind = kind;
  bool changed = false;
  std::set<std::string> keys;
  for (TargetGroup& group : groups) {
    keys.insert(group.key);
    auto& slot = source.groups[{job, group.key}];
    if (slot != nullptr && *slot == group) continue;
    source.targets += group.targets.size() - (slot == nullptr ? 0 : slot->targets.size());
    slot = std::make_shared<const TargetGroup>(std::move(group));
    changed = true;
  }
  for (auto it = source.groups.lower_bound({job, ""});
       it != source.groups.end() && it->first.job == job;) {
    if (keys.contains(it->first.key)) {
      ++it;
      continue;
    }
    source.targets -= it->second->targets.size();
    it = source.groups.erase(it);
    changed = true;
  }
  if (changed) ++source.version;
  if (keys.empty()) {
    job_sources_[job].erase(name);
  } else {
    job_sources_[job].insert(name);
  }
  return changed;
}

void TargetSets::SetKnownJobs(std::vector<std::string> jobs) {
  std::sort(jobs.begin(), jobs.end());
  known_jobs_ = std::move(jobs);
}

// --- reads

std::shared_ptr<const DesiredTargets> TargetSets::Desired(const std::string& job) const {
  auto desired = std::make_shared<DesiredTargets>();
  desired->job = job;
  auto it = job_sources_.find(job);
  if (it == job_sources_.end()) return desired;
  for (const std::string& name : it->second) {
    const Source& source = sources_.at(name);
    for (auto group = source.groups.lower_bound({job, ""});
         group != source.groups.end() && group->first.job == job; ++group) {
      desired->groups.push_back({name, group->second});
    }
  }
  return desired;
}

std::vector<SourceView> TargetSets::Sources() const {
  std::vector<SourceView> views;
  for (const auto& [name, source] : sources_) {
    SourceView view;
    view.name = name;
    view.kind = source.kind;
    view.instance = source.instance;
    view.peer = source.peer;
    view.connected = source.stream_id != 0;
    view.restored = source.restored;
    view.applied_version = source.version;
    view.history_id = source.history_id;
    view.fencing_token = source.fencing_token;
    view.last_heard = source.last_heard;
    view.last_heard_steady = source.last_heard_steady;
    view.lease = source.lease;
    view.counts = Counts(source);
    for (const auto& [unused, issue] : source.refused) view.refused.push_back(issue);
    for (const auto& [group, unused] : source.groups) {
      const bool listed = !view.pending_jobs.empty() && view.pending_jobs.back() == group.job;
      if (!listed && !Known(group.job)) view.pending_jobs.push_back(group.job);
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<TargetSets::GroupView> TargetSets::Groups(const std::string& source,
                                                      const std::string& job,
                                                      const std::optional<GroupPosition>& after,
                                                      size_t limit) const {
  std::vector<GroupView> views;
  auto it = after ? sources_.lower_bound(after->source) : sources_.begin();
  for (; it != sources_.end() && views.size() < limit; ++it) {
    if (!source.empty() && it->first != source) continue;
    const GroupMap& groups = it->second.groups;
    const bool resume = after && after->source == it->first;
    auto group = resume ? groups.upper_bound(after->name) : groups.begin();
    for (; group != groups.end() && views.size() < limit; ++group) {
      if (!job.empty() && group->first.job != job) continue;
      views.push_back({it->first, group->first.job, group->second, !Known(group->first.job)});
    }
  }
  return views;
}

SourceCounts TargetSets::Counts(const Source& source) const {
  SourceCounts counts;
  counts.groups = source.groups.size();
  counts.targets = source.targets;
  return counts;
}

bool TargetSets::Known(const std::string& job) const {
  return std::binary_search(known_jobs_.begin(), known_jobs_.end(), job);
}

}  // namespace trawl
