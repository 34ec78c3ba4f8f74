#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/base/file_system.h"
#include "core/discovery/state_record.h"

namespace trawl {

// The log file of one pushed source (FORMAT.md): a snapshot, and the changes since.
//
// Guarantees, whatever operation fails and wherever the power goes:
//   1. WHAT WAS RECORDED IS FOUND by Recover: Record returns when it is synced.
//   2. A change is found whole or not at all.
//   3. A Record that failed costs the next one a fresh snapshot, and nothing else.
// A change costs what it changes; now and then (when the changes outweigh the snapshot) the file
// is replaced by a fresh snapshot. Changes are written over zeros that are on disk already: such a
// sync has no file's length to keep, so it neither waits for the file system's journal nor for what
// others write. No descriptor is kept open.
//
// One thread.
class StateLog {
 public:
  struct Options {
    // Changes may outweigh the snapshot by this much before a fresh one is written.
    uint64_t slack_bytes = 64 << 10;
    // Zeros that are written behind a change for which there were too few.
    uint64_t reserve_bytes = 64 << 10;
  };

  // Touches nothing. `path` is in a directory that exists.
  StateLog(const Options& options, FileSystem& files, std::string path);

  // Reads what is there, cuts off a torn write at its end, and syncs it. kDataLoss: the file is
  // damaged; others: it can't be read.
  absl::StatusOr<StateLogContents> Recover();

  // `before` changed by `delta`; all of it if the file is gone. kResourceExhausted: the disk is
  // full; kNotFound: the directory is gone.
  absl::Status Record(const std::string& source, const SourceState& before,
                      const StateDelta& delta);
  // Removes the file.
  absl::Status Remove();

  const std::string& path() const { return path_; }

 private:
  absl::Status SyncRecovered(std::string_view bytes, const StateLogContents& contents);
  bool IsThere();
  absl::Status Append(const std::string& record);
  absl::Status WriteBehind(UpdatableFile& file, const std::string& record);
  // Replaces the file; one that fails before it is replaced leaves the log as good as it was.
  absl::Status Replace(std::string_view content);
  absl::Status WriteTemporary(const std::string& path, std::string_view content);

  const Options options_;
  FileSystem& files_;
  const std::string path_;

  // The file can't be appended to: there is none, or what is at its end isn't known.
  bool rewrite_ = true;
  uint64_t log_bytes_ = 0;   // mark and records
  uint64_t file_bytes_ = 0;  // and zeros
  uint64_t compact_at_ = 0;  // log_bytes_
};

}  // namespace trawl
