#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/model/target_group.h"

namespace trawl {

// The files of file_sd patterns, and the target groups they give, each with the label
// __meta_filepath. A file that can't be read or parsed keeps what it last gave, as in Prometheus;
// one that is gone gives nothing.
//
// One thread.
class TargetFiles {
 public:
  // Files that the new patterns name as well keep what they gave.
  void SetPatterns(std::vector<std::string> patterns) { patterns_ = std::move(patterns); }

  struct Problem {
    std::string path;  // or the pattern
    bool pattern = false;
    absl::Status status;
  };
  // Reads every file anew, and parses those that changed. While a pattern can't be looked up, no
  // file counts as gone.
  std::vector<Problem> Refresh(FileSystem& files);

  // By path, then in the file's order.
  std::vector<TargetGroup> Groups() const;
  // Where files may come and go.
  std::set<std::string> Directories() const;
  size_t file_count() const { return files_.size(); }

 private:
  // As it was when last good.
  struct File {
    uint64_t hash = 0;  // of its text
    std::vector<TargetGroup> groups;
  };
  absl::Status Read(FileSystem& files, const std::string& path);

  std::vector<std::string> patterns_;
  std::map<std::string, File> files_;
};

// One file's groups, with __meta_filepath.
absl::StatusOr<std::vector<TargetGroup>> ReadTargetFile(FileSystem& files, const std::string& path);

}  // namespace trawl
