#include "server/discovery_conversions.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/proto_conversions.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;

// A status travels in the trailers, of which clients take 8 KiB, percent-encoded.
constexpr size_t kMaxStatusBytes = 2000;

// What is no valid duration becomes one that is below every limit.
absl::Duration ToTtl(const google::protobuf::Duration& ttl) {
  constexpr int64_t kMaxSeconds = 315'576'000'000;
  constexpr int32_t kNanos = 1'000'000'000;
  const bool in_range = ttl.seconds() >= -kMaxSeconds && ttl.seconds() <= kMaxSeconds &&
                        ttl.nanos() > -kNanos && ttl.nanos() < kNanos;
  const bool one_sign =
      (ttl.seconds() >= 0 && ttl.nanos() >= 0) || (ttl.seconds() <= 0 && ttl.nanos() <= 0);
  return in_range && one_sign ? ToDuration(ttl) : -absl::InfiniteDuration();
}

LeasePolicy ToLease(const pb::LeasePolicy& lease) {
  LeasePolicy out;
  if (lease.has_ttl()) out.ttl = ToTtl(lease.ttl());
  out.remove_on_expiry = lease.on_expiry() == pb::LeasePolicy::REMOVE;
  return out;
}

GroupName ToName(const pb::GroupKey& key) { return {key.job(), key.key()}; }

template <typename Groups>
std::vector<JobGroup> ToGroups(const Groups& groups) {
  std::vector<JobGroup> out;
  out.reserve(groups.size());
  for (const pb::TargetGroup& group : groups) out.push_back(ToJobGroup(group));
  return out;
}

template <typename Keys>
std::vector<GroupName> ToNames(const Keys& keys) {
  std::vector<GroupName> out;
  out.reserve(keys.size());
  for (const pb::GroupKey& key : keys) out.push_back(ToName(key));
  return out;
}

// What the unary requests have in common.
template <typename Request>
Change CommonChange(const Request& request, const std::string& peer) {
  Change change;
  change.source = request.source();
  change.history_id = request.history_id();
  if (request.has_version()) change.version = request.version();
  if (request.has_fencing_token()) change.fencing_token = request.fencing_token();
  change.allow_partial = request.allow_partial();
  change.allow_shrink = request.allow_shrink();
  change.source_targets = request.source_targets();
  change.dry_run = request.dry_run();
  if (request.has_lease()) change.lease = ToLease(request.lease());
  change.peer = peer;
  return change;
}

void NumberKeylessGroups(std::vector<JobGroup>& groups) {
  std::map<std::string, bool> has_key;
  for (const JobGroup& group : groups) has_key[group.job] |= !group.group.key.empty();
  std::map<std::string, size_t> next;
  for (JobGroup& group : groups) {
    if (!has_key[group.job]) group.group.key = absl::StrCat(next[group.job]++);
  }
}

StreamHello ToHello(const pb::Hello& hello, const std::string& peer) {
  StreamHello out;
  out.source = hello.source();
  out.instance = hello.instance();
  if (hello.has_fencing_token()) out.fencing_token = hello.fencing_token();
  out.history_id = hello.history_id();
  out.version = hello.version();
  if (hello.has_lease()) out.lease = ToLease(hello.lease());
  out.peer = peer;
  return out;
}

SyncDelta ToDelta(const pb::Delta& delta) {
  return {.base_version = delta.base_version(),
          .version = delta.version(),
          .upsert = ToGroups(delta.upsert()),
          .remove = ToNames(delta.remove()),
          .allow_shrink = delta.allow_shrink(),
          .source_targets = delta.source_targets()};
}

SyncBegin ToBegin(const pb::SnapshotBegin& begin) {
  return {.version = begin.version(),
          .groups = begin.groups(),
          .bytes = begin.bytes(),
          .allow_shrink = begin.allow_shrink(),
          .source_targets = begin.source_targets()};
}

pb::Ack::Status ToProto(ApplyStatus status) {
  switch (status) {
    case ApplyStatus::kApplied:
      return pb::Ack::APPLIED;
    case ApplyStatus::kAppliedPartly:
      return pb::Ack::APPLIED_PARTLY;
    case ApplyStatus::kNoop:
      return pb::Ack::NOOP;
    case ApplyStatus::kRejected:
      return pb::Ack::REJECTED;
  }
  return pb::Ack::STATUS_UNSPECIFIED;
}

// Not in the middle of a character.
std::string Cut(std::string text) {
  if (text.size() <= kMaxStatusBytes) return text;
  size_t end = kMaxStatusBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "…");
}

// Some have codes of their own, if nothing else is wrong.
absl::StatusCode RejectionCode(const ApplyResult& result) {
  const bool alone = result.issues.size() == 1;
  const IssueCode code = result.issues.empty() ? IssueCode::kUnspecified : result.issues[0].code;
  if (alone && code == IssueCode::kLimit) return absl::StatusCode::kResourceExhausted;
  if (alone && code == IssueCode::kNotOwner) return absl::StatusCode::kPermissionDenied;
  if (alone && code == IssueCode::kUnknownSource) return absl::StatusCode::kNotFound;
  if (alone && code == IssueCode::kNotPersisted) return absl::StatusCode::kUnavailable;
  return result.precondition ? absl::StatusCode::kFailedPrecondition
                             : absl::StatusCode::kInvalidArgument;
}

}  // namespace

JobGroup ToJobGroup(const pb::TargetGroup& group) {
  JobGroup out;
  out.job = group.job();
  out.group.key = group.key();
  out.group.targets.assign(group.targets().begin(), group.targets().end());
  out.group.labels = ToLabels(group.labels());
  return out;
}

Change ToChange(const pb::PushRequest& request, const std::string& peer) {
  Change change = CommonChange(request, peer);
  change.scope = Change::Scope::kJobs;
  change.jobs.assign(request.jobs().begin(), request.jobs().end());
  change.groups = ToGroups(request.groups());
  NumberKeylessGroups(change.groups);
  return change;
}

Change ToChange(const pb::UpdateRequest& request, const std::string& peer) {
  Change change = CommonChange(request, peer);
  change.scope = Change::Scope::kGroups;
  change.groups = ToGroups(request.upsert());
  change.remove = ToNames(request.remove());
  if (request.has_base_version()) change.base_version = request.base_version();
  return change;
}

SyncInput ToSyncInput(const pb::SyncRequest& request, const std::string& peer) {
  SyncInput input;
  input.id = request.id();
  input.bytes = request.ByteSizeLong();
  switch (request.msg_case()) {
    case pb::SyncRequest::kHello:
      input.message = ToHello(request.hello(), peer);
      break;
    case pb::SyncRequest::kSnapshotBegin:
      input.message = ToBegin(request.snapshot_begin());
      break;
    case pb::SyncRequest::kSnapshotPart:
      input.message = SyncPart{ToGroups(request.snapshot_part().groups()),
                               request.snapshot_part().ByteSizeLong()};
      break;
    case pb::SyncRequest::kSnapshotEnd:
      input.message = SyncEnd{};
      break;
    case pb::SyncRequest::kDelta:
      input.message = ToDelta(request.delta());
      break;
    case pb::SyncRequest::kHeartbeat:
      input.message = SyncHeartbeat{};
      break;
    case pb::SyncRequest::MSG_NOT_SET:
      break;
  }
  return input;
}

pb::TargetGroup ToProto(const std::string& job, const TargetGroup& group) {
  pb::TargetGroup out;
  out.set_job(job);
  out.set_key(group.key);
  out.mutable_targets()->Add(group.targets.begin(), group.targets.end());
  SetLabels(group.labels, out.mutable_labels());
  return out;
}

pb::Issue ToProto(const Issue& issue) {
  pb::Issue out;
  out.set_severity(issue.error ? pb::Issue::ERROR : pb::Issue::WARNING);
  out.set_code(static_cast<pb::Issue::Code>(issue.code));
  if (issue.group != GroupName{}) {
    out.mutable_group()->set_job(issue.group.job);
    out.mutable_group()->set_key(issue.group.key);
  }
  out.set_target_index(issue.target_index);
  out.set_field(issue.field);
  out.set_detail(issue.detail);
  return out;
}

pb::Issue RefusedToProto(const Issue& issue) {
  pb::Issue out = ToProto(issue);
  const size_t dot = issue.field.find("].");  // "groups[3].targets[0]"
  out.set_field(dot == std::string::npos ? "" : issue.field.substr(dot + 2));
  return out;
}

pb::Counts ToProto(const SourceCounts& counts) {
  pb::Counts out;
  out.set_groups(counts.groups);
  out.set_targets(counts.targets);
  out.set_added(counts.added);
  out.set_removed(counts.removed);
  out.set_unchanged(counts.unchanged);
  out.set_held(counts.held);
  return out;
}

pb::Ack ToProto(const ApplyResult& result) {
  pb::Ack out;
  out.set_applied_version(result.applied_version);
  out.set_status(ToProto(result.status));
  for (const Issue& issue : result.issues) *out.add_issues() = ToProto(issue);
  out.set_issue_count(result.issue_count);
  *out.mutable_counts() = ToProto(result.counts);
  return out;
}

pb::Ack ToProto(const SyncAck& ack) {
  pb::Ack out = ToProto(ack.result);
  out.set_id(ack.id);
  if (ack.staged) {
    out.set_status(pb::Ack::STAGED);
    out.clear_counts();
  }
  if (ack.retry_after) SetDuration(*ack.retry_after, out.mutable_retry_after());
  return out;
}

pb::Resync ToProto(const SyncResync& resync) {
  pb::Resync out;
  out.set_reason(resync.reason);
  out.set_need(static_cast<pb::Welcome::Need>(resync.need));
  out.set_applied_version(resync.applied_version);
  out.set_history_id(resync.history_id);
  return out;
}

pb::Goaway ToProto(const SyncGoaway& goaway) {
  pb::Goaway out;
  out.set_reason(goaway.reason);
  if (goaway.retry_after) SetDuration(*goaway.retry_after, out.mutable_retry_after());
  out.set_fenced(goaway.fenced);
  return out;
}

pb::LeasePolicy ToProto(const LeasePolicy& lease) {
  pb::LeasePolicy out;
  if (lease.ttl) SetDuration(*lease.ttl, out.mutable_ttl());
  out.set_on_expiry(lease.remove_on_expiry ? pb::LeasePolicy::REMOVE : pb::LeasePolicy::KEEP);
  return out;
}

pb::Want ToProto(const SyncWant& want) {
  pb::Want out;
  for (const GroupName& name : want.groups) {
    pb::GroupKey& key = *out.add_groups();
    key.set_job(name.job);
    key.set_key(name.key);
  }
  return out;
}

TargetSets::AcceptOptions ToAccept(const pb::AcceptHeldRequest& request) {
  using What = TargetSets::AcceptOptions::What;
  TargetSets::AcceptOptions options;
  const bool known = pb::AcceptHeldRequest::What_IsValid(request.what());
  options.what = known ? static_cast<What>(request.what()) : What::kUnspecified;
  options.jobs.assign(request.jobs().begin(), request.jobs().end());
  options.dry_run = request.dry_run();
  return options;
}

pb::Source ToProto(const SourceView& view, const SourceClock& clock) {
  pb::Source out;
  out.set_name(view.name);
  out.set_instance(view.instance);
  out.set_connected(view.connected);
  out.set_applied_version(view.applied_version);
  out.set_history_id(view.history_id);
  if (view.last_heard != absl::InfinitePast()) SetTime(view.last_heard, out.mutable_last_heard());
  if (view.lease.remove_on_expiry && view.last_heard != absl::InfinitePast()) {
    SetTime(view.last_heard + view.lease.ttl.value_or(clock.default_lease),
            out.mutable_lease_expires());
  }
  *out.mutable_counts() = ToProto(view.counts);
  if (view.fencing_token) out.set_fencing_token(*view.fencing_token);
  out.set_state(static_cast<pb::Source::State>(view.standing));
  for (const Issue& issue : view.refused) *out.add_refused() = RefusedToProto(issue);
  out.set_kind(static_cast<pb::Source::Kind>(view.kind));
  if (view.lease != LeasePolicy{}) *out.mutable_lease() = ToProto(view.lease);
  out.mutable_pending_jobs()->Add(view.pending_jobs.begin(), view.pending_jobs.end());
  out.set_refused_count(view.refused_count);
  if (view.held_for) SetTime(clock.now + *view.held_for, out.mutable_held_until());
  out.set_peer(view.peer);
  return out;
}

absl::Status RejectionStatus(const ApplyResult& result) {
  std::string message;
  uint64_t listed = 0;
  for (const Issue& issue : result.issues) {
    if (!issue.error) continue;
    const std::string text = Cut(DescribeIssue(issue));
    if (listed > 0 && message.size() + text.size() > kMaxStatusBytes) break;
    absl::StrAppend(&message, listed > 0 ? "; " : "", text);
    ++listed;
  }
  const auto warnings = static_cast<uint64_t>(
      std::ranges::count_if(result.issues, [](const Issue& issue) { return !issue.error; }));
  if (result.issue_count > listed + warnings) {
    absl::StrAppend(&message, "; and ", result.issue_count - listed - warnings, " more");
  }
  return {RejectionCode(result), message};
}

}  // namespace trawl
