#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/target_files.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

// file_sd files, and the jobs that their groups belong to.
//
// One thread.
class FileGroups {
 public:
  // With a job each pattern is of it; without one each is written JOB=PATTERN. kInvalidArgument
  // names the pattern that is neither.
  static absl::StatusOr<FileGroups> Make(const std::vector<std::string>& patterns,
                                         const std::string& job);

  // Reads all files anew; every problem with its file. What is wrong keeps what it last gave.
  std::vector<TargetFiles::Problem> Refresh(FileSystem& files);
  // OK when every pattern names a file.
  absl::Status CheckPatterns(FileSystem& files) const;

  // A group of a file has the key PATH:INDEX; a large one is divided, so that it fits into a
  // message, and its further parts are PATH:INDEX#2 and so on.
  std::vector<discovery::v1::TargetGroup> Groups() const;
  std::set<std::string> Directories() const;

 private:
  std::map<std::string, std::vector<std::string>> patterns_;  // by job
  std::map<std::string, TargetFiles> jobs_;
};

}  // namespace trawl
