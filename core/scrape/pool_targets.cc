#include "core/scrape/pool_targets.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace trawl {
namespace {

using Order = std::tuple<std::string_view, std::string_view>;

Order OrderOf(const std::string& source, const TargetGroup& group) { return {source, group.key}; }

bool Before(const PoolTargets::Owner& a, const PoolTargets::Owner& b) {
  const Order left = OrderOf(a.group->source, *a.group->group);
  const Order right = OrderOf(b.group->source, *b.group->group);
  return left != right ? left < right : a.index < b.index;
}

// The same object: the case of most groups of most updates, and quick to see.
bool Same(const PoolTargets::Group& group, const OwnedGroup& wanted) {
  return group.group == wanted.group && group.source == wanted.source;
}

bool Equal(const PoolTargets::Group& group, const OwnedGroup& wanted) {
  return group.source == wanted.source && *group.group == *wanted.group;
}

}  // namespace

PoolTargets::Change PoolTargets::Update(const ScrapeConfig& config,
                                        const std::vector<OwnedGroup>& groups) {
  Change change;
  Touched touched;
  std::vector<std::unique_ptr<Group>> before = std::exchange(groups_, {});
  std::vector<std::unique_ptr<Group>> gone;
  groups_.reserve(groups.size());
  size_t i = 0;
  for (const OwnedGroup& wanted : groups) {
    if (i < before.size() && Same(*before[i], wanted)) {
      groups_.push_back(std::move(before[i++]));
      continue;
    }
    const Order order = OrderOf(wanted.source, *wanted.group);
    while (i < before.size() && OrderOf(before[i]->source, *before[i]->group) < order) {
      gone.push_back(std::move(before[i++]));
    }
    if (i < before.size() && Equal(*before[i], wanted)) {
      groups_.push_back(std::move(before[i++]));
      groups_.back()->group = wanted.group;
      continue;
    }
    groups_.push_back(Build(config, wanted, change));
    Enter(*groups_.back(), touched);
  }
  for (; i < before.size(); ++i) gone.push_back(std::move(before[i]));
  for (const std::unique_ptr<Group>& group : gone) Leave(*group, touched, change);
  Settle(touched, change);
  return change;
}

PoolTargets::Change PoolTargets::Rebuild(const ScrapeConfig& config) {
  Change change;
  Touched touched;
  const std::vector<std::unique_ptr<Group>> before = std::exchange(groups_, {});
  groups_.reserve(before.size());
  for (const std::unique_ptr<Group>& old : before) {
    groups_.push_back(Build(config, {old->source, old->group}, change));
    Enter(*groups_.back(), touched);
  }
  for (const std::unique_ptr<Group>& old : before) Leave(*old, touched, change);
  Settle(touched, change);
  return change;
}

std::unique_ptr<PoolTargets::Group> PoolTargets::Build(const ScrapeConfig& config,
                                                       const OwnedGroup& wanted, Change& change) {
  auto group = std::make_unique<Group>(
      Group{wanted.source, wanted.group, TargetsFromGroup(config, *wanted.group)});
  if (!group->built.dropped.empty()) change.dropped_changed = true;
  for (const BuiltGroup::Failed& failed : group->built.failed) {
    change.failed_changed = true;
    change.new_failures.push_back(&failed);
  }
  return group;
}

void PoolTargets::Enter(Group& group, Touched& touched) {
  for (BuiltGroup::Active& active : group.built.active) {
    const uint64_t hash = active.target->hash;
    Entry& entry = entries_[hash];
    touched.try_emplace(hash, entry.target != nullptr);
    if (entry.target == nullptr) {
      entry.target = active.target;
    } else {
      active.target = entry.target;  // one object for all owners
    }
    const Owner owner{&group, active.index};
    entry.owners.insert(std::ranges::upper_bound(entry.owners, owner, Before), owner);
  }
}

void PoolTargets::Leave(const Group& group, Touched& touched, Change& change) {
  for (const BuiltGroup::Active& active : group.built.active) {
    const uint64_t hash = active.target->hash;
    touched.try_emplace(hash, true);
    auto& owners = entries_.at(hash).owners;
    owners.erase(std::remove_if(owners.begin(), owners.end(),
                                [&](const Owner& owner) { return owner.group == &group; }),
                 owners.end());
  }
  if (!group.built.dropped.empty()) change.dropped_changed = true;
  if (!group.built.failed.empty()) change.failed_changed = true;
}

void PoolTargets::Settle(const Touched& touched, Change& change) {
  for (const auto& [hash, was_there] : touched) {
    const auto found = entries_.find(hash);
    if (found->second.owners.empty()) {
      change.removed.push_back(std::move(found->second.target));
      entries_.erase(found);
    } else if (was_there) {
      change.reowned.push_back(hash);
    } else {
      change.added.push_back(found->second.target);
    }
  }
}

}  // namespace trawl
