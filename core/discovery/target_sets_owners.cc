// Who holds a source, and what happens to it otherwise than by a change: streams, release, leases,
// restarts, and decisions about what is held.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/discovery/admission.h"
#include "core/discovery/target_sets.h"

namespace trawl {
namespace {

// Why a stream may not hold the source; OK: it may.
absl::Status CheckHolder(const StreamHello& hello, const Source& before, HelloResult& result) {
  if (before.kind != SourceView::Kind::kPushed) {
    return absl::PermissionDeniedError(
        absl::StrCat("source ", GoQuote(hello.source), " belongs to the configuration file"));
  }
  if (before.fencing_token &&
      (!hello.fencing_token || *hello.fencing_token < *before.fencing_token)) {
    result.fenced = true;
    return absl::AbortedError(
        absl::StrCat("the source is fenced with token ", *before.fencing_token));
  }
  result.outranked = hello.fencing_token &&
                     (!before.fencing_token || *hello.fencing_token > *before.fencing_token);
  if (before.stream_id != 0 && !result.outranked && before.instance != hello.instance) {
    return absl::AbortedError(absl::StrCat("a stream of instance ", GoQuote(before.instance), " (",
                                           before.peer, ") holds the source"));
  }
  return absl::OkStatus();
}

// A name that is not known may be of any length.
absl::Status NoSuchSource(const std::string& name) {
  return absl::NotFoundError(
      absl::StrCat("no pushed source ", GoQuote(PresentableText(name, 256))));
}

absl::Status StatusOf(const Issue& issue) {
  const std::string text = absl::StrCat("hello.", DescribeIssue(issue));
  switch (issue.code) {
    case IssueCode::kLimit:
      return absl::ResourceExhaustedError(issue.detail);
    case IssueCode::kNotOwner:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

}  // namespace

// --- streams

HelloResult TargetSets::Hello(const StreamHello& hello, const Now& now) {
  HelloResult result;
  static const Source kNone;
  const Source* known = Find(hello.source);
  const Source& before = known == nullptr ? kNone : *known;
  if (const std::optional<Issue> issue = CheckHello(hello, known)) {
    result.status = StatusOf(*issue);
    result.limit = issue->limit;
    return result;
  }
  result.status = CheckHolder(hello, before, result);
  if (!result.status.ok()) return result;
  result.need = NeedOf(hello.source, hello.history_id, hello.version);
  StateDelta delta;
  delta.head = before.head();
  delta.head.released = false;
  if (hello.fencing_token) delta.head.fencing_token = hello.fencing_token;
  if (hello.lease) delta.head.lease = *hello.lease;
  if (result.need == SyncNeed::kNothing) delta.head.withheld = false;
  // Of a source of which nothing was applied a fence alone is worth keeping: its lease has nothing
  // to remove, and stands in the record of the first change.
  const bool blank = IsBlank(before) && !delta.head.fencing_token;
  const absl::Status recorded = blank ? absl::OkStatus() : Record(hello.source, before, delta);
  if (!recorded.ok()) {
    result.status = absl::ResourceExhaustedError(
        absl::StrCat("what the hello says can't be kept: ", recorded.message()));
    return result;
  }
  const bool takes_lease = TakesLease(hello.lease, hello.may_write, before);
  result.changed_jobs = Settle(hello.source, delta, {}, now);
  Source& source = sources_.at(hello.source);
  if (takes_lease) source.leased_by = hello.may_write;
  result.displaced = source.stream_id;
  source.stream_id = hello.stream_id;
  source.instance = hello.instance;
  source.peer = hello.peer;
  Heard(hello.source, now);
  // A snapshot brings them anyway.
  if (result.need == SyncNeed::kSnapshot) source.ask_all = source.ask_limited = false;

  result.applied_version = source.version;
  result.history_id = source.history_id;
  result.counts = source.Counts();
  result.withheld = source.withheld;
  for (const auto& [name, issue] : source.refused) {
    if (result.refused.size() >= options_.max_issues) break;
    result.refused.push_back(issue);
  }
  return result;
}

std::optional<Issue> TargetSets::CheckHello(const StreamHello& hello, const Source* known) const {
  static const Source kNone;
  auto issue = CheckId("source", hello.source, options_.max_id_bytes);
  if (!issue) issue = CheckId("history_id", hello.history_id, options_.max_id_bytes);
  if (!issue) issue = CheckId("instance", hello.instance, options_.max_id_bytes);
  if (issue) return issue;
  Issue missing;
  missing.code = IssueCode::kMissingField;
  missing.field = hello.source.empty() ? "source" : "history_id";
  missing.detail = hello.source.empty() ? "a source is required" : "a history id is required";
  if (hello.source.empty() || hello.history_id.empty()) return missing;
  issue = CheckRoom(known);
  if (issue) return issue;
  return CheckLease(hello.lease, hello.may_write, known == nullptr ? kNone : *known,
                    options_.min_lease);
}

SyncNeed TargetSets::NeedOf(const std::string& source, const std::string& history_id,
                            uint64_t version) const {
  const Source* known = Find(source);
  if (known == nullptr || known->history_id != history_id) return SyncNeed::kSnapshot;
  if (version == known->version) return SyncNeed::kNothing;
  return version > known->version ? SyncNeed::kDelta : SyncNeed::kSnapshot;
}

void TargetSets::EndStream(const std::string& source, uint64_t stream_id) {
  auto it = sources_.find(source);
  if (it == sources_.end() || it->second.stream_id != stream_id) return;
  it->second.stream_id = 0;
}

void TargetSets::Heard(const std::string& source, const Now& now) {
  auto it = sources_.find(source);
  if (it != sources_.end()) it->second.Hear(now, options_.default_lease);
}

std::vector<GroupName> TargetSets::TakeWanted(const std::string& name) {
  std::vector<GroupName> wanted;
  auto it = sources_.find(name);
  if (it == sources_.end() || it->second.stream_id == 0) return wanted;
  Source& source = it->second;
  const bool all = std::exchange(source.ask_all, false);
  const bool limited = std::exchange(source.ask_limited, false);
  if (!all && !limited) return wanted;
  for (const auto& [group, issue] : source.refused) {
    if (all || issue.code == IssueCode::kLimit) wanted.push_back(group);
  }
  return wanted;
}

// --- restarts

void TargetSets::Restore(RestoredSource restored, bool withhold, const Now& now) {
  Source& source = sources_[restored.source];
  static_cast<SourceState&>(source) = std::move(restored.state);
  source.Derive();
  source.last_heard_steady = now.steady;
  source.restored = true;
  source.ask_all = !source.refused.empty();
  if (withhold && !source.withheld && !(source.groups.empty() && source.held.empty())) {
    source.withheld = true;
    source.withheld_unkept = true;
  }
  Index(restored.source, source.GroupNames());
}

absl::Status TargetSets::KeepWithheld() {
  if (journal_ == nullptr) return absl::OkStatus();
  for (auto& [name, source] : sources_) {
    if (!source.withheld_unkept) continue;
    StateDelta delta;
    delta.head = source.head();
    RETURN_IF_ERROR(journal_->Record(name, source, delta));
    source.withheld_unkept = false;
  }
  return absl::OkStatus();
}

absl::Status TargetSets::KeepLost() {
  if (journal_ == nullptr) return absl::OkStatus();
  const std::vector<std::string> lost = journal_->Lost();
  for (const std::string& name : lost) {
    const Source* source = Find(name);
    if (source == nullptr) continue;
    StateDelta delta;
    delta.head = source->head();
    RETURN_IF_ERROR(journal_->Record(name, *source, delta));
  }
  return absl::OkStatus();
}

// --- release and leases

absl::StatusOr<ApplyResult> TargetSets::Release(const std::string& name,
                                                const ReleaseOptions& options) {
  auto it = sources_.find(name);
  if (it == sources_.end() || it->second.kind != SourceView::Kind::kPushed) {
    return NoSuchSource(name);
  }
  Source& source = it->second;
  if (const std::optional<std::string> foreign = ForeignJob(source, options.may_write)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "this client may not write job ", GoQuote(*foreign), ", which the source has as well"));
  }
  const bool outranked = source.fencing_token &&
                         (!options.fencing_token || *options.fencing_token < *source.fencing_token);
  if (!options.force && (outranked || source.stream_id != 0)) {
    return absl::FailedPreconditionError(
        outranked ? absl::StrCat("the source is fenced with token ", *source.fencing_token)
                  : absl::StrCat("a stream of instance ", GoQuote(source.instance), " (",
                                 source.peer, ") holds the source"));
  }
  ApplyResult result = Unchanged(source);
  result.counts.unchanged = options.remove_targets ? 0 : source.sizes.targets;
  result.counts.removed = options.remove_targets ? source.sizes.targets + source.sizes.held : 0;
  if (options.remove_targets) {
    result.counts.groups = result.counts.targets = result.counts.held = 0;
  }
  result.status = ApplyStatus::kApplied;
  if (options.dry_run) return result;
  StateDelta delta;
  delta.head = source.head();
  delta.head.history_id.clear();
  delta.head.lease = {};
  delta.head.released = true;
  if (options.force) delta.head.fencing_token.reset();
  delta.remove_all = options.remove_targets;
  if (options.remove_targets) {
    ++delta.head.version;
    delta.head.source_targets = 0;
    delta.head.withheld = false;
  }
  // Nothing is left to remember but a fence that must outlive it.
  const bool forget = options.remove_targets && !delta.head.fencing_token;
  absl::Status recorded = forget ? Forget(name) : Record(name, source, delta);
  if (!recorded.ok()) return absl::UnavailableError(recorded.message());
  if (options.force) source.stream_id = 0;
  if (options.remove_targets) {
    result.changed_jobs = Empty(name, delta);
  } else {
    source.Settle(delta, {}, absl::ZeroDuration());
  }
  if (forget) sources_.erase(name);
  return result;
}

ApplyResult TargetSets::Expire(const std::string& name) {
  ApplyResult result;
  auto it = sources_.find(name);
  if (it == sources_.end()) return result;
  const Source& source = it->second;
  StateDelta delta;
  delta.head = source.head();
  delta.head.history_id.clear();
  ++delta.head.version;
  delta.head.source_targets = 0;
  delta.head.withheld = false;
  delta.remove_all = true;
  Record(name, source, delta).IgnoreError();  // it was counted
  result.status = ApplyStatus::kApplied;
  result.counts.removed = source.sizes.targets + source.sizes.held;
  result.applied_version = delta.head.version;
  result.changed_jobs = Empty(name, delta);
  it->second.expired = true;
  return result;
}

// Of a delta that removes all: the jobs that lost groups.
std::vector<std::string> TargetSets::Empty(const std::string& name, const StateDelta& delta) {
  Source& source = sources_.at(name);
  const std::set<GroupName> groups = source.GroupNames();
  source.Settle(delta, {}, absl::ZeroDuration());
  source.withheld_unkept = false;
  return Index(name, groups);
}

// --- what is held

absl::StatusOr<ApplyResult> TargetSets::AcceptHeld(const std::string& name,
                                                   const AcceptOptions& options, const Now& now) {
  const Source* source = Find(name);
  if (source == nullptr || source->kind != SourceView::Kind::kPushed) return NoSuchSource(name);
  if (options.what == AcceptOptions::What::kUnspecified) {
    return absl::InvalidArgumentError("what: say what is to be done about what is held");
  }
  if (options.what == AcceptOptions::What::kRestored && !options.jobs.empty()) {
    return absl::InvalidArgumentError("jobs: a source that is held is accepted as a whole");
  }
  const StateDelta delta = Accept(*source, options);
  if (!options.dry_run) return CarryOut(name, delta, now);
  Source after = *source;
  after.Settle(delta, {}, absl::ZeroDuration());
  ApplyResult result = Unchanged(after);
  result.counts.removed = source->sizes.held - after.sizes.held;
  result.counts.unchanged = after.sizes.targets;
  result.status = ApplyStatus::kApplied;
  return result;
}

StateDelta TargetSets::Accept(const Source& source, const AcceptOptions& options) const {
  StateDelta delta;
  delta.head = source.head();
  if (options.what == AcceptOptions::What::kRestored) {
    delta.head.withheld = false;
    return delta;
  }
  const bool keep = options.what == AcceptOptions::What::kDiscardRemovals;
  for (const auto& [name, held] : source.held) {
    const bool meant = options.jobs.empty() || std::find(options.jobs.begin(), options.jobs.end(),
                                                         name.job) != options.jobs.end();
    if (!meant || (keep && held->kept)) continue;
    std::shared_ptr<HeldGroup> after;
    if (keep) {
      after = std::make_shared<HeldGroup>(*held);
      after->kept = true;
    }
    delta.held.emplace_back(name, std::move(after));
  }
  return delta;
}

absl::StatusOr<ApplyResult> TargetSets::CarryOutDue(const std::string& name, const Now& now) {
  const Source* source = Find(name);
  if (source == nullptr) return NoSuchSource(name);
  const absl::Duration heard = source->HeardTime(now.steady, options_.default_lease);
  StateDelta delta;
  delta.head = source->head();
  for (const auto& [group, since] : source->held_since) {
    if (heard - since >= options_.plan.guard.hold) delta.held.emplace_back(group, nullptr);
  }
  return CarryOut(name, delta, now);
}

// What was held and goes was meant: from here on the guard measures its jobs anew.
absl::StatusOr<ApplyResult> TargetSets::CarryOut(const std::string& name, const StateDelta& held,
                                                 const Now& now) {
  const Source& source = sources_.at(name);
  const uint64_t held_before = source.sizes.held;
  StateDelta delta = held;
  std::set<std::string> jobs;
  for (const auto& [group, after] : held.held) {
    if (after != nullptr) continue;
    jobs.insert("");
    jobs.insert(group.job);
  }
  for (const std::string& job : jobs) {
    if (source.peaks.contains(job)) delta.peaks.emplace_back(job, Peaks());
  }
  const absl::Status recorded = Record(name, source, delta);
  if (!recorded.ok()) return absl::UnavailableError(recorded.message());
  std::vector<std::string> changed = Settle(name, delta, {}, now);
  ApplyResult result = Unchanged(source);
  result.status = ApplyStatus::kApplied;
  result.counts.removed = held_before - source.sizes.held;
  result.counts.unchanged = source.sizes.targets;
  result.changed_jobs = std::move(changed);
  return result;
}

std::optional<absl::Duration> TargetSets::NextDue(const std::string& name, const Now& now) const {
  const Source* source = Find(name);
  if (source == nullptr || source->held_since.empty()) return std::nullopt;
  if (!source->IsHeard(now.steady, options_.default_lease)) return std::nullopt;
  absl::Duration first = absl::InfiniteDuration();
  for (const auto& [unused, since] : source->held_since) first = std::min(first, since);
  const absl::Duration heard = source->HeardTime(now.steady, options_.default_lease);
  return std::max(absl::ZeroDuration(), first + options_.plan.guard.hold - heard);
}

}  // namespace trawl
