#include "server/sync_reactor.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "core/base/status_macros.h"
#include "server/discovery_conversions.h"
#include "server/grpc_status.h"
#include "server/proto_conversions.h"

namespace trawl {

namespace pb = discovery::v1;

SyncReactor::SyncReactor(const Options& options, Deps deps, const grpc::ServerContextBase& context,
                         Caller caller)
    : options_(options),
      deps_(std::move(deps)),
      peer_(context.peer()),
      caller_(std::move(caller)),
      stream_id_(deps_.discovery.NextStreamId()) {
  deps_.discovery.OpenStreamAsync(stream_id_, *this);
  {
    MutexLock lock(mutex_);
    ReadIfRoom();
  }
  deps_.access.Enter(*this, context, caller_);
}

// --- gRPC's threads

void SyncReactor::OnReadDone(bool ok) {
  if (!ok) {
    {
      MutexLock lock(mutex_);
      reading_ = false;
      read_ended_ = true;
    }
    deps_.discovery.StreamHalfCloseAsync(stream_id_);
    return;
  }
  {
    MutexLock lock(mutex_);
    if (finished_) return;  // what comes after the end has no effect
    ++unanswered_;
  }
  SyncInput input = ToSyncInput(request_, peer_);
  if (const absl::Status allowed = CheckHello(input); !allowed.ok()) {
    MutexLock lock(mutex_);
    return EndNow(ToGrpcStatus(allowed));
  }
  if (request_.has_hello()) source_ = request_.hello().source();
  request_.Clear();
  deps_.discovery.StreamMessageAsync(stream_id_, std::move(input));
  deps_.discovery.loop().Post([this] { OnHandled(); });
}

absl::Status SyncReactor::CheckHello(SyncInput& input) const {
  auto* hello = std::get_if<StreamHello>(&input.message);
  if (hello == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(deps_.access.policy().MayPush(caller_, hello->source));
  hello->may_write = deps_.access.MayWrite(caller_, hello->source);
  return absl::OkStatus();
}

void SyncReactor::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (!ok) return EndNow({grpc::StatusCode::CANCELLED, "the client is gone"});
  if (outbox_.front().answers) --unanswered_;
  outbox_.pop_front();
  WriteNext();
  ReadIfRoom();
}

void SyncReactor::OnCancel() {
  MutexLock lock(mutex_);
  EndNow({grpc::StatusCode::CANCELLED, "cancelled"});
}

void SyncReactor::OnDone() {
  deps_.access.Leave(*this);
  // The reactor goes when its session has gone; also when the loop ends before it could run this.
  deps_.discovery.CloseStreamAsync(stream_id_, [self = std::unique_ptr<SyncReactor>(this)] {});
}

// --- the discovery loop

void SyncReactor::OnHandled() {
  MutexLock lock(mutex_);
  reading_ = false;
  ReadIfRoom();
}

void SyncReactor::Send(SyncOutput output) {
  pb::SyncResponse response;
  bool answers = true;
  if (auto* welcome = std::get_if<SyncWelcome>(&output.message)) {
    *response.mutable_welcome() = MakeWelcome(welcome->hello);
  } else if (auto* ack = std::get_if<SyncAck>(&output.message)) {
    *response.mutable_ack() = ToProto(*ack);
  } else if (auto* resync = std::get_if<SyncResync>(&output.message)) {
    *response.mutable_resync() = ToProto(*resync);
    answers = false;
  } else if (auto* want = std::get_if<SyncWant>(&output.message)) {
    *response.mutable_want() = ToProto(*want);
    answers = false;
  } else {
    *response.mutable_goaway() = ToProto(std::get<SyncGoaway>(output.message));
    answers = false;
  }
  Queue(std::move(response), answers);
}

void SyncReactor::Finish(absl::Status status) {
  MutexLock lock(mutex_);
  end_ = ToGrpcStatus(status);
  WriteNext();
}

pb::Welcome SyncReactor::MakeWelcome(const HelloResult& hello) const {
  const Discovery::Options& options = deps_.discovery.options();
  const std::shared_ptr<const JobFilter> may_write = deps_.access.MayWrite(caller_, source_);
  pb::Welcome welcome;
  welcome.set_need(static_cast<pb::Welcome::Need>(hello.need));
  welcome.set_applied_version(hello.applied_version);
  for (const Issue& issue : hello.refused) *welcome.add_refused() = RefusedToProto(issue);
  welcome.set_max_in_flight(options.max_in_flight);
  welcome.set_max_message_bytes(options.max_message_bytes);
  for (const std::string& job : deps_.discovery.sets().known_jobs()) {
    if (may_write == nullptr || (*may_write)(job)) welcome.add_jobs(job);
  }
  welcome.set_history_id(hello.history_id);
  SetLabels(deps_.external_labels(), welcome.mutable_external_labels());
  *welcome.mutable_counts() = ToProto(hello.counts);
  welcome.set_state(hello.withheld ? pb::Source::HELD : pb::Source::LIVE);
  AddTimes(source_, welcome);
  return welcome;
}

// Heartbeats keep a lease that removes alive, however short it is.
void SyncReactor::AddTimes(const std::string& source, pb::Welcome& welcome) const {
  const Discovery::Options& options = deps_.discovery.options();
  absl::Duration heartbeat = options.heartbeat_interval;
  const std::optional<LeasePolicy> lease = deps_.discovery.sets().Lease(source);
  if (lease && lease->remove_on_expiry) {
    const absl::Duration ttl = lease->ttl.value_or(options.default_lease);
    SetDuration(ttl, welcome.mutable_lease_ttl());
    heartbeat = std::min(heartbeat, ttl / 3);
  }
  SetDuration(heartbeat, welcome.mutable_heartbeat_interval());
}

// --- any thread

void SyncReactor::End(const absl::Status& why) {
  MutexLock lock(mutex_);
  EndNow(ToGrpcStatus(why));
}

void SyncReactor::Queue(pb::SyncResponse response, bool answers) {
  MutexLock lock(mutex_);
  if (finished_) return;
  outbox_.push_back({std::move(response), answers});
  WriteNext();
}

void SyncReactor::ReadIfRoom() {
  if (reading_ || read_ended_ || finished_ || unanswered_ >= options_.max_unanswered) return;
  reading_ = true;
  StartRead(&request_);
}

void SyncReactor::WriteNext() {
  if (writing_ || finished_) return;
  if (!outbox_.empty()) {
    writing_ = true;
    StartWrite(&outbox_.front().message);
  } else if (end_) {
    EndNow(*std::move(end_));
  }
}

void SyncReactor::EndNow(grpc::Status status) {
  if (finished_) return;
  finished_ = true;
  ServerBidiReactor::Finish(std::move(status));
}

}  // namespace trawl
