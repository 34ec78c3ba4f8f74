#include "core/scrape/job_plan.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "core/config/config_diff.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/pool_targets.h"

namespace trawl {
namespace {

using TargetPtr = JobPlan::TargetPtr;
using TargetMap = absl::flat_hash_map<uint64_t, TargetPtr>;  // by hash

// The job's targets on their way through the reload.
class Walk {
 public:
  explicit Walk(const PlannedJob& before) {
    if (before.config == nullptr) return;
    Take(targets_.Update(*before.config, before.groups));
    before_ = now_;
  }

  // The pool takes another config, with the groups that it has.
  void Reload(const ScrapeConfig& config) { Take(targets_.Rebuild(config)); }
  void Sync(const ScrapeConfig& config, const OwnedGroups& groups) {
    Take(targets_.Update(config, groups));
  }
  void Stop() {
    for (const auto& [hash, target] : now_) gone_[hash] = target;
    now_.clear();
  }

  const TargetMap& now() const { return now_; }
  // Whether its loop has been there all the while.
  bool Stayed(uint64_t hash) const { return before_.contains(hash) && !gone_.contains(hash); }
  // Those whose loops ended, of those that were there at the beginning.
  TargetMap Ended() const {
    TargetMap ended;
    for (const auto& [hash, target] : gone_) {
      if (before_.contains(hash)) ended[hash] = target;
    }
    return ended;
  }

 private:
  void Take(const PoolTargets::Change& change) {
    for (const TargetPtr& target : change.removed) {
      gone_[target->hash] = target;
      now_.erase(target->hash);
    }
    for (const PoolTargets::Change::Added& added : change.added) {
      now_[added.target->hash] = added.target;
    }
  }

  PoolTargets targets_;
  TargetMap before_;
  TargetMap now_;
  TargetMap gone_;  // at some time on the way
};

// By which a loop finds what it goes on with, as PoolLoops does.
using PublicId = std::tuple<uint64_t, std::string>;
PublicId PublicIdOf(const Target& target) { return {target.public_hash, target.url}; }

// Fields that only say which targets there may be: no loop is another because of them.
bool IsOfPool(const std::string& field) {
  return field == "target_limit" || field == "keep_dropped_targets" || field == "first_scrape";
}

void SortByUrl(std::vector<TargetPtr>& targets) {
  std::ranges::sort(targets, [](const TargetPtr& a, const TargetPtr& b) {
    return std::tie(a->url, a->hash) < std::tie(b->url, b->hash);
  });
}

class Comparison {
 public:
  Comparison(const PlannedJob& before, const PlannedJob& after, const Walk& walk)
      : before_(before), after_(after), walk_(walk) {
    if (before_.config == nullptr || after_.config == nullptr) return;
    plan_.fields = DifferentFields(*before_.config, *after_.config);
    if (before_.first_scrape != after_.first_scrape) plan_.fields.emplace_back("first_scrape");
    std::ranges::sort(plan_.fields);
    plan_.keeps_cache = ReusableCache(*before_.config, *after_.config);
    loop_fields_ = LoopFields(*before_.config, *after_.config);
    target_fields_ = plan_.fields;
    std::erase_if(target_fields_, IsOfPool);
  }

  JobPlan Plan() && {
    std::multimap<PublicId, TargetPtr> ended;
    for (auto& [hash, target] : walk_.Ended()) ended.emplace(PublicIdOf(*target), target);
    std::vector<TargetPtr> now;
    for (const auto& [hash, target] : walk_.now()) now.push_back(target);
    SortByUrl(now);
    for (TargetPtr& target : now) Add(std::move(target), ended);
    for (auto& [id, target] : ended) plan_.removed.push_back(std::move(target));
    SortByUrl(plan_.removed);
    return std::move(plan_);
  }

 private:
  void Add(TargetPtr target, std::multimap<PublicId, TargetPtr>& ended) {
    if (walk_.Stayed(target->hash)) {
      if (loop_fields_.empty()) {
        ++plan_.unchanged;
      } else {
        plan_.restarted.push_back({std::move(target), loop_fields_});
      }
      return;
    }
    const auto predecessor = ended.find(PublicIdOf(*target));
    if (predecessor == ended.end()) {
      plan_.added.push_back(std::move(target));
      return;
    }
    ended.erase(predecessor);
    plan_.restarted.push_back({std::move(target), target_fields_});
  }

  const PlannedJob& before_;
  const PlannedJob& after_;
  const Walk& walk_;
  std::vector<std::string> loop_fields_;    // that running loops look at
  std::vector<std::string> target_fields_;  // that loops or targets are made of
  JobPlan plan_;
};

}  // namespace

JobPlan PlanJob(const PlannedJob& before, const PlannedJob& after) {
  Walk walk(before);
  if (after.config == nullptr) {
    walk.Stop();
  } else {
    if (before.config == nullptr) {
      walk.Sync(*after.config, before.groups);
    } else if (*before.config != *after.config) {
      walk.Reload(*after.config);
    }
    walk.Sync(*after.config, after.groups);
  }
  return Comparison(before, after, walk).Plan();
}

}  // namespace trawl
