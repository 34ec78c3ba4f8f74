#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trawl {

// A file opened for appending. Append: one thread at a time; Sync: any thread, also beside Append.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes
  // Hands the bytes to the kernel: after OK a crash of the process does not lose them.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // fdatasync: after OK a power loss does not lose what was appended before.
  virtual absl::Status Sync() = 0;
};

// A file opened for reading anywhere. Thread-safe.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;  // closes
  // `size` bytes from `offset` on; fewer where the file ends.
  virtual absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

// A file whose bytes are replaced where they are. One thread at a time.
class UpdatableFile {
 public:
  virtual ~UpdatableFile() = default;  // closes
  // The file grows if it is too short. What a crash leaves of one WriteAt may be part of it.
  virtual absl::Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  virtual absl::Status Sync() = 0;  // as WritableFile's
};

// A lock on a data directory, held until destroyed or until the process ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// What trawl needs of a file system; the seam that lets tests lose what was not synced.
// Paths are absolute or relative to the working directory. Errors carry the path and the
// system's words; kNotFound, kPermissionDenied, kResourceExhausted (full, quota) are told apart.
// Thread-safe. Open... takes regular files only; of others it is kFailedPrecondition at once.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path,
                                                                      bool truncate) = 0;
  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(
      const std::string& path) = 0;
  // Creates the file if there is none.
  virtual absl::StatusOr<std::unique_ptr<UpdatableFile>> OpenForUpdate(const std::string& path) = 0;
  virtual absl::StatusOr<std::string> ReadFile(const std::string& path) = 0;
  // Bytes that this process may still write to the file system that the directory is on.
  virtual absl::StatusOr<uint64_t> FreeBytes(const std::string& path) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // A file or an empty directory.
  virtual absl::Status Remove(const std::string& path) = 0;
  // Creates missing parents; an existing directory is OK.
  virtual absl::Status CreateDirectory(const std::string& path) = 0;
  // Names (not paths) in a directory, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) = 0;
  // Makes renames, creations and removals in a directory durable.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // kFailedPrecondition with the holder's pid, if known, when another process holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// Replaces a file's content so that a crash leaves the old or the new content, and syncs it.
absl::Status WriteFileDurably(FileSystem& fs, const std::string& path, std::string_view content);

// Creates a directory whose parent is there: of a mistyped path no tree is made.
absl::Status CreateLastDirectory(FileSystem& fs, const std::string& path);

// The directory of a path; "." for one without a slash.
std::string DirectoryOf(const std::string& path);
// `path` below `directory`, in the shortest form (no `./`, `//` or `a/../`), as Go's filepath.Join.
std::string JoinPath(const std::string& directory, const std::string& path);

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path,
                                                              bool truncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<UpdatableFile>> OpenForUpdate(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override;
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
};

}  // namespace trawl
