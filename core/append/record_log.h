#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trawl {

enum class RecordKind : uint8_t { kDictionary = 1, kScrape = 2 };

// A numbered record as it stands in the log. `bytes` is the framed record (length, kind, CRC-32C,
// payload; core/append/record.h), the same bytes in the log and on the wire.
struct LogRecord {
  uint64_t number = 0;
  RecordKind kind = RecordKind::kDictionary;
  bool keyframe = false;  // value state of the lane is empty before it
  bool segment_start = false;
  uint64_t samples = 0;    // float samples and markers that storage counts
  std::string_view bytes;  // valid until the next call of the log
};

// The records of one lane and epoch, in segments that decode on their own: what is committed and
// not yet durable at every sink. In memory (MemoryRecordLog), or on disk (the spool).
//
// Numbers count from 1 without holes. Dropped records (over the cap) are told by `dropped`.
// One thread: the lane's.
class RecordLog {
 public:
  virtual ~RecordLog() = default;

  // Adds a record; its number is next_number(). A `segment_start` begins a new segment.
  // kResourceExhausted: nothing can be taken. Over the cap the oldest whole segments go.
  virtual absl::Status Append(const LogRecord& record) = 0;

  virtual uint64_t next_number() const = 0;   // of the record that comes next
  virtual uint64_t first_number() const = 0;  // oldest that is kept; next_number() if none
  // kNotFound if it is not (any more, or yet) in the log.
  virtual absl::StatusOr<LogRecord> Read(uint64_t number) = 0;
  // The newest record at or below `number` that starts a segment / is a keyframe (a segment's
  // start counts as one). `number` must be in the log.
  virtual uint64_t SegmentStart(uint64_t number) const = 0;
  virtual uint64_t Keyframe(uint64_t number) const = 0;
  // Samples of the records in [from, to], also of dropped ones: for Gaps.
  virtual uint64_t SamplesBetween(uint64_t from, uint64_t to) const = 0;

  // Whole segments with all numbers <= `durable` may go: every sink is past them.
  virtual void Trim(uint64_t durable) = 0;

  // Bytes and records since the newest segment's start, for the writer to decide on rolling.
  virtual uint64_t segment_bytes() const = 0;
  virtual uint64_t total_bytes() const = 0;
};

}  // namespace trawl
