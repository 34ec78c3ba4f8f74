#include "core/scrape/pool_status.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

// How many of each group's dropped targets keep their labels: as many as the config says, from the
// group that was built last on.
class KeptLabels {
 public:
  explicit KeptLabels(const PoolStatus& pool) : limit_(pool.config->keep_dropped_targets) {
    if (limit_ == 0 || pool.dropped_count <= limit_) return;
    limited_ = true;
    std::vector<const PoolGroup*> newest;
    for (const auto& group : pool.groups) {
      if (!group->built.dropped.empty()) newest.push_back(group.get());
    }
    std::ranges::sort(newest, std::greater(), &PoolGroup::serial);
    uint64_t left = limit_;
    for (const PoolGroup* group : newest) {
      if (left == 0) break;
      const uint64_t dropped = static_cast<uint64_t>(std::ranges::count(
          group->built.dropped, DropReason::kRelabel, &BuiltGroup::Dropped::reason));
      left_[group] = std::min(left, dropped);
      left -= std::min(left, dropped);
    }
  }

  // One more dropped target of the group, in its order.
  bool Take(const PoolGroup* group, const BuiltGroup::Dropped& dropped) {
    if (!limited_ || dropped.reason != DropReason::kRelabel) return true;
    const auto left = left_.find(group);
    if (left == left_.end() || left->second == 0) return false;
    --left->second;
    return true;
  }

 private:
  const uint64_t limit_;
  bool limited_ = false;
  absl::flat_hash_map<const PoolGroup*, uint64_t> left_;
};

bool SameSource(const TargetOwner& a, const TargetOwner& b) {
  return a.group->source == b.group->source;
}

void AddDuplicates(const PoolStatus& pool, const ActiveTarget& target,
                   std::vector<DroppedTarget>& list) {
  for (size_t i = 1; i < target.owners.size(); ++i) {
    const TargetOwner& owner = target.owners[i];
    if (!SameSource(target.owners[i - 1], owner)) continue;
    DroppedTarget dropped{pool.config.get(), pool.job,      owner.group->source,
                          owner.group->key,  owner.address, &owner.group->labels};
    dropped.hash = dropped.discovered_labels().Hash();
    dropped.drop.reason = DropReason::kDuplicate;
    dropped.duplicate_of = target.target.get();
    list.push_back(dropped);
  }
}

}  // namespace

const std::vector<ActiveTargets::Ptr>& ActiveTargets::ByUrl() const {
  std::call_once(by_url_->once, [this] {
    struct Place {
      std::string_view url;
      uint64_t hash;
      const Ptr* target;
    };
    std::vector<Place> places;
    places.reserve(set_.size());
    for (const Ptr& target : set_) {
      places.push_back({target->target->url, target->target->hash, &target});
    }
    std::ranges::sort(places, {}, [](const Place& p) { return std::tie(p.url, p.hash); });
    by_url_->targets.reserve(places.size());
    for (const Place& place : places) by_url_->targets.push_back(*place.target);
  });
  return by_url_->targets;
}

Labels DiscoveredLabels(const PoolStatus& pool, const ActiveTarget& target) {
  const TargetOwner& first = target.owners.front();
  return DiscoveredLabels(*pool.config, first.address, first.group->labels);
}

bool IsHeld(const ActiveTarget& target) {
  return std::ranges::all_of(target.owners, &TargetOwner::held);
}

std::vector<const TargetOwner*> OwnersBySource(const ActiveTarget& target) {
  std::vector<const TargetOwner*> owners;
  for (const TargetOwner& owner : target.owners) {
    if (owners.empty() || !SameSource(*owners.back(), owner)) owners.push_back(&owner);
  }
  return owners;
}

absl::flat_hash_set<uint64_t> SharedLabels(const PoolStatus& pool,
                                           const absl::flat_hash_set<uint64_t>& public_hashes) {
  absl::flat_hash_set<uint64_t> seen;
  absl::flat_hash_set<uint64_t> shared;
  for (const auto& target : pool.active) {
    const uint64_t hash = target->target->public_hash;
    if (public_hashes.contains(hash) && !seen.insert(hash).second) shared.insert(hash);
  }
  return shared;
}

Labels DroppedTarget::discovered_labels() const {
  if (!labels_kept) return {};
  if (config != nullptr) return DiscoveredLabels(*config, address, *group_labels);
  LabelsBuilder labels(*group_labels);
  labels.Set("__address__", address);
  if (labels.Get("job").empty()) labels.Set("job", job);
  return std::move(labels).Build();
}

std::string DroppedTarget::detail() const {
  switch (drop.reason) {
    case DropReason::kRelabel:
      return RuleDropText(*config, drop.rule);
    case DropReason::kDuplicate:
      return absl::StrCat("the source names ", duplicate_of->url, " twice");
    case DropReason::kPendingJob:
      return absl::StrCat("job ", job, " is not in the running configuration");
    case DropReason::kSourceHeld:
      return absl::StrCat("source ", source,
                          " was restored after too long an absence, and waits "
                          "to be confirmed");
    case DropReason::kNoAddress:
    case DropReason::kBadAddress:
    case DropReason::kBadInterval:
    case DropReason::kBadLabel:
      return BuildError(*config, key, index, address, *group_labels);
  }
  return "";
}

std::vector<DroppedTarget> ListDropped(const PoolStatus& pool) {
  std::vector<DroppedTarget> list;
  list.reserve(pool.dropped_count + pool.failed_count + pool.withheld_count + pool.duplicate_count);
  KeptLabels kept(pool);
  for (const auto& group : pool.groups) {
    for (const BuiltGroup::Dropped& dropped : group->built.dropped) {
      list.push_back({pool.config.get(),
                      pool.job,
                      group->origin->source,
                      group->origin->key,
                      group->group->targets[dropped.index],
                      &group->origin->labels,
                      dropped.index,
                      dropped.hash,
                      {dropped.reason, dropped.rule},
                      nullptr,
                      kept.Take(group.get(), dropped)});
    }
  }
  if (pool.duplicate_count == 0) return list;
  for (const auto& target : pool.active) AddDuplicates(pool, *target, list);
  return list;
}

std::vector<DroppedTarget> ListPending(const DesiredTargets& job) {
  std::vector<DroppedTarget> list;
  for (const OwnedGroup& owned : job.groups) {
    for (uint32_t i = 0; i < owned.group->targets.size(); ++i) {
      const TargetGroup& group = *owned.group;
      DroppedTarget dropped{nullptr,       job.job, owned.source, group.key, group.targets[i],
                            &group.labels, i};
      dropped.hash = dropped.discovered_labels().Hash();
      dropped.drop.reason = DropReason::kPendingJob;
      list.push_back(dropped);
    }
  }
  return list;
}

}  // namespace trawl
