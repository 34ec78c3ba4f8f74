#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

using GroupId = std::pair<std::string, std::string>;  // job, key
using GroupPtr = std::shared_ptr<const discovery::v1::TargetGroup>;

inline GroupId IdOf(const discovery::v1::TargetGroup& group) { return {group.job(), group.key()}; }

// The groups that one trawld is to have, and what changed since it was last told: each change of
// a group is a version of its own. Cost follows the change; what was removed is remembered until
// the trawld knows of it.
//
// One thread.
class Share {
 public:
  // Upserts; false if the trawld is to have just that already.
  bool Put(GroupPtr group);
  // False if there was none.
  bool Remove(const GroupId& id);

  // At least 1: an empty share is a state that can be told, too.
  uint64_t version() const { return version_; }
  // Later versions are above `version`: the trawld has been there.
  void SkipTo(uint64_t version);

  // Null: not in it.
  GroupPtr Find(const GroupId& id) const;
  std::vector<GroupPtr> Groups() const;  // ordered by id
  size_t group_count() const { return group_count_; }
  size_t target_count() const { return target_count_; }

  // What is to be told to one that has `base`. Unknown when too much was forgotten.
  bool Knows(uint64_t base) const { return base >= forgotten_ && base <= version_; }
  struct Changes {
    std::vector<GroupPtr> upsert;
    std::vector<GroupId> remove;
    std::vector<GroupPtr> too_large;  // each by itself more than max_bytes
    size_t bytes = 0;                 // serialized, about; without these
    bool complete = false;            // false: more than max_bytes, the rest was left out
  };
  Changes ChangesAfter(uint64_t base, size_t max_bytes) const;
  // The trawld has `version`: what was removed up to there need not be remembered.
  void Forget(uint64_t version);

 private:
  struct Entry {
    GroupPtr group;  // null: removed
    uint64_t version = 0;
  };
  void Touch(const GroupId& id, Entry& entry);

  std::map<GroupId, Entry> entries_;
  std::map<uint64_t, GroupId> log_;  // version → the group that it changed last
  uint64_t version_ = 1;
  uint64_t forgotten_ = 0;  // removals up to this version are not remembered
  size_t group_count_ = 0;
  size_t target_count_ = 0;
};

// Equal in all that is scraped: job, key, targets in their order, labels.
bool SameGroup(const discovery::v1::TargetGroup& a, const discovery::v1::TargetGroup& b);

// What a group takes within a message, at most.
size_t GroupBytes(const discovery::v1::TargetGroup& group);

}  // namespace trawl
