#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "core/config/config.h"
#include "core/discovery/desired_targets.h"
#include "core/scrape/target.h"
#include "core/scrape/target_builder.h"
#include "core/scrape/target_status.h"

namespace trawl {

// Which targets one job has, and who wants each: the difference between what was wanted and what
// is wanted now. Pure state: no thread, no loop, no clock.
//
// Guarantees:
//   1. The cost of an update follows the groups that changed: targets of the others are not
//      built again.
//   2. A target that several groups or sources name is there once, and stays until the last of
//      them lets it go. The first by (source, key, place in the group) is its first owner.
//   3. The result depends on the groups and the config alone, not on the order of updates.
//
// Not thread-safe.
class PoolTargets {
 public:
  struct Group {
    std::string source;
    std::shared_ptr<const TargetGroup> group;
    BuiltGroup built;
  };
  struct Owner {
    const Group* group = nullptr;
    uint32_t index = 0;  // in group->group->targets
    friend bool operator==(const Owner&, const Owner&) = default;
  };
  struct Entry {
    std::shared_ptr<const Target> target;
    absl::InlinedVector<Owner, 1> owners;  // sorted; never empty between updates
    std::shared_ptr<TargetStatus> status;  // the pool's: made when the target is added
  };
  struct Change {
    std::vector<std::shared_ptr<const Target>> added;
    std::vector<std::shared_ptr<const Target>> removed;
    std::vector<uint64_t> reowned;  // still there, but with other owners or discovered labels
    bool dropped_changed = false;
    bool failed_changed = false;
    std::vector<const BuiltGroup::Failed*> new_failures;  // valid until the next call
  };

  // `groups` sorted by (source, key).
  Change Update(const ScrapeConfig& config, const std::vector<OwnedGroup>& groups);
  // The same groups under another config.
  Change Rebuild(const ScrapeConfig& config);

  size_t size() const { return entries_.size(); }
  Entry& Get(uint64_t hash) { return entries_.at(hash); }
  // Sorted by (source, key).
  const std::vector<std::unique_ptr<Group>>& groups() const { return groups_; }

 private:
  using Touched = absl::flat_hash_map<uint64_t, bool>;  // hash → was there before

  std::unique_ptr<Group> Build(const ScrapeConfig& config, const OwnedGroup& wanted,
                               Change& change);
  void Enter(Group& group, Touched& touched);
  void Leave(const Group& group, Touched& touched, Change& change);
  void Settle(const Touched& touched, Change& change);

  std::vector<std::unique_ptr<Group>> groups_;
  absl::flat_hash_map<uint64_t, Entry> entries_;  // by target hash
};

}  // namespace trawl
