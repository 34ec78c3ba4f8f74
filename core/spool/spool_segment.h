#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/file_system.h"
#include "core/spool/record_block.h"
#include "core/spool/segment_format.h"

namespace trawl {

// One segment of a log: where its records are, in its file or in memory, and what of it is damaged.
// One thread.
class SpoolSegment {
 public:
  SpoolSegment(std::string path, uint64_t first_number, SegmentIndex index)
      : path_(std::move(path)), first_(first_number), index_(std::move(index)) {}

  const std::string& path() const { return path_; }  // "": it has no file
  uint64_t first() const { return first_; }
  uint64_t end() const { return index_.end_number; }  // behind the last record
  uint64_t samples_before() const { return index_.blocks.front().samples; }
  uint64_t samples_end() const { return index_.end_samples; }
  const SegmentIndex& index() const { return index_; }
  SegmentIndex& mutable_index() { return index_; }

  // The block that `number`, which is in the segment, is in.
  size_t BlockOf(uint64_t number) const;
  uint64_t BlockEnd(size_t block) const;  // number behind its last record
  // Of its records from `number` on: by blocks, and of the block that it is in a share.
  uint64_t BytesFrom(uint64_t number) const;
  uint64_t KeyframeAtOrBelow(uint64_t number) const;
  uint64_t KeyframeAbove(uint64_t number) const;  // end() if there is none

  // Reads it from the file. What is damaged in it is noted; a file that is gone is damaged as a
  // whole. Errors: it can't be read now; after a few attempts it counts as damaged.
  absl::StatusOr<std::shared_ptr<const RecordBlock>> LoadBlock(FileSystem& files, size_t block);

  // S records in here are lost, be they readable or not; all records if `all`.
  struct Damage {
    uint64_t from = 0;
    uint64_t end = 0;
    bool all = false;
  };
  // The damage that is known at `number`; null: none.
  const Damage* DamageAt(uint64_t number) const;
  bool damaged() const { return !damages_.empty(); }

  // Blocks that the file does not hold stay in memory.
  void KeepResident(size_t block, std::shared_ptr<const RecordBlock> records);
  std::shared_ptr<const RecordBlock> Resident(size_t block) const;
  size_t resident_bytes() const { return resident_bytes_; }

  uint64_t file_bytes = 0;
  absl::Duration written_at;  // steady, the last block, of a segment of this run
  // Of each record, if they are remembered: for when the segment is dropped.
  std::vector<uint32_t> record_samples;

 private:
  absl::StatusOr<std::string> ReadBlockBytes(FileSystem& files, size_t block);
  void NoteDamage(size_t block, const RecordBlock& records);

  std::string path_;
  uint64_t first_;
  SegmentIndex index_;
  std::vector<Damage> damages_;  // by number
  std::map<size_t, std::shared_ptr<const RecordBlock>> resident_;
  size_t resident_bytes_ = 0;
  int failed_reads_ = 0;  // in a row
};

}  // namespace trawl
