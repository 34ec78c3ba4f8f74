#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/discovery/source_state.h"

// The shrink guard: removals that look like a mistake of the pusher (its own source of truth
// failed and looks empty) are held instead of carried out (discovery-protocol.md 7). Pure.

namespace trawl {

struct ShrinkGuard {
  // How long removals are held while the pusher is heard and does not change its mind. 0: the
  // guard is off.
  absl::Duration hold = absl::Minutes(5);
  // A source or job may lose so many targets without more ado.
  uint64_t min_removals = 20;
  // It is measured against its largest size in so many minutes, this one included.
  int64_t window_minutes = 10;
};

// What a change edits: the groups that it puts, and those it removes.
using GroupEdits = std::map<GroupName, const TargetGroup*>;  // null: removed

// What becomes of the removals of a change.
struct RemovalPlan {
  // Of groups whose held targets change; null: none is held any more.
  HeldMap held;
  // Sizes after the change, of the jobs that it touches (SourceSizes::jobs).
  std::map<std::string, uint64_t> job_sizes;
  PeakMap peaks;  // that change; empty: forgotten
  std::set<GroupName> newly_held_groups;
  uint64_t newly_held = 0;   // targets
  uint64_t carried_out = 0;  // targets that were held and go now
  uint64_t held_after = 0;   // targets of the source
  uint64_t largest = 0;      // the size that the guard compared with, if it holds anything
  uint64_t size = 0;         // of the source after the change, as the guard sees it
};

// `edits` are what `change` does to the groups of `state`; groups that are put as they were may
// be among them.
RemovalPlan PlanRemovals(const Change& change, const GroupEdits& edits, const SourceState& state,
                         const SourceSizes& sizes, const ShrinkGuard& guard, absl::Time now);

// The same peaks after a shrink from `targets`; those out of the window go.
Peaks ObservePeak(const Peaks& peaks, uint64_t targets, int64_t minute, int64_t window_minutes);

}  // namespace trawl
