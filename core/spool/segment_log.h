#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/append/record_log.h"
#include "core/base/file_system.h"
#include "core/spool/lost_ranges.h"
#include "core/spool/spool_segment.h"

namespace trawl {

// The read half of a log in segments: finds records and holes in them, keeps the blocks in memory
// that were read last, and knows what is damaged, was dropped or never came.
// One thread.
class SegmentLog {
 public:
  // Of blocks that were read.
  static constexpr size_t kCacheBytes = size_t{1} << 20;

  explicit SegmentLog(FileSystem& files) : files_(files) {}

  // As RecordSource's.
  uint64_t next_number() const { return next_number_; }
  uint64_t first_number() const;
  absl::StatusOr<LogRecord> Read(uint64_t number);
  std::optional<LogHole> HoleAt(uint64_t number);
  uint64_t SegmentStart(uint64_t number) const;
  uint64_t Keyframe(uint64_t number) const;
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const;
  uint64_t BytesFrom(uint64_t number) const;

  std::deque<SpoolSegment>& segments() { return segments_; }
  const std::deque<SpoolSegment>& segments() const { return segments_; }
  // What dropping took, by number; also of an earlier run.
  LostRanges& lost() { return lost_; }

  // Every sink is past these numbers, and of those above that are missing none was.
  void SetDelivered(uint64_t number) { delivered_ = number; }
  // The next number is at least this.
  void SetNext(uint64_t number) { next_number_ = number; }
  // The block that is being written, of the newest segment; null: none.
  void SetOpenBlock(const RecordBlock* block) { open_block_ = block; }
  // A block that was read or written comes back from here without its file.
  void Cache(uint64_t first_number, std::shared_ptr<const RecordBlock> block);

  // The segment is no more. With a reason for which that is a loss it is noted in lost().
  void Remove(size_t segment, HoleReason reason);

 private:
  SpoolSegment* Find(uint64_t number);
  const SpoolSegment* Find(uint64_t number) const;
  // The block with the record; it must not be the open one's.
  absl::StatusOr<std::shared_ptr<const RecordBlock>> Block(SpoolSegment& segment, uint64_t number);
  // `number` is in the segment, and no record is to be had there.
  bool IsLost(SpoolSegment& segment, uint64_t number);
  LogHole HoleInSegment(SpoolSegment& segment, uint64_t number, const SpoolSegment::Damage& damage);
  LogHole HoleBetween(uint64_t number) const;
  // Samples of the lane below `number`: exact where there are records, a share in holes.
  uint64_t SamplesBelow(uint64_t number) const;
  uint64_t SamplesBelowInSegment(const SpoolSegment& segment, uint64_t number) const;

  FileSystem& files_;
  uint64_t next_number_ = 1;
  std::deque<SpoolSegment> segments_;  // each has a block
  LostRanges lost_;
  std::optional<uint64_t> delivered_;  // unset: all in front of the first segment
  const RecordBlock* open_block_ = nullptr;
  std::shared_ptr<const RecordBlock> reading_;  // what the last Read pointed into

  struct CachedBlock {
    uint64_t first = 0;
    std::shared_ptr<const RecordBlock> block;
  };
  std::list<CachedBlock> cache_;  // newest first
  size_t cache_bytes_ = 0;
};

}  // namespace trawl
