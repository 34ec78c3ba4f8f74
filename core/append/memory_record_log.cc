#include "core/append/memory_record_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

// How many dropped segments are remembered record by record, and how many at all: beyond it the
// newest are counted together.
constexpr size_t kExactDroppedSegments = 8;
constexpr size_t kDroppedSegments = 1024;

}  // namespace

absl::Status MemoryRecordLog::Append(const LogRecord& record) {
  if (record.number != next_number_) {
    return absl::InternalError(
        absl::StrCat("record ", record.number, " appended, want ", next_number_));
  }
  if (segments_.empty() && !record.segment_start) {
    return absl::InternalError("the first record does not start a segment");
  }
  const uint64_t kept = record.segment_start ? 0 : segments_.back().bytes;
  if (kept + record.bytes.size() > options_.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue of ", options_.max_bytes, " bytes does not hold one segment"));
  }
  if (record.segment_start) {
    segments_.emplace_back().first = next_number_;
  }
  Segment& segment = segments_.back();
  if (record.keyframe || record.segment_start) segment.keyframes.push_back(next_number_);
  segment.records.push_back(Record{record.kind, record.keyframe || record.segment_start,
                                   segment.samples, segment.bytes, std::string(record.bytes)});
  segment.samples += record.samples;
  segment.bytes += record.bytes.size();
  total_bytes_ += record.bytes.size();
  ++next_number_;
  while (total_bytes_ > options_.max_bytes && segments_.size() > 1) DropOldest();
  return absl::OkStatus();
}

uint64_t MemoryRecordLog::first_number() const {
  return segments_.empty() ? next_number_ : segments_.front().first;
}

absl::StatusOr<LogRecord> MemoryRecordLog::Read(uint64_t number) {
  const Segment* segment = Find(number);
  if (segment == nullptr) return absl::NotFoundError(absl::StrCat("no record ", number));
  const size_t index = number - segment->first;
  const Record& record = segment->records[index];
  const uint64_t samples_to = index + 1 == segment->records.size()
                                  ? segment->samples
                                  : segment->records[index + 1].samples_before;
  LogRecord out;
  out.number = number;
  out.kind = record.kind;
  out.keyframe = record.keyframe;
  out.segment_start = index == 0;
  out.samples = samples_to - record.samples_before;
  out.bytes = record.bytes;
  return out;
}

std::optional<LogHole> MemoryRecordLog::HoleAt(uint64_t number) {
  if (number >= first_number()) return std::nullopt;
  LogHole hole{.from = number, .to = first_number() - 1};
  // What the cap took is noted until it is trimmed, without holes up to the first segment.
  if (!dropped_.empty() && number >= dropped_.front().first) {
    hole.reason = HoleReason::kCap;
  } else if (!dropped_.empty()) {
    hole.to = dropped_.front().first - 1;
  }
  hole.samples = SamplesBetween(hole.from, hole.to);
  return hole;
}

uint64_t MemoryRecordLog::SegmentStart(uint64_t number) const {
  const Segment* segment = Find(number);
  return segment == nullptr ? 0 : segment->first;
}

uint64_t MemoryRecordLog::Keyframe(uint64_t number) const {
  const Segment* segment = Find(number);
  if (segment == nullptr) return 0;
  const auto above = std::upper_bound(segment->keyframes.begin(), segment->keyframes.end(), number);
  return *std::prev(above);
}

uint64_t MemoryRecordLog::SamplesBetween(uint64_t from, uint64_t to) const {
  uint64_t samples = 0;
  for (const Dropped& dropped : dropped_) {
    const uint64_t begin = std::max(from, dropped.first);
    const uint64_t end = std::min(to + 1, dropped.end);
    if (begin < end) samples += dropped.SamplesBelow(end) - dropped.SamplesBelow(begin);
  }
  for (const Segment& segment : segments_) {
    const uint64_t begin = std::max(from, segment.first);
    const uint64_t end = std::min(to + 1, segment.end());
    if (begin >= end) continue;
    const uint64_t below_end = end == segment.end()
                                   ? segment.samples
                                   : segment.records[end - segment.first].samples_before;
    samples += below_end - segment.records[begin - segment.first].samples_before;
  }
  return samples;
}

uint64_t MemoryRecordLog::BytesFrom(uint64_t number) const {
  uint64_t bytes = 0;
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    if (segment->end() <= number) break;
    const bool whole = number <= segment->first;
    const uint64_t before = whole ? 0 : segment->records[number - segment->first].bytes_before;
    bytes += segment->bytes - before;
  }
  return bytes;
}

uint64_t MemoryRecordLog::Dropped::SamplesBelow(uint64_t number) const {
  if (number >= end) return samples;
  if (!samples_before.empty()) return samples_before[number - first];
  const double part = static_cast<double>(number - first) / static_cast<double>(end - first);
  return static_cast<uint64_t>(static_cast<double>(samples) * part);
}

void MemoryRecordLog::Trim(uint64_t durable) {
  durable_ = std::max(durable_, durable);
  while (!dropped_.empty() && dropped_.front().end <= durable + 1) dropped_.pop_front();
  // The newest segment goes only when the next begins: it is still being written.
  while (segments_.size() > 1 && segments_.front().end() <= durable + 1) {
    total_bytes_ -= segments_.front().bytes;
    segments_.pop_front();
  }
}

uint64_t MemoryRecordLog::segment_bytes() const {
  return segments_.empty() ? 0 : segments_.back().bytes;
}

const MemoryRecordLog::Segment* MemoryRecordLog::Find(uint64_t number) const {
  if (number < first_number() || number >= next_number_) return nullptr;
  const auto above =
      std::upper_bound(segments_.begin(), segments_.end(), number,
                       [](uint64_t n, const Segment& segment) { return n < segment.first; });
  return &*std::prev(above);
}

void MemoryRecordLog::DropOldest() {
  // Of a segment that every sink has in part the rest is lost.
  capped_samples_ +=
      SamplesBetween(std::max(segments_.front().first, durable_ + 1), segments_.front().end() - 1);
  NoteDropped(segments_.front());
  total_bytes_ -= segments_.front().bytes;
  segments_.pop_front();
}

void MemoryRecordLog::NoteDropped(const Segment& segment) {
  if (dropped_.size() >= kDroppedSegments) {
    dropped_.back().end = segment.end();
    dropped_.back().samples += segment.samples;
    return;
  }
  Dropped& dropped = dropped_.emplace_back();
  dropped.first = segment.first;
  dropped.end = segment.end();
  dropped.samples = segment.samples;
  if (dropped_.size() > kExactDroppedSegments) return;
  dropped.samples_before.reserve(segment.records.size());
  for (const Record& record : segment.records) {
    dropped.samples_before.push_back(record.samples_before);
  }
}

}  // namespace trawl
