#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/append/record_log.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "core/spool/record_block.h"
#include "core/spool/segment_log.h"
#include "core/spool/spool_budget.h"
#include "core/spool/spool_status.h"
#include "core/spool/spool_syncer.h"

namespace trawl {

// The RecordLog on disk: the records of a lane of the running epoch (FORMAT.md).
//
// Guarantees:
//   1. WHAT Append TOOK IS IN THE KERNEL when it returns: a crash of the process does not lose it.
//      What is older than the syncer's interval survives a power loss.
//   2. A full or broken disk stops neither Append nor reading: records are then in memory, up to
//      max_memory_bytes, and status() says so. A new segment is tried on disk again and again.
//   3. Over the budget or the age limit the oldest whole segments go, and HoleAt tells them.
// One thread, the loop's, but for status().
class Spool final : public RecordLog {
 public:
  struct Options {
    std::string directory;  // of this epoch and lane; is made when it is needed
    SpoolIdentity identity;
    uint64_t max_bytes = uint64_t{16} << 30;          // of this log; the budget is for all
    uint64_t max_memory_bytes = uint64_t{128} << 20;  // of records that the disk does not take
    absl::Duration max_age = absl::Hours(24 * 7);     // of a segment's last record
    absl::Duration tick = absl::Seconds(1);           // for the limits, and for status()
    absl::Duration first_retry = absl::Seconds(1);    // of a disk that failed
    absl::Duration last_retry = absl::Seconds(5);
  };
  struct Deps {
    EventLoop& loop;
    FileSystem& files;
    SpoolSyncer& syncer;
    SpoolBudget& budget;
  };

  Spool(const Options& options, const Deps& deps);
  // Ends the segment in order.
  ~Spool() override;

  absl::Status Append(const LogRecord& record) override;
  bool wants_segment() const override;
  uint64_t next_number() const override { return log_.next_number(); }
  uint64_t first_number() const override { return log_.first_number(); }
  absl::StatusOr<LogRecord> Read(uint64_t number) override { return log_.Read(number); }
  std::optional<LogHole> HoleAt(uint64_t number) override { return log_.HoleAt(number); }
  uint64_t SegmentStart(uint64_t number) const override { return log_.SegmentStart(number); }
  uint64_t Keyframe(uint64_t number) const override { return log_.Keyframe(number); }
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const override {
    return log_.SamplesBetween(from, to);
  }
  uint64_t BytesFrom(uint64_t number) const override { return log_.BytesFrom(number); }
  // What the disk does not take is in memory.
  uint64_t max_segment_bytes() const override {
    return std::min(options_.max_bytes, std::max(budget_.max_bytes(), options_.max_memory_bytes));
  }
  uint64_t dropped_samples(HoleReason reason) const override {
    return status_.dropped_samples[static_cast<size_t>(reason)];
  }
  void Trim(uint64_t durable) override;
  uint64_t segment_bytes() const override { return segment_bytes_; }
  uint64_t total_bytes() const override { return file_bytes_ + memory_bytes_; }

  // The newest published, at most a tick old. Any thread.
  std::shared_ptr<const SpoolStatus> status() const { return published_.Get(); }

 private:
  void BeginSegment();
  void OpenFile(SpoolSegment& segment);
  void EndSegment();
  void BeginBlock(bool keyframe);
  // The open block is full, or the segment ends.
  void EndBlock();
  void WriteEntry(size_t entry_bytes, bool with_mark);
  void FailFile(const absl::Status& why);
  // Bytes that the file does not have are accounted for.
  void NoteMemory();
  // What was lost and how far the lane got, to be on disk before a file is removed.
  void PutLedger(SpoolRemoval& removal);
  void Drop(size_t segment, HoleReason reason);
  void KeepLimits();
  void Tick();
  void Account();
  void Publish();
  int64_t NowMs() const;
  SpoolSegment& newest() { return log_.segments().back(); }

  // Constant after construction.
  const Options options_;
  const uint32_t identity_;
  EventLoop& loop_;
  FileSystem& files_;
  SpoolSyncer& syncer_;
  SpoolBudget& budget_;
  const std::shared_ptr<SpoolBudget::Share> share_;

  // The loop's thread.
  SegmentLog log_;
  std::shared_ptr<SpoolFile> file_;     // of the newest segment; null: there is none
  std::shared_ptr<RecordBlock> block_;  // the open one; null: before the first record
  bool resident_ = false;               // the open block is not all in the file
  std::string scratch_;
  uint64_t samples_ = 0;        // of the lane so far
  uint64_t segment_bytes_ = 0;  // of its records
  size_t remembered_records_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t memory_bytes_ = 0;
  uint64_t durable_ = 0;  // Trim's highest
  uint64_t ledger_generation_ = 0;
  uint64_t newest_file_ = 0;  // first number of the newest segment that got one
  bool directory_made_ = false;
  absl::Duration retry_at_;  // steady
  absl::Duration retry_step_;
  absl::Duration told_at_ = -absl::InfiniteDuration();  // the log, of a disk that failed
  TimerId tick_timer_ = 0;
  SpoolStatus status_;  // without what Publish fills in

  Published<SpoolStatus> published_;
};

}  // namespace trawl
