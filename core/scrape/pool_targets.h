#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/config/config.h"
#include "core/discovery/desired_targets.h"
#include "core/scrape/pool_status.h"
#include "core/scrape/target.h"
#include "core/scrape/target_status.h"

namespace trawl {

// Which targets one job has, and who wants each: the difference between what was wanted and what
// is wanted now. Pure state: no thread, no loop, no clock.
//
// Guarantees:
//   1. The cost of an update follows the groups that changed: the others are not looked at. Of a
//      group that changed, but for its labels, only the addresses that come and go are touched.
//   2. A target that several groups or sources name is there once, and stays until the last of
//      them lets it go. The first by (source, key, place in the group) is its first owner.
//   3. The result depends on the groups and the config alone, not on the order of updates.
//
// Not thread-safe.
class PoolTargets {
 public:
  struct Change {
    struct Added {
      std::shared_ptr<const Target> target;
      std::shared_ptr<TargetStatus> status;  // the cell that readers see
    };
    std::vector<Added> added;
    std::vector<std::shared_ptr<const Target>> removed;
    std::vector<uint64_t> reowned;      // still there, but with other owners
    uint64_t failed = 0;                // targets that now could not be built
    std::vector<std::string> failures;  // why, of the first ones
  };
  static constexpr size_t kMaxFailuresTold = 10;  // of one change

  Change Update(const ScrapeConfig& config, const OwnedGroups& wanted);
  // The same groups under another config.
  Change Rebuild(const ScrapeConfig& config);

  size_t size() const { return by_hash_.size(); }
  const ActiveTargets& active() const { return active_; }
  const PoolGroups& groups() const { return groups_; }
  uint64_t dropped_count() const { return dropped_count_; }
  uint64_t failed_count() const { return failed_count_; }
  uint64_t withheld_count() const { return withheld_count_; }
  uint64_t duplicate_count() const { return duplicate_count_; }
  const std::map<std::string, SourceShare>& sources() const { return sources_; }

 private:
  // One update.
  class Step;

  OwnedGroups wanted_;
  PoolGroups groups_;  // of wanted_, built; an equal group may be another object
  ActiveTargets active_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<const ActiveTarget>> by_hash_;  // as in active_
  uint64_t dropped_count_ = 0;
  uint64_t failed_count_ = 0;
  uint64_t withheld_count_ = 0;
  uint64_t duplicate_count_ = 0;
  std::map<std::string, SourceShare> sources_;  // with groups
  uint64_t next_serial_ = 1;
};

}  // namespace trawl
