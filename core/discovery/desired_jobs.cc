#include "core/discovery/desired_jobs.h"

#include <string_view>
#include <tuple>
#include <vector>

namespace trawl {

void DesiredJobs::Put(const std::string& source, const std::string& job,
                      std::shared_ptr<const TargetGroup> group) {
  std::string key = group->key;
  jobs_[job].edits[{source, std::move(key)}] = std::move(group);
}

void DesiredJobs::Remove(const std::string& source, const GroupName& name) {
  jobs_[name.job].edits[{source, name.key}] = nullptr;
}

std::shared_ptr<const DesiredTargets> DesiredJobs::Get(const std::string& job) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return std::make_shared<const DesiredTargets>(DesiredTargets{job, {}});
  Job& wanted = found->second;
  if (wanted.desired == nullptr) {
    wanted.desired = std::make_shared<const DesiredTargets>(DesiredTargets{job, {}});
  }
  if (!wanted.edits.empty()) CarryOut(wanted);
  std::shared_ptr<const DesiredTargets> desired = wanted.desired;
  if (desired->groups.empty()) jobs_.erase(found);
  return desired;
}

void DesiredJobs::CarryOut(Job& job) {
  std::vector<OwnedGroup> gone;
  std::vector<OwnedGroup> fresh;
  for (auto& [name, group] : job.edits) {
    if (group != nullptr) {
      fresh.push_back({name.first, std::move(group)});
      continue;
    }
    const std::tuple<std::string_view, std::string_view> key(name.first, name.second);
    if (const OwnedGroup* there = job.desired->groups.Find(key)) gone.push_back(*there);
  }
  job.edits.clear();
  job.desired = std::make_shared<const DesiredTargets>(
      DesiredTargets{job.desired->job, job.desired->groups.Edit(gone, std::move(fresh))});
}

}  // namespace trawl
