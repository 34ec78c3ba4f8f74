#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "core/discovery/source_state.h"
#include "core/discovery/source_view.h"

namespace trawl {

// A moment on both clocks.
struct DiscoveryTime {
  absl::Time wall;
  absl::Duration steady;
};

// One source: what of it is kept on disk, and what ends with the process. Not thread-safe.
struct Source : SourceState {
  const SourceHead& head() const { return *this; }

  SourceView::Kind kind = SourceView::Kind::kPushed;
  std::string instance;
  std::string peer;
  uint64_t stream_id = 0;  // that holds it; 0: none
  bool restored = false;   // from disk, and not heard of since
  bool expired = false;    // its lease ended, and nothing was heard since
  // Withheld, and the disk doesn't know it yet.
  bool withheld_unkept = false;
  // Refused groups are to be asked for again: all, or those that there was no room for.
  bool ask_all = false;
  bool ask_limited = false;
  absl::Time last_heard = absl::InfinitePast();
  absl::Duration last_heard_steady;
  std::set<std::string> pending_jobs_told;  // in the log
  // The rights of who set the lease, and might write all that the source had. Unset: nobody since
  // the restart.
  std::optional<std::shared_ptr<const JobFilter>> leased_by;

  // Follow from the state; Settle keeps them.
  SourceSizes sizes;
  GroupMap with_held;  // what is wanted of groups of which targets are held
  // On the clock that runs while the pusher is heard: since when a group's targets are held.
  // Kept ones are not in it.
  std::map<GroupName, absl::Duration> held_since;

  // The pusher spoke. It counts as heard for `heard_for` from then on.
  void Hear(const DiscoveryTime& now, absl::Duration heard_for);
  // How long it was heard in all, as of `steady`.
  absl::Duration HeardTime(absl::Duration steady, absl::Duration heard_for) const;
  bool IsHeard(absl::Duration steady, absl::Duration heard_for) const;

  // Applies a delta and what follows from it. The held targets of `newly_held` groups have their
  // time before them, from `heard_time` on.
  void Settle(const StateDelta& delta, const std::set<GroupName>& newly_held,
              absl::Duration heard_time);
  // After the state was set as a whole: all that follows from it.
  void Derive();

  // What is to be scraped of a group: listed and held targets; null: nothing. The same object for
  // as long as neither changes.
  std::shared_ptr<const TargetGroup> Wanted(const GroupName& name) const;
  std::set<GroupName> GroupNames() const;  // also of groups of which all is held
  SourceCounts Counts() const;
  // Runs `visit(name, listed or null, held or null)` over all groups from `from` on, in order,
  // until it returns false.
  template <typename Visit>
  void ForEachGroup(const GroupName& from, Visit visit) const {
    auto listed = groups.lower_bound(from);
    auto holds = held.lower_bound(from);
    while (listed != groups.end() || holds != held.end()) {
      const bool has_listed =
          listed != groups.end() && (holds == held.end() || listed->first <= holds->first);
      const bool has_held = holds != held.end() && (!has_listed || holds->first == listed->first);
      const GroupName& name = has_listed ? listed->first : holds->first;
      if (!visit(name, has_listed ? listed->second : nullptr, has_held ? holds->second : nullptr)) {
        return;
      }
      if (has_listed) ++listed;
      if (has_held) ++holds;
    }
  }

 private:
  absl::Duration heard_before_;  // in all, until last_heard_steady
  void CountGroup(const GroupName& name, const TargetGroup& group, int sign);
  void CountHeld(const GroupName& name, const HeldGroup& group, int sign);
  void Remerge(const GroupName& name);
};

}  // namespace trawl
