#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/lane_ledger.h"
#include "core/base/file_system.h"

namespace trawl {

// Where a store without a database keeps its lanes' numbers. The file is replaced as a whole: a
// crash leaves the old or the new one.
//
// FORMAT 1, lines of text:
//   trawl-store-state 1
//   store STORE_ID
//   writer INCARNATION WRITER_ID
//   lane EPOCH LANE DURABLE STORED DUPLICATE LOST REJECTED WRITER_ID
//   crc32c EIGHT_HEX_DIGITS        of all before this line
// REJECTED is CODE:SAMPLES,... or -. Each writer, and each lane, has one line.
// Not thread-safe.
class LaneStateFile {
 public:
  // Reads the file into `ledger`, or starts an empty one. Holds PATH.lock while it lives.
  // kDataLoss: damaged; kFailedPrecondition: in use, or of a newer format.
  static absl::StatusOr<std::unique_ptr<LaneStateFile>> Open(const std::string& path,
                                                             FileSystem& fs, LaneLedger& ledger);

  const std::string& store_id() const { return store_id_; }
  // What the ledger has *taken* is durable when this returns OK.
  absl::Status Save(LaneLedger& ledger);

 private:
  LaneStateFile(std::string path, FileSystem& fs, std::unique_ptr<FileLock> lock)
      : path_(std::move(path)), fs_(fs), lock_(std::move(lock)) {}
  absl::Status Parse(std::string_view text, LaneLedger& ledger);
  absl::Status ParseLine(const std::string& line, LaneLedger& ledger);

  const std::string path_;
  FileSystem& fs_;
  const std::unique_ptr<FileLock> lock_;
  std::string store_id_;
};

}  // namespace trawl
