#include "core/config/target_files.h"

#include "core/base/status_macros.h"
#include "core/config/glob.h"
#include "core/config/target_groups.h"

namespace trawl {

absl::StatusOr<std::vector<TargetGroup>> ReadTargetFile(FileSystem& files,
                                                        const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path));
  ASSIGN_OR_RETURN(std::vector<TargetGroup> groups, ParseTargetGroups(text, path));
  for (TargetGroup& group : groups) {
    LabelsBuilder labels(group.labels);
    labels.Set("__meta_filepath", path);
    group.labels = std::move(labels).Build();
  }
  return groups;
}

std::vector<TargetFiles::Problem> TargetFiles::Refresh(FileSystem& files) {
  std::vector<Problem> problems;
  std::set<std::string> present;
  bool all_known = true;
  for (const std::string& pattern : patterns_) {
    auto paths = ExpandGlob(files, pattern);
    if (!paths.ok()) {
      problems.push_back({pattern, true, paths.status()});
      all_known = false;
      continue;
    }
    for (const std::string& path : *paths) {
      if (!present.insert(path).second) continue;
      const absl::Status read = ReadFile(files, path);
      if (!read.ok()) problems.push_back({path, false, read});
    }
  }
  if (all_known) {
    std::erase_if(files_, [&](const auto& file) { return !present.contains(file.first); });
  }
  return problems;
}

absl::Status TargetFiles::ReadFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(files_[path], ReadTargetFile(files, path));
  return absl::OkStatus();
}

std::vector<TargetGroup> TargetFiles::Groups() const {
  std::vector<TargetGroup> groups;
  for (const auto& [path, content] : files_) {
    groups.insert(groups.end(), content.begin(), content.end());
  }
  return groups;
}

std::set<std::string> TargetFiles::Directories() const {
  std::set<std::string> directories;
  for (const std::string& pattern : patterns_) directories.insert(DirectoryOf(pattern));
  return directories;
}

}  // namespace trawl
