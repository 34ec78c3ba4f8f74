#include "core/append/sink_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/append/record_target.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// A store may not put off the next stream for longer.
constexpr absl::Duration kMaxRetryAfter = absl::Minutes(10);
// Of a store's words, which are kept, logged and listed.
constexpr size_t kMaxStoreText = 1024;

// Errors that waiting hardly mends (storage.proto, Append).
bool NeedsPerson(absl::StatusCode code) {
  return code == absl::StatusCode::kUnimplemented || code == absl::StatusCode::kUnauthenticated ||
         code == absl::StatusCode::kPermissionDenied ||
         code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition;
}

// Codes newer than this program are one: a store must not fill the maps with them.
storage::v1::Reject::Code KnownCode(int code) {
  return storage::v1::Reject::Code_IsValid(code) ? static_cast<storage::v1::Reject::Code>(code)
                                                 : storage::v1::Reject::CODE_UNSPECIFIED;
}

}  // namespace

SinkSession::SinkSession(const Sink& sink, const Identity& identity, const Options& options,
                         const Deps& deps, AppendStreamFactory& factory)
    : name_(sink.name),
      identity_(identity),
      options_(options),
      loop_(deps.loop),
      log_(deps.log),
      random_(deps.random),
      compressor_(deps.compressor),
      listener_(deps.listener),
      factory_(&factory),
      feed_(deps.log, sink.start, sink.skipped),
      state_(sink.held ? SinkState::kHeld : SinkState::kWaiting),
      backoff_(options.backoff) {
  counters_.name = name_;
  counters_.state_since = loop_.clock().Now();
  counters_.caught_up = counters_.state_since;
  if (!sink.held) ScheduleOpen(absl::ZeroDuration());
}

SinkSession::~SinkSession() {
  EndStream();
  loop_.Cancel(open_timer_);
}

uint64_t SinkSession::done_through() const { return std::max(durable_, feed_.start() - 1); }

bool SinkSession::drained() const { return welcomed_ && durable_ + 1 >= log_.next_number(); }

void SinkSession::Release() {
  if (state_ != SinkState::kHeld) return;
  SetState(SinkState::kWaiting);
  ScheduleOpen(absl::ZeroDuration());
}

absl::StatusOr<uint64_t> SinkSession::Skip(uint64_t number, bool dry_run) {
  if (number != done_through() + 1 || number >= log_.next_number()) {
    return absl::FailedPreconditionError(absl::StrCat("sink ", name_, " waits for record ",
                                                      done_through() + 1, " of lane ",
                                                      identity_.lane, ", not for ", number));
  }
  const uint64_t samples = log_.SamplesBetween(number, feed_.SkippedThrough(number));
  if (dry_run) return samples;
  feed_.Skip(number);
  counters_.streams_without_progress = 0;
  counters_.stuck_number = 0;
  if (state_ != SinkState::kHeld) SetFactory(*factory_);  // a stream that does not know it
  return samples;
}

void SinkSession::Wake() { Pump(); }

void SinkSession::FlushAlways() {
  flush_always_ = true;
  Pump();
}

void SinkSession::SetFactory(AppendStreamFactory& factory) {
  factory_ = &factory;
  if (state_ == SinkState::kHeld) return;
  EndStream();
  backoff_.Reset();
  SetState(SinkState::kWaiting);
  ScheduleOpen(absl::ZeroDuration());
}

SinkStatus SinkSession::Snapshot() const {
  SinkStatus status = counters_;
  const uint64_t last = log_.next_number() - 1;
  status.state = state_;
  status.durable = durable_;
  status.sent = sent_through_;
  status.backlog_records = last - std::min(last, done_through());
  if (status.backlog_records > 0) {
    status.backlog_bytes = log_.BytesFrom(done_through() + 1);
    status.backlog_samples = log_.SamplesBetween(done_through() + 1, last);
  }
  if (state_ == SinkState::kStreaming) {
    status.window_bytes = window_bytes_ - std::min(window_bytes_, window_used_);
    status.window_shut = status.window_bytes == 0;
  }
  if (status.backlog_records == 0) status.caught_up = loop_.clock().Now();
  const std::optional<storage::v1::Gap> loss = feed_.LossAt(done_through() + 1);
  const uint64_t untold = loss ? NewlyLost(*loss) : 0;
  if (untold > 0) status.untold_gap_samples[loss->reason()] = untold;
  return status;
}

// ---- The stream's life

void SinkSession::ScheduleOpen(absl::Duration delay) {
  loop_.Cancel(open_timer_);
  open_timer_ = loop_.RunAfter(delay, [this] {
    open_timer_ = 0;
    Open();
  });
}

void SinkSession::Open() {
  ++counters_.streams_opened;
  heard_ = pinged_ = loop_.clock().Steady();
  window_bytes_ = window_used_ = 0;
  acked_ = false;
  SetState(SinkState::kOpening);
  stream_ = factory_->Open(*this);
  SendHello();
  ArmSilenceTimer();
}

void SinkSession::SendHello() {
  storage::v1::AppendRequest request;
  storage::v1::Hello& hello = *request.mutable_hello();
  hello.set_writer_id(identity_.writer_id);
  hello.set_incarnation(identity_.incarnation);
  hello.set_epoch(identity_.epoch);
  hello.set_lane(identity_.lane);
  hello.set_first_number(log_.first_number());
  hello.set_next_number(log_.next_number());
  hello.set_version(identity_.version);
  hello.set_sink(name_);
  Write(std::move(request));
}

void SinkSession::EndStream() {
  stream_.reset();
  write_pending_ = false;
  ping_due_ = false;
  pong_due_.reset();
  loop_.Cancel(std::exchange(silence_timer_, 0));
  loop_.Cancel(std::exchange(flush_timer_, 0));
  feed_.End();
}

void SinkSession::Drop(const absl::Status& why, absl::Duration not_before) {
  NoteFailure(why);
  EndStream();
  SetState(SinkState::kWaiting);
  ScheduleOpen(std::max(backoff_.Next(random_), std::min(not_before, kMaxRetryAfter)));
}

void SinkSession::NoteFailure(const absl::Status& why) {
  const bool was_streaming = state_ == SinkState::kStreaming;
  const absl::Duration lasted = loop_.clock().Steady() - streaming_since_;
  if (was_streaming && lasted >= options_.backoff.max) backoff_.Reset();
  if (was_streaming && !acked_ && sent_through_ > durable_) {
    if (++counters_.streams_without_progress >= kStuckStreams) NoteStuck();
  }
  if (NeedsPerson(why.code())) {
    backoff_.UseMax();
    counters_.degraded = true;
  }
  // A store that is down is told once, not at each attempt.
  const bool news = was_streaming || counters_.last_error.code() != why.code();
  counters_.last_error = absl::Status(why.code(), PresentableText(why.message(), kMaxStoreText));
  counters_.last_error_time = loop_.clock().Now();
  Log(news ? LogLevel::kWarn : LogLevel::kDebug, "Append stream ended",
      {{"sink", name_},
       {"lane", identity_.lane},
       {"durable", durable_},
       {"err", counters_.last_error}});
}

void SinkSession::NoteStuck() {
  if (counters_.stuck_number == durable_ + 1) return;
  counters_.stuck_number = durable_ + 1;
  counters_.stuck_target = TargetOfRecord(log_, counters_.stuck_number);
  LogError("Streams break at a record again and again: it waits for somebody to skip it",
           {{"sink", name_},
            {"epoch", identity_.epoch},
            {"lane", identity_.lane},
            {"number", counters_.stuck_number},
            {"target", StuckTargetText(counters_)}});
}

void SinkSession::ProtocolError(std::string_view what) {
  ++counters_.protocol_errors;
  backoff_.UseMax();
  Drop(absl::InternalError(
      absl::StrCat("store broke the protocol: ", absl::string_view(what.data(), what.size()))));
}

void SinkSession::OnClosed(const absl::Status& status) {
  Drop(status.ok() ? absl::UnavailableError("the store ended the stream") : status);
}

void SinkSession::OnWritten() {
  write_pending_ = false;
  Pump();
}

void SinkSession::OnMessage(const storage::v1::AppendResponse& message) {
  heard_ = loop_.clock().Steady();
  switch (message.msg_case()) {
    case storage::v1::AppendResponse::kWelcome:
      OnWelcome(message.welcome());
      break;
    case storage::v1::AppendResponse::kAck:
      OnAck(message.ack());
      break;
    case storage::v1::AppendResponse::kPing:
      pong_due_ = message.ping().nonce();
      break;
    case storage::v1::AppendResponse::kGoaway:
      OnGoaway(message.goaway());
      break;
    case storage::v1::AppendResponse::kPong:
    case storage::v1::AppendResponse::MSG_NOT_SET:
      break;  // heard is enough; unknown kinds are ignored
  }
  Pump();
}

void SinkSession::OnWelcome(const storage::v1::Welcome& welcome) {
  if (state_ != SinkState::kOpening) return ProtocolError("a second welcome");
  uint64_t durable = welcome.durable();
  if (durable >= log_.next_number()) {
    if (identity_.epoch == identity_.incarnation) {
      return ProtocolError(absl::StrCat("welcome with record ", durable, ", which was never made"));
    }
    durable = log_.next_number() - 1;  // a power loss took the rest: drained
  }
  if (durable < durable_) {
    LogWarn("Store went back", {{"sink", name_},
                                {"lane", identity_.lane},
                                {"durable", durable},
                                {"durable_before", durable_}});
  }
  const std::string store_id = PresentableText(welcome.store_id(), kMaxStoreText);
  if (!counters_.store_id.empty() && counters_.store_id != store_id) {
    LogWarn("Sink leads to another store than before: delivery is at least once across the two",
            {{"sink", name_}, {"lane", identity_.lane}, {"store_id", store_id}});
  }
  counters_.store_id = store_id;
  counters_.store_version = PresentableText(welcome.version(), kMaxStoreText);
  NoteTotals(welcome.totals());
  NoteDurable(durable);
  sent_through_ = durable;
  welcomed_ = true;
  newest_first_ = welcome.newest_first();
  feed_.Begin(durable, welcome.encoding() == storage::v1::ENCODING_RAW_COLUMNS);
  window_bytes_ = welcome.window_bytes();
  streaming_since_ = loop_.clock().Steady();
  SetState(SinkState::kStreaming);
  listener_.OnSinkDurable();
}

void SinkSession::OnAck(const storage::v1::Ack& ack) {
  if (state_ != SinkState::kStreaming) return ProtocolError("an ack before welcome");
  if (ack.durable() < durable_) {
    return ProtocolError(absl::StrCat("ack of ", ack.durable(), " after ", durable_));
  }
  if (ack.durable() > sent_through_) {
    return ProtocolError(
        absl::StrCat("ack of ", ack.durable(), ", only ", sent_through_, " was sent"));
  }
  counters_.last_ack = loop_.clock().Now();
  window_bytes_ = std::max(window_bytes_, ack.window_bytes());
  if (ack.has_totals()) NoteTotals(ack.totals());
  NoteRejects(ack);
  if (ack.durable() == durable_) return;
  NoteDurable(ack.durable());
  if (!acked_) {
    acked_ = true;
    backoff_.Reset();
    counters_.degraded = false;
  }
  counters_.streams_without_progress = 0;
  counters_.stuck_number = 0;
  if (durable_ + 1 == log_.next_number()) counters_.caught_up = loop_.clock().Now();
  listener_.OnSinkDurable();
}

void SinkSession::OnGoaway(const storage::v1::Goaway& goaway) {
  const absl::Duration retry_after = absl::Seconds(goaway.retry_after().seconds()) +
                                     absl::Nanoseconds(goaway.retry_after().nanos());
  if (goaway.action() == storage::v1::Goaway::STOP) {
    backoff_.UseMax();
    counters_.degraded = true;
  }
  Drop(absl::UnavailableError(absl::StrCat("goaway: ", goaway.reason())),
       std::max(retry_after, absl::ZeroDuration()));
}

void SinkSession::NoteDurable(uint64_t durable) {
  durable_ = durable;
  highest_durable_ = std::max(highest_durable_, durable);
  // Before the log may forget it.
  const std::optional<absl::Time> began = TimeOfRecord(log_, durable);
  if (began) counters_.durable_time = *began;
}

void SinkSession::NoteTotals(const storage::v1::Totals& totals) {
  // What an earlier run stored is known from the first Welcome.
  const bool counts = welcomed_ || identity_.epoch == identity_.incarnation;
  if (counts && totals.stored() > counters_.totals.stored) {
    counters_.samples_acked += totals.stored() - counters_.totals.stored;
  }
  counters_.totals.stored = totals.stored();
  counters_.totals.duplicate = totals.duplicate();
  counters_.totals.lost = totals.lost();
  counters_.totals.rejected.clear();
  for (const auto& [code, samples] : totals.rejected()) {
    counters_.totals.rejected[KnownCode(code)] += samples;
  }
}

void SinkSession::NoteRejects(const storage::v1::Ack& ack) {
  for (const storage::v1::Reject& reject : ack.rejects()) {
    uint64_t& samples = counters_.reject_samples[KnownCode(reject.code())];
    Log(samples == 0 ? LogLevel::kWarn : LogLevel::kDebug, "Store refused samples",
        {{"sink", name_},
         {"lane", identity_.lane},
         {"record", reject.number()},
         {"code", storage::v1::Reject::Code_Name(KnownCode(reject.code()))},
         {"samples", reject.samples()},
         {"err", PresentableText(reject.detail(), kMaxStoreText)}});
    samples += reject.samples();
    listener_.OnSinkRejected(name_, reject.number(), KnownCode(reject.code()), reject.samples());
  }
}

void SinkSession::ArmSilenceTimer() {
  const absl::Duration next =
      std::min(heard_ + options_.drop_after, std::max(heard_, pinged_) + options_.ping_after);
  silence_timer_ = loop_.RunAfter(std::max(next - loop_.clock().Steady(), absl::ZeroDuration()),
                                  [this] { OnSilenceTimer(); });
}

void SinkSession::OnSilenceTimer() {
  silence_timer_ = 0;
  const absl::Duration now = loop_.clock().Steady();
  if (now - heard_ >= options_.drop_after) {
    Drop(absl::DeadlineExceededError(
        absl::StrCat("nothing heard for ", absl::FormatDuration(options_.drop_after))));
    return;
  }
  if (now - std::max(heard_, pinged_) >= options_.ping_after) {
    ping_due_ = true;
    pinged_ = now;
  }
  ArmSilenceTimer();
  Pump();
}

void SinkSession::SetState(SinkState state) {
  state_ = state;
  counters_.state_since = loop_.clock().Now();
  listener_.OnSinkChanged();
}

// ---- What goes out

// One write at most: the next comes with OnWritten.
void SinkSession::Pump() {
  if (stream_ == nullptr || write_pending_ || SendControl()) return;
  if (state_ != SinkState::kStreaming) return;
  if (OneAtATime() && sent_through_ > durable_) return;  // the ack comes, or the stream breaks
  if (window_used_ < window_bytes_ && FillMessage()) {
    if (MessageIsDue()) SendMessage();
    return;
  }
  if (stream_ == nullptr || !feed_.empty()) return;
  if (const std::optional<storage::v1::Gap> gap = feed_.NextGap()) SendGap(*gap);
}

bool SinkSession::SendControl() {
  storage::v1::AppendRequest request;
  if (pong_due_.has_value()) {
    request.mutable_pong()->set_nonce(*pong_due_);
    pong_due_.reset();
  } else if (ping_due_) {
    request.mutable_ping()->set_nonce(next_nonce_++);
    ping_due_ = false;
  } else {
    return false;
  }
  Write(std::move(request));
  return true;
}

// False: there is nothing to be sent.
bool SinkSession::FillMessage() {
  const bool was_empty = feed_.empty();
  const size_t bytes = options_.message_bytes;
  if (absl::Status status = feed_.Fill(bytes, OneAtATime() ? 1 : bytes); !status.ok()) {
    Drop(status);
    return false;
  }
  if (was_empty) message_since_ = loop_.clock().Steady();
  return !feed_.empty();
}

// Arms the timer if it is not.
bool SinkSession::MessageIsDue() {
  const absl::Duration age = loop_.clock().Steady() - message_since_;
  if (flush_always_ || OneAtATime() || age >= options_.flush_delay ||
      feed_.complete(options_.message_bytes)) {
    return true;
  }
  if (flush_timer_ == 0) {
    flush_timer_ = loop_.RunAfter(options_.flush_delay - age, [this] {
      flush_timer_ = 0;
      Pump();
    });
  }
  return false;
}

void SinkSession::SendGap(storage::v1::Gap gap) {
  // What the store had once is its own loss.
  if (gap.from() <= highest_durable_ && gap.reason() != storage::v1::Gap::BEFORE_SINK) {
    if (gap.to() > highest_durable_) {
      gap.set_to(highest_durable_);
      gap.set_samples(log_.SamplesBetween(gap.from(), gap.to()));
    }
    gap.set_reason(storage::v1::Gap::STORE_REWOUND);
  }
  if (gap.reason() != storage::v1::Gap::BEFORE_SINK) CountLost(gap);
  sent_through_ = gap.to();
  feed_.PassGap(gap.to());
  storage::v1::AppendRequest request;
  *request.mutable_gap() = std::move(gap);
  Write(std::move(request));
}

// A store that does not get as far as to keep a Gap is told of it again on the next stream.
void SinkSession::CountLost(const storage::v1::Gap& gap) {
  const uint64_t counted = CountedThrough(gap.reason());
  if (gap.to() <= counted) return;
  const uint64_t from = std::max(gap.from(), counted + 1);
  const uint64_t samples = NewlyLost(gap);
  lost_through_[gap.reason()] = gap.to();
  counters_.gap_samples[gap.reason()] += samples;
  counters_.gap_records[gap.reason()] += gap.to() - from + 1;
  LogWarn("Records are lost for a sink", {{"sink", name_},
                                          {"lane", identity_.lane},
                                          {"from", from},
                                          {"to", gap.to()},
                                          {"samples", samples},
                                          {"reason", storage::v1::Gap::Reason_Name(gap.reason())}});
}

uint64_t SinkSession::CountedThrough(storage::v1::Gap::Reason reason) const {
  const auto found = lost_through_.find(reason);
  return found == lost_through_.end() ? 0 : found->second;
}

// Samples of a gap that were not counted yet.
uint64_t SinkSession::NewlyLost(const storage::v1::Gap& gap) const {
  const uint64_t counted = CountedThrough(gap.reason());
  if (gap.from() > counted) return gap.samples();
  return gap.to() <= counted ? 0 : log_.SamplesBetween(counted + 1, gap.to());
}

void SinkSession::SendMessage() {
  storage::v1::AppendRequest request;
  storage::v1::Records& records = *request.mutable_records();
  records = feed_.message();
  const std::string_view plain = feed_.body();
  const std::string_view compressed =
      options_.compress ? compressor_.Compress(plain) : std::string_view();
  records.set_compression(compressed.empty() ? storage::v1::Records::NONE
                                             : storage::v1::Records::ZSTD);
  if (!compressed.empty()) records.set_raw_size(static_cast<uint32_t>(plain.size()));
  const std::string_view body = compressed.empty() ? plain : compressed;
  records.set_body(body.data(), body.size());
  ++counters_.messages_sent;
  counters_.records_sent += records.count();
  if (records.rebuild()) counters_.records_rebuilt += records.count();
  counters_.raw_bytes_sent += plain.size();
  counters_.body_bytes_sent += body.size();
  window_used_ += body.size();
  if (!records.rebuild()) sent_through_ = records.first_number() + records.count() - 1;
  feed_.Pass();
  loop_.Cancel(std::exchange(flush_timer_, 0));
  Write(std::move(request));
}

void SinkSession::Write(storage::v1::AppendRequest request) {
  write_pending_ = true;
  stream_->Write(std::move(request));
}

}  // namespace trawl
