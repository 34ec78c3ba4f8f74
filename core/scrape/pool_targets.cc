#include "core/scrape/pool_targets.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace trawl {
namespace {

using GroupPtr = std::shared_ptr<const PoolGroup>;

auto NameOf(const GroupOrigin& group) {
  return std::tuple<std::string_view, std::string_view>(group.source, group.key);
}

// A group's version, or the lack of one, and what follows it.
struct Versions {
  GroupPtr before;
  std::shared_ptr<PoolGroup> after;

  // Targets are what they were where addresses are.
  bool SameOrigin() const {
    return before != nullptr && after != nullptr && before->origin == after->origin;
  }
};

// Where the versions name one target: indices into their built.active.
struct Places {
  absl::InlinedVector<uint32_t, 1> before;
  absl::InlinedVector<uint32_t, 1> after;
};
using PlacesByHash = absl::flat_hash_map<uint64_t, Places>;

const std::string& AddressOf(const PoolGroup& group, uint32_t place) {
  return group.group->targets[group.built.active[place].index];
}

bool IsHeld(const PoolGroup& group, uint32_t place) {
  const TargetGroup& content = *group.group;
  return group.built.active[place].index + content.held >= content.targets.size();
}

PlacesByHash FindPlaces(const Versions& versions) {
  PlacesByHash places;
  const auto count = [](const PoolGroup* group) {
    return group == nullptr ? 0 : group->built.active.size();
  };
  places.reserve(count(versions.before.get()) + count(versions.after.get()));
  const auto add = [&](const PoolGroup* group, auto member) {
    if (group == nullptr) return;
    for (uint32_t i = 0; i < group->built.active.size(); ++i) {
      (places[group->built.active[i].target->hash].*member).push_back(i);
    }
  };
  add(versions.before.get(), &Places::before);
  add(versions.after.get(), &Places::after);
  return places;
}

bool SameNaming(const Versions& versions, const Places& places) {
  return std::ranges::equal(places.before, places.after, [&](uint32_t a, uint32_t b) {
    return AddressOf(*versions.before, a) == AddressOf(*versions.after, b) &&
           IsHeld(*versions.before, a) == IsHeld(*versions.after, b);
  });
}

}  // namespace

// Groups leave, enter and change; then each target that was touched is settled.
class PoolTargets::Step {
 public:
  // `rebuild`: under another config than before.
  Step(PoolTargets& pool, const ScrapeConfig& config, bool rebuild)
      : pool_(pool), config_(config), rebuild_(rebuild) {}

  void Leave(const GroupPtr& group) { Take({group, nullptr}); }
  // `before`: the version that it replaces; may be null.
  void Enter(const OwnedGroup& wanted, const GroupPtr& before) {
    Versions versions{before, Build(wanted, before.get())};
    Take(versions);
    TellFailures(*versions.after);
  }

  Change Finish() && {
    for (auto& [hash, touched] : touched_) Settle(hash, touched);
    pool_.groups_ = pool_.groups_.Edit(left_, std::move(entered_));
    pool_.active_ = pool_.active_.Edit(gone_, std::move(fresh_));
    std::erase_if(pool_.sources_, [](const auto& share) { return share.second.groups == 0; });
    return std::move(change_);
  }

 private:
  struct Touched {
    std::shared_ptr<const ActiveTarget> before;  // null: was not there
    std::shared_ptr<const Target> target;
    TargetOwners owners;  // after the step
  };

  Touched& Touch(uint64_t hash) {
    const auto [it, is_new] = touched_.try_emplace(hash);
    Touched& touched = it->second;
    if (!is_new) return touched;
    if (const auto there = pool_.by_hash_.find(hash); there != pool_.by_hash_.end()) {
      touched = {there->second, there->second->target, there->second->owners};
    }
    return touched;
  }

  std::shared_ptr<PoolGroup> Build(const OwnedGroup& wanted, const PoolGroup* before) {
    const TargetGroup& content = *wanted.group;
    auto group = std::make_shared<PoolGroup>();
    group->group = wanted.group;
    group->serial = pool_.next_serial_++;
    if (!rebuild_ && before != nullptr && before->origin->labels == content.labels &&
        before->group->withheld == content.withheld) {
      group->origin = before->origin;
      group->built = TargetsFromGroup(config_, content, *before->group, before->built);
    } else {
      group->origin = std::make_shared<const GroupOrigin>(
          GroupOrigin{wanted.source, content.key, content.labels});
      group->built = TargetsFromGroup(config_, content);
    }
    return group;
  }

  void Take(const Versions& versions) {
    const PlacesByHash by_hash = FindPlaces(versions);
    for (const auto& [hash, unused] : by_hash) pool_.by_hash_.prefetch(hash);
    touched_.reserve(touched_.size() + by_hash.size());
    for (const auto& [hash, places] : by_hash) {
      if (versions.SameOrigin() && SameNaming(versions, places)) continue;
      Touched& touched = Touch(hash);
      if (!places.before.empty()) Disown(*versions.before, touched.owners);
      if (!places.after.empty()) Own(*versions.after, places.after, touched);
    }
    if (versions.before != nullptr) {
      Count(*versions.before, -1);
      left_.push_back(versions.before);
    }
    if (versions.after != nullptr) {
      Count(*versions.after, 1);
      entered_.push_back(versions.after);
    }
  }

  static void Disown(const PoolGroup& group, TargetOwners& owners) {
    owners.erase(
        std::remove_if(owners.begin(), owners.end(),
                       [&](const TargetOwner& owner) { return owner.group == group.origin; }),
        owners.end());
  }

  static void Own(PoolGroup& group, std::span<const uint32_t> places, Touched& touched) {
    const auto name = [](const TargetOwner& owner) { return NameOf(*owner.group); };
    auto at = std::ranges::upper_bound(touched.owners, NameOf(*group.origin), {}, name);
    for (const uint32_t place : places) {
      BuiltGroup::Active& active = group.built.active[place];
      if (touched.target == nullptr) touched.target = active.target;
      active.target = touched.target;  // one object for all owners
      at =
          touched.owners.insert(at, {group.origin, AddressOf(group, place), IsHeld(group, place)}) +
          1;
    }
  }

  void Settle(uint64_t hash, Touched& touched) {
    if (touched.before != nullptr) {
      CountActive(touched.before->owners, -1);
      gone_.push_back(touched.before);
    }
    if (touched.owners.empty()) {
      if (touched.before == nullptr) return;
      change_.removed.push_back(std::move(touched.target));
      pool_.by_hash_.erase(hash);
      return;
    }
    CountActive(touched.owners, 1);
    std::shared_ptr<const TargetStatus> status;
    if (touched.before != nullptr) {
      change_.reowned.push_back(hash);
      status = touched.before->status;
    } else {
      change_.added.push_back({touched.target, std::make_shared<TargetStatus>()});
      status = change_.added.back().status;
    }
    auto active = std::make_shared<const ActiveTarget>(
        ActiveTarget{std::move(touched.target), std::move(touched.owners), std::move(status)});
    pool_.by_hash_[hash] = active;
    fresh_.push_back(std::move(active));
  }

  void CountActive(const TargetOwners& owners, int by) {
    const std::string* last = nullptr;
    for (const TargetOwner& owner : owners) {  // sorted by source
      const bool again = last != nullptr && *last == owner.group->source;
      (again ? pool_.duplicate_count_ : pool_.sources_[owner.group->source].active) +=
          static_cast<uint64_t>(by);
      last = &owner.group->source;
    }
  }

  void Count(const PoolGroup& group, int by) {
    pool_.sources_[group.origin->source].groups += static_cast<uint64_t>(by);
    for (const BuiltGroup::Dropped& dropped : group.built.dropped) {
      CountOf(dropped.reason) += static_cast<uint64_t>(by);
    }
  }

  uint64_t& CountOf(DropReason reason) {
    if (reason == DropReason::kRelabel) return pool_.dropped_count_;
    return reason == DropReason::kSourceHeld ? pool_.withheld_count_ : pool_.failed_count_;
  }

  void TellFailures(const PoolGroup& group) {
    for (const BuiltGroup::Dropped& dropped : group.built.dropped) {
      if (&CountOf(dropped.reason) != &pool_.failed_count_) continue;
      if (change_.failed++ < kMaxFailuresTold) {
        change_.failures.push_back(BuildError(config_, group.origin->key, dropped.index,
                                              group.group->targets[dropped.index],
                                              group.origin->labels));
      }
    }
  }

  PoolTargets& pool_;
  const ScrapeConfig& config_;
  const bool rebuild_;
  absl::flat_hash_map<uint64_t, Touched> touched_;  // by target hash
  std::vector<GroupPtr> left_;
  std::vector<GroupPtr> entered_;
  std::vector<std::shared_ptr<const ActiveTarget>> gone_;
  std::vector<std::shared_ptr<const ActiveTarget>> fresh_;
  Change change_;
};

PoolTargets::Change PoolTargets::Update(const ScrapeConfig& config, const OwnedGroups& wanted) {
  const OwnedGroups before = std::exchange(wanted_, wanted);
  Step step(*this, config, /*rebuild=*/false);
  const auto on_gone = [&](const OwnedGroup& gone) {
    const OwnedGroup::Key key;
    if (wanted.Find(key(gone)) == nullptr) step.Leave(*groups_.Find(key(gone)));
  };
  const auto on_fresh = [&](const OwnedGroup& fresh) {
    const GroupPtr* old = groups_.Find(OwnedGroup::Key()(fresh));
    if (old == nullptr) return step.Enter(fresh, nullptr);
    if (*(*old)->group != *fresh.group) step.Enter(fresh, *old);
  };
  OwnedGroups::Diff(before, wanted, on_gone, on_fresh);
  return std::move(step).Finish();
}

PoolTargets::Change PoolTargets::Rebuild(const ScrapeConfig& config) {
  Step step(*this, config, /*rebuild=*/true);
  for (const GroupPtr& group : groups_) {
    step.Enter({group->origin->source, group->group}, group);
  }
  return std::move(step).Finish();
}

}  // namespace trawl
