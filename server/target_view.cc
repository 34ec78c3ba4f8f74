#include "server/target_view.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace trawl {
namespace {

using Place = std::tuple<std::string_view, uint64_t>;

Place PlaceOf(const ActiveTarget& target) { return {target.target->url, target.target->hash}; }

uint64_t Fingerprint(const DroppedTarget& target) {
  return absl::HashOf(target.source, target.key, target.detail(), target.labels_kept);
}

absl::flat_hash_set<uint64_t> AllSharedLabels(const PoolStatus& pool) {
  absl::flat_hash_set<uint64_t> seen;
  absl::flat_hash_set<uint64_t> shared;
  for (const auto& target : pool.active) {
    const uint64_t hash = target->target->public_hash;
    if (!seen.insert(hash).second) shared.insert(hash);
  }
  return shared;
}

}  // namespace

TargetView::Changes TargetView::Advance(const PoolsSnapshot& pools) {
  Changes changes;
  ++round_;
  for (const auto& pool : pools.pools) {
    if (filter_.TakesJob(pool->job)) AdvancePool(TakeJob(pool->job), pool, changes);
  }
  for (const auto& pending : pools.pending) {
    if (filter_.TakesJob(pending->job)) AdvancePending(TakeJob(pending->job), pending, changes);
  }
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    if (it->second.round == round_) {
      ++it;
      continue;
    }
    RemoveJob(it->first, it->second, changes);
    it = jobs_.erase(it);
  }
  return changes;
}

status::v1::Target TargetView::ToTarget(const TargetRow& row) const {
  status::v1::Target target = row.ToTarget();
  if (row.active == nullptr) return target;
  const std::vector<ActiveItem>& items = jobs_.at(std::string(row.job)).active;
  const auto found =
      std::ranges::lower_bound(items, PlaceOf(*row.active), {},
                               [](const ActiveItem& item) { return PlaceOf(*item.target); });
  target.set_labels_shared(found->shared != 0);
  return target;
}

TargetView::Job& TargetView::TakeJob(const std::string& name) {
  Job& job = jobs_[name];
  job.round = round_;
  std::vector<DroppedTarget>().swap(job.listed);
  return job;
}

void TargetView::AdvancePool(Job& job, const std::shared_ptr<const PoolStatus>& pool,
                             Changes& changes) {
  if (job.pool == pool) {
    for (ActiveItem& item : job.active) Update(*pool, item, item, changes);
    return;
  }
  job.active = MergeActive(job, *pool, changes);
  job.pool = pool;  // the one before is looked at until here
  job.pending = nullptr;
  if (!filter_.TakesDropped()) return;
  job.listed = ListDropped(*pool);
  TakeDropped(pool->job, job, changes);
}

void TargetView::AdvancePending(Job& job, const std::shared_ptr<const DesiredTargets>& pending,
                                Changes& changes) {
  if (job.pending == pending) return;
  for (const ActiveItem& item : job.active) RemoveActive(pending->job, item, changes);
  job.active.clear();
  job.pool = nullptr;
  job.pending = pending;
  if (!filter_.TakesDropped()) return;
  job.listed = ListPending(*pending);
  TakeDropped(pending->job, job, changes);
}

// The items of another list of the same pool. Both are in order.
std::vector<TargetView::ActiveItem> TargetView::MergeActive(const Job& job, const PoolStatus& pool,
                                                            Changes& changes) {
  const absl::flat_hash_set<uint64_t> shared = AllSharedLabels(pool);
  const bool same_config = job.pool != nullptr && job.pool->config == pool.config;
  std::vector<ActiveItem> items;
  items.reserve(pool.active.size());
  auto old = job.active.begin();
  for (const auto& target : pool.active.ByUrl()) {
    const Place place = PlaceOf(*target);
    for (; old != job.active.end() && PlaceOf(*old->target) < place; ++old) {
      RemoveActive(pool.job, *old, changes);
    }
    ActiveItem before;
    if (old != job.active.end() && PlaceOf(*old->target) == place) before = *old++;
    ActiveItem& item = items.emplace_back(before);
    item.target = target.get();
    item.shared = shared.contains(target->target->public_hash) ? 1 : 0;
    if (before.target != item.target || !same_config) {
      item.fits = filter_.Fits(TargetRow::Active(pool, *target)) ? 1 : 0;
    }
    Update(pool, before, item, changes);
  }
  for (; old != job.active.end(); ++old) RemoveActive(pool.job, *old, changes);
  return items;
}

void TargetView::Update(const PoolStatus& pool, ActiveItem before, ActiveItem& item,
                        Changes& changes) {
  const TargetStatus& status = *item.target->status;
  // First the version: what changes after it is seen next time.
  item.version = status.version();
  item.shown = item.fits != 0 && filter_.TakesHealth(status.health()) ? 1 : 0;
  if (item.shown == 0) return RemoveActive(pool.job, before, changes);
  if (before.shown != 0 && before.target == item.target && before.version == item.version &&
      before.shared == item.shared) {
    return;
  }
  if (before.shown == 0) {
    ++shown_;
  } else if (before.version + 1 < item.version) {
    changes.merged += item.version - before.version - 1;
  }
  changes.changed.push_back(TargetRow::Active(pool, *item.target));
}

void TargetView::RemoveActive(const std::string& job, const ActiveItem& item, Changes& changes) {
  if (item.shown == 0) return;
  --shown_;
  changes.removed.push_back({job, item.target->target->hash});
}

// Compares what is listed with what the reader knows.
void TargetView::TakeDropped(const std::string& name, Job& job, Changes& changes) {
  std::ranges::stable_sort(job.listed, {}, &DroppedTarget::hash);
  std::vector<DroppedItem> items;
  auto old = job.dropped.begin();
  const auto remove = [&](auto while_true) {
    for (; old != job.dropped.end() && while_true(*old); ++old) {
      changes.removed.push_back({name, old->hash});
      --shown_;
    }
  };
  for (const DroppedTarget& target : job.listed) {
    if (!items.empty() && items.back().hash == target.hash) continue;
    const TargetRow row = TargetRow::Dropped(target, 0);
    if (!filter_.Fits(row)) continue;
    remove([&](const DroppedItem& item) { return item.hash < target.hash; });
    items.push_back({target.hash, Fingerprint(target)});
    const bool known = old != job.dropped.end() && old->hash == target.hash;
    if (!known) ++shown_;
    if (!known || old->fingerprint != items.back().fingerprint) changes.changed.push_back(row);
    if (known) ++old;
  }
  remove([](const DroppedItem&) { return true; });
  job.dropped = std::move(items);
}

void TargetView::RemoveJob(const std::string& name, const Job& job, Changes& changes) {
  for (const ActiveItem& item : job.active) RemoveActive(name, item, changes);
  for (const DroppedItem& item : job.dropped) changes.removed.push_back({name, item.hash});
  shown_ -= job.dropped.size();
}

}  // namespace trawl
