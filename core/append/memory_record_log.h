#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/append/record_log.h"

namespace trawl {

// A RecordLog on the heap, bounded by bytes: what it holds does not survive the process.
//
// Over the cap the oldest whole segments go; the newest one stays. Of what is dropped it keeps the
// number of samples until Trim passes it: exactly record by record for the first few segments,
// then by whole segments. Not thread-safe: the lane's thread.
class MemoryRecordLog final : public RecordLog {
 public:
  struct Options {
    size_t max_bytes = size_t{256} << 20;  // of records
  };

  explicit MemoryRecordLog(const Options& options) : options_(options) {}

  absl::Status Append(const LogRecord& record) override;
  uint64_t next_number() const override { return next_number_; }
  uint64_t first_number() const override;
  absl::StatusOr<LogRecord> Read(uint64_t number) override;
  std::optional<LogHole> HoleAt(uint64_t number) override;
  uint64_t SegmentStart(uint64_t number) const override;
  uint64_t Keyframe(uint64_t number) const override;
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const override;
  uint64_t BytesFrom(uint64_t number) const override;
  void Trim(uint64_t durable) override;
  uint64_t max_segment_bytes() const override { return options_.max_bytes; }
  uint64_t dropped_samples(HoleReason reason) const override {
    return reason == HoleReason::kCap ? capped_samples_ : 0;
  }
  uint64_t segment_bytes() const override;
  uint64_t total_bytes() const override { return total_bytes_; }

 private:
  struct Record {
    RecordKind kind;
    bool keyframe;
    uint64_t samples_before;  // in the segment
    uint64_t bytes_before;
    std::string bytes;
  };
  struct Segment {
    uint64_t first = 0;
    uint64_t bytes = 0;
    uint64_t samples = 0;
    std::deque<Record> records;
    std::vector<uint64_t> keyframes;

    uint64_t end() const { return first + records.size(); }
  };
  // What is left of segments that are no more.
  struct Dropped {
    uint64_t first = 0;
    uint64_t end = 0;
    uint64_t samples = 0;
    std::vector<uint64_t> samples_before;  // by record; empty: not known so exactly

    uint64_t SamplesBelow(uint64_t number) const;
  };

  const Segment* Find(uint64_t number) const;
  void DropOldest();
  void NoteDropped(const Segment& segment);

  const Options options_;
  uint64_t next_number_ = 1;
  uint64_t total_bytes_ = 0;
  uint64_t durable_ = 0;  // at every sink
  uint64_t capped_samples_ = 0;
  std::deque<Segment> segments_;  // each has a record
  std::deque<Dropped> dropped_;
};

}  // namespace trawl
