#include "core/append/record_feed.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace trawl {
namespace {

// A buffer that grew beyond it is given back.
constexpr size_t kKeptBodyBytes = size_t{1} << 20;

storage::v1::Gap::Reason GapReason(HoleReason reason) {
  switch (reason) {
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

storage::v1::Gap MakeGap(uint64_t from, uint64_t to, uint64_t samples,
                         storage::v1::Gap::Reason reason) {
  storage::v1::Gap gap;
  gap.set_from(from);
  gap.set_to(to);
  gap.set_samples(samples);
  gap.set_reason(reason);
  return gap;
}

storage::v1::Gap MakeGap(const LogHole& hole) {
  return MakeGap(hole.from, hole.to, hole.samples, GapReason(hole.reason));
}

}  // namespace

RecordFeed::RecordFeed(RecordSource& log, uint64_t start, std::set<uint64_t> skipped)
    : log_(log), start_(start), skipped_(std::move(skipped)) {}

void RecordFeed::Begin(uint64_t durable, bool raw_columns) {
  End();
  cursor_ = durable + 1;
  wants_raw_ = raw_columns;
}

void RecordFeed::End() {
  planned_ = false;
  raw_.reset();
  Pass();
}

// ---- Holes

std::optional<storage::v1::Gap> RecordFeed::NextGap() {
  if (cursor_ < start_) return MakeGap(cursor_, start_ - 1, 0, storage::v1::Gap::BEFORE_SINK);
  if (skipped_.contains(cursor_)) {
    const uint64_t to = SkippedThrough(cursor_);
    return MakeGap(cursor_, to, log_.SamplesBetween(cursor_, to), storage::v1::Gap::SKIPPED);
  }
  const std::optional<LogHole> hole = log_.HoleAt(cursor_);
  if (!hole) return std::nullopt;
  return MakeGap(*hole);
}

std::optional<storage::v1::Gap> RecordFeed::LossAt(uint64_t number) const {
  const std::optional<LogHole> hole = log_.HoleAt(std::max(number, start_));
  if (!hole || hole->reason == HoleReason::kTrimmed) return std::nullopt;
  return MakeGap(*hole);
}

// What a D record defines is named up to the segment's end.
uint64_t RecordFeed::SkippedThrough(uint64_t number) {
  const absl::StatusOr<LogRecord> record = log_.Read(number);
  if (!record.ok() || record->kind == RecordKind::kScrape) return number;
  const uint64_t segment = log_.SegmentStart(number);
  uint64_t to = number;
  while (to + 1 < log_.next_number() && !log_.HoleAt(to + 1) &&
         log_.SegmentStart(to + 1) == segment) {
    ++to;
  }
  return to;
}

void RecordFeed::PassGap(uint64_t to) {
  cursor_ = to + 1;
  planned_ = false;
}

bool RecordFeed::SkippedBetween(uint64_t from, uint64_t end) const {
  const auto found = skipped_.lower_bound(from);
  return found != skipped_.end() && *found < end;
}

// ---- Records

absl::Status RecordFeed::Fill(size_t bytes, size_t new_bytes) {
  if (cursor_ >= log_.next_number() || (empty() && NextGap())) return absl::OkStatus();
  if (!planned_) PlanRebuild();
  RETURN_IF_ERROR(FillRebuild(bytes));
  return message_.rebuild() ? absl::OkStatus() : FillNew(new_bytes);
}

bool RecordFeed::complete(size_t bytes) {
  return message_.rebuild() || body_.size() >= bytes || NextGap().has_value();
}

void RecordFeed::PlanRebuild() {
  planned_ = true;
  rebuild_end_ = cursor_;
  rebuild_keyframe_ = log_.Keyframe(cursor_);
  rebuild_at_ = log_.SegmentStart(cursor_);
  raw_.reset();
  if (wants_raw_ || SkippedBetween(rebuild_keyframe_, cursor_)) raw_.emplace();
}

// All D records of the segment, and from the keyframe on the S records as well, up to the cursor.
absl::Status RecordFeed::FillRebuild(size_t bytes) {
  for (; rebuild_at_ < rebuild_end_ && body_.size() < bytes; ++rebuild_at_) {
    RETURN_IF_ERROR(AddRebuilt(rebuild_at_));
  }
  return absl::OkStatus();
}

// Values in raw columns need no state: S records before the cursor are for ourselves alone.
absl::Status RecordFeed::AddRebuilt(uint64_t number) {
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

absl::Status RecordFeed::FillNew(size_t bytes) {
  for (; cursor_ < log_.next_number() && body_.size() < bytes; ++cursor_) {
    if (skipped_.contains(cursor_)) break;
    const absl::Status status = AddNew(cursor_);
    if (absl::IsNotFound(status) && log_.HoleAt(cursor_)) break;
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status RecordFeed::AddNew(uint64_t number) {
  ASSIGN_OR_RETURN(LogRecord record, log_.Read(number));
  if (record.keyframe && !wants_raw_) raw_.reset();  // nothing is missing any more
  if (raw_) {
    ASSIGN_OR_RETURN(record.bytes, raw_->Rewrite(record));
  }
  AddToMessage(record, /*rebuild=*/false);
  return absl::OkStatus();
}

void RecordFeed::AddToMessage(const LogRecord& record, bool rebuild) {
  if (body_.empty()) {
    message_.set_first_number(record.number);
    message_.set_rebuild(rebuild);
  }
  message_.set_count(message_.count() + 1);
  body_.append(record.bytes);
}

void RecordFeed::Pass() {
  message_.Clear();
  if (body_.capacity() > kKeptBodyBytes) std::string().swap(body_);
  body_.clear();
}

}  // namespace trawl
