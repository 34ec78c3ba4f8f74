#include "core/discovery/target_sets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"
#include "core/discovery/admission.h"

namespace trawl {
namespace {

constexpr size_t kMaxListedBytes = 1024;  // of the jobs that a warning names

Issue IssueOf(IssueCode code, std::string detail) {
  Issue issue;
  issue.code = code;
  issue.detail = std::move(detail);
  return issue;
}

bool IsPrecondition(IssueCode code) {
  return code == IssueCode::kVersionGap || code == IssueCode::kStaleVersion ||
         code == IssueCode::kVersionConflict || code == IssueCode::kFenced ||
         code == IssueCode::kHeldByOther || code == IssueCode::kNotOwner;
}

bool IsRenewal(const Change& change) {
  return change.scope == Change::Scope::kGroups && change.groups.empty() && change.remove.empty() &&
         !change.version && !change.allow_shrink;
}

// The group as one that is listed and not scraped.
std::shared_ptr<const TargetGroup> AsWithheld(const TargetGroup& group) {
  auto withheld = std::make_shared<TargetGroup>(group);
  withheld->withheld = true;
  return withheld;
}

}  // namespace

const Source* TargetSets::Find(const std::string& source) const {
  const auto it = sources_.find(source);
  return it == sources_.end() ? nullptr : &it->second;
}

ApplyResult TargetSets::Unchanged(const Source& source) const {
  ApplyResult result;
  result.applied_version = source.version;
  result.counts = source.Counts();
  return result;
}

// --- apply

ApplyResult TargetSets::Apply(const Change& change, const Now& now) {
  static const Source kNone;
  const Source* known = Find(change.source);
  const Source& before = known == nullptr ? kNone : *known;
  ApplyResult result = Unchanged(before);
  if (std::optional<Issue> issue = CheckChange(change, known)) {
    return Reject(std::move(result), *std::move(issue));
  }
  Admission admission = Admit(change, before);
  if (admission.verdict == Admission::Verdict::kRejected) {
    result.resync = admission.resync;
    return Reject(std::move(result), IssueOf(admission.code, std::move(admission.detail)));
  }
  if (admission.verdict == Admission::Verdict::kRepeated) return Repeat(change, before, now);
  return Carry(change, before, PlanChange(change, before, before.sizes, options_.plan, now.wall),
               now);
}

std::optional<Issue> TargetSets::CheckChange(const Change& change, const Source* known) const {
  static const Source kNone;
  if (change.source.empty()) {
    Issue issue = IssueOf(IssueCode::kMissingField, "a source is required");
    issue.field = "source";
    return issue;
  }
  auto issue = CheckId("source", change.source, options_.max_id_bytes);
  if (!issue) issue = CheckId("history_id", change.history_id, options_.max_id_bytes);
  if (issue) return issue;
  if (known == nullptr && IsRenewal(change)) {
    return IssueOf(IssueCode::kUnknownSource,
                   absl::StrCat("no pushed source ", GoQuote(change.source),
                                ": there is nothing that a call without groups could renew"));
  }
  issue = CheckRoom(known);
  if (issue) return issue;
  return CheckLease(change.lease, change.may_write, known == nullptr ? kNone : *known,
                    options_.min_lease);
}

std::optional<Issue> TargetSets::CheckRoom(const Source* known) const {
  if (known != nullptr || sources_.size() < options_.max_sources) return std::nullopt;
  const auto pushed =
      static_cast<size_t>(std::count_if(sources_.begin(), sources_.end(), [](const auto& source) {
        return source.second.kind == SourceView::Kind::kPushed;
      }));
  if (pushed < options_.max_sources) return std::nullopt;
  Issue issue = IssueOf(
      IssueCode::kLimit,
      absl::StrFormat("%d pushed sources, at most %d are allowed", pushed, options_.max_sources));
  issue.limit = "sources";
  return issue;
}

ApplyResult TargetSets::Reject(ApplyResult result, Issue issue) const {
  result.status = ApplyStatus::kRejected;
  result.precondition = IsPrecondition(issue.code);
  result.issues.push_back(std::move(issue));
  FinishIssues(result);
  return result;
}

ApplyResult TargetSets::NotPersisted(const Source& before, const absl::Status& status) const {
  return Reject(Unchanged(before),
                IssueOf(IssueCode::kNotPersisted, std::string(status.message())));
}

// Nothing is new but that its pusher is there, and stands by what was applied.
ApplyResult TargetSets::Repeat(const Change& change, const Source& before, const Now& now) {
  ApplyResult result = Unchanged(before);
  result.counts.unchanged = before.sizes.targets;
  if (change.dry_run) {
    if (before.withheld) result.status = ApplyStatus::kApplied;
    return result;
  }
  StateDelta delta = Renewal(change, before);
  delta.head.withheld = false;
  const bool takes_lease = TakesLease(change.lease, change.may_write, before);
  const absl::Status recorded = Record(change.source, before, delta);
  if (!recorded.ok()) return NotPersisted(before, recorded);
  if (takes_lease) sources_.at(change.source).leased_by = change.may_write;
  Heard(change.source, now);
  result.changed_jobs = Settle(change.source, delta, {}, now);
  return result;
}

ApplyResult TargetSets::Carry(const Change& change, const Source& before, ChangePlan plan,
                              const Now& now) {
  ApplyResult result = Unchanged(before);
  result.issue_count = plan.issues.size();
  result.issues = std::move(plan.issues);
  if ((!plan.refused.empty() && !change.allow_partial) || plan.no_room_to_hold) {
    result.status = ApplyStatus::kRejected;
    FinishIssues(result);
    return result;
  }
  result.counts = plan.counts;
  result.status = plan.refused.empty() ? ApplyStatus::kApplied : ApplyStatus::kAppliedPartly;
  TellHeld(plan, now, result);
  const std::set<std::string> unknown = WarnUnknownJobs(change, result);
  const std::optional<std::string> leased_away = JobLeasedAway(change, plan.upsert, before);
  if (leased_away) WarnLease(*leased_away, result);
  FinishIssues(result);
  const bool renewal = IsRenewal(change);
  if (change.dry_run) {
    const bool confirms = before.withheld && !renewal;
    if (!plan.any && !confirms && plan.refused.empty()) result.status = ApplyStatus::kNoop;
    return result;
  }
  StateDelta delta = renewal ? Renewal(change, before) : DeltaOf(change, plan, before, result);
  if (leased_away) delta.head.lease.remove_on_expiry = false;
  const bool takes_lease = TakesLease(change.lease, change.may_write, before);
  const absl::Status recorded = Record(change.source, before, delta);
  if (!recorded.ok()) return NotPersisted(before, recorded);
  Source& source = sources_[change.source];
  if (takes_lease) source.leased_by = change.may_write;
  if (!change.peer.empty()) source.peer = change.peer;
  for (const std::string& job : unknown) {
    if (source.pending_jobs_told.size() == options_.max_issues) break;  // enough was said
    if (source.pending_jobs_told.insert(job).second) result.newly_pending_jobs.push_back(job);
  }
  Heard(change.source, now);
  result.changed_jobs = Settle(change.source, delta, plan.removals.newly_held_groups, now);
  if (renewal) {
    result.status = ApplyStatus::kNoop;
    return result;
  }
  if (change.stream_id == 0) source.instance.clear();
  const bool room_came = result.counts.removed > 0 || !delta.remove.empty();
  if (room_came && !source.refused.empty()) source.ask_limited = true;
  result.applied_version = source.version;
  return result;
}

StateDelta TargetSets::Renewal(const Change& change, const Source& before) {
  StateDelta delta;
  delta.head = before.head();
  delta.head.released = false;
  if (change.lease) delta.head.lease = *change.lease;
  if (change.fencing_token) delta.head.fencing_token = change.fencing_token;
  return delta;
}

StateDelta TargetSets::DeltaOf(const Change& change, const ChangePlan& plan, const Source& before,
                               ApplyResult& result) const {
  StateDelta delta = Renewal(change, before);
  delta.head.history_id = change.history_id;
  delta.head.version = change.version ? *change.version : before.version + 1;
  delta.head.last_digest = ContentDigest(change);
  // It is of the whole source, and not for a client of some jobs to say.
  if (!ForeignJob(before, change.may_write)) delta.head.source_targets = change.source_targets;
  delta.head.withheld = false;
  delta.remove.assign(plan.remove.begin(), plan.remove.end());
  for (const JobGroup* group : plan.upsert) {
    GroupName name{group->job, group->group.key};
    auto old = before.groups.find(name);
    const bool same = old != before.groups.end() && *old->second == group->group;
    if (same && !before.refused.contains(name)) continue;
    delta.upsert.emplace_back(
        std::move(name), same ? old->second : std::make_shared<const TargetGroup>(group->group));
  }
  for (const Issue& issue : plan.refused) {
    if (!Remembers(issue, before)) continue;
    if (before.refused.size() + delta.refused.size() < options_.max_refused ||
        before.refused.contains(issue.group)) {
      delta.refused.push_back(issue);
    } else {
      result.refusals_forgotten = true;
    }
  }
  delta.held.assign(plan.removals.held.begin(), plan.removals.held.end());
  delta.peaks.assign(plan.removals.peaks.begin(), plan.removals.peaks.end());
  return delta;
}

// A group without a proper name can't be asked for. Nor is the same refusal written twice.
bool TargetSets::Remembers(const Issue& refused, const Source& before) const {
  const auto proper = [this](const std::string& name) {
    return !name.empty() && name.size() <= options_.plan.group.max_name_bytes && IsValidUtf8(name);
  };
  if (!proper(refused.group.job) || !proper(refused.group.key)) return false;
  const auto known = before.refused.find(refused.group);
  return known == before.refused.end() || known->second.code != refused.code ||
         known->second.detail != refused.detail;
}

absl::Status TargetSets::Record(const std::string& name, const Source& before,
                                const StateDelta& delta) {
  const bool changes =
      ChangesContent(delta) || delta.head != static_cast<const SourceHead&>(before);
  if (journal_ == nullptr || !changes) return absl::OkStatus();
  return journal_->Record(name, before, delta);
}

absl::Status TargetSets::Forget(const std::string& name) {
  return journal_ == nullptr ? absl::OkStatus() : journal_->Forget(name);
}

std::vector<std::string> TargetSets::Settle(const std::string& name, const StateDelta& delta,
                                            const std::set<GroupName>& newly_held, const Now& now) {
  Source& source = sources_[name];
  std::set<GroupName> changed;
  const bool confirmed = source.withheld && !delta.head.withheld;
  if (confirmed) {
    changed = source.GroupNames();
    source.withheld_unkept = false;
  }
  for (const GroupName& group : delta.remove) {
    if (source.groups.contains(group)) changed.insert(group);
  }
  for (const auto& [group, unused] : delta.upsert) changed.insert(group);
  for (const auto& [group, unused] : delta.held) changed.insert(group);
  source.Settle(delta, newly_held, source.HeardTime(now.steady, options_.default_lease));
  return Index(name, changed);
}

std::vector<std::string> TargetSets::Index(const std::string& name,
                                           const std::set<GroupName>& groups) {
  const Source& source = sources_.at(name);
  std::vector<std::string> jobs;
  for (const GroupName& group : groups) {  // sorted by job
    if (jobs.empty() || jobs.back() != group.job) jobs.push_back(group.job);
    std::shared_ptr<const TargetGroup> wanted = source.Wanted(group);
    if (source.withheld && wanted != nullptr) wanted = AsWithheld(*wanted);
    if (wanted == nullptr) {
      desired_.Remove(name, group);
    } else {
      desired_.Put(name, group.job, std::move(wanted));
    }
  }
  return jobs;
}

// --- what an answer tells

void TargetSets::TellHeld(const ChangePlan& plan, const Now& now, ApplyResult& result) const {
  if (plan.removals.newly_held_groups.empty()) return;
  const ShrinkGuard& guard = options_.plan.guard;
  Issue issue = IssueOf(
      IssueCode::kRemovalsHeld,
      absl::StrFormat(
          "%d targets are held and still scraped, %d of them removed now, as there "
          "were up to %d in the last %d minutes: until %s if nothing changes, or "
          "until somebody confirms it (allow_shrink, trawlctl sources accept)",
          plan.removals.held_after, plan.removals.newly_held, plan.removals.largest,
          guard.window_minutes,
          absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", now.wall + guard.hold, absl::UTCTimeZone())));
  issue.error = false;
  result.issues.insert(result.issues.begin(), std::move(issue));
  ++result.issue_count;
  result.newly_held = plan.removals.newly_held;
}

std::set<std::string> TargetSets::WarnUnknownJobs(const Change& change, ApplyResult& result) const {
  std::set<std::string> unknown;
  std::string listed;
  for (size_t i = 0; i < change.groups.size(); ++i) {
    const std::string& job = change.groups[i].job;
    // What the client may not write it learns nothing of.
    if (job.empty() || Known(job) || !MayWrite(change.may_write, job)) continue;
    if (!unknown.insert(job).second) continue;
    ++result.issue_count;
    if (result.issues.size() >= options_.max_issues) continue;
    if (listed.empty()) listed = ListKnownJobs(change.may_write);
    Issue issue = IssueOf(
        IssueCode::kUnknownJob,
        absl::StrCat("job ", GoQuote(job),
                     " is not in the running configuration: held as pending; known are ", listed));
    issue.error = false;
    issue.group = {job, change.groups[i].group.key};
    issue.field = absl::StrCat(GroupsField(change.scope), "[", i, "].job");
    result.issues.push_back(std::move(issue));
  }
  return unknown;
}

// For people: those that the client may write, as many as fit.
std::string TargetSets::ListKnownJobs(const std::shared_ptr<const JobFilter>& may_write) const {
  std::string listed;
  for (const std::string& job : known_jobs_) {
    if (!MayWrite(may_write, job)) continue;
    if (listed.size() + job.size() > kMaxListedBytes) return absl::StrCat(listed, ", ...");
    absl::StrAppend(&listed, listed.empty() ? "" : ", ", job);
  }
  return listed.empty() ? "none" : listed;
}

void TargetSets::WarnLease(const std::string& job, ApplyResult& result) {
  Issue issue = IssueOf(IssueCode::kNotOwner,
                        absl::StrCat("who set the lease may not write job ", GoQuote(job),
                                     ": from now on it keeps the source's targets"));
  issue.error = false;
  issue.field = "lease.on_expiry";
  result.issues.push_back(std::move(issue));
  ++result.issue_count;
}

void TargetSets::FinishIssues(ApplyResult& result) const {
  std::stable_sort(result.issues.begin(), result.issues.end(),
                   [](const Issue& a, const Issue& b) { return a.error && !b.error; });
  if (result.issues.size() > options_.max_issues) result.issues.resize(options_.max_issues);
  result.issue_count = std::max<uint64_t>(result.issue_count, result.issues.size());
}

void TargetSets::ForgetIfBlank(const std::string& name) {
  const Source* source = Find(name);
  if (source == nullptr || source->kind != SourceView::Kind::kPushed) return;
  if (source->stream_id != 0 || source->fencing_token || !IsBlank(*source)) return;
  // If that can't be written it is asked again with what is next said of the source.
  if (Forget(name).ok()) sources_.erase(name);
}

// --- the configuration's own sources

void TargetSets::Claim(const std::string& source, SourceView::Kind kind) {
  sources_[source].kind = kind;
}

bool TargetSets::SetConfigured(const std::string& name, SourceView::Kind kind,
                               const std::string& job, std::vector<TargetGroup> groups) {
  Source& source = sources_[name];
  source.kind = kind;
  StateDelta delta;
  delta.head = source.head();
  std::set<std::string> keys;
  for (TargetGroup& group : groups) {
    keys.insert(group.key);
    GroupName group_name{job, group.key};
    const auto old = source.groups.find(group_name);
    if (old != source.groups.end() && *old->second == group) continue;
    delta.upsert.emplace_back(std::move(group_name),
                              std::make_shared<const TargetGroup>(std::move(group)));
  }
  for (auto it = source.groups.lower_bound({job, ""});
       it != source.groups.end() && it->first.job == job; ++it) {
    if (!keys.contains(it->first.key)) delta.remove.push_back(it->first);
  }
  if (!ChangesContent(delta)) return false;
  ++delta.head.version;
  Settle(name, delta, {}, Now());
  return true;
}

void TargetSets::SetKnownJobs(std::vector<std::string> jobs) {
  std::sort(jobs.begin(), jobs.end());
  known_jobs_ = std::move(jobs);
  for (auto& [unused, source] : sources_) {
    source.ask_all = !source.refused.empty();
    source.pending_jobs_told.clear();
  }
}

}  // namespace trawl
