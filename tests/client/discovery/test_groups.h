#pragma once

#include <map>
#include <string>
#include <vector>

#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

inline discovery::v1::TargetGroup MakeGroup(const std::string& job, const std::string& key,
                                            const std::vector<std::string>& targets,
                                            const std::map<std::string, std::string>& labels = {}) {
  discovery::v1::TargetGroup group;
  group.set_job(job);
  group.set_key(key);
  for (const std::string& target : targets) group.add_targets(target);
  for (const auto& [name, value] : labels) (*group.mutable_labels())[name] = value;
  return group;
}

}  // namespace trawl
