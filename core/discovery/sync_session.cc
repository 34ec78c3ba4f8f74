#include "core/discovery/sync_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"
#include "core/discovery/discovery.h"

namespace trawl {
namespace {

constexpr absl::Duration kStagingRetry = absl::Seconds(1);

// What a string takes besides its object.
size_t Heap(const std::string& text) {
  return text.capacity() <= std::string().capacity() ? 0 : text.capacity() + 1;
}

// Short strings take several times their bytes on the wire: what is bounded is what is held.
size_t MemoryOf(const JobGroup& group) {
  size_t bytes = sizeof(JobGroup) + Heap(group.job) + Heap(group.group.key);
  bytes += group.group.targets.capacity() * sizeof(std::string);
  for (const std::string& target : group.group.targets) bytes += Heap(target);
  for (const Label& label : group.group.labels) {
    bytes += sizeof(Label) + Heap(label.name) + Heap(label.value);
  }
  return bytes;
}

}  // namespace

SyncSession::SyncSession(Discovery& discovery, uint64_t stream_id, SyncPeer& peer)
    : discovery_(discovery), stream_id_(stream_id), peer_(peer) {
  ArmSilence(discovery_.options().hello_timeout);
}

SyncSession::~SyncSession() { LetGo(); }

void SyncSession::OnMessage(SyncInput input) {
  if (ended_) return;
  silent_since_ = discovery_.loop().clock().Steady();
  if (auto* hello = std::get_if<StreamHello>(&input.message)) {
    const absl::Status checked = CheckHello(input.bytes);
    return checked.ok() ? OnHello(std::move(*hello)) : End(checked);
  }
  if (!welcomed_) return End(absl::InvalidArgumentError("the first message must be a hello"));
  discovery_.sets().Heard(hello_.source, discovery_.Now());
  discovery_.ArmTimers(hello_.source);
  const uint32_t max_bytes = discovery_.options().max_message_bytes;
  if (input.bytes > max_bytes) {
    return RejectForLimit(
        input.id, "message_bytes",
        absl::StrFormat("message of %d bytes, at most %d are allowed", input.bytes, max_bytes), {});
  }
  OnPlainMessage(std::move(input));
}

void SyncSession::OnPlainMessage(SyncInput input) {
  if (auto* begin = std::get_if<SyncBegin>(&input.message)) return OnBegin(input.id, *begin);
  if (auto* part = std::get_if<SyncPart>(&input.message)) {
    return OnPart(input.id, std::move(*part));
  }
  if (std::holds_alternative<SyncEnd>(input.message)) return OnEnd(input.id);
  if (auto* delta = std::get_if<SyncDelta>(&input.message)) {
    return OnDelta(input.id, std::move(*delta));
  }
  if (std::holds_alternative<SyncHeartbeat>(input.message)) {
    SyncAck ack{.id = input.id, .staged = false, .result = {}, .retry_after = std::nullopt};
    ack.result.applied_version = discovery_.sets().AppliedVersion(hello_.source);
    return QueueAck(std::move(ack));
  }
  End(absl::InvalidArgumentError(absl::StrCat("message ", input.id, ": no known kind is set")));
}

absl::Status SyncSession::CheckHello(uint64_t bytes) const {
  const Discovery::Options& options = discovery_.options();
  if (welcomed_) return absl::InvalidArgumentError("hello comes once, first on the stream");
  if (bytes > options.max_message_bytes) {
    discovery_.CountLimit("message_bytes");
    return absl::InvalidArgumentError(absl::StrFormat("hello of %d bytes, at most %d are allowed",
                                                      bytes, options.max_message_bytes));
  }
  return absl::OkStatus();
}

void SyncSession::OnHello(StreamHello hello) {
  const size_t max_streams = discovery_.options().max_streams;
  discovery_.EndWaiting(stream_id_);
  reserved_ = discovery_.ReserveStream(hello.source);
  if (!reserved_) {
    discovery_.CountLimit("streams");
    return End(
        absl::ResourceExhaustedError(absl::StrCat("at most ", max_streams, " streams are served")));
  }
  hello.stream_id = stream_id_;
  HelloResult result = discovery_.sets().Hello(hello, discovery_.Now());
  if (!result.status.ok()) {
    if (absl::IsAborted(result.status)) {
      peer_.Send({SyncGoaway{std::string(result.status.message()), std::nullopt, result.fenced}});
    }
    if (!result.limit.empty()) discovery_.CountLimit(result.limit);
    return End(result.status);
  }
  hello_ = std::move(hello);
  welcomed_ = true;
  ArmSilence(SilenceLimit());
  if (result.displaced != 0) discovery_.Displace(result.displaced, result.outranked);
  discovery_.Follow(hello_.source, result.changed_jobs, {});
  peer_.Send({SyncWelcome{std::move(result)}});
  AskAgain();
}

void SyncSession::AskAgain() {
  if (ended_ || !welcomed_) return;
  const std::vector<GroupName> groups = discovery_.sets().TakeWanted(hello_.source);
  const size_t most = discovery_.options().max_wanted;
  for (size_t begin = 0; begin < groups.size(); begin += most) {
    const auto first = groups.begin() + static_cast<std::ptrdiff_t>(begin);
    const size_t count = std::min(most, groups.size() - begin);
    peer_.Send({SyncWant{{first, first + static_cast<std::ptrdiff_t>(count)}}});
  }
}

void SyncSession::OnBegin(uint64_t id, const SyncBegin& begin) {
  DropStaged();
  const uint64_t max_bytes = discovery_.options().max_staged_bytes;
  if (begin.bytes > max_bytes) {
    return RejectForLimit(
        id, "staged_bytes",
        absl::StrFormat("snapshot of %d bytes, at most %d are allowed", begin.bytes, max_bytes),
        {});
  }
  if (!discovery_.ReserveStaged(begin.bytes)) {
    return RejectForLimit(id, "staged_bytes",
                          "no room to stage the snapshot now: others are being staged",
                          kStagingRetry);
  }
  staged_.emplace(begin);
  staged_->reserved = begin.bytes;
  staged_->applied_at_begin = discovery_.sets().AppliedVersion(hello_.source);
  AckStaged(id);
}

void SyncSession::OnPart(uint64_t id, SyncPart part) {
  if (!staged_) return RejectMessage(id, IssueCode::kNoSnapshot, "no snapshot was begun");
  staged_->bytes += part.bytes;
  if (staged_->bytes > staged_->begin.bytes ||
      staged_->groups.size() + part.groups.size() > staged_->begin.groups) {
    const std::string stated = absl::StrFormat(
        "the snapshot is larger than its begin stated "
        "(%d groups, %d bytes)",
        staged_->begin.groups, staged_->begin.bytes);
    DropStaged();
    return RejectMessage(id, IssueCode::kCountMismatch, stated);
  }
  if (!Stage(std::move(part.groups))) {
    const uint64_t memory = staged_->memory;
    const uint64_t max = discovery_.options().max_staged_bytes;
    DropStaged();
    const auto retry = memory > max ? std::nullopt : std::make_optional(kStagingRetry);
    return RejectForLimit(id, "staged_bytes",
                          absl::StrFormat("no room to stage the snapshot: it takes %d bytes of "
                                          "memory so far, all together may take %d",
                                          memory, max),
                          retry);
  }
  AckStaged(id);
}

// False if there is no room for them.
bool SyncSession::Stage(std::vector<JobGroup> groups) {
  for (JobGroup& group : groups) {
    staged_->memory += MemoryOf(group);
    staged_->groups.push_back(std::move(group));
  }
  if (staged_->memory <= staged_->reserved) return true;
  if (!discovery_.ReserveStaged(staged_->memory - staged_->reserved)) return false;
  staged_->reserved = staged_->memory;
  return true;
}

void SyncSession::AckStaged(uint64_t id) {
  discovery_.loop().Cancel(staged_->stall_timer);
  staged_->stall_timer = discovery_.loop().RunAfter(discovery_.options().staged_timeout, [this] {
    staged_->stall_timer = 0;
    DropStaged();
  });
  SyncAck ack;
  ack.id = id;
  ack.staged = true;
  ack.result.applied_version = discovery_.sets().AppliedVersion(hello_.source);
  QueueAck(std::move(ack));
}

void SyncSession::OnEnd(uint64_t id) {
  if (!staged_) return RejectMessage(id, IssueCode::kNoSnapshot, "no snapshot was begun");
  if (discovery_.sets().AppliedVersion(hello_.source) != staged_->applied_at_begin) {
    const uint64_t version = staged_->begin.version;
    DropStaged();
    SyncAck ack = Rejection(id, IssueCode::kNoSnapshot,
                            "the applied version moved since the snapshot was begun");
    ack.result.resync = true;
    return QueueAck(std::move(ack), version);
  }
  if (staged_->groups.size() != staged_->begin.groups) {
    const std::string detail = absl::StrFormat("the snapshot's begin stated %d groups, %d came",
                                               staged_->begin.groups, staged_->groups.size());
    DropStaged();
    return RejectMessage(id, IssueCode::kCountMismatch, detail);
  }
  Change change;
  change.scope = Change::Scope::kSource;
  change.groups = std::move(staged_->groups);
  change.version = staged_->begin.version;
  change.allow_shrink = staged_->begin.allow_shrink;
  change.source_targets = staged_->begin.source_targets;
  DropStaged();
  Apply(id, std::move(change));
}

void SyncSession::OnDelta(uint64_t id, SyncDelta delta) {
  Change change;
  change.scope = Change::Scope::kGroups;
  change.groups = std::move(delta.upsert);
  change.remove = std::move(delta.remove);
  change.base_version = delta.base_version;
  change.version = delta.version;
  change.allow_shrink = delta.allow_shrink;
  change.source_targets = delta.source_targets;
  Apply(id, std::move(change));
}

void SyncSession::Apply(uint64_t id, Change change) {
  change.may_write = hello_.may_write;
  change.source = hello_.source;
  change.history_id = hello_.history_id;
  change.fencing_token = hello_.fencing_token;
  change.stream_id = stream_id_;
  change.peer = hello_.peer;
  change.allow_partial = true;  // on the stream a bad target rejects its group alone
  const uint64_t sequence = next_pending_++;
  pending_acks_[sequence].ack.id = id;
  pending_acks_[sequence].version = *change.version;
  discovery_.Apply(change, stream_id_, [this, sequence](ApplyResult result) {
    PendingAnswer& pending = pending_acks_[sequence];
    if (!result.issues.empty() && result.issues.front().code == IssueCode::kNotPersisted) {
      pending.ack.retry_after = discovery_.options().persist_retry;
    }
    pending.ack.result = std::move(result);
    pending.ready = true;
    FlushAcks();
  });
}

SyncAck SyncSession::Rejection(uint64_t id, IssueCode code, std::string detail) const {
  SyncAck ack;
  ack.id = id;
  ack.result.status = ApplyStatus::kRejected;
  ack.result.applied_version = discovery_.sets().AppliedVersion(hello_.source);
  Issue issue;
  issue.code = code;
  issue.detail = std::move(detail);
  ack.result.issues.push_back(std::move(issue));
  ack.result.issue_count = 1;
  return ack;
}

void SyncSession::RejectMessage(uint64_t id, IssueCode code, std::string detail) {
  QueueAck(Rejection(id, code, std::move(detail)));
}

// What can be tried again is a limit of the moment, the rest is too large in itself.
void SyncSession::RejectForLimit(uint64_t id, std::string_view limit, std::string detail,
                                 std::optional<absl::Duration> retry_after) {
  discovery_.CountLimit(limit);
  SyncAck ack =
      Rejection(id, retry_after ? IssueCode::kLimit : IssueCode::kTooLarge, std::move(detail));
  ack.retry_after = retry_after;
  QueueAck(std::move(ack));
}

void SyncSession::QueueAck(SyncAck ack, uint64_t version) {
  pending_acks_[next_pending_++] = {std::move(ack), version, true, std::nullopt};
  FlushAcks();
}

void SyncSession::FlushAcks() {
  while (!ended_ && !pending_acks_.empty() && pending_acks_.begin()->second.ready) {
    PendingAnswer answer = std::move(pending_acks_.begin()->second);
    pending_acks_.erase(pending_acks_.begin());
    if (answer.resync) {
      SendResync(*answer.resync, answer.version);
      continue;
    }
    const ApplyResult& result = answer.ack.result;
    const std::string gap = result.resync ? DescribeIssue(result.issues.front()) : "";
    peer_.Send({std::move(answer.ack)});
    silent_since_ = discovery_.loop().clock().Steady();
    if (!gap.empty()) SendResync(gap, answer.version);
  }
  if (half_closed_ && pending_acks_.empty()) End(absl::OkStatus());
}

// What a Hello of this version would be told; that the same version is another state is why.
void SyncSession::SendResync(const std::string& reason, uint64_t version) {
  SyncResync resync;
  resync.reason = reason;
  resync.applied_version = discovery_.sets().AppliedVersion(hello_.source);
  resync.history_id = discovery_.sets().HistoryId(hello_.source);
  resync.need = discovery_.sets().NeedOf(hello_.source, hello_.history_id, version);
  if (resync.need == SyncNeed::kNothing) resync.need = SyncNeed::kSnapshot;
  peer_.Send({std::move(resync)});
}

void SyncSession::OnHalfClose() {
  half_closed_ = true;
  FlushAcks();
}

void SyncSession::OnChangedElsewhere(std::string reason) {
  if (ended_) return;
  pending_acks_[next_pending_++] = {{}, 0, true, std::move(reason)};
  FlushAcks();
}

absl::Duration SyncSession::SilenceLimit() const {
  return Discovery::kSilentHeartbeats * discovery_.options().heartbeat_interval;
}

void SyncSession::ArmSilence(absl::Duration time) {
  discovery_.loop().Cancel(silence_timer_);
  silence_timer_ = discovery_.loop().RunAfter(time, [this] {
    silence_timer_ = 0;
    discovery_.CheckSilenceSoon(stream_id_);
  });
}

void SyncSession::CheckSilence() {
  if (ended_) return;
  if (!welcomed_) {
    discovery_.CountLimit("hello_time");
    return End(absl::DeadlineExceededError(absl::StrCat(
        "no hello within ", absl::FormatDuration(discovery_.options().hello_timeout))));
  }
  const absl::Duration left = silent_since_ + SilenceLimit() - discovery_.loop().clock().Steady();
  // While an answer is under way it is the client that waits.
  if (!pending_acks_.empty()) return ArmSilence(SilenceLimit());
  if (left > absl::ZeroDuration()) return ArmSilence(left);
  discovery_.CountLimit("silence");
  const std::string reason = absl::StrCat(
      "nothing was heard for ", absl::FormatDuration(SilenceLimit()), ", a heartbeat is due every ",
      absl::FormatDuration(discovery_.options().heartbeat_interval));
  peer_.Send({SyncGoaway{reason, std::nullopt, false}});
  End(absl::DeadlineExceededError(reason));
}

void SyncSession::OnCrowdedOut() {
  discovery_.CountLimit("streams");
  End(absl::ResourceExhaustedError(
      absl::StrCat("no hello, and ", discovery_.options().max_streams, " newer streams wait")));
}

void SyncSession::OnDisplaced(bool fenced) {
  if (ended_) return;
  peer_.Send({SyncGoaway{"another client took the source over", std::nullopt, fenced}});
  End(absl::AbortedError("another client took the source over"));
}

void SyncSession::OnShutdown() {
  if (ended_) return;
  peer_.Send({SyncGoaway{"the server is stopping", absl::Seconds(1), false}});
  End(absl::UnavailableError("the server is stopping"));
}

void SyncSession::DropStaged() {
  if (!staged_) return;
  discovery_.loop().Cancel(staged_->stall_timer);
  discovery_.ReleaseStaged(staged_->reserved);
  staged_.reset();
}

void SyncSession::End(absl::Status status) {
  if (ended_) return;
  ended_ = true;
  LetGo();
  peer_.Finish(std::move(status));
}

// Of all that others could use. More than once is as good as once.
void SyncSession::LetGo() {
  discovery_.loop().Cancel(std::exchange(silence_timer_, 0));
  DropStaged();
  discovery_.EndWaiting(stream_id_);
  if (welcomed_) discovery_.EndStream(hello_.source, stream_id_);
  if (std::exchange(reserved_, false)) discovery_.ReleaseStream();
}

}  // namespace trawl
