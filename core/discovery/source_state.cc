#include "core/discovery/source_state.h"

namespace trawl {

void ApplyDelta(const StateDelta& delta, SourceState& state) {
  static_cast<SourceHead&>(state) = delta.head;
  if (delta.remove_all) {
    state.groups.clear();
    state.refused.clear();
    state.held.clear();
    state.peaks.clear();
  }
  for (const GroupName& name : delta.remove) {
    state.groups.erase(name);
    state.refused.erase(name);
  }
  for (const auto& [name, group] : delta.upsert) {
    state.groups[name] = group;
    state.refused.erase(name);
  }
  for (const Issue& issue : delta.refused) state.refused[issue.group] = issue;
  for (const auto& [name, held] : delta.held) {
    if (held == nullptr) {
      state.held.erase(name);
    } else {
      state.held[name] = held;
    }
  }
  for (const auto& [job, peaks] : delta.peaks) {
    if (peaks.empty()) {
      state.peaks.erase(job);
    } else {
      state.peaks[job] = peaks;
    }
  }
}

bool ChangesContent(const StateDelta& delta) {
  return delta.remove_all || !delta.remove.empty() || !delta.upsert.empty() ||
         !delta.refused.empty() || !delta.held.empty() || !delta.peaks.empty();
}

SourceSizes SizesOf(const SourceState& state) {
  SourceSizes sizes;
  for (const auto& [name, group] : state.groups) {
    sizes.targets += group->targets.size();
    sizes.jobs[name.job] += group->targets.size();
  }
  for (const auto& [name, held] : state.held) {
    sizes.held += held->targets.size();
    if (held->kept) sizes.jobs[name.job] += held->targets.size();
  }
  return sizes;
}

std::set<std::string> JobsOf(const SourceState& state) {
  std::set<std::string> jobs;
  for (const auto& [name, unused] : state.groups) jobs.insert(name.job);
  for (const auto& [name, unused] : state.held) jobs.insert(name.job);
  return jobs;
}

std::optional<std::string> ForeignJob(const SourceState& state,
                                      const std::shared_ptr<const JobFilter>& filter) {
  if (filter == nullptr) return std::nullopt;
  for (const std::string& job : JobsOf(state)) {
    if (!(*filter)(job)) return job;
  }
  return std::nullopt;
}

bool IsBlank(const SourceState& state) {
  return state.groups.empty() && state.refused.empty() && state.held.empty() &&
         state.history_id.empty();
}

std::shared_ptr<const TargetGroup> WantedGroup(const std::string& key,
                                               const std::shared_ptr<const TargetGroup>& listed,
                                               const HeldGroup* held) {
  if (held == nullptr) return listed;
  auto wanted = std::make_shared<TargetGroup>();
  wanted->key = key;
  wanted->labels = listed == nullptr ? held->labels : listed->labels;
  if (listed != nullptr) wanted->targets = listed->targets;
  wanted->targets.insert(wanted->targets.end(), held->targets.begin(), held->targets.end());
  wanted->held = held->targets.size();
  return wanted;
}

}  // namespace trawl
