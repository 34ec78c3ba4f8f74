#include "core/scrape/pool_targets.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>

namespace trawl {
namespace {

auto PlaceOf(const TargetOwner& owner) {
  return std::tuple<std::string_view, std::string_view, uint32_t>(
      owner.group->source, owner.group->group->key, owner.index);
}

}  // namespace

// Groups leave and enter; then each target that was touched is settled.
class PoolTargets::Step {
 public:
  Step(PoolTargets& pool, const ScrapeConfig& config) : pool_(pool), config_(config) {}

  // `before`: the version that it replaces, built with the same config; may be null.
  void Enter(const OwnedGroup& wanted, const PoolGroup* before) {
    auto group = std::make_shared<PoolGroup>();
    group->source = wanted.source;
    group->group = wanted.group;
    group->serial = pool_.next_serial_++;
    const bool reuse = before != nullptr && before->group->labels == wanted.group->labels &&
                       before->group->withheld == wanted.group->withheld;
    group->built = reuse ? TargetsFromGroup(config_, *wanted.group, *before->group, before->built)
                         : TargetsFromGroup(config_, *wanted.group);
    for (BuiltGroup::Active& active : group->built.active) {
      Touched& touched = Touch(active.target->hash);
      if (touched.target == nullptr) touched.target = active.target;
      active.target = touched.target;  // one object for all owners
    }
    Own(group);
    TellFailures(*group);
    Count(*group, 1);
    entered_.push_back(std::move(group));
  }

  void Leave(const std::shared_ptr<const PoolGroup>& group) {
    for (const BuiltGroup::Active& active : group->built.active) {
      TargetOwners& owners = Touch(active.target->hash).owners;
      owners.erase(std::remove_if(owners.begin(), owners.end(),
                                  [&](const TargetOwner& owner) { return owner.group == group; }),
                   owners.end());
    }
    Count(*group, -1);
    left_.push_back(group);
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

  void Own(const std::shared_ptr<const PoolGroup>& group) {
    for (const BuiltGroup::Active& active : group->built.active) {
      TargetOwners& owners = touched_.find(active.target->hash)->second.owners;
      const TargetOwner owner{group, active.index};
      owners.insert(std::ranges::upper_bound(owners, PlaceOf(owner), {}, PlaceOf), owner);
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
    pool_.sources_[group.source].groups += static_cast<uint64_t>(by);
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
        change_.failures.push_back(BuildError(config_, *group.group, dropped.index));
      }
    }
  }

  PoolTargets& pool_;
  const ScrapeConfig& config_;
  absl::flat_hash_map<uint64_t, Touched> touched_;  // by target hash
  std::vector<std::shared_ptr<const PoolGroup>> left_;
  std::vector<std::shared_ptr<const PoolGroup>> entered_;
  std::vector<std::shared_ptr<const ActiveTarget>> gone_;
  std::vector<std::shared_ptr<const ActiveTarget>> fresh_;
  Change change_;
};

PoolTargets::Change PoolTargets::Update(const ScrapeConfig& config, const OwnedGroups& wanted) {
  const OwnedGroups before = std::exchange(wanted_, wanted);
  Step step(*this, config);
  const auto on_gone = [&](const OwnedGroup& gone) {
    const OwnedGroup::Key key;
    if (wanted.Find(key(gone)) == nullptr) step.Leave(*groups_.Find(key(gone)));
  };
  const auto on_fresh = [&](const OwnedGroup& fresh) {
    const std::shared_ptr<const PoolGroup>* old = groups_.Find(OwnedGroup::Key()(fresh));
    if (old == nullptr) return step.Enter(fresh, nullptr);
    if (*(*old)->group == *fresh.group) return;
    step.Leave(*old);
    step.Enter(fresh, old->get());
  };
  OwnedGroups::Diff(before, wanted, on_gone, on_fresh);
  return std::move(step).Finish();
}

PoolTargets::Change PoolTargets::Rebuild(const ScrapeConfig& config) {
  Step step(*this, config);
  for (const std::shared_ptr<const PoolGroup>& group : groups_) {
    step.Leave(group);
    step.Enter({group->source, group->group}, nullptr);
  }
  return std::move(step).Finish();
}

}  // namespace trawl
