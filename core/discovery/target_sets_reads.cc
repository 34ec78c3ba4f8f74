// What the sets tell.

#include <algorithm>
#include <utility>

#include "core/discovery/target_sets.h"

namespace trawl {

uint64_t TargetSets::Holder(const std::string& source) const {
  const Source* found = Find(source);
  return found == nullptr ? 0 : found->stream_id;
}

uint64_t TargetSets::AppliedVersion(const std::string& source) const {
  const Source* found = Find(source);
  return found == nullptr ? 0 : found->version;
}

bool TargetSets::Withheld(const std::string& source) const {
  const Source* found = Find(source);
  return found != nullptr && found->withheld;
}

std::string TargetSets::HistoryId(const std::string& source) const {
  const Source* found = Find(source);
  return found == nullptr ? "" : found->history_id;
}

std::optional<SourceCounts> TargetSets::CountsOf(const std::string& source) const {
  const Source* found = Find(source);
  if (found == nullptr) return std::nullopt;
  return found->Counts();
}

std::optional<LeasePolicy> TargetSets::Lease(const std::string& source) const {
  const Source* found = Find(source);
  if (found == nullptr) return std::nullopt;
  return found->lease;
}

std::optional<absl::Duration> TargetSets::LeaseEnd(const std::string& source) const {
  const Source* found = Find(source);
  if (found == nullptr || !found->lease.remove_on_expiry || found->expired) return std::nullopt;
  return found->last_heard_steady + found->lease.ttl.value_or(options_.default_lease);
}

size_t TargetSets::PendingGroups() const {
  return desired_.CountGroups([&](const std::string& job) { return !Known(job); });
}

SourceView::Standing TargetSets::StandingOf(const Source& source, const Now& now) const {
  using Standing = SourceView::Standing;
  if (source.kind != SourceView::Kind::kPushed) return Standing::kLive;
  if (source.withheld) return Standing::kHeld;
  if (source.stream_id != 0) return Standing::kLive;
  if (source.released) return Standing::kOrphaned;
  if (now.steady - source.last_heard_steady > options_.silent_after) return Standing::kOrphaned;
  return source.restored ? Standing::kRestored : Standing::kLive;
}

std::optional<SourceView::Standing> TargetSets::StandingOf(const std::string& source,
                                                           const Now& now) const {
  const Source* found = Find(source);
  if (found == nullptr) return std::nullopt;
  return StandingOf(*found, now);
}

std::vector<std::string> TargetSets::SourceNames() const {
  std::vector<std::string> names;
  names.reserve(sources_.size());
  for (const auto& [name, unused] : sources_) names.push_back(name);
  return names;
}

std::vector<SourceView> TargetSets::Sources(const Now& now) const {
  std::vector<SourceView> views;
  for (const auto& [name, source] : sources_) views.push_back(ViewOf(name, source, now));
  return views;
}

SourceView TargetSets::ViewOf(const std::string& name, const Source& source, const Now& now) const {
  SourceView view;
  view.name = name;
  view.kind = source.kind;
  view.standing = StandingOf(source, now);
  view.instance = source.instance;
  view.peer = source.peer;
  view.connected = source.stream_id != 0;
  view.applied_version = source.version;
  view.history_id = source.history_id;
  view.fencing_token = source.fencing_token;
  view.last_heard = source.last_heard;
  view.lease = source.lease;
  view.counts = source.Counts();
  const absl::Duration heard = source.HeardTime(now.steady, options_.default_lease);
  for (const auto& [unused, since] : source.held_since) {
    const absl::Duration left = since + options_.plan.guard.hold - heard;
    view.held_for = std::max(view.held_for.value_or(absl::ZeroDuration()), left);
  }
  view.refused_count = source.refused.size();
  for (const auto& [unused, issue] : source.refused) {
    if (view.refused.size() >= options_.max_issues) break;
    view.refused.push_back(issue);
  }
  for (const auto& [group, unused] : source.groups) {
    const bool listed = !view.pending_jobs.empty() && view.pending_jobs.back() == group.job;
    if (!listed && !Known(group.job)) view.pending_jobs.push_back(group.job);
  }
  return view;
}

std::vector<TargetSets::GroupView> TargetSets::Groups(const std::string& source,
                                                      const std::string& job,
                                                      const std::optional<GroupPosition>& after,
                                                      size_t limit) const {
  std::vector<GroupView> views;
  auto it = after ? sources_.lower_bound(after->source) : sources_.begin();
  for (; it != sources_.end() && views.size() < limit; ++it) {
    if (!source.empty() && it->first != source) continue;
    const bool resume = after && after->source == it->first;
    const auto& refused = it->second.refused;
    const GroupName from = resume ? after->name : GroupName{job, ""};
    it->second.ForEachGroup(from, [&](const GroupName& name, const auto& group, const auto& held) {
      if (resume && name <= after->name) return true;
      if (!job.empty() && name.job != job) return name.job < job;
      GroupView view{it->first, name, group, held, nullptr, !Known(name.job)};
      if (const auto issue = refused.find(name); issue != refused.end()) {
        view.refused = &issue->second;
      }
      views.push_back(std::move(view));
      return views.size() < limit;
    });
  }
  return views;
}

bool TargetSets::Known(const std::string& job) const {
  return std::binary_search(known_jobs_.begin(), known_jobs_.end(), job);
}

}  // namespace trawl
