#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/discovery/change.h"
#include "core/model/labels.h"
#include "core/model/target_group.h"

// What of a pushed source outlives the process, and the one way in which it changes. Pure.

namespace trawl {

// The part of it that is small, and stands whole in every record on disk.
struct SourceHead {
  uint64_t version = 0;
  std::string history_id;
  std::optional<uint64_t> fencing_token;
  uint64_t last_digest = 0;  // of the change that made `version`
  LeasePolicy lease;
  uint64_t source_targets = 0;  // the whole source's, where its pusher divides it; 0: it does not
  bool withheld = false;  // restored after too long an absence: not scraped until it is confirmed
  bool released = false;  // given up with its targets kept, and not written since
  friend bool operator==(const SourceHead&, const SourceHead&) = default;
};

// Addresses of a group that were removed and are scraped all the same: the shrink guard holds
// them, or an operator keeps them.
struct HeldGroup {
  std::vector<std::string> targets;  // none is in the group; each once; never empty
  Labels labels;      // the group's when it was removed; while it is there, its own count
  bool kept = false;  // for an operator, until an update removes them again
  friend bool operator==(const HeldGroup&, const HeldGroup&) = default;
};

// The largest number of targets in a minute; kept while it is larger than any later one.
struct Peak {
  int64_t minute = 0;  // since the epoch
  uint64_t targets = 0;
  friend bool operator==(const Peak&, const Peak&) = default;
};
using Peaks = std::vector<Peak>;  // oldest and largest first

using GroupMap = std::map<GroupName, std::shared_ptr<const TargetGroup>>;
using HeldMap = std::map<GroupName, std::shared_ptr<const HeldGroup>>;
using PeakMap = std::map<std::string, Peaks>;  // by job, "": of the whole source; none is empty

struct SourceState : SourceHead {
  GroupMap groups;
  std::map<GroupName, Issue> refused;  // groups that were not taken, and why
  HeldMap held;
  PeakMap peaks;
};

// One change of a source: O(change). A group that is put or removed is refused no longer.
struct StateDelta {
  SourceHead head;          // after the change
  bool remove_all = false;  // first, all but the head goes
  std::vector<GroupName> remove;
  std::vector<std::pair<GroupName, std::shared_ptr<const TargetGroup>>> upsert;
  std::vector<Issue> refused;
  // What is held of a group after the change; null: nothing.
  std::vector<std::pair<GroupName, std::shared_ptr<const HeldGroup>>> held;
  std::vector<std::pair<std::string, Peaks>> peaks;  // after the change; empty: none
};

// The one way in which a delta changes a source, in memory as from disk.
void ApplyDelta(const StateDelta& delta, SourceState& state);

// False if nothing but, perhaps, the head would change.
bool ChangesContent(const StateDelta& delta);

// Numbers that follow from a state, kept beside it.
struct SourceSizes {
  uint64_t targets = 0;                  // listed
  uint64_t held = 0;                     // kept ones included
  std::map<std::string, uint64_t> jobs;  // listed and kept, by job; what the shrink guard measures
};
SourceSizes SizesOf(const SourceState& state);

// Jobs that the source has groups in, or held targets.
std::set<std::string> JobsOf(const SourceState& state);

// One of these that the filter does not allow; unset: there is none. What changes a source as a
// whole needs the right to all of its jobs.
std::optional<std::string> ForeignJob(const SourceState& state,
                                      const std::shared_ptr<const JobFilter>& filter);

// Nothing was applied, or nothing is left of it: no group, held, refused, and no history.
bool IsBlank(const SourceState& state);

// The targets of a group that are to be scraped: the listed and the held ones. Either may be
// null, not both. The same object as `listed` if nothing is held.
std::shared_ptr<const TargetGroup> WantedGroup(const std::string& key,
                                               const std::shared_ptr<const TargetGroup>& listed,
                                               const HeldGroup* held);

}  // namespace trawl
