#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file_system.h"

namespace trawl {

// A file system over another one that tells of every point at which a crash leaves something
// different behind: "before append segment", "half append segment", "after sync-directory spool".
// A name is a moment, an operation that changes something, and the kind of file it is about
// (KindOf). "before roll" comes before the footer of a segment, "after roll" when the next one of
// the process has its header: of one lane, these make sense. Thread-safe.
class KillPointFileSystem final : public FileSystem {
 public:
  // Called at each point, on the thread that came to it; may end the process.
  using Observer = std::function<void(const std::string& point)>;

  // `files` outlives the object.
  KillPointFileSystem(FileSystem& files, Observer observer)
      : files_(files), observer_(std::move(observer)) {}

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path,
                                                              bool truncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(const std::string& path) override {
    return files_.OpenForRead(path);
  }
  absl::StatusOr<std::unique_ptr<UpdatableFile>> OpenForUpdate(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    return files_.ReadFile(path);
  }
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override {
    return files_.FreeBytes(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return files_.List(path);
  }
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }

  // What a file of trawld's data directory is: "segment", "gaps", "discovery-log", …
  static std::string KindOf(std::string_view path);

 private:
  FileSystem& files_;
  const Observer observer_;
  std::atomic<bool> rolling_ = false;  // a segment has ended, and no other begun
};

}  // namespace trawl
