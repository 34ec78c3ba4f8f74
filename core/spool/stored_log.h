#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/append/record_log.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/spool/gap_ledger.h"
#include "core/spool/segment_file.h"
#include "core/spool/segment_log.h"
#include "core/spool/spool_budget.h"
#include "core/spool/spool_syncer.h"

namespace trawl {

// A lane of an earlier run that still has its directory.
struct StoredLane {
  uint64_t epoch = 0;
  uint32_t lane = 0;
  std::string directory;
};
// `root`/EPOCH/LANE, but for the running epoch's; by epoch and lane.
absl::StatusOr<std::vector<StoredLane>> FindStoredLanes(FileSystem& files, const std::string& root,
                                                        uint64_t running_epoch);
// What a crash left of epochs whose lanes are gone.
void RemoveEmptyEpochs(FileSystem& files, const std::string& root);
std::string SpoolLaneDirectory(const std::string& root, uint64_t epoch, uint32_t lane);

// The records that an earlier run left on one lane: read-only, to be drained.
//
// Guarantees:
//   1. OPENING ALWAYS SUCCEEDS where the directory can be listed, whatever is in it: a torn tail is
//      left out, a file that is no segment of this lane is set aside as FILE.damaged, what is
//      damaged inside a segment is found when it is read; each is logged, and told by HoleAt.
//   2. Opening reads headers and footers, and whole only the file that a crash left without one.
// One thread, the loop's.
class StoredLog final : public RecordSource {
 public:
  struct Options {
    std::string directory;
    SpoolIdentity identity;
    absl::Duration max_age = absl::Hours(24 * 7);
    absl::Duration tick = absl::Seconds(1);  // for the limits
    bool read_only = false;                  // nothing is changed: no limits, nothing is set aside
  };
  struct Deps {
    EventLoop& loop;
    FileSystem& files;
    SpoolSyncer& syncer;
    SpoolBudget& budget;
  };
  // A file that is not read, or not to its end.
  struct BadFile {
    enum class Kind {
      kTorn,      // its last write was cut off; no record that was committed is missing
      kLost,      // its end can't be read: nobody knows how many records there were
      kSetAside,  // at this start, or at one before
    };
    Kind kind = Kind::kTorn;
    std::string name;
    uint64_t number = 0;  // of its first record, as its name says
    uint64_t bytes = 0;   // that are not read
  };
  // What opening found.
  struct Findings {
    uint64_t segments = 0;
    uint64_t bytes = 0;
    uint64_t torn_bytes = 0;    // of writes that were cut off
    uint64_t lost_bytes = 0;    // of ends that can't be read, and of what was set aside now
    uint64_t set_aside = 0;     // files, now
    uint64_t lost_headers = 0;  // segments that are used without theirs
    std::vector<BadFile> bad_files;
  };

  static absl::StatusOr<std::unique_ptr<StoredLog>> Open(const Options& options, const Deps& deps);
  ~StoredLog() override;

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
  // When all are past, nothing is left but the directory.
  void Trim(uint64_t durable) override;
  uint64_t total_bytes() const override { return bytes_; }

  const Findings& findings() const { return findings_; }
  // Everybody is past all of it: the directory goes too, but for files of a newer format, which are
  // moved to ROOT/newer-format, and those that the disk did not give, which are moved to
  // ROOT/unread. Nothing may be asked of the log then.
  void RemoveDirectory();

 private:
  StoredLog(const Options& options, const Deps& deps);
  absl::Status Recover();
  std::optional<SegmentFile> Inspect(const std::string& name);
  const BadFile& NoteSetAside(const std::string& name);
  void SetAside(const std::string& name, const absl::Status& why);
  void NoteUnreadable(uint64_t number, uint64_t bytes, bool held_record);
  void NoteEnd(const SegmentFile& file);
  void TakeSegments(std::vector<SegmentFile> found);
  void TakeLedger();
  // Of a range of the ledger: what has no record.
  void NoteDropped(LostRanges::Range range);
  // Holes in which a file without a record stands are not of what everybody was past.
  void NoteEmpty();
  // Holes in which something can't be read are damage.
  void NoteDamagedHoles();
  // So is, behind the last record, what is known of the numbers of what can't be read.
  void NoteLostEnd();
  // The newest file that the ledger knows of is gone.
  void NoteLostFile();
  void NoteLost(const LogHole& hole, HoleReason reason);
  bool IsOfNewerFormat(const std::string& name) const;
  void Keep(const std::string& name, std::string_view where);
  void Drop(HoleReason reason);
  // For ages: a wall clock that jumps ahead after the start makes nothing old.
  absl::Time AgeNow() const;
  void Account();
  void Tick();
  std::string Path(const std::string& name) const;

  const Options options_;
  EventLoop& loop_;
  FileSystem& files_;
  SpoolSyncer& syncer_;
  SpoolBudget& budget_;
  const std::shared_ptr<SpoolBudget::Share> share_;

  SegmentLog log_;
  Findings findings_;
  std::set<uint64_t> empty_;      // numbers of files that hold no record
  std::set<std::string> unread_;  // files that are set aside and have kept their names
  // What can't be read: files that were set aside, and ends of files.
  struct Unreadable {
    uint64_t bytes = 0;
    bool held_record = false;  // the first at least; false: perhaps none
  };
  std::map<uint64_t, Unreadable> unreadable_;  // by the number of the first record
  uint64_t bytes_ = 0;
  const absl::Time opened_at_;             // wall
  const absl::Duration opened_at_steady_;  // the same moment
  uint64_t ledger_generation_ = 0;
  LaneProgress progress_;
  TimerId tick_timer_ = 0;
};

}  // namespace trawl
