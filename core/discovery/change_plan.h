#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/group_check.h"
#include "core/discovery/shrink_guard.h"
#include "core/discovery/source_state.h"

namespace trawl {

// What a change comes to, before anything is touched.
struct ChangePlan {
  std::vector<const JobGroup*> upsert;  // into the change
  std::set<GroupName> remove;           // of what is there, or was refused
  std::vector<Issue> issues;   // everything that is wrong or doubtful, in the request's order
  std::vector<Issue> refused;  // the first error of each group that is not taken
  SourceCounts counts;         // after the change
  std::set<std::string> jobs;  // whose targets change
  RemovalPlan removals;
  bool no_room_to_hold = false;  // its removals can't be held, and must not be carried out
  // False: what is listed, refused and held stays as it is.
  bool any = false;
};

struct PlanOptions {
  GroupLimits group;
  uint64_t max_groups = 1'000'000;   // of a source
  uint64_t max_targets = 1'000'000;  // of a source; and so many that are held
  ShrinkGuard guard;
};

// Decides what a change does to a source of this state; pure. A group with an error is refused
// alone: it keeps its last good content. Where the change may go on without some groups, so are
// those that the source has no room for, the last ones first. Whether the change goes on in spite
// of errors is the caller's decision.
ChangePlan PlanChange(const Change& change, const SourceState& state, const SourceSizes& sizes,
                      const PlanOptions& options, absl::Time now);

// The field of the request that holds its groups: "groups", or "upsert" in an Update.
const char* GroupsField(Change::Scope scope);

// Equal for equal content (scope, jobs, groups, removals); versions and tokens don't count.
uint64_t ContentDigest(const Change& change);

}  // namespace trawl
