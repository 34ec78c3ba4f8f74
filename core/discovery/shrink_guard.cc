#include "core/discovery/shrink_guard.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace trawl {
namespace {

using AddressSet = absl::flat_hash_set<std::string_view>;

AddressSet AddressesOf(const TargetGroup* group) {
  return group == nullptr ? AddressSet() : AddressSet(group->targets.begin(), group->targets.end());
}

uint64_t SizeOf(const std::map<std::string, uint64_t>& sizes, const std::string& job) {
  const auto it = sizes.find(job);
  return it == sizes.end() ? 0 : it->second;
}

class RemovalPlanner {
 public:
  RemovalPlanner(const Change& change, const GroupEdits& edits, const SourceState& state,
                 const SourceSizes& sizes, const ShrinkGuard& guard, absl::Time now)
      : change_(change),
        edits_(edits),
        state_(state),
        sizes_(sizes),
        guard_(guard),
        minute_(absl::ToUnixSeconds(now) / 60),
        whole_(!ForeignJob(state, change.may_write)) {}

  RemovalPlan Run() {
    plan_.held_after = sizes_.held;
    for (const auto& [name, group] : edits_) Measure(name, group);
    MeasureSource();
    if (change_.allow_shrink) {
      CarryOutHeld();
    } else if (guard_.hold > absl::ZeroDuration()) {
      Decide();
    }
    for (const auto& [name, group] : edits_) Settle(name, group);
    return std::move(plan_);
  }

 private:
  const TargetGroup* Listed(const GroupName& name) const {
    const auto it = state_.groups.find(name);
    return it == state_.groups.end() ? nullptr : it->second.get();
  }
  const HeldGroup* Held(const GroupName& name) const {
    const auto it = state_.held.find(name);
    return it == state_.held.end() ? nullptr : it->second.get();
  }

  void Measure(const GroupName& name, const TargetGroup* group) {
    const TargetGroup* listed = Listed(name);
    const HeldGroup* held = Held(name);
    auto [size, first] = plan_.job_sizes.try_emplace(name.job, 0);
    if (first) size->second = SizeOf(sizes_.jobs, name.job);
    if (group != nullptr) size->second += group->targets.size();
    if (listed != nullptr) size->second -= listed->targets.size();
    if (held != nullptr && held->kept) size->second -= held->targets.size();
  }

  // The size that the pusher states goes before what reached this trawld of it. Who may not write
  // all of the source has nothing to say of its size, and is measured by what is here.
  void MeasureSource() {
    for (const auto& [unused, size] : sizes_.jobs) source_before_ += size;
    plan_.size = source_before_;
    for (const auto& [job, size] : plan_.job_sizes) {
      plan_.size += size - SizeOf(sizes_.jobs, job);
    }
    if (!whole_) return;
    divided_ = change_.source_targets != 0 || state_.source_targets != 0;
    if (state_.source_targets != 0) source_before_ = state_.source_targets;
    if (change_.source_targets != 0) plan_.size = change_.source_targets;
  }

  void Decide() {
    hold_all_ = Shrinks("", source_before_, plan_.size);
    // A share of a source that is divided may move away as it likes.
    if (whole_ && change_.source_targets != 0) return;
    for (const auto& [job, size] : plan_.job_sizes) {
      if (Shrinks(job, SizeOf(sizes_.jobs, job), size)) hold_jobs_.insert(job);
    }
  }

  // Notes what shrinks; true if the guard holds it. A size that the pusher states may be that of a
  // shrink which comes in several updates: each of them is held.
  bool Shrinks(const std::string& job, uint64_t before, uint64_t after) {
    if (after > before || (after == before && !divided_)) return false;
    const auto known = state_.peaks.find(job);
    const Peaks& old = known == state_.peaks.end() ? Peaks() : known->second;
    Peaks peaks = ObservePeak(old, before, minute_, guard_.window_minutes);
    const uint64_t largest = peaks.front().targets;
    if (peaks != old) plan_.peaks[job] = std::move(peaks);
    const bool shrinks = largest - after > guard_.min_removals && 2 * after < largest;
    if (shrinks) plan_.largest = std::max(plan_.largest, largest);
    return shrinks;
  }

  bool Covers(const std::string& job) const {
    if (change_.scope != Change::Scope::kJobs) return true;
    return std::find(change_.jobs.begin(), change_.jobs.end(), job) != change_.jobs.end() ||
           std::any_of(change_.groups.begin(), change_.groups.end(),
                       [&](const JobGroup& group) { return group.job == job; });
  }

  // What shrank was meant to: from here on the guard measures anew. A client means its own jobs.
  void CarryOutHeld() {
    for (const auto& [name, held] : state_.held) {
      if (!Covers(name.job) || !MayWrite(change_.may_write, name.job)) continue;
      const auto edit = edits_.find(name);
      const size_t listed = edit == edits_.end() ? 0 : CountPresent(held->targets, edit->second);
      plan_.carried_out += held->targets.size() - listed;
      Replace(name, held.get(), nullptr);
    }
    for (const auto& [job, unused] : state_.peaks) {
      const bool own = Covers(job) && MayWrite(change_.may_write, job);
      if (job.empty() ? whole_ : own) plan_.peaks[job] = {};
    }
  }

  void Settle(const GroupName& name, const TargetGroup* group) {
    const HeldGroup* held = Held(name);
    const TargetGroup* listed = Listed(name);
    const bool holds = hold_all_ || hold_jobs_.contains(name.job);
    if (held == nullptr && (!holds || listed == nullptr)) return;
    if (change_.allow_shrink && held != nullptr) return;  // it went: who edits a group may write it
    AddressSet present = AddressesOf(group);
    HeldGroup next;
    if (held != nullptr) next.labels = held->labels;
    if (listed != nullptr) next.labels = listed->labels;
    if (held != nullptr && (holds || !held->kept)) TakeMissing(held->targets, present, next);
    const bool again = held != nullptr && held->kept && !next.targets.empty();
    const size_t before = next.targets.size();
    if (holds && listed != nullptr) TakeMissing(listed->targets, present, next);
    plan_.newly_held += next.targets.size() - before;
    if (again || next.targets.size() > before) plan_.newly_held_groups.insert(name);
    Replace(name, held, next.targets.empty() ? nullptr : &next);
    const size_t relisted = held == nullptr ? 0 : CountPresent(held->targets, group);
    if (held != nullptr) plan_.carried_out += held->targets.size() - relisted - before;
  }

  // Each once.
  static void TakeMissing(const std::vector<std::string>& targets, AddressSet& present,
                          HeldGroup& into) {
    for (const std::string& target : targets) {
      if (present.insert(target).second) into.targets.push_back(target);
    }
  }

  static size_t CountPresent(const std::vector<std::string>& targets, const TargetGroup* group) {
    const AddressSet present = AddressesOf(group);
    return std::count_if(targets.begin(), targets.end(),
                         [&](const std::string& target) { return present.contains(target); });
  }

  void Replace(const GroupName& name, const HeldGroup* before, const HeldGroup* after) {
    if (before == nullptr ? after == nullptr : after != nullptr && *before == *after) return;
    plan_.held_after -= before == nullptr ? 0 : before->targets.size();
    plan_.held_after += after == nullptr ? 0 : after->targets.size();
    plan_.held[name] = after == nullptr ? nullptr : std::make_shared<const HeldGroup>(*after);
  }

  const Change& change_;
  const GroupEdits& edits_;
  const SourceState& state_;
  const SourceSizes& sizes_;
  const ShrinkGuard& guard_;
  const int64_t minute_;
  const bool whole_;  // the client may write all that the source has

  uint64_t source_before_ = 0;
  bool divided_ = false;
  bool hold_all_ = false;
  std::set<std::string> hold_jobs_;
  RemovalPlan plan_;
};

}  // namespace

RemovalPlan PlanRemovals(const Change& change, const GroupEdits& edits, const SourceState& state,
                         const SourceSizes& sizes, const ShrinkGuard& guard, absl::Time now) {
  return RemovalPlanner(change, edits, state, sizes, guard, now).Run();
}

Peaks ObservePeak(const Peaks& peaks, uint64_t targets, int64_t minute, int64_t window_minutes) {
  Peaks observed;
  for (Peak peak : peaks) {
    // A clock that was set back does not keep a peak for ever.
    peak.minute = std::min(peak.minute, minute);
    if (peak.minute >= minute - window_minutes && peak.targets > targets) observed.push_back(peak);
  }
  const bool same_minute = !observed.empty() && observed.back().minute == minute;
  if (!same_minute) observed.push_back({minute, targets});
  return observed;
}

}  // namespace trawl
