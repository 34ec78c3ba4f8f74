#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "core/base/chunked_set.h"
#include "core/config/config.h"
#include "core/discovery/desired_targets.h"
#include "core/model/labels.h"
#include "core/scrape/target.h"
#include "core/scrape/target_builder.h"
#include "core/scrape/target_status.h"

namespace trawl {

// What readers see of the scrape pools: immutable, but for the cells in which scrape loops say how
// their targets are. What can be made from something else is made for the reader who asks, so that
// a target costs little and an update costs what it changes.

// What the targets of a group have in common. The same object for as long as nothing of it changes,
// whichever targets come and go.
struct GroupOrigin {
  std::string source;
  std::string key;
  Labels labels;
};

// A group as its pool has it.
struct PoolGroup {
  std::shared_ptr<const GroupOrigin> origin;
  std::shared_ptr<const TargetGroup> group;
  BuiltGroup built;
  uint64_t serial = 0;  // rises from group to group as they are built: the newest has the largest

  struct Key {
    std::tuple<std::string_view, std::string_view> operator()(
        const std::shared_ptr<const PoolGroup>& g) const {
      return {g->origin->source, g->origin->key};
    }
  };
};
using PoolGroups = ChunkedSet<std::shared_ptr<const PoolGroup>, PoolGroup::Key>;

// A group that names a target, and by which address.
struct TargetOwner {
  std::shared_ptr<const GroupOrigin> group;
  std::string address;
  bool held = false;  // not listed any more; its removal is held
  friend bool operator==(const TargetOwner&, const TargetOwner&) = default;
};
// Sorted by (source, key), and as the group lists them.
using TargetOwners = absl::InlinedVector<TargetOwner, 1>;

// A target that is scraped.
struct ActiveTarget {
  std::shared_ptr<const Target> target;
  TargetOwners owners;  // never empty; the first one's labels are shown
  std::shared_ptr<const TargetStatus> status;
};

// The targets of a pool. Held by their first owner, where those of a group are neighbours: an edit
// costs what it touches, wherever the URLs are. Readers list by URL: that order is made for the
// first who asks, and is there for all who hold the same set.
//
// A value type; copies share everything. Thread-safe when const.
class ActiveTargets {
 public:
  using Ptr = std::shared_ptr<const ActiveTarget>;
  struct ByOwner {
    std::tuple<std::string_view, std::string_view, uint64_t> operator()(const Ptr& t) const {
      const GroupOrigin& first = *t->owners.front().group;
      return {first.source, first.key, t->target->hash};
    }
  };
  using Set = ChunkedSet<Ptr, ByOwner>;

  ActiveTargets() = default;
  ActiveTargets(const ActiveTargets&) = default;  // and no moves, as of the set
  ActiveTargets& operator=(const ActiveTargets&) = default;
  ActiveTargets(std::vector<Ptr> targets) : set_(std::move(targets)) {}  // NOLINT: a list is a set

  bool empty() const { return set_.empty(); }
  size_t size() const { return set_.size(); }
  // By first owner.
  Set::const_iterator begin() const { return set_.begin(); }
  Set::const_iterator end() const { return set_.end(); }
  const Set& set() const { return set_; }
  // The order in which targets are listed: by URL, then hash. O(n log n) for the first who asks.
  const std::vector<Ptr>& ByUrl() const;

  // Without `gone`, and with `fresh`. A target whose first owner changes is in both.
  ActiveTargets Edit(const std::vector<Ptr>& gone, std::vector<Ptr> fresh) const {
    return ActiveTargets(set_.Edit(gone, std::move(fresh)));
  }

 private:
  struct Order {
    std::once_flag once;  // absl's waits where ThreadSanitizer does not see it
    std::vector<Ptr> targets;
  };
  explicit ActiveTargets(const Set& set) : set_(set) {}

  Set set_;
  std::shared_ptr<Order> by_url_ = std::make_shared<Order>();
};

// What one source has in a pool.
struct SourceShare {
  uint64_t groups = 0;
  uint64_t active = 0;  // targets that it names, perhaps not alone
};

struct PoolStatus {
  std::string job;
  std::shared_ptr<const ScrapeConfig> config;  // that the targets are built with
  ActiveTargets active;
  PoolGroups groups;
  uint64_t dropped_count = 0;   // by rules: what Prometheus counts as dropped
  uint64_t failed_count = 0;    // could not be built
  uint64_t withheld_count = 0;  // of sources that wait to be confirmed
  uint64_t duplicate_count = 0;
  std::map<std::string, SourceShare> sources;
  uint32_t shards = 1;
  uint64_t target_limit = 0;
  bool over_target_limit = false;
  absl::Duration scrape_interval;
  absl::Duration scrape_timeout;
};

// Every pool at one moment. Published by the manager.
struct PoolsSnapshot {
  std::vector<std::shared_ptr<const PoolStatus>> pools;        // sorted by job
  std::vector<std::shared_ptr<const DesiredTargets>> pending;  // of jobs without a config; by job
};

// The labels before relabeling, with job, __scheme__, … (spec 3.1 step 4).
Labels DiscoveredLabels(const PoolStatus& pool, const ActiveTarget& target);

// Every group that names the target does so only as its removal is held.
bool IsHeld(const ActiveTarget& target);

// The owners of a target, one a source: each of the others is a duplicate.
std::vector<const TargetOwner*> OwnersBySource(const ActiveTarget& target);

// Of these hashes of public labels, those that more than one active target has: series of such
// targets collide. O(active targets).
absl::flat_hash_set<uint64_t> SharedLabels(const PoolStatus& pool,
                                           const absl::flat_hash_set<uint64_t>& public_hashes);

// Something that discovery names and that is not scraped. Valid for as long as what it was listed
// from.
struct DroppedTarget {
  const ScrapeConfig* config = nullptr;  // null: of a pending job
  std::string_view job;
  std::string_view source;
  std::string_view key;  // of its group
  std::string_view address;
  const Labels* group_labels = nullptr;
  uint32_t index = 0;  // in the group's targets; not of kDuplicate
  uint64_t hash = 0;   // of the discovered labels
  Drop drop;
  const Target* duplicate_of = nullptr;  // of kDuplicate
  bool labels_kept = true;               // false: beyond keep_dropped_targets

  // Empty unless labels_kept.
  Labels discovered_labels() const;
  // A sentence for people: "dropped by relabel_configs[2] (keep)".
  std::string detail() const;
};
// All there are, by (source, key, place) and duplicates last. Labels are kept of those that a rule
// dropped in the newest groups, as many as keep_dropped_targets says, and of all others.
std::vector<DroppedTarget> ListDropped(const PoolStatus& pool);
std::vector<DroppedTarget> ListPending(const DesiredTargets& job);

}  // namespace trawl
