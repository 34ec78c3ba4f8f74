#include "core/append/sink_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
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

SinkSession::SinkSession(std::string name, uint64_t start, const Identity& identity,
                         const Options& options, const Deps& deps, AppendStreamFactory& factory)
    : name_(std::move(name)),
      start_(start),
      identity_(identity),
      options_(options),
      loop_(deps.loop),
      log_(deps.log),
      random_(deps.random),
      compressor_(deps.compressor),
      listener_(deps.listener),
      factory_(&factory),
      backoff_(options.backoff) {
  counters_.name = name_;
  counters_.state_since = loop_.clock().Now();
  counters_.caught_up = counters_.state_since;
  ScheduleOpen(absl::ZeroDuration());
}

SinkSession::~SinkSession() {
  EndStream();
  loop_.Cancel(open_timer_);
}

uint64_t SinkSession::done_through() const { return std::max(durable_, start_ - 1); }

void SinkSession::Wake() { Pump(); }

void SinkSession::FlushAlways() {
  flush_always_ = true;
  Pump();
}

void SinkSession::SetFactory(AppendStreamFactory& factory) {
  EndStream();
  factory_ = &factory;
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
  status.window_shut = state_ == SinkState::kStreaming && window_used_ >= window_bytes_;
  if (status.backlog_records == 0) status.caught_up = loop_.clock().Now();
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
  raw_.reset();
  loop_.Cancel(std::exchange(silence_timer_, 0));
  loop_.Cancel(std::exchange(flush_timer_, 0));
  ClearMessage();
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
  if (was_streaming && !acked_ && durable_ + 1 < log_.next_number()) {
    ++counters_.streams_without_progress;
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
  durable_ = durable;
  highest_durable_ = std::max(highest_durable_, durable_);
  sent_through_ = durable;
  cursor_ = durable + 1;
  rebuild_planned_ = false;
  wants_raw_ = welcome.encoding() == storage::v1::ENCODING_RAW_COLUMNS;
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
  window_bytes_ = std::max(window_bytes_, ack.window_bytes());
  if (ack.has_totals()) NoteTotals(ack.totals());
  NoteRejects(ack);
  if (ack.durable() == durable_) return;
  durable_ = ack.durable();
  highest_durable_ = std::max(highest_durable_, durable_);
  if (!acked_) {
    acked_ = true;
    backoff_.Reset();
    counters_.degraded = false;
    counters_.streams_without_progress = 0;
  }
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

void SinkSession::NoteTotals(const storage::v1::Totals& totals) {
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
  // What stands before the hole goes first, as soon as the window lets it.
  const std::optional<LogHole> hole = HoleAhead();
  if (hole && body_.empty()) return SendGap(*hole);
  if (window_used_ >= window_bytes_) return;
  if (hole || FillMessage()) return SendMessage();
  // Reading may have found one.
  if (stream_ == nullptr || !body_.empty()) return;
  if (const std::optional<LogHole> found = HoleAhead()) SendGap(*found);
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

// The next number is not this sink's, or not in the log any more.
std::optional<LogHole> SinkSession::HoleAhead() {
  if (cursor_ < start_) return LogHole{.from = cursor_, .to = start_ - 1};
  return log_.HoleAt(cursor_);
}

// The hole ends where its reason does.
storage::v1::Gap::Reason SinkSession::GapReason(LogHole& hole) {
  if (hole.from < start_) return storage::v1::Gap::BEFORE_SINK;
  if (hole.from <= highest_durable_ && hole.to > highest_durable_) {
    hole.to = highest_durable_;
    hole.samples = log_.SamplesBetween(hole.from, hole.to);
  }
  if (hole.from <= highest_durable_) return storage::v1::Gap::STORE_REWOUND;
  switch (hole.reason) {
    case HoleReason::kTrimmed:
      return storage::v1::Gap::STORE_REWOUND;
    case HoleReason::kCap:
      return storage::v1::Gap::SPOOL_CAP;
    case HoleReason::kAge:
      return storage::v1::Gap::SPOOL_AGE;
    case HoleReason::kDamaged:
      return storage::v1::Gap::DAMAGED;
    case HoleReason::kNotSpooled:
      return storage::v1::Gap::NOT_SPOOLED;
  }
  return storage::v1::Gap::REASON_UNSPECIFIED;
}

void SinkSession::SendGap(const LogHole& ahead) {
  LogHole hole = ahead;
  const storage::v1::Gap::Reason reason = GapReason(hole);
  if (reason != storage::v1::Gap::BEFORE_SINK) CountLost(reason, hole);
  storage::v1::AppendRequest request;
  storage::v1::Gap& gap = *request.mutable_gap();
  gap.set_from(hole.from);
  gap.set_to(hole.to);
  gap.set_samples(hole.samples);
  gap.set_reason(reason);
  sent_through_ = hole.to;
  cursor_ = hole.to + 1;
  rebuild_planned_ = false;
  Write(std::move(request));
}

// A store that does not get as far as to keep a Gap is told of it again on the next stream.
void SinkSession::CountLost(storage::v1::Gap::Reason reason, const LogHole& hole) {
  uint64_t& counted = lost_through_[reason];
  if (hole.to <= counted) return;
  const uint64_t from = std::max(hole.from, counted + 1);
  const uint64_t samples = from == hole.from ? hole.samples : log_.SamplesBetween(from, hole.to);
  counted = hole.to;
  counters_.gap_samples[reason] += samples;
  LogWarn("Records are lost for a sink", {{"sink", name_},
                                          {"lane", identity_.lane},
                                          {"from", from},
                                          {"to", hole.to},
                                          {"samples", samples},
                                          {"reason", storage::v1::Gap::Reason_Name(reason)}});
}

bool SinkSession::FillMessage() {
  if (!rebuild_planned_) {
    if (cursor_ >= log_.next_number()) return false;
    PlanRebuild();
  }
  if (rebuild_at_ < rebuild_end_ && FillRebuild()) return true;
  return FillNew();
}

void SinkSession::PlanRebuild() {
  rebuild_planned_ = true;
  rebuild_end_ = cursor_;
  rebuild_keyframe_ = log_.Keyframe(cursor_);
  rebuild_at_ = log_.SegmentStart(cursor_);
  raw_.reset();
  if (wants_raw_) raw_.emplace();
}

// All D records of the segment, and from the keyframe on the S records as well, up to the cursor.
bool SinkSession::FillRebuild() {
  for (; rebuild_at_ < rebuild_end_ && body_.size() < options_.message_bytes; ++rebuild_at_) {
    if (absl::Status status = AddRebuilt(rebuild_at_); !status.ok()) {
      Drop(status);
      return false;
    }
  }
  return !body_.empty();
}

// Values in raw columns need no state: those before the cursor are for us alone.
absl::Status SinkSession::AddRebuilt(uint64_t number) {
  const absl::StatusOr<LogRecord> record = log_.Read(number);
  // What can be read of a hole is the dictionary; it ends at a keyframe.
  if (absl::IsNotFound(record.status()) && log_.HoleAt(number)) return absl::OkStatus();
  RETURN_IF_ERROR(record.status());
  const bool defines = record->kind == RecordKind::kDictionary;
  if (!defines && number < rebuild_keyframe_) return absl::OkStatus();
  if (raw_) RETURN_IF_ERROR(raw_->Follow(*record));
  if (defines || !raw_) AddToMessage(*record, /*rebuild=*/true);
  return absl::OkStatus();
}

bool SinkSession::FillNew() {
  for (; cursor_ < log_.next_number() && body_.size() < options_.message_bytes; ++cursor_) {
    const absl::Status status = AddNew(cursor_);
    // A hole: what stands before it goes, then the Gap.
    if (absl::IsNotFound(status) && log_.HoleAt(cursor_)) return !body_.empty();
    if (!status.ok()) {
      Drop(status);
      return false;
    }
  }
  if (body_.empty()) return false;
  const absl::Duration age = loop_.clock().Steady() - body_since_;
  if (body_.size() >= options_.message_bytes || flush_always_ || age >= options_.flush_delay) {
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

absl::Status SinkSession::AddNew(uint64_t number) {
  ASSIGN_OR_RETURN(LogRecord record, log_.Read(number));
  if (raw_) {
    ASSIGN_OR_RETURN(record.bytes, raw_->Rewrite(record));
  }
  AddToMessage(record, /*rebuild=*/false);
  return absl::OkStatus();
}

void SinkSession::AddToMessage(const LogRecord& record, bool rebuild) {
  if (body_.empty()) {
    message_.set_first_number(record.number);
    message_.set_rebuild(rebuild);
    body_since_ = loop_.clock().Steady();
  }
  message_.set_count(message_.count() + 1);
  body_.append(record.bytes);
}

void SinkSession::SendMessage() {
  storage::v1::AppendRequest request;
  request.mutable_records()->Swap(&message_);
  storage::v1::Records& records = *request.mutable_records();
  const std::string_view compressed =
      options_.compress ? compressor_.Compress(body_) : std::string_view();
  records.set_compression(compressed.empty() ? storage::v1::Records::NONE
                                             : storage::v1::Records::ZSTD);
  if (!compressed.empty()) records.set_raw_size(static_cast<uint32_t>(body_.size()));
  const std::string_view body = compressed.empty() ? std::string_view(body_) : compressed;
  records.set_body(body.data(), body.size());
  ++counters_.messages_sent;
  counters_.records_sent += records.count();
  if (records.rebuild()) counters_.records_rebuilt += records.count();
  counters_.raw_bytes_sent += body_.size();
  counters_.body_bytes_sent += body.size();
  window_used_ += body.size();
  if (!records.rebuild()) sent_through_ = records.first_number() + records.count() - 1;
  ClearMessage();
  loop_.Cancel(std::exchange(flush_timer_, 0));
  Write(std::move(request));
}

void SinkSession::Write(storage::v1::AppendRequest request) {
  write_pending_ = true;
  stream_->Write(std::move(request));
}

void SinkSession::ClearMessage() {
  message_.Clear();
  if (body_.capacity() > 4 * options_.message_bytes) std::string().swap(body_);
  body_.clear();
}

}  // namespace trawl
