#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "core/base/chunked_set.h"
#include "core/model/target_group.h"

namespace trawl {

// A group and who wants it. Equal: the same object, wanted by the same source.
struct OwnedGroup {
  std::string source;  // "static", "file", or a pusher's name
  std::shared_ptr<const TargetGroup> group;
  friend bool operator==(const OwnedGroup&, const OwnedGroup&) = default;

  struct Key {
    std::tuple<std::string_view, std::string_view> operator()(const OwnedGroup& owned) const {
      return {owned.source, owned.group->key};
    }
  };
};

// Sorted by (source, key); each of them once.
using OwnedGroups = ChunkedSet<OwnedGroup, OwnedGroup::Key>;

// What all sources together want for one job: the union of their groups. Immutable.
//
// Groups that did not change are the same objects as before, and sets of groups share what they
// have in common: OwnedGroups::Diff with whatever was there before, however long ago, finds what
// changed without a look at the rest. So nothing is lost when one of these is lost, and the newest
// one is all that counts.
struct DesiredTargets {
  std::string job;
  OwnedGroups groups;
};

}  // namespace trawl
