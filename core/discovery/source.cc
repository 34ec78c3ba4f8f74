#include "core/discovery/source.h"

#include <algorithm>

namespace trawl {

void Source::Hear(const DiscoveryTime& now, absl::Duration heard_for) {
  heard_before_ = HeardTime(now.steady, heard_for);
  last_heard = now.wall;
  last_heard_steady = now.steady;
  restored = false;
  expired = false;
}

absl::Duration Source::HeardTime(absl::Duration steady, absl::Duration heard_for) const {
  if (last_heard == absl::InfinitePast()) return heard_before_;
  return heard_before_ + std::min(steady - last_heard_steady, heard_for);
}

bool Source::IsHeard(absl::Duration steady, absl::Duration heard_for) const {
  return last_heard != absl::InfinitePast() && steady - last_heard_steady < heard_for;
}

void Source::CountGroup(const GroupName& name, const TargetGroup& group, int sign) {
  sizes.targets += sign * group.targets.size();
  sizes.jobs[name.job] += sign * group.targets.size();
}

void Source::CountHeld(const GroupName& name, const HeldGroup& group, int sign) {
  sizes.held += sign * group.targets.size();
  if (group.kept) sizes.jobs[name.job] += sign * group.targets.size();
}

void Source::Settle(const StateDelta& delta, const std::set<GroupName>& newly_held,
                    absl::Duration heard_time) {
  if (delta.remove_all) {
    sizes = {};
    with_held.clear();
    held_since.clear();
  } else {
    const auto uncount = [this](const GroupName& name) {
      if (const auto it = groups.find(name); it != groups.end()) CountGroup(name, *it->second, -1);
    };
    for (const GroupName& name : delta.remove) uncount(name);
    for (const auto& [name, unused] : delta.upsert) uncount(name);
    for (const auto& [name, unused] : delta.held) {
      if (const auto it = held.find(name); it != held.end()) CountHeld(name, *it->second, -1);
    }
  }
  ApplyDelta(delta, *this);
  for (const auto& [name, group] : delta.upsert) CountGroup(name, *group, 1);
  for (const auto& [name, group] : delta.held) {
    if (group != nullptr) CountHeld(name, *group, 1);
    if (group == nullptr || group->kept) {
      held_since.erase(name);
    } else if (newly_held.contains(name)) {
      held_since[name] = heard_time;
    }
    Remerge(name);
  }
  for (const GroupName& name : delta.remove) Remerge(name);
  for (const auto& [name, unused] : delta.upsert) Remerge(name);
  std::erase_if(sizes.jobs, [](const auto& job) { return job.second == 0; });
}

void Source::Derive() {
  sizes = SizesOf(*this);
  for (const auto& [name, group] : held) {
    if (!group->kept) held_since[name] = absl::ZeroDuration();
    Remerge(name);
  }
}

// The same object as long as neither side changes.
void Source::Remerge(const GroupName& name) {
  const auto holds = held.find(name);
  if (holds == held.end()) {
    with_held.erase(name);
    return;
  }
  const auto listed = groups.find(name);
  with_held[name] =
      WantedGroup(name.key, listed == groups.end() ? nullptr : listed->second, holds->second.get());
}

std::shared_ptr<const TargetGroup> Source::Wanted(const GroupName& name) const {
  if (const auto merged = with_held.find(name); merged != with_held.end()) return merged->second;
  const auto listed = groups.find(name);
  return listed == groups.end() ? nullptr : listed->second;
}

std::set<GroupName> Source::GroupNames() const {
  std::set<GroupName> names;
  for (const auto& [name, unused] : groups) names.insert(name);
  for (const auto& [name, unused] : held) names.insert(name);
  return names;
}

SourceCounts Source::Counts() const {
  SourceCounts counts;
  counts.groups = groups.size();
  counts.targets = sizes.targets;
  counts.held = sizes.held;
  return counts;
}

}  // namespace trawl
