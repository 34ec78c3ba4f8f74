#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/discovery/change.h"
#include "core/discovery/desired_targets.h"

namespace trawl {

// The groups of all sources by job: what each job is to have, kept so that a change costs what it
// changes. Edits are collected, and carried out when the job is asked for.
//
// One thread, also for what is const.
class DesiredJobs {
 public:
  void Put(const std::string& source, const std::string& job,
           std::shared_ptr<const TargetGroup> group);
  void Remove(const std::string& source, const GroupName& name);

  // Never null. The same object for as long as nothing changes.
  std::shared_ptr<const DesiredTargets> Get(const std::string& job) const;
  // How many groups there are of the jobs for which `predicate(job)` is true.
  template <typename Predicate>
  size_t CountGroups(Predicate predicate) const {
    size_t count = 0;
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const std::string job = (it++)->first;  // Get may forget it
      if (predicate(job)) count += Get(job)->groups.size();
    }
    return count;
  }

 private:
  struct Job {
    std::shared_ptr<const DesiredTargets> desired;
    // (source, key) → the group; null: removed.
    std::map<std::pair<std::string, std::string>, std::shared_ptr<const TargetGroup>> edits;
  };
  static void CarryOut(Job& job);

  mutable std::map<std::string, Job> jobs_;
};

}  // namespace trawl
