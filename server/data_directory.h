#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/file_system.h"

namespace trawl {

// trawld's own directory, held by one process at a time: who it is as a writer, and which run
// this is. Both are on disk, synced, before they are used.
struct DataDirectory {
  std::string path;
  // 32 hex digits, made once (`writer-id`).
  std::string writer_id;
  // Larger than each before (`epoch`): the one on disk and 1, or the time in ms if that is more.
  // A full disk is no obstacle but to the first run.
  uint64_t epoch = 0;
  std::unique_ptr<FileLock> lock;
};

// Creates what is not there. kFailedPrecondition: another process holds it, or it is trawl-store's
// (which refuses one that has a writer-id); kDataLoss: a file of
// it is damaged; others of the file system.
absl::StatusOr<DataDirectory> OpenDataDirectory(FileSystem& files, const std::string& path,
                                                absl::Time now);

}  // namespace trawl
