#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/discovery/change.h"
#include "core/discovery/group_check.h"

namespace trawl {

using GroupMap = std::map<GroupName, std::shared_ptr<const TargetGroup>>;

// What a change comes to, before anything is touched.
struct ChangePlan {
  std::vector<const JobGroup*> upsert;  // into the change
  std::set<GroupName> remove;           // of what is there
  std::vector<Issue> issues;   // everything that is wrong or doubtful, in the request's order
  std::vector<Issue> refused;  // the first error of each group that is not taken
  SourceCounts counts;         // after the change
  std::set<std::string> jobs;  // with a group that changes
  bool any = false;            // false: nothing would change
};

// Decides what a change does to a source that has `groups` with `targets` addresses; pure. A group
// with an error is refused alone: it keeps its last good content. Whether the change goes on in
// spite of errors is the caller's decision.
ChangePlan PlanChange(const Change& change, const GroupMap& groups, uint64_t targets,
                      const GroupLimits& limits);

// The field of the request that holds its groups: "groups", or "upsert" in an Update.
const char* GroupsField(Change::Scope scope);

// Equal for equal content (scope, jobs, groups, removals); versions and tokens don't count.
uint64_t ContentDigest(const Change& change);

}  // namespace trawl
