#include "core/config/target_files.h"

#include "core/base/hash.h"
#include "core/base/regular_file.h"
#include "core/base/status_macros.h"
#include "core/config/glob.h"
#include "core/config/target_groups.h"

namespace trawl {
namespace {

absl::StatusOr<std::vector<TargetGroup>> GroupsOf(const std::string& text,
                                                  const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<TargetGroup> groups, ParseTargetGroups(text, path));
  for (TargetGroup& group : groups) {
    LabelsBuilder labels(group.labels);
    labels.Set("__meta_filepath", path);
    group.labels = std::move(labels).Build();
  }
  return groups;
}

}  // namespace

absl::StatusOr<std::vector<TargetGroup>> ReadTargetFile(FileSystem& files,
                                                        const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path));
  return GroupsOf(text, path);
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
      const absl::Status read = Read(files, path);
      if (!read.ok()) problems.push_back({path, false, read});
    }
  }
  if (all_known) {
    std::erase_if(files_, [&](const auto& file) { return !present.contains(file.first); });
  }
  return problems;
}

absl::Status TargetFiles::Read(FileSystem& files, const std::string& path) {
  // A pattern may match anything.
  ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(files, path));
  const uint64_t hash = XxHash64(text);
  const auto known = files_.find(path);
  if (known != files_.end() && known->second.hash == hash) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<TargetGroup> groups, GroupsOf(text, path));
  files_[path] = {hash, std::move(groups)};
  return absl::OkStatus();
}

std::vector<TargetGroup> TargetFiles::Groups() const {
  std::vector<TargetGroup> groups;
  for (const auto& [path, file] : files_) {
    groups.insert(groups.end(), file.groups.begin(), file.groups.end());
  }
  return groups;
}

std::set<std::string> TargetFiles::Directories() const {
  std::set<std::string> directories;
  for (const std::string& pattern : patterns_) directories.insert(DirectoryOf(pattern));
  return directories;
}

}  // namespace trawl
