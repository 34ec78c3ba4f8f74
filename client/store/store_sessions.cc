#include "client/store/store_sessions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

using storage::v1::AppendRequest;
using storage::v1::AppendResponse;

constexpr size_t kMaxIdBytes = 256;

void FillTotals(const LaneTotals& from, storage::v1::Totals& to) {
  to.set_stored(from.stored);
  to.set_duplicate(from.duplicate);
  to.set_lost(from.lost);
  for (const auto& [code, samples] : from.rejected) (*to.mutable_rejected())[code] = samples;
}

bool IsPlainId(const std::string& id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
}

absl::Status CheckHello(const storage::v1::Hello& hello) {
  if (!IsPlainId(hello.writer_id())) {
    return absl::InvalidArgumentError(
        "hello: writer_id must have 1 to 256 bytes without blanks and control characters");
  }
  if (hello.incarnation() == 0 || hello.epoch() == 0) {
    return absl::InvalidArgumentError("hello: incarnation and epoch must not be 0");
  }
  if (hello.epoch() > hello.incarnation()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "hello: epoch ", hello.epoch(), " is above the incarnation ", hello.incarnation()));
  }
  return absl::OkStatus();
}

AppendResponse MakeGoaway(std::string reason) {
  AppendResponse response;
  response.mutable_goaway()->set_action(storage::v1::Goaway::RECONNECT);
  response.mutable_goaway()->set_reason(std::move(reason));
  return response;
}

}  // namespace

StoreSessions::StoreSessions(const Options& options, const Deps& deps)
    : options_(options), loop_(deps.loop), backend_(deps.backend) {
  backend_.SetObserver(*this);
  maintain_timer_ = loop_.RunAfter(options_.maintain_interval, [this] { Maintain(); });
  watch_timer_ = loop_.RunAfter(absl::Seconds(1), [this] { Watch(); });
}

StoreSessions::~StoreSessions() {
  *alive_ = false;
  loop_.Cancel(commit_timer_);
  loop_.Cancel(watch_timer_);
  loop_.Cancel(maintain_timer_);
}

void StoreSessions::OnOpened(StreamId id, std::shared_ptr<StoreStream> stream) {
  if (shut_down_) {
    stream->Finish(absl::UnavailableError("the store is shutting down"));
    return;
  }
  Stream& added = streams_[id];
  added.wire = std::move(stream);
  added.last_heard = loop_.clock().Steady();
}

void StoreSessions::OnRequest(StreamId id, const AppendRequest& request) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;  // ended by us; what was under way is dropped
  found->second.last_heard = loop_.clock().Steady();
  found->second.pinged = false;
  const absl::Status status = Handle(id, found->second, request);
  if (!status.ok()) End(id, status);
}

absl::Status StoreSessions::Handle(StreamId id, Stream& stream, const AppendRequest& request) {
  if (request.has_ping()) {
    AppendResponse response;
    response.mutable_pong()->set_nonce(request.ping().nonce());
    stream.wire->Send(std::move(response));
    return absl::OkStatus();
  }
  if (request.has_pong()) return absl::OkStatus();
  if (request.has_hello()) {
    if (!stream.lane.writer.empty()) return absl::InvalidArgumentError("a second hello");
    return OnHello(id, request.hello());
  }
  if (request.msg_case() == AppendRequest::MSG_NOT_SET) {
    return absl::InvalidArgumentError("a message of an unknown kind");
  }
  if (stream.session == nullptr) {
    return absl::InvalidArgumentError("records or a gap before welcome");
  }
  return request.has_records() ? OnRecords(stream, request.records())
                               : OnGap(stream, request.gap());
}

absl::Status StoreSessions::OnHello(StreamId id, const storage::v1::Hello& hello) {
  RETURN_IF_ERROR(CheckHello(hello));
  RETURN_IF_ERROR(Fence(hello));
  // The back end commits before it fences, and ends all streams if it can't.
  const auto found = streams_.find(id);
  if (found == streams_.end()) return absl::OkStatus();
  const LaneKey lane = {hello.writer_id(), hello.epoch(), hello.lane()};
  found->second.lane = lane;
  found->second.incarnation = hello.incarnation();
  EndOlderStreams(id, lane);
  LogDebug("lane opens", {{"writer", hello.writer_id()},
                          {"epoch", hello.epoch()},
                          {"lane", hello.lane()},
                          {"writer_version", hello.version()},
                          {"sink", hello.sink()}});
  backend_.OpenLane(lane, hello.incarnation(), [this, id, alive = alive_](auto writer) {
    if (*alive) OnLaneOpened(id, std::move(writer));
  });
  return absl::OkStatus();
}

// The incarnation is durable before anything is answered; streams of lower ones end.
absl::Status StoreSessions::Fence(const storage::v1::Hello& hello) {
  const uint64_t known = backend_.Incarnation(hello.writer_id());
  if (hello.incarnation() < known) {
    return absl::FailedPreconditionError(absl::StrCat("fenced by incarnation ", known));
  }
  if (hello.incarnation() == known) return absl::OkStatus();
  RETURN_IF_ERROR(backend_.Fence(hello.writer_id(), hello.incarnation()));
  std::vector<StreamId> fenced;
  for (const auto& [id, stream] : streams_) {
    if (stream.lane.writer == hello.writer_id()) fenced.push_back(id);
  }
  const absl::Status status =
      absl::FailedPreconditionError(absl::StrCat("fenced by incarnation ", hello.incarnation()));
  for (const StreamId id : fenced) End(id, status);
  return absl::OkStatus();
}

void StoreSessions::EndOlderStreams(StreamId id, const LaneKey& lane) {
  std::vector<StreamId> older;
  for (const auto& [other, stream] : streams_) {
    if (other != id && stream.lane == lane) older.push_back(other);
  }
  for (const StreamId other : older) {
    streams_[other].wire->Send(MakeGoaway("a newer stream of this lane has opened"));
    End(other, absl::AbortedError("a newer stream of this lane has opened"));
  }
}

void StoreSessions::OnLaneOpened(StreamId id, absl::StatusOr<std::unique_ptr<LaneWriter>> writer) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (!writer.ok()) return End(id, writer.status());
  Stream& stream = found->second;
  const LaneState state = backend_.FindLane(stream.lane).value_or(LaneState{});
  stream.session = std::make_unique<AppendSession>(
      AppendSession::Options{.lane = stream.lane,
                             .incarnation = stream.incarnation,
                             .window_bytes = backend_.window_bytes()},
      state, *std::move(writer));
  SendWelcome(stream);
  EndIfDrained(id);
}

void StoreSessions::SendWelcome(Stream& stream) {
  const std::optional<LaneState> state = backend_.FindLane(stream.lane);
  AppendResponse response;
  storage::v1::Welcome& welcome = *response.mutable_welcome();
  welcome.set_store_id(backend_.store_id());
  welcome.set_known(state.has_value());
  welcome.set_durable(state.has_value() ? state->durable : 0);
  if (state.has_value()) FillTotals(state->totals, *welcome.mutable_totals());
  welcome.set_encoding(storage::v1::ENCODING_DECIMAL_DELTA);
  welcome.set_window_bytes(backend_.window_bytes());
  welcome.set_version(options_.version);
  stream.wire->Send(std::move(response));
}

absl::Status StoreSessions::OnRecords(Stream& stream, const storage::v1::Records& records) {
  absl::Status status = stream.session->OnRecords(records);
  if (stream.session->backend_failed()) {
    // The back end rolls back and tells OnFailed, which ends the streams.
    CommitSoon();
    return absl::UnavailableError(absl::StrCat("the store failed: ", status.message()));
  }
  if (!status.ok()) {
    CommitSoon();  // what came before the bad record
    return status;
  }
  if (records.rebuild() && stream.session->window_worth_telling()) {
    AppendResponse response;
    const auto state = backend_.FindLane(stream.lane);
    response.mutable_ack()->set_durable(state.has_value() ? state->durable : 0);
    if (state.has_value()) FillTotals(state->totals, *response.mutable_ack()->mutable_totals());
    response.mutable_ack()->set_window_bytes(stream.session->TellWindow());
    stream.wire->Send(std::move(response));
  }
  if (stream.session->uncommitted_messages() >= options_.commit_messages && !commit_posted_) {
    // Behind what is posted already: other lanes' messages share the commit.
    commit_posted_ = true;
    loop_.Post([this, alive = alive_] {
      if (*alive) Commit();
    });
  }
  CommitSoon();
  return absl::OkStatus();
}

absl::Status StoreSessions::OnGap(Stream& stream, const storage::v1::Gap& gap) {
  LogWarn("records will never come", {{"writer", stream.lane.writer},
                                      {"epoch", stream.lane.epoch},
                                      {"lane", stream.lane.lane},
                                      {"from", gap.from()},
                                      {"to", gap.to()},
                                      {"samples", gap.samples()},
                                      {"reason", storage::v1::Gap::Reason_Name(gap.reason())}});
  CommitSoon();
  return stream.session->OnGap(gap);
}

void StoreSessions::OnHalfClosed(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.half_closed = true;
  Commit();
  EndIfDrained(id);
}

// All that a writer sent before its half-close is acked when its stream ends.
void StoreSessions::EndIfDrained(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.half_closed) return;
  const Stream& stream = found->second;
  const bool opening = stream.session == nullptr && !stream.lane.writer.empty();
  const bool drained = stream.session == nullptr || stream.session->uncommitted_messages() == 0;
  if (!opening && drained) End(id, absl::OkStatus());
}

void StoreSessions::OnClosed(StreamId id) { streams_.erase(id); }

void StoreSessions::End(StreamId id, const absl::Status& status) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (!status.ok()) {
    LogInfo("append stream ends", {{"writer", found->second.lane.writer},
                                   {"epoch", found->second.lane.epoch},
                                   {"lane", found->second.lane.lane},
                                   {"err", status}});
  }
  found->second.wire->Finish(status);
  streams_.erase(found);
}

StoreSessions::Stream* StoreSessions::FindLaneStream(const LaneKey& lane, StreamId* id) {
  for (auto& [key, stream] : streams_) {
    if (stream.session != nullptr && stream.lane == lane) {
      *id = key;
      return &stream;
    }
  }
  return nullptr;
}

void StoreSessions::OnDurable(const LaneKey& lane, const LaneState& state,
                              const std::vector<storage::v1::Reject>& rejects) {
  StreamId id = 0;
  Stream* stream = FindLaneStream(lane, &id);
  if (stream == nullptr) return;
  stream->session->OnDurable(state.durable);
  AppendResponse response;
  storage::v1::Ack& ack = *response.mutable_ack();
  ack.set_durable(state.durable);
  for (const storage::v1::Reject& reject : rejects) *ack.add_rejects() = reject;
  FillTotals(state.totals, *ack.mutable_totals());
  ack.set_window_bytes(stream->session->TellWindow());
  stream->wire->Send(std::move(response));
  EndIfDrained(id);
}

void StoreSessions::OnFailed(const absl::Status& status) {
  LogError("the store cannot commit: all streams end and resume", {{"err", status}});
  std::vector<StreamId> ids;
  for (const auto& [id, stream] : streams_) ids.push_back(id);
  const absl::Status told =
      absl::UnavailableError(absl::StrCat("the store cannot commit: ", status.message()));
  for (const StreamId id : ids) End(id, told);
}

void StoreSessions::Write(const storage::v1::WriteRequest& request, StoreBackend::Written done) {
  if (shut_down_) return done(absl::UnavailableError("the store is shutting down"));
  CommitSoon();
  backend_.Write(request, std::move(done));
}

absl::StatusOr<storage::v1::GetWriterStateResponse> StoreSessions::WriterState(
    const std::string& writer_id) const {
  storage::v1::GetWriterStateResponse response;
  if (!writer_id.empty()) {
    response.set_incarnation(backend_.Incarnation(writer_id));
    if (response.incarnation() == 0) {
      return absl::NotFoundError(absl::StrCat("this store does not know the writer ", writer_id));
    }
  }
  for (const auto& [lane, state] : backend_.Lanes()) {
    if (!writer_id.empty() && lane.writer != writer_id) continue;
    storage::v1::LaneState& out = *response.add_lanes();
    out.set_writer_id(lane.writer);
    out.set_epoch(lane.epoch);
    out.set_lane(lane.lane);
    out.set_durable(state.durable);
    FillTotals(state.totals, *out.mutable_totals());
    out.set_connected(std::any_of(streams_.begin(), streams_.end(), [&lane = lane](const auto& s) {
      return s.second.session != nullptr && s.second.lane == lane;
    }));
  }
  return response;
}

void StoreSessions::CommitSoon() {
  if (commit_timer_ != 0) return;
  commit_timer_ = loop_.RunAfter(options_.commit_interval, [this] { Commit(); });
}

void StoreSessions::Commit() {
  commit_posted_ = false;
  loop_.Cancel(std::exchange(commit_timer_, 0));
  backend_.Commit();
  // A back end that works in the background has more to commit later.
  for (const auto& [id, stream] : streams_) {
    if (stream.session != nullptr && stream.session->uncommitted_messages() > 0) {
      return CommitSoon();
    }
  }
}

void StoreSessions::Watch() {
  watch_timer_ = loop_.RunAfter(absl::Seconds(1), [this] { Watch(); });
  const absl::Duration now = loop_.clock().Steady();
  std::vector<StreamId> silent;
  for (auto& [id, stream] : streams_) WatchStream(id, stream, now, silent);
  for (const StreamId id : silent) {
    End(id, absl::DeadlineExceededError("the writer was silent for too long"));
  }
}

void StoreSessions::WatchStream(StreamId id, Stream& stream, absl::Duration now,
                                std::vector<StreamId>& silent) {
  const absl::Duration silence = now - stream.last_heard;
  if (silence >= options_.drop_after && !stream.half_closed) {
    silent.push_back(id);
  } else if (silence >= options_.ping_after && !stream.pinged && stream.session != nullptr) {
    stream.pinged = true;
    AppendResponse response;
    response.mutable_ping()->set_nonce(++last_nonce_);
    stream.wire->Send(std::move(response));
  }
}

void StoreSessions::Maintain() {
  const bool more = backend_.Maintain();
  const absl::Duration next = more ? absl::Milliseconds(50) : options_.maintain_interval;
  maintain_timer_ = loop_.RunAfter(next, [this] { Maintain(); });
}

void StoreSessions::Shutdown() {
  shut_down_ = true;
  backend_.Commit();
  backend_.Shutdown();
  while (!streams_.empty()) {
    auto& [id, stream] = *streams_.begin();
    stream.wire->Send(MakeGoaway("the store is shutting down"));
    End(id, absl::OkStatus());
  }
}

}  // namespace trawl
