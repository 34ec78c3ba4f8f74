#include "client/discovery/push_session.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace trawl {

namespace pb = discovery::v1;

namespace {

// A trawld may not put off the next attempt for longer.
constexpr absl::Duration kMaxRetryAfter = absl::Minutes(10);
constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(10);
constexpr absl::Duration kMinHeartbeat = absl::Milliseconds(100);
constexpr int kSilentHeartbeats = 3;
// Of a trawld's words, which are kept and logged.
constexpr size_t kMaxText = 1024;
// What a message takes besides its groups.
constexpr size_t kMessageOverhead = 256;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Duration Bounded(const google::protobuf::Duration& duration) {
  return std::clamp(FromProto(duration), absl::ZeroDuration(), kMaxRetryAfter);
}

// Errors that waiting hardly mends.
bool NeedsPerson(absl::StatusCode code) {
  return code == absl::StatusCode::kUnimplemented || code == absl::StatusCode::kUnauthenticated ||
         code == absl::StatusCode::kPermissionDenied ||
         code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition;
}

std::string Describe(const pb::Ack& ack) {
  if (ack.issues().empty()) return "rejected without a reason";
  const pb::Issue& issue = ack.issues(0);
  return absl::StrCat(issue.field(), issue.field().empty() ? "" : ": ", issue.detail());
}

std::string InstanceFor(const std::string& instance, const std::string& address) {
  return absl::StrCat(instance, instance.empty() ? "for " : " for ", address);
}

// A trawld names who holds the source: this pusher itself, by whichever address.
bool NamesOneOf(std::string_view reason, const std::string& instance) {
  std::string start = GoQuote(InstanceFor(instance, ""));
  start.pop_back();
  return absl::StrContains(reason, start) || absl::StrContains(reason, GoQuote(instance));
}

GroupId IdOf(const pb::GroupKey& key) { return {key.job(), key.key()}; }

}  // namespace

PushSession::PushSession(std::string address, const Identity& identity, const Options& options,
                         const Deps& deps)
    : address_(std::move(address)),
      options_(options),
      loop_(deps.loop),
      random_(deps.random),
      listener_(deps.listener),
      streams_(deps.streams),
      identity_(identity),
      backoff_(options.backoff) {
  status_.address = address_;
}

PushSession::~PushSession() {
  EndStream();
  loop_.Cancel(open_timer_);
}

void PushSession::Start(const std::string& history_id) {
  EndStream();
  history_id_ = history_id;
  applied_ = 0;
  backoff_.Reset();
  status_.state = PushState::kWaiting;
  ScheduleOpen(absl::ZeroDuration());
}

void PushSession::SetFencingToken(std::optional<uint64_t> token) {
  if (identity_.fencing_token == token) return;
  identity_.fencing_token = token;
  if (history_id_.empty()) return;
  EndStream();
  backoff_.Reset();
  status_.state = PushState::kWaiting;
  ScheduleOpen(absl::ZeroDuration());
}

void PushSession::Wake() { Pump(); }

bool PushSession::in_sync() const {
  return welcomed_ && !change_ && !need_snapshot_ && applied_ == share_.version();
}

TrawldStatus PushSession::Snapshot() const {
  TrawldStatus status = status_;
  if (welcomed_) status.state = in_sync() ? PushState::kInSync : PushState::kSending;
  status.version = share_.version();
  status.applied_version = applied_;
  status.groups = share_.group_count();
  status.targets = share_.target_count();
  status.refused_count = std::max<uint64_t>(status.refused_count, refused_.size());
  for (const auto& [id, issue] : too_large_) {
    status.refused.push_back(issue);
    if (!refused_.contains(id)) ++status.refused_count;
  }
  for (const auto& [id, issue] : refused_) {
    if (!too_large_.contains(id)) status.refused.push_back(issue);
  }
  return status;
}

// ---- The stream's life

std::string PushSession::Instance() const {
  if (!identity_.one_of_several) return identity_.instance;
  return InstanceFor(identity_.instance, address_);
}

void PushSession::ScheduleOpen(absl::Duration delay) {
  loop_.Cancel(open_timer_);
  open_timer_ = loop_.RunAfter(delay, [this] {
    open_timer_ = 0;
    Open();
  });
}

void PushSession::Open() {
  ++status_.streams_opened;
  status_.state = PushState::kOpening;
  next_id_ = 1;
  heartbeat_interval_ = kDefaultHeartbeat;
  stream_ = streams_.Open(*this);
  ArmSilence();
  pb::SyncRequest request;
  pb::Hello& hello = *request.mutable_hello();
  hello.set_source(identity_.source);
  hello.set_instance(Instance());
  if (identity_.fencing_token) hello.set_fencing_token(*identity_.fencing_token);
  hello.set_history_id(history_id_);
  hello.set_version(share_.version());
  if (identity_.lease) *hello.mutable_lease() = *identity_.lease;
  Send(std::move(request), Kind::kHello);
}

void PushSession::EndStream() {
  stream_.reset();
  write_pending_ = welcomed_ = need_snapshot_ = heartbeat_due_ = false;
  unanswered_.clear();
  in_flight_ = 0;
  change_.reset();
  wanted_.clear();
  loop_.Cancel(std::exchange(retry_timer_, 0));
  loop_.Cancel(std::exchange(heartbeat_timer_, 0));
  loop_.Cancel(std::exchange(silence_timer_, 0));
}

void PushSession::Drop(const absl::Status& why, absl::Duration not_before) {
  NoteError(why);
  if (welcomed_ && loop_.clock().Steady() - welcomed_at_ >= options_.backoff.max) backoff_.Reset();
  if (NeedsPerson(why.code())) backoff_.UseMax();
  EndStream();
  status_.state = PushState::kWaiting;
  ScheduleOpen(std::max(backoff_.Next(random_), not_before));
  listener_.OnPushed(*this);
}

void PushSession::NoteError(const absl::Status& why) {
  // A trawld that is down is told once, not at each attempt.
  const bool news = welcomed_ || status_.last_error.code() != why.code();
  status_.last_error = absl::Status(why.code(), PresentableText(why.message(), kMaxText));
  status_.last_error_time = loop_.clock().Now();
  Log(news ? LogLevel::kWarn : LogLevel::kDebug, "trawld is not reached, or refuses",
      {{"address", address_}, {"source", identity_.source}, {"err", status_.last_error}});
}

void PushSession::OnClosed(const absl::Status& status) {
  Drop(status.ok() ? absl::UnavailableError("the trawld ended the stream") : status);
}

void PushSession::OnWritten() {
  write_pending_ = false;
  Pump();
}

void PushSession::OnMessage(const pb::SyncResponse& message) {
  ArmSilence();
  switch (message.msg_case()) {
    case pb::SyncResponse::kWelcome:
      OnWelcome(message.welcome());
      break;
    case pb::SyncResponse::kAck:
      OnAck(message.ack());
      break;
    case pb::SyncResponse::kResync:
      OnResync(message.resync());
      break;
    case pb::SyncResponse::kGoaway:
      OnGoaway(message.goaway());
      break;
    case pb::SyncResponse::kWant:
      for (const pb::GroupKey& key : message.want().groups()) wanted_.insert(IdOf(key));
      break;
    case pb::SyncResponse::MSG_NOT_SET:
      break;  // a kind that is newer than this program
  }
  Pump();
}

void PushSession::OnWelcome(const pb::Welcome& welcome) {
  if (welcomed_)
    return Drop(absl::InternalError("the trawld broke the protocol: a second welcome"));
  unanswered_.clear();
  const bool ours = welcome.history_id() == history_id_;
  applied_ = ours ? welcome.applied_version() : 0;
  if (applied_ > share_.version()) share_.SkipTo(applied_);
  max_in_flight_ = std::max<uint32_t>(welcome.max_in_flight(), 1);
  max_message_bytes_ = welcome.max_message_bytes();
  heartbeat_interval_ = welcome.has_heartbeat_interval()
                            ? std::max(FromProto(welcome.heartbeat_interval()), kMinHeartbeat)
                            : kDefaultHeartbeat;
  refused_.clear();
  for (const pb::Issue& issue : welcome.refused()) refused_[IdOf(issue.group())] = issue;
  status_.refused_count = refused_.size();
  status_.jobs.assign(welcome.jobs().begin(), welcome.jobs().end());
  status_.counts = welcome.counts();
  const absl::Status accepted = listener_.OnWelcome(*this, welcome);
  if (!accepted.ok()) return Drop(accepted);
  if (stream_ == nullptr) return;  // started anew
  welcomed_ = true;
  welcomed_at_ = loop_.clock().Steady();
  ArmHeartbeat();
  ArmSilence();
  need_snapshot_ =
      !ours || welcome.need() == pb::Welcome::SNAPSHOT || !share_.Knows(applied_) || AnyFitsNow();
  LogInfo("Connected to trawld", {{"address", address_},
                                  {"source", identity_.source},
                                  {"need", pb::Welcome::Need_Name(welcome.need())},
                                  {"applied_version", applied_},
                                  {"version", share_.version()}});
  listener_.OnPushed(*this);
}

void PushSession::OnResync(const pb::Resync& resync) {
  ++status_.resyncs;
  const bool ours = resync.history_id() == history_id_;
  applied_ = ours ? resync.applied_version() : 0;
  if (applied_ > share_.version()) share_.SkipTo(applied_);
  need_snapshot_ = !ours || resync.need() != pb::Welcome::DELTA || !share_.Knows(applied_);
  LogWarn("trawld asks for a resync", {{"address", address_},
                                       {"source", identity_.source},
                                       {"reason", PresentableText(resync.reason(), kMaxText)}});
}

void PushSession::OnGoaway(const pb::Goaway& goaway) {
  std::string reason = PresentableText(goaway.reason(), kMaxText);
  if (identity_.one_of_several && NamesOneOf(reason, identity_.instance)) {
    absl::StrAppend(&reason, ": do two addresses lead to one trawld?");
  }
  if (!goaway.fenced()) {
    return Drop(absl::UnavailableError(absl::StrCat("goaway: ", reason)),
                Bounded(goaway.retry_after()));
  }
  NoteError(absl::AbortedError(absl::StrCat("fenced: ", reason)));
  EndStream();
  status_.state = PushState::kFenced;
  listener_.OnPushed(*this);
}

// ---- Answers

void PushSession::OnAck(const pb::Ack& ack) {
  if (!welcomed_ || unanswered_.empty() || unanswered_.front().id != ack.id()) {
    return Drop(absl::InternalError(
        absl::StrCat("the trawld broke the protocol: an ack of message ", ack.id())));
  }
  const Sent sent = unanswered_.front();
  unanswered_.pop_front();
  if (sent.kind == Kind::kHeartbeat) return OnHeartbeatAck(ack);
  --in_flight_;
  if (!change_ || sent.change != change_->number) return;  // a part of a rejected snapshot
  if (ack.status() == pb::Ack::REJECTED) return OnRejected(ack);
  if (sent.kind == Kind::kBegin || sent.kind == Kind::kPart) return;
  OnApplied(ack);
}

// Acks come in the order of what was sent: nothing that is still unanswered can be in this version.
void PushSession::OnHeartbeatAck(const pb::Ack& ack) {
  if (need_snapshot_ || ack.applied_version() == applied_) return;
  ++status_.resyncs;
  LogWarn("trawld has another version than it acked", {{"address", address_},
                                                       {"source", identity_.source},
                                                       {"version", applied_},
                                                       {"applied_version", ack.applied_version()}});
  applied_ = 0;
  need_snapshot_ = true;
  if (ack.applied_version() > share_.version()) share_.SkipTo(ack.applied_version());
  listener_.OnPushed(*this);
}

void PushSession::OnApplied(const pb::Ack& ack) {
  const Change change = *std::exchange(change_, std::nullopt);
  applied_ = ack.applied_version();
  need_snapshot_ = !share_.Knows(applied_) || applied_ != change.version;
  if (!need_snapshot_) share_.Forget(applied_);
  if (applied_ >= shrink_through_) shrink_through_ = 0;
  if (change.snapshot) refused_.clear();
  for (const GroupPtr& group : change.groups) refused_.erase(trawl::IdOf(*group));
  NoteIssues(ack);
  status_.counts = ack.counts();
  status_.last_error = absl::OkStatus();
  backoff_.Reset();
  LogInfo(change.snapshot ? "Pushed all targets" : "Pushed changed targets",
          {{"address", address_},
           {"source", identity_.source},
           {"version", applied_},
           {"added", ack.counts().added()},
           {"removed", ack.counts().removed()},
           {"targets", ack.counts().targets()},
           {"held", ack.counts().held()},
           {"refused_groups", refused_.size()}});
  listener_.OnPushed(*this);
}

void PushSession::NoteIssues(const pb::Ack& ack) {
  status_.warnings.clear();
  for (const pb::Issue& issue : ack.issues()) {
    const bool error = issue.severity() == pb::Issue::ERROR;
    if (error) {
      refused_[IdOf(issue.group())] = issue;
    } else {
      status_.warnings.push_back(issue);
    }
    LogWarn(error ? "trawld refused a group" : "trawld warns",
            {{"address", address_},
             {"scrape_pool", issue.group().job()},
             {"group", issue.group().key()},
             {"field", issue.field()},
             {"err", PresentableText(issue.detail(), kMaxText)}});
  }
  const uint64_t unlisted =
      ack.issue_count() -
      std::min<uint64_t>(ack.issue_count(), static_cast<uint64_t>(ack.issues_size()));
  status_.refused_count = refused_.size() + unlisted;
}

// The rest of a snapshot is not sent; what is on its way already is rejected as well.
void PushSession::OnRejected(const pb::Ack& ack) {
  change_.reset();
  const absl::Status why = absl::FailedPreconditionError(Describe(ack));
  if (status_.last_error != why) {
    LogWarn("trawld rejected a change",
            {{"address", address_}, {"source", identity_.source}, {"err", why}});
  }
  status_.last_error = why;
  status_.last_error_time = loop_.clock().Now();
  absl::Duration delay = backoff_.Next(random_);
  if (ack.has_retry_after()) {
    delay += Bounded(ack.retry_after());
  } else {
    need_snapshot_ = true;
  }
  loop_.Cancel(retry_timer_);
  retry_timer_ = loop_.RunAfter(delay, [this] {
    retry_timer_ = 0;
    Pump();
  });
  listener_.OnPushed(*this);
}

// ---- What goes out

void PushSession::Pump() {
  if (!welcomed_ || write_pending_) return;
  if (change_ && change_->snapshot && !change_->end_sent) return SendNextOfSnapshot();
  if (MayStartChange()) StartChange();
  if (!write_pending_ && heartbeat_due_) SendHeartbeat();
}

bool PushSession::MayStartChange() const {
  return !change_ && retry_timer_ == 0 && in_flight_ < max_in_flight_;
}

void PushSession::StartChange() {
  if (need_snapshot_) return StartSnapshot();
  if (applied_ != share_.version()) {
    Share::Changes changes = share_.ChangesAfter(applied_, MessageBytes());
    if (!changes.complete) return StartSnapshot();
    return SendDelta(std::move(changes));
  }
  if (!wanted_.empty()) SendMend();
}

void PushSession::SendDelta(Share::Changes changes) {
  pb::SyncRequest request;
  pb::Delta& delta = *request.mutable_delta();
  delta.set_base_version(applied_);
  delta.set_version(share_.version());
  delta.set_allow_shrink(ShrinkIsMeant());
  delta.set_source_targets(source_targets_);
  for (const GroupPtr& group : changes.upsert) {
    too_large_.erase(trawl::IdOf(*group));
    *delta.add_upsert() = *group;
  }
  for (const GroupPtr& group : changes.too_large) NoteTooLarge(*group);
  for (auto& [job, key] : changes.remove) {
    pb::GroupKey& out = *delta.add_remove();
    out.set_job(job);
    out.set_key(key);
    refused_.erase({job, key});
    too_large_.erase({job, key});
    wanted_.erase({job, key});
  }
  change_ = Change();
  change_->number = next_change_++;
  change_->version = share_.version();
  change_->groups = std::move(changes.upsert);
  ++status_.deltas_sent;
  Send(std::move(request), Kind::kDelta);
}

// Groups that were refused, once more, at the version that is applied.
void PushSession::SendMend() {
  pb::SyncRequest request;
  pb::Delta& delta = *request.mutable_delta();
  delta.set_base_version(applied_);
  delta.set_version(applied_);
  delta.set_source_targets(source_targets_);
  Change change;
  size_t bytes = 0;
  while (!wanted_.empty()) {
    GroupPtr group = share_.Find(*wanted_.begin());
    if (group != nullptr && !Fits(*group)) group = nullptr;
    if (group != nullptr) bytes += GroupBytes(*group);
    if (bytes > MessageBytes() && !change.groups.empty()) break;
    wanted_.erase(wanted_.begin());
    if (group == nullptr) continue;
    *delta.add_upsert() = *group;
    change.groups.push_back(group);
  }
  if (change.groups.empty()) return;
  change.number = next_change_++;
  change.version = applied_;
  change_ = std::move(change);
  ++status_.deltas_sent;
  Send(std::move(request), Kind::kMend);
}

void PushSession::StartSnapshot() {
  change_ = Change();
  change_->number = next_change_++;
  change_->version = share_.version();
  change_->snapshot = true;
  too_large_.clear();
  std::vector<GroupPtr> groups = share_.Groups();
  change_->groups.reserve(groups.size());
  for (GroupPtr& group : groups) {
    if (!Fits(*group)) {
      NoteTooLarge(*group);
    } else {
      change_->groups.push_back(std::move(group));
    }
  }
  wanted_.clear();
  pb::SyncRequest request;
  pb::SnapshotBegin& begin = *request.mutable_snapshot_begin();
  begin.set_version(change_->version);
  begin.set_groups(change_->groups.size());
  size_t bytes = 0;
  for (const GroupPtr& group : change_->groups) bytes += GroupBytes(*group);
  begin.set_bytes(bytes + kMessageOverhead * (bytes / (MessageBytes() / 2) + 2));
  begin.set_allow_shrink(ShrinkIsMeant());
  begin.set_source_targets(source_targets_);
  ++status_.snapshots_sent;
  Send(std::move(request), Kind::kBegin);
}

void PushSession::SendNextOfSnapshot() {
  if (in_flight_ >= max_in_flight_) {
    if (heartbeat_due_) SendHeartbeat();
    return;
  }
  if (change_->next < change_->groups.size()) return SendPart();
  change_->end_sent = true;
  pb::SyncRequest request;
  request.mutable_snapshot_end();
  Send(std::move(request), Kind::kEnd);
}

void PushSession::SendPart() {
  pb::SyncRequest request;
  pb::SnapshotPart& part = *request.mutable_snapshot_part();
  size_t bytes = 0;
  for (; change_->next < change_->groups.size(); ++change_->next) {
    const pb::TargetGroup& group = *change_->groups[change_->next];
    bytes += GroupBytes(group);
    if (bytes > MessageBytes()) break;  // never the first: each fits
    *part.add_groups() = group;
  }
  Send(std::move(request), Kind::kPart);
}

bool PushSession::Fits(const pb::TargetGroup& group) const {
  return GroupBytes(group) <= MessageBytes();
}

// The trawld takes larger messages than it did.
bool PushSession::AnyFitsNow() const {
  return std::any_of(too_large_.begin(), too_large_.end(), [this](const auto& entry) {
    const GroupPtr group = share_.Find(entry.first);
    return group != nullptr && Fits(*group);
  });
}

void PushSession::NoteTooLarge(const pb::TargetGroup& group) {
  pb::Issue issue;
  issue.set_severity(pb::Issue::ERROR);
  issue.set_code(pb::Issue::TOO_LARGE);
  issue.mutable_group()->set_job(group.job());
  issue.mutable_group()->set_key(group.key());
  issue.set_field("group");
  issue.set_detail(absl::StrCat(GroupBytes(group), " bytes, of which a message takes at most ",
                                MessageBytes(), ": divide it"));
  LogWarn("A group is larger than a message, it is left out", {{"address", address_},
                                                               {"source", identity_.source},
                                                               {"scrape_pool", group.job()},
                                                               {"group", group.key()},
                                                               {"err", issue.detail()}});
  too_large_[trawl::IdOf(group)] = std::move(issue);
}

void PushSession::SendHeartbeat() {
  pb::SyncRequest request;
  request.mutable_heartbeat();
  Send(std::move(request), Kind::kHeartbeat);
}

void PushSession::Send(pb::SyncRequest request, Kind kind) {
  request.set_id(next_id_++);
  unanswered_.push_back({request.id(), kind, change_ ? change_->number : 0});
  if (kind != Kind::kHello && kind != Kind::kHeartbeat) ++in_flight_;
  write_pending_ = true;
  heartbeat_due_ = false;
  stream_->Write(std::move(request));
  if (kind != Kind::kHello) ArmHeartbeat();
}

void PushSession::ArmHeartbeat() {
  loop_.Cancel(heartbeat_timer_);
  heartbeat_timer_ = loop_.RunAfter(heartbeat_interval_, [this] {
    heartbeat_timer_ = 0;
    heartbeat_due_ = true;
    Pump();
  });
}

// What a short lease asks for makes nobody impatient.
void PushSession::ArmSilence() {
  const absl::Duration limit = kSilentHeartbeats * std::max(heartbeat_interval_, kDefaultHeartbeat);
  loop_.Cancel(silence_timer_);
  silence_timer_ = loop_.RunAfter(limit, [this, limit] {
    silence_timer_ = 0;
    Drop(absl::UnavailableError(absl::StrCat("nothing was heard from the trawld for ",
                                             absl::FormatDuration(limit),
                                             ", it answers no heartbeat")));
  });
}

size_t PushSession::MessageBytes() const {
  const size_t limit = max_message_bytes_ == 0
                           ? options_.message_bytes
                           : std::min(options_.message_bytes, max_message_bytes_);
  return std::max(limit, 2 * kMessageOverhead) - kMessageOverhead;
}

}  // namespace trawl
