#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

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

// Why numbers that were given have no record any more.
enum class HoleReason : uint8_t {
  kTrimmed,     // every sink was past them
  kCap,         // the log was at its cap: the oldest went
  kAge,         // they were older than the log's age limit
  kDamaged,     // the disk does not give them back
  kNotSpooled,  // they were never on disk, and a crash took them
};
inline constexpr size_t kHoleReasons = 5;  // so many

// Numbers without records, both ends included. They come between records, too: a damaged S record
// takes with it those up to the next keyframe, but for the D records among them, which are read as
// ever, so that the keyframe decodes.
struct LogHole {
  uint64_t from = 0;
  uint64_t to = 0;
  uint64_t samples = 0;  // in them, as far as is known
  HoleReason reason = HoleReason::kTrimmed;
};

// The records of one lane and epoch, to be read: in segments that decode on their own.
// One thread: the lane's.
class RecordSource {
 public:
  virtual ~RecordSource() = default;

  virtual uint64_t next_number() const = 0;   // behind the last record
  virtual uint64_t first_number() const = 0;  // oldest that is kept; next_number() if none
  // kNotFound if it is not (any more, or yet) in the log; HoleAt says more. Others: it can't be
  // read now, and may be later.
  virtual absl::StatusOr<LogRecord> Read(uint64_t number) = 0;
  // The hole that `number`, from 1 on, is in, from `number` to its end; nothing if Read finds a
  // record there or if it is yet to come. Damage is found by reading: what was a record can be in a
  // hole after a Read that failed.
  virtual std::optional<LogHole> HoleAt(uint64_t number) = 0;
  // The newest record at or below `number` that starts a segment / is a keyframe (a segment's
  // start counts as one). `number` must be in the log.
  virtual uint64_t SegmentStart(uint64_t number) const = 0;
  virtual uint64_t Keyframe(uint64_t number) const = 0;
  // Samples of the records in [from, to], also of those in holes: for Gaps.
  virtual uint64_t SamplesBetween(uint64_t from, uint64_t to) const = 0;
  // Of the records that are kept, from `number` on; an estimate inside of what is read at once.
  virtual uint64_t BytesFrom(uint64_t number) const = 0;

  // Whole segments with all numbers <= `durable` may go: every sink is past them.
  virtual void Trim(uint64_t durable) = 0;

  virtual uint64_t total_bytes() const = 0;
};

// A RecordSource that grows: what is committed and not yet durable at every sink. In memory
// (MemoryRecordLog), or on disk (Spool). Numbers count from 1.
class RecordLog : public RecordSource {
 public:
  // Adds a record; its number is next_number(). A `segment_start` begins a new segment.
  // kResourceExhausted: nothing can be taken. Over the cap the oldest whole segments go.
  virtual absl::Status Append(const LogRecord& record) = 0;

  // A segment that grows beyond this is refused, whatever else the log gives up for it.
  virtual uint64_t max_segment_bytes() const { return std::numeric_limits<uint64_t>::max(); }
  // Samples that went for this reason, so far; those that every sink had are not among them.
  virtual uint64_t dropped_samples(HoleReason reason) const = 0;
  // The next scrape should start a segment: the one that is being written can't be written to its
  // end.
  virtual bool wants_segment() const { return false; }
  // Bytes since the newest segment's start, for the writer to decide on rolling.
  virtual uint64_t segment_bytes() const = 0;
};

}  // namespace trawl
