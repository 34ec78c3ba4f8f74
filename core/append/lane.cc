#include "core/append/lane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr absl::Duration kWarnEvery = absl::Minutes(1);

}  // namespace

size_t Lane::SegmentBytes(size_t log_cap_bytes) {
  return std::min(kMaxSegmentBytes, log_cap_bytes / 16);
}

Lane::Lane(const Options& options, const Deps& deps)
    : options_(options),
      loop_(deps.loop),
      log_(deps.log),
      random_(deps.random),
      external_labels_(options.external_labels) {
  counters_.lane = options.identity.lane;
  counters_.epoch = options.identity.epoch;
  PublishStatus();
}

Lane::~Lane() {
  sinks_.clear();  // their last words are heard while the rest still stands
  loop_.Cancel(drain_timer_);
  loop_.Cancel(status_timer_);
}

// ---- Appending

absl::Status Lane::Append(const ScrapeBatch& batch) {
  absl::Status status = EncodeAndCommit(batch);
  if (absl::IsResourceExhausted(status)) {
    // The segment fills the whole log: the next one may take its place.
    roll_ = true;
    status = EncodeAndCommit(batch);
  }
  if (!status.ok()) ++counters_.append_failures;
  if (absl::IsResourceExhausted(status)) counters_.refused_samples += encoded_.samples;
  WarnOfDrops();
  if (sinks_.empty()) TrimLog();
  for (const auto& sink : sinks_) sink->Wake();
  OnSinkChanged();
  return status;
}

absl::Status Lane::EncodeAndCommit(const ScrapeBatch& batch) {
  if (roll_ || encoder_.needs_segment() || SegmentIsOver()) BeginSegment();
  if (log_.segment_bytes() >= keyframe_at_bytes_ + options_.keyframe_bytes && !segment_due_) {
    encoder_.BeginKeyframe();
  }
  RETURN_IF_ERROR(encoder_.Encode(batch, encoded_));
  absl::Status committed = CheckFits();
  if (committed.ok()) committed = Commit();
  // What the sinks will decode no longer is what the encoder thinks that they know.
  if (!committed.ok()) roll_ = true;
  if (committed.ok()) {
    rejected_.NoteRecord(log_.next_number() - 1, batch.layout->target_labels().Hash());
  }
  return committed;
}

bool Lane::SegmentIsOver() const {
  return log_.wants_segment() || log_.segment_bytes() >= options_.max_segment_bytes ||
         loop_.clock().Steady() - segment_started_ >= options_.max_segment_age;
}

void Lane::BeginSegment() {
  encoder_.BeginSegment(external_labels_, options_.tenant);
  roll_ = false;
  segment_due_ = true;
  segment_started_ = loop_.clock().Steady();
  keyframe_at_bytes_ = 0;
}

// Before its first record is in the log: to make room for them others would go.
absl::Status Lane::CheckFits() const {
  uint64_t bytes = encoded_.scrape.size() + (segment_due_ ? 0 : log_.segment_bytes());
  for (const std::string& record : encoded_.dictionary) bytes += record.size();
  if (bytes <= log_.max_segment_bytes()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the queue to storage holds ", log_.max_segment_bytes(), " bytes a shard, and ",
                   bytes, " are needed for the definitions and values of this scrape"));
}

absl::Status Lane::Commit() {
  for (const std::string& bytes : encoded_.dictionary) {
    LogRecord record;
    record.kind = RecordKind::kDictionary;
    record.segment_start = segment_due_;
    record.keyframe = segment_due_;
    record.bytes = bytes;
    RETURN_IF_ERROR(CommitRecord(record));
    if (segment_due_) ++counters_.segments;
    segment_due_ = false;
    counters_.dictionary_bytes += bytes.size();
  }
  LogRecord record;
  record.kind = RecordKind::kScrape;
  record.keyframe = encoded_.keyframe;
  record.samples = encoded_.samples;
  record.bytes = encoded_.scrape;
  RETURN_IF_ERROR(CommitRecord(record));
  if (encoded_.keyframe) {
    ++counters_.keyframes;
    keyframe_at_bytes_ = log_.segment_bytes();
  }
  ++counters_.scrapes;
  counters_.samples += encoded_.samples;
  counters_.scrape_bytes += encoded_.scrape.size();
  return absl::OkStatus();
}

absl::Status Lane::CommitRecord(LogRecord record) {
  record.number = log_.next_number();
  return log_.Append(record);
}

void Lane::Forget(const LayoutPtr& layout) {
  encoder_.Forget(layout->id());
  rejected_.Forget(layout->target_labels().Hash());
}

void Lane::SetExternalLabels(const Labels& labels) {
  if (labels == external_labels_) return;
  external_labels_ = labels;
  roll_ = true;
}

// ---- Sinks

uint64_t Lane::AddSink(std::string_view name, AppendStreamFactory& factory, bool held) {
  if (SinkSession* const known = FindSink(name)) {
    known->SetFactory(factory);
    return known->start();
  }
  roll_ = true;  // it starts where a decoder can
  const SinkSession::Deps deps{loop_, log_, random_, compressor_, *this};
  const SinkSession::Sink sink{
      .name = std::string(name), .start = log_.next_number(), .skipped = {}, .held = held};
  sinks_.push_back(
      std::make_unique<SinkSession>(sink, options_.identity, options_.session, deps, factory));
  if (draining_) sinks_.back()->FlushAlways();
  OnSinkChanged();
  return sink.start;
}

SinkSession* Lane::FindSink(std::string_view name) {
  for (const auto& sink : sinks_) {
    if (sink->name() == name) return sink.get();
  }
  return nullptr;
}

void Lane::ReleaseSink(std::string_view name) {
  if (SinkSession* const sink = FindSink(name)) sink->Release();
}

absl::StatusOr<uint64_t> Lane::SkipRecord(std::string_view name, uint64_t number, bool dry_run) {
  SinkSession* const sink = FindSink(name);
  if (sink == nullptr) return absl::NotFoundError("no such sink");
  if (!dry_run) roll_ = true;  // if it is of the newest segment, nothing more is to build on it
  return sink->Skip(number, dry_run);
}

void Lane::RemoveSink(std::string_view name) {
  std::erase_if(sinks_, [name](const auto& sink) { return sink->name() == name; });
  OnSinkDurable();
}

void Lane::OnSinkDurable() {
  TrimLog();
  if (draining_ && AllDurable()) FinishDrain(true);
  OnSinkChanged();
}

void Lane::OnSinkRejected(std::string_view sink, uint64_t number, int code, uint64_t samples) {
  rejected_.Count(sink, number, code, samples);
}

void Lane::Shutdown() {
  shut_down_ = true;
  sinks_.clear();
  OnSinkChanged();
}

void Lane::TrimLog() {
  if (shut_down_) return;
  uint64_t durable = log_.next_number() - 1;
  for (const auto& sink : sinks_) durable = std::min(durable, sink->done_through());
  log_.Trim(durable);
  rejected_.Trim(durable);
}

bool Lane::AllDurable() const {
  return std::all_of(sinks_.begin(), sinks_.end(), [this](const auto& sink) {
    return sink->held() || sink->done_through() + 1 >= log_.next_number();
  });
}

// ---- Draining

void Lane::Drain(absl::Duration timeout, absl::AnyInvocable<void(bool)> done) {
  draining_ = true;
  drained_ = std::move(done);
  for (const auto& sink : sinks_) sink->FlushAlways();
  drain_timer_ = loop_.RunAfter(timeout, [this] {
    drain_timer_ = 0;
    FinishDrain(false);
  });
  if (AllDurable()) FinishDrain(true);
}

// In a turn of its own: who drains may destroy sinks, which may be what calls this.
void Lane::FinishDrain(bool drained) {
  if (!drained_) return;
  loop_.Cancel(std::exchange(drain_timer_, 0));
  loop_.Post([done = std::exchange(drained_, nullptr), drained]() mutable { done(drained); });
}

// ---- Status

LaneStatus Lane::Snapshot() const {
  LaneStatus status = counters_;
  status.first_number = log_.first_number();
  status.next_number = log_.next_number();
  status.log_bytes = log_.total_bytes();
  status.rejected = rejected_.Snapshot();
  status.capped_samples = log_.dropped_samples(HoleReason::kCap);
  status.aged_samples = log_.dropped_samples(HoleReason::kAge);
  for (const auto& sink : sinks_) status.sinks.push_back(sink->Snapshot());
  return status;
}

void Lane::WarnOfDrops() {
  const uint64_t dropped = log_.dropped_samples(HoleReason::kCap);
  const absl::Duration now = loop_.clock().Steady();
  if (dropped == warned_samples_ || now - warned_at_ < kWarnEvery) return;
  LogWarn("The queue to storage is full: its oldest samples go",
          {{"lane", options_.identity.lane},
           {"samples", dropped - warned_samples_},
           {"queue_bytes", log_.total_bytes()}});
  warned_samples_ = dropped;
  warned_at_ = now;
}

// At the end of an interval that begins with the first change, so that an idle lane has no timer.
void Lane::OnSinkChanged() {
  if (status_timer_ != 0) return;
  status_timer_ = loop_.RunAfter(options_.status_interval, [this] {
    status_timer_ = 0;
    PublishStatus();
  });
}

void Lane::PublishStatus() { published_.Set(std::make_shared<const LaneStatus>(Snapshot())); }

}  // namespace trawl
