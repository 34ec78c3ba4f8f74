#include "client/trawlctl/file_groups.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/usage.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/config/glob.h"

namespace trawl {

namespace {

// Of addresses in one group.
constexpr size_t kMaxGroupBytes = size_t{256} << 10;

void AddGroups(const std::string& job, const TargetGroup& group,
               std::vector<discovery::v1::TargetGroup>& groups) {
  size_t bytes = 0;
  int parts = 0;
  discovery::v1::TargetGroup* part = nullptr;
  for (const std::string& target : group.targets) {
    bytes += target.size() + 4;
    if (part == nullptr || bytes > kMaxGroupBytes) {
      bytes = target.size() + 4;
      part = &groups.emplace_back();
      part->set_job(job);
      part->set_key(++parts == 1 ? group.key : absl::StrCat(group.key, "#", parts));
      for (const Label& label : group.labels) (*part->mutable_labels())[label.name] = label.value;
    }
    part->add_targets(target);
  }
}

}  // namespace

absl::StatusOr<FileGroups> FileGroups::Make(const std::vector<std::string>& patterns,
                                            const std::string& job) {
  FileGroups groups;
  for (const std::string& pattern : patterns) {
    if (!job.empty()) {
      groups.patterns_[job].push_back(pattern);
      continue;
    }
    const size_t equals = pattern.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == pattern.size()) {
      return UsageError(absl::StrCat("--file-sd ", GoQuote(pattern),
                                     " names no job: give JOB=GLOB, or --job for all files"));
    }
    groups.patterns_[pattern.substr(0, equals)].push_back(pattern.substr(equals + 1));
  }
  for (const auto& [name, globs] : groups.patterns_) groups.jobs_[name].SetPatterns(globs);
  return groups;
}

std::vector<TargetFiles::Problem> FileGroups::Refresh(FileSystem& files) {
  std::vector<TargetFiles::Problem> problems;
  for (auto& [job, target_files] : jobs_) {
    for (TargetFiles::Problem& problem : target_files.Refresh(files)) {
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

absl::Status FileGroups::CheckPatterns(FileSystem& files) const {
  std::vector<std::string> without;
  for (const auto& [job, patterns] : patterns_) {
    for (const std::string& pattern : patterns) {
      ASSIGN_OR_RETURN(const std::vector<std::string> paths, ExpandGlob(files, pattern));
      if (paths.empty()) without.push_back(GoQuote(pattern));
    }
  }
  if (without.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("no file matches ", absl::StrJoin(without, ", ")));
}

std::vector<discovery::v1::TargetGroup> FileGroups::Groups() const {
  std::vector<discovery::v1::TargetGroup> groups;
  for (const auto& [job, target_files] : jobs_) {
    for (const TargetGroup& group : target_files.Groups()) AddGroups(job, group, groups);
  }
  return groups;
}

std::set<std::string> FileGroups::Directories() const {
  std::set<std::string> directories;
  for (const auto& [job, target_files] : jobs_) directories.merge(target_files.Directories());
  return directories;
}

}  // namespace trawl
