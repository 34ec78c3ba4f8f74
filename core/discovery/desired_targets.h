#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/target_group.h"

namespace trawl {

// A group and who wants it.
struct OwnedGroup {
  std::string source;  // "static/0", "file/…", or a pusher's name
  std::shared_ptr<const TargetGroup> group;
};

// What all sources together want for one job: the union of their groups, sorted by (source, key).
// Immutable; groups that did not change are the same objects as before (compare pointers).
struct DesiredTargets {
  std::string job;
  std::vector<OwnedGroup> groups;
};

}  // namespace trawl
