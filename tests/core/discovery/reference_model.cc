#include "tests/core/discovery/reference_model.h"

#include <iterator>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

using State = ReferenceSource::State;
using Groups = std::map<GroupName, ReferenceSource::Group>;

bool IsBad(const JobGroup& group) {
  return std::any_of(group.group.targets.begin(), group.group.targets.end(),
                     [](const std::string& t) { return t.find('/') != std::string::npos; });
}

GroupName NameOf(const JobGroup& group) { return {group.job, group.group.key}; }

bool Names(const Change& change, const GroupName& name) {
  return std::any_of(change.groups.begin(), change.groups.end(),
                     [&](const JobGroup& group) { return NameOf(group) == name; });
}

bool Removes(const Change& change, const GroupName& name) {
  return std::find(change.remove.begin(), change.remove.end(), name) != change.remove.end();
}

bool CoversJob(const Change& change, const std::string& job) {
  if (change.scope != Change::Scope::kJobs) return true;
  return std::find(change.jobs.begin(), change.jobs.end(), job) != change.jobs.end() ||
         std::any_of(change.groups.begin(), change.groups.end(),
                     [&](const JobGroup& group) { return group.job == job; });
}

// It is not there after the change, whether it was before or not.
bool TakesAway(const Change& change, const GroupName& name) {
  if (Names(change, name) || !MayWrite(change.may_write, name.job)) return false;
  if (change.scope == Change::Scope::kGroups) return Removes(change, name);
  return CoversJob(change, name.job);
}

bool IsRenewal(const Change& change) {
  return change.scope == Change::Scope::kGroups && change.groups.empty() && change.remove.empty() &&
         !change.version && !change.allow_shrink;
}

bool HasForeign(const State& state, const ReferenceSource::Rights& rights) {
  const auto foreign = [&](const auto& group) { return !MayWrite(rights, group.first.job); };
  return std::any_of(state.groups.begin(), state.groups.end(), foreign) ||
         std::any_of(state.held.begin(), state.held.end(), foreign);
}

// What of a change is taken, and what is not.
struct Sorted {
  std::vector<const JobGroup*> put;
  std::set<GroupName> refused;
  IssueCode why = IssueCode::kUnspecified;  // the first of them

  void Refuse(const GroupName& name, IssueCode code) {
    if (refused.empty()) why = code;
    refused.insert(name);
  }
};

Groups GroupsAfter(const Change& change, const Sorted& sorted, const State& before) {
  Groups groups = before.groups;
  std::erase_if(groups, [&](const auto& group) { return TakesAway(change, group.first); });
  for (const JobGroup* group : sorted.put) {
    groups[NameOf(*group)] = {group->group.targets, std::string(group->group.labels.Get("x"))};
  }
  return groups;
}

uint64_t SizeOfAll(const Groups& groups) {
  uint64_t size = 0;
  for (const auto& [unused, group] : groups) size += group.targets.size();
  return size;
}

// Those that come last find no room.
void FindRoom(const Change& change, const State& before, Sorted& sorted) {
  const auto grows = [&](const JobGroup* group) {
    const auto was = before.groups.find(NameOf(*group));
    return was == before.groups.end() || group->group.targets.size() > was->second.targets.size();
  };
  while (SizeOfAll(GroupsAfter(change, sorted, before)) > ReferenceSource::kMaxTargets) {
    const auto last = std::find_if(sorted.put.rbegin(), sorted.put.rend(), grows);
    sorted.Refuse(NameOf(**last), IssueCode::kLimit);
    sorted.put.erase(std::next(last).base());
  }
}

Sorted Sort(const Change& change, const State& before) {
  Sorted sorted;
  const auto foreign = [&](const std::string& job) { return !MayWrite(change.may_write, job); };
  for (const JobGroup& group : change.groups) {
    if (IsBad(group)) {
      sorted.Refuse(NameOf(group), IssueCode::kBadAddress);
    } else if (foreign(group.job)) {
      sorted.Refuse(NameOf(group), IssueCode::kNotOwner);
    } else {
      sorted.put.push_back(&group);
    }
  }
  for (const std::string& job : change.jobs) {
    if (foreign(job)) sorted.Refuse({job, ""}, IssueCode::kNotOwner);
  }
  for (const GroupName& name : change.remove) {
    if (foreign(name.job)) sorted.Refuse(name, IssueCode::kNotOwner);
  }
  FindRoom(change, before, sorted);
  return sorted;
}

}  // namespace

// --- who, and which version

ReferenceSource::Answer ReferenceSource::Admit(const Change& change,
                                               const std::string& content) const {
  const auto no = [](IssueCode code) { return Answer{ApplyStatus::kRejected, code}; };
  const Answer yes{ApplyStatus::kApplied, {}};
  const Answer noop{ApplyStatus::kNoop, {}};
  if (!known && IsRenewal(change)) return no(IssueCode::kUnknownSource);
  if (LeasesAway(change.lease, change.may_write)) return no(IssueCode::kNotOwner);
  if (change.stream_id != 0 && change.stream_id != stream) return no(IssueCode::kFenced);
  if (change.stream_id == 0) {
    const bool fenced = now.token && (!change.fencing_token || *change.fencing_token < *now.token);
    if (fenced) return no(IssueCode::kFenced);
    const bool higher = change.fencing_token && (!now.token || *change.fencing_token > *now.token);
    if (stream != 0 && !higher) return no(IssueCode::kHeldByOther);
  }
  const bool again = change.version && *change.version == now.version &&
                     change.history_id == now.history && content == now.content;
  if (again) return change.allow_shrink && !now.held.empty() ? yes : noop;
  if (change.base_version && *change.base_version != now.version) {
    return no(IssueCode::kVersionGap);
  }
  if (!change.version) return yes;
  if (change.history_id != now.history) {
    if (change.scope == Change::Scope::kSource) return yes;
    const bool nothing = now.groups.empty() && now.refused.empty() && now.held.empty();
    return change.scope == Change::Scope::kJobs && nothing ? yes : no(IssueCode::kVersionGap);
  }
  if (*change.version > now.version) return yes;
  if (*change.version < now.version) return no(IssueCode::kStaleVersion);
  if (change.scope == Change::Scope::kSource) return yes;
  const bool mends = change.scope == Change::Scope::kGroups && change.remove.empty() &&
                     !change.groups.empty() &&
                     std::all_of(change.groups.begin(), change.groups.end(),
                                 [&](const auto& g) { return now.refused.contains(NameOf(g)); });
  return mends ? yes : no(IssueCode::kVersionConflict);
}

ReferenceSource::Answer ReferenceSource::Apply(const Change& change, const std::string& content,
                                               const Time& time) {
  Answer answer = change.dry_run ? DryRun(change, content, time) : Carry(change, content, time);
  answer.version = now.version;
  if (!change.dry_run) {
    answer.listed = Listed();
    answer.held = HeldTargets();
  }
  ForgetIfBlank();
  return answer;
}

// The call itself, on a copy, and with a disk that has room.
ReferenceSource::Answer ReferenceSource::DryRun(const Change& change, const std::string& content,
                                                const Time& time) const {
  ReferenceSource copy = *this;
  copy.disk_full = false;
  Answer answer = copy.Carry(change, content, time);
  answer.listed = copy.Listed();
  answer.held = copy.HeldTargets();
  if (answer.status != ApplyStatus::kApplied && answer.status != ApplyStatus::kNoop) return answer;
  const bool same = copy.now.groups == now.groups && copy.now.refused == now.refused &&
                    copy.now.held == now.held && copy.now.withheld == now.withheld;
  answer.status = same ? ApplyStatus::kNoop : ApplyStatus::kApplied;
  return answer;
}

// Who takes a source away takes every job of it.
bool ReferenceSource::LeasesAway(const std::optional<LeasePolicy>& lease,
                                 const Rights& rights) const {
  return lease && lease->remove_on_expiry && *lease != now.lease && HasForeign(now, rights);
}

// A job that comes with the change is its to take away whose lease it is then.
bool ReferenceSource::MayLease(const Change& change, const std::string& job) const {
  const bool whole = !HasForeign(now, change.may_write);
  if (change.lease && whole) return true;  // its own
  if (leased_by_) return MayWrite(*leased_by_, job);
  const auto of_job = [&](const auto& group) { return group.first.job == job; };
  return whole || std::any_of(now.groups.begin(), now.groups.end(), of_job) ||
         std::any_of(now.held.begin(), now.held.end(), of_job);
}

ReferenceSource::Answer ReferenceSource::Carry(const Change& change, const std::string& content,
                                               const Time& time) {
  minute_ = time.minute;
  Answer admitted = Admit(change, content);
  if (admitted.status == ApplyStatus::kRejected) return admitted;
  const Sorted sorted = Sort(change, now);
  const bool repeated = admitted.status == ApplyStatus::kNoop;
  if (!repeated && !sorted.refused.empty() && !change.allow_partial) {
    return {ApplyStatus::kRejected, sorted.why};
  }
  const bool renewal = IsRenewal(change);
  State next = now;
  next.released = false;
  if (change.lease) next.lease = *change.lease;
  if (change.fencing_token) next.token = change.fencing_token;
  if (!renewal) next.withheld = false;
  if (!renewal && !repeated) {
    next.history = change.history_id;
    next.version = change.version.value_or(now.version + 1);
    next.content = content;
    if (!HasForeign(now, change.may_write)) next.stated = change.source_targets;
    next.groups = GroupsAfter(change, sorted, now);
    std::erase_if(next.refused, [&](const auto& name) { return TakesAway(change, name); });
    for (const JobGroup* group : sorted.put) next.refused.erase(NameOf(*group));
    for (const GroupName& name : sorted.refused) {
      if (!name.key.empty()) next.refused.insert(name);  // a job alone can't be asked for again
    }
    for (const JobGroup* group : sorted.put) {
      if (!MayLease(change, group->job)) next.lease.remove_on_expiry = false;
    }
    const uint64_t newly_held = Guard(change, sorted.put, next);
    if (newly_held > 0 && HeldOf(next) > kMaxTargets) {
      return {ApplyStatus::kRejected, sorted.refused.empty() ? IssueCode::kLimit : sorted.why};
    }
  }
  if (!Keep(next)) return {ApplyStatus::kRejected, IssueCode::kNotPersisted};
  known = true;
  if (change.lease && !HasForeign(now, change.may_write)) leased_by_ = change.may_write;
  Hear(time);
  for (const auto& [name, held] : next.held) {
    const auto before = now.held.find(name);
    const auto had = [&](const std::string& target) {
      return before != now.held.end() && before->second.targets.contains(target);
    };
    const bool more = !std::all_of(held.targets.begin(), held.targets.end(), had);
    if (!held.kept && (more || before->second.kept)) since_[name] = HeardTime(time.steady);
  }
  std::erase_if(since_, [&](const auto& since) {
    const auto held = next.held.find(since.first);
    return held == next.held.end() || held->second.kept;
  });
  now = next;
  if (stream != 0 && change.stream_id == 0) stream = 0;  // a higher token took it over
  if (renewal || repeated) return {ApplyStatus::kNoop, {}};
  return {sorted.refused.empty() ? ApplyStatus::kApplied : ApplyStatus::kAppliedPartly, {}};
}

// --- the shrink guard

uint64_t ReferenceSource::SizeOf(const State& state, const std::string& job) {
  uint64_t size = 0;
  for (const auto& [name, group] : state.groups) {
    if (job.empty() || name.job == job) size += group.targets.size();
  }
  for (const auto& [name, held] : state.held) {
    if (held.kept && (job.empty() || name.job == job)) size += held.targets.size();
  }
  return size;
}

bool ReferenceSource::Shrinks(const std::string& job, uint64_t was, uint64_t is,
                              State& next) const {
  auto& sizes = next.sizes[job];
  for (auto& [at, unused] : sizes) at = std::min(at, minute_);
  std::erase_if(sizes, [&](const auto& size) { return size.first < minute_ - 10; });
  sizes.emplace_back(minute_, was);
  uint64_t largest = 0;
  for (const auto& [unused, size] : sizes) largest = std::max(largest, size);
  return largest - is > kMinRemovals && 2 * is < largest;
}

uint64_t ReferenceSource::Guard(const Change& change, const std::vector<const JobGroup*>& put,
                                State& next) const {
  const State& before = now;
  const auto puts = [&](const GroupName& name) {
    return std::any_of(put.begin(), put.end(), [&](const auto* g) { return NameOf(*g) == name; });
  };
  std::map<GroupName, std::set<std::string>> again;  // kept, and removed once more
  for (auto& [name, held] : next.held) {
    const auto listed = before.groups.find(name);
    const bool touched = TakesAway(change, name) || puts(name);
    if (touched && listed != before.groups.end()) held.label = listed->second.label;
    if (const auto group = next.groups.find(name); group != next.groups.end()) {
      for (const std::string& target : group->second.targets) held.targets.erase(target);
    }
    if (held.kept && touched) {
      again[name] = std::exchange(held.targets, {});
    }
  }
  if (change.allow_shrink) {
    const bool whole = !HasForeign(before, change.may_write);
    const auto means = [&](const std::string& job) {
      return CoversJob(change, job) && MayWrite(change.may_write, job);
    };
    std::erase_if(next.held, [&](const auto& held) { return means(held.first.job); });
    std::erase_if(next.sizes,
                  [&](const auto& size) { return size.first.empty() ? whole : means(size.first); });
    return 0;
  }
  const std::map<std::string, bool> holds = HeldJobs(change, next);
  for (const auto& [name, targets] : again) {
    if (!holds.at(name.job) || targets.empty()) continue;
    next.held[name].targets = targets;
    next.held[name].kept = false;
  }
  uint64_t newly_held = 0;
  for (const auto& [name, group] : before.groups) {
    if (!holds.at(name.job)) continue;
    const auto listed = next.groups.find(name);
    std::set<std::string> taken(group.targets.begin(), group.targets.end());
    if (listed != next.groups.end()) {
      for (const std::string& target : listed->second.targets) taken.erase(target);
    }
    if (taken.empty()) continue;
    newly_held += taken.size();
    Held& held = next.held[name];
    held.targets.insert(taken.begin(), taken.end());
    held.label = group.label;
    held.kept = false;
  }
  std::erase_if(next.held, [](const auto& held) { return held.second.targets.empty(); });
  return newly_held;
}

// Of a source that is divided only the size of the whole counts, which its pusher states, if it may
// write all of it.
std::map<std::string, bool> ReferenceSource::HeldJobs(const Change& change, State& next) const {
  const bool foreign = HasForeign(now, change.may_write);
  const bool divided = !foreign && (now.stated != 0 || change.source_targets != 0);
  const bool is_share = !foreign && change.source_targets != 0;
  const auto shrinks = [&](const std::string& job, uint64_t was, uint64_t is) {
    return (is < was || (is == was && divided)) && Shrinks(job, was, is, next);
  };
  const auto whole = [&](const State& state) {
    return state.stated != 0 && !foreign ? state.stated : SizeOf(state, "");
  };
  const bool all = shrinks("", whole(now), whole(next));
  std::map<std::string, bool> holds;
  for (const char* job : {"db", "node"}) {
    // Also of what is held with the whole: a later change is measured against the job's largest
    // size, too, when the whole grows.
    const bool alone = !is_share && shrinks(job, SizeOf(now, job), SizeOf(next, job));
    holds[job] = all || alone;
  }
  return holds;
}

void ReferenceSource::CarryOut(bool keep) {
  State next = now;
  for (auto& [name, held] : next.held) {
    if (keep) {
      held.kept = true;
    } else {
      next.sizes.erase(name.job);
      next.sizes.erase("");
    }
  }
  if (!keep) next.held.clear();
  if (!Keep(next)) return;
  now = next;
  since_.clear();
  ForgetIfBlank();
}

// --- streams, release, time

ReferenceSource::Need ReferenceSource::NeedOf(const std::string& history, uint64_t version) const {
  if (history != now.history || version < now.version) return Need::kSnapshot;
  return version == now.version ? Need::kNothing : Need::kDelta;
}

bool ReferenceSource::Hello(const StreamHello& hello, const Time& time) {
  if (LeasesAway(hello.lease, hello.may_write)) return false;
  const std::optional<uint64_t> token = hello.fencing_token;
  if (now.token && (!token || *token < *now.token)) return false;
  const bool higher = token && (!now.token || *token > *now.token);
  if (stream != 0 && !higher && instance != hello.instance) return false;
  State next = now;
  next.released = false;
  if (token) next.token = token;
  if (hello.lease) next.lease = *hello.lease;
  if (NeedOf(hello.history_id, hello.version) == Need::kNothing) next.withheld = false;
  if ((next.token || !IsBlank(now)) && !Keep(next)) return false;
  known = true;
  if (hello.lease && !HasForeign(now, hello.may_write)) leased_by_ = hello.may_write;
  now = next;
  stream = hello.stream_id;
  instance = hello.instance;
  Hear(time);
  return true;
}

absl::Duration ReferenceSource::HeardTime(absl::Duration steady) const {
  return heard_ ? heard_before_ + std::min(steady - last_heard_, kHeardFor) : heard_before_;
}

void ReferenceSource::Hear(const Time& time) {
  if (!known) return;
  heard_before_ = HeardTime(time.steady);
  last_heard_ = time.steady;
  heard_ = true;
  lease_runs_ = true;
}

void ReferenceSource::EndStream() {
  stream = 0;
  ForgetIfBlank();
}

bool ReferenceSource::Pass(const Time& time) {
  if (!known) return false;
  const bool expired = PassLease(time);
  if (time.steady - last_heard_ >= kSilence) stream = 0;
  ForgetIfBlank();
  return expired;
}

bool ReferenceSource::PassLease(const Time& time) {
  if (!disk_full) {
    State next = now;
    for (const auto& [name, since] : since_) {
      if (HeardTime(time.steady) - since < kHold) continue;
      next.held.erase(name);
      next.sizes.erase(name.job);
      next.sizes.erase("");
    }
    if (next != now) Keep(next);
    now = next;
    std::erase_if(since_, [&](const auto& since) { return !now.held.contains(since.first); });
  }
  const absl::Duration ttl = now.lease.ttl.value_or(absl::Minutes(1));
  if (!lease_runs_ || !now.lease.remove_on_expiry || time.steady - last_heard_ < ttl) return false;
  lease_runs_ = false;
  State next = now;
  next.groups.clear();
  next.refused.clear();
  next.held.clear();
  next.sizes.clear();
  next.history.clear();
  next.stated = 0;
  next.withheld = false;
  ++next.version;
  Keep(next);
  now = next;
  since_.clear();
  return true;
}

bool ReferenceSource::Release(const TargetSets::ReleaseOptions& options) {
  const std::optional<uint64_t> token = options.fencing_token;
  const bool remove = options.remove_targets;
  const bool force = options.force;
  const bool fenced = now.token && (!token || *token < *now.token);
  if (!known || HasForeign(now, options.may_write) || (!force && (fenced || stream != 0)))
    return false;
  State next = now;
  next.history.clear();
  next.lease = {};
  next.released = true;
  if (force) next.token.reset();
  if (remove) {
    next.groups.clear();
    next.refused.clear();
    next.held.clear();
    next.sizes.clear();
    next.stated = 0;
    next.withheld = false;
    ++next.version;
  }
  const bool forget = remove && !next.token;
  // A file can be removed from a full disk.
  if (!forget && !Keep(next)) return false;
  if (force) stream = 0;
  now = next;
  if (remove) since_.clear();
  if (forget) *this = Gone();
  ForgetIfBlank();
  return true;
}

void ReferenceSource::Confirm() {
  State next = now;
  next.withheld = false;
  if (Keep(next)) now = next;
}

void ReferenceSource::Restart(bool away, const Time& time) {
  if (stream != 0) EndStream();
  const ReferenceSource before = *this;
  *this = ReferenceSource();
  disk_full = before.disk_full;
  disk = before.disk;
  on_disk = known = before.on_disk;
  if (!known) return;
  now = disk;
  last_heard_ = time.steady;
  lease_runs_ = true;
  for (const auto& [name, held] : now.held) {
    if (!held.kept) since_[name] = absl::ZeroDuration();
  }
  if (away && !(now.groups.empty() && now.held.empty())) now.withheld = true;
  NoteTick();
  ForgetIfBlank();
}

void ReferenceSource::NoteTick() {
  if (known && !disk_full && now.withheld && on_disk) disk.withheld = true;
}

// --- what there is

bool ReferenceSource::Keep(const State& next) {
  if (next == now) return true;
  if (disk_full) return false;
  disk = next;
  on_disk = true;
  return true;
}

bool ReferenceSource::IsBlank(const State& state) {
  return state.groups.empty() && state.refused.empty() && state.held.empty() &&
         state.history.empty();
}

// A file can be removed from a full disk.
void ReferenceSource::ForgetIfBlank() {
  if (known && stream == 0 && !now.token && IsBlank(now)) *this = Gone();
}

ReferenceSource ReferenceSource::Gone() const {
  ReferenceSource gone;
  gone.disk_full = disk_full;
  return gone;
}

std::multiset<std::string> ReferenceSource::Wanted() const {
  std::multiset<std::string> wanted;
  if (now.withheld) return wanted;
  const auto add = [&](const GroupName& name, const std::string& target, const std::string& label) {
    wanted.insert(absl::StrCat(name.job, " ", target, " ", label));
  };
  for (const auto& [name, group] : now.groups) {
    for (const std::string& target : group.targets) add(name, target, group.label);
  }
  for (const auto& [name, held] : now.held) {
    const auto listed = now.groups.find(name);
    for (const std::string& target : held.targets) {
      add(name, target, listed == now.groups.end() ? held.label : listed->second.label);
    }
  }
  return wanted;
}

uint64_t ReferenceSource::ListedOf(const State& state) { return SizeOfAll(state.groups); }

uint64_t ReferenceSource::HeldOf(const State& state) {
  uint64_t held = 0;
  for (const auto& [unused, group] : state.held) held += group.targets.size();
  return held;
}

}  // namespace trawl
