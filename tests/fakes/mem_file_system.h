#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"

namespace trawl {

// A file system in memory that can crash, fail and be full.
//
// It is as forgetful as a disk may be: LosePower drops every byte that was not synced, and every
// creation, renaming and removal whose directory was not synced (SyncDirectory). A directory
// itself is durable at once. Handles that were opened before LosePower refuse to work after it.
// A path is normalised ("a//b/" is "a/b"). Thread-safe.
class MemFileSystem final : public FileSystem {
 public:
  MemFileSystem();
  ~MemFileSystem() override;

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path,
                                                              bool truncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<UpdatableFile>> OpenForUpdate(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override;
  // What SetCapacity leaves.
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // The machine loses power and comes back; locks are gone too.
  void LosePower();
  // The same as disks may do it worse: of what was not synced, each 512-byte sector of each file by
  // chance is there, is not, or is zero; the last one may be cut at any byte; each creation,
  // renaming and removal by chance happened or did not.
  void LosePowerUnevenly(absl::BitGenRef random);

  // The operation after the next `successes` ones fails with `error`
  // (0: the next one), and so do the `more` after it. Operations are the calls of the interfaces,
  // reads included, and are counted from now. A failing Append writes the first half of its bytes,
  // as a full disk may.
  void FailAfter(int successes, absl::Status error, int more = 0);
  // All bytes of all files; an Append that does not fit writes what fits and fails with
  // kResourceExhausted.
  void SetCapacity(uint64_t bytes);
  // Operations since the start: to step a test through every one of them.
  int operations() const;

  // All files, sorted, with their sizes: to damage one.
  std::map<std::string, uint64_t> Sizes() const;
  // Puts or changes a durable file, with its directories: to prepare, or to corrupt.
  void Put(const std::string& path, std::string_view content);

 private:
  struct File;
  struct State;
  class AppendHandle;
  class ReadHandle;
  class UpdateHandle;
  class LockHandle;

  static std::string Torn(const std::string& synced, const std::string& content,
                          absl::BitGenRef random);
  static std::shared_ptr<File> Left(std::string content);

  // Shared with the handles, which may outlive the file system.
  const std::shared_ptr<State> state_;
};

}  // namespace trawl
