#include "core/discovery/discovery.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr size_t kMaxLoggedBytes = 1024;                 // of a list of jobs
constexpr absl::Duration kClockStep = absl::Minutes(1);  // by which a clock may be set back

const char* KindName(Change::Scope scope) {
  switch (scope) {
    case Change::Scope::kSource:
      return "snapshot";
    case Change::Scope::kJobs:
      return "push";
    case Change::Scope::kGroups:
      return "update";
  }
  return "";
}

const char* StatusName(ApplyStatus status) {
  switch (status) {
    case ApplyStatus::kApplied:
      return "applied";
    case ApplyStatus::kAppliedPartly:
      return "applied_partly";
    case ApplyStatus::kNoop:
      return "noop";
    case ApplyStatus::kRejected:
      return "rejected";
  }
  return "";
}

}  // namespace

Discovery::Discovery(const Options& options, Deps deps)
    : options_(options),
      deps_(std::move(deps)),
      sets_(SetsOptions(options), deps_.journal),
      tick_timer_(deps_.loop.RunAfter(options_.tick, [this] { OnTick(); })) {}

TargetSets::Options Discovery::SetsOptions(const Options& options) {
  TargetSets::Options sets = options.sets;
  sets.default_lease = options.default_lease;
  return sets;
}

void Discovery::Restore(std::vector<RestoredSource> sources,
                        std::optional<absl::Time> last_running) {
  const TargetSets::Now now = Now();
  // A note from the future: one of the two clocks was wrong, and nobody knows by how much.
  const bool withhold = !last_running || now.wall - *last_running > options_.max_restored_age ||
                        *last_running - now.wall > kClockStep;
  std::set<std::string> jobs;
  for (RestoredSource& restored : sources) {
    const std::string name = restored.source;
    for (const std::string& job : JobsOf(restored.state)) jobs.insert(job);
    sets_.Restore(std::move(restored), withhold, now);
    sets_.ForgetIfBlank(name);
    ArmTimers(name);
    CountGroups(name);
    CountStanding(name);
  }
  if (withhold && !sources.empty()) {
    LogWarn(
        "Not running for too long, or not known for how long: restored targets are not scraped "
        "before they are confirmed",
        {{"sources", sources.size()},
         {"last_running", last_running ? absl::FormatTime(*last_running) : "unknown"}});
  }
  deps_.metrics.sources.Set(static_cast<double>(sets_.source_count()));
  NoteRunning();
  ReconcileJobs({jobs.begin(), jobs.end()}, {});
}

Discovery::~Discovery() {
  streams_.clear();  // what follows from their end needs all the rest
  deps_.loop.Cancel(tick_timer_);
  for (auto& [source, timer] : lease_timers_) deps_.loop.Cancel(timer.id);
  for (auto& [source, timer] : hold_timers_) deps_.loop.Cancel(timer);
}

TargetSets::Now Discovery::Now() const {
  return {deps_.loop.clock().Now(), deps_.loop.clock().Steady()};
}

void Discovery::ApplyAsync(Change change, ApplyCallback done) {
  deps_.loop.Post([this, change = std::move(change), done = std::move(done)]() mutable {
    Apply(change, 0, std::move(done));
  });
}

void Discovery::Apply(const Change& change, uint64_t stream_id, ApplyCallback done) {
  const std::string source = change.source;
  const uint64_t holder = sets_.Holder(source);
  const Change::Scope scope = change.scope;
  ApplyResult result = sets_.Apply(change, Now());
  // A rejected change must not make a metric for each name that a stranger thinks up.
  const std::string counted = sets_.CountsOf(source) ? source : "";
  deps_.metrics.updates_total.Increment({counted, KindName(scope), StatusName(result.status)});
  if (!change.dry_run) CountResult(counted, result);
  if (result.status == ApplyStatus::kRejected || change.dry_run) return done(std::move(result));
  if (stream_id == 0 && holder != 0) {
    // A unary call with a higher token took the source over from its stream.
    sets_.EndStream(source, holder);
    Displace(holder, true);
  }
  const std::vector<std::string> jobs = result.changed_jobs;
  // The session may have ended by the time its loops are told: it is looked up again.
  auto answer = [this, stream_id, result = std::move(result), done = std::move(done)]() mutable {
    if (stream_id != 0 && !streams_.contains(stream_id)) return;
    done(std::move(result));
  };
  Follow(source, jobs, std::move(answer));
}

void Discovery::Follow(const std::string& source, const std::vector<std::string>& jobs,
                       absl::AnyInvocable<void()> done) {
  sets_.ForgetIfBlank(source);
  ArmTimers(source);
  CountSource(source);
  CountStanding(source);
  ReconcileJobs(jobs, std::move(done));
}

void Discovery::ReconcileJobs(const std::vector<std::string>& jobs,
                              absl::AnyInvocable<void()> done) {
  if (jobs.empty()) {
    if (done) done();
    return;
  }
  struct Waiting {
    size_t left;
    absl::AnyInvocable<void()> done;
  };
  auto waiting = std::make_shared<Waiting>(Waiting{jobs.size(), std::move(done)});
  for (const std::string& job : jobs) {
    deps_.reconcile(sets_.Desired(job), [this, waiting] {
      deps_.loop.Post([waiting] {
        if (--waiting->left == 0 && waiting->done) waiting->done();
      });
    });
  }
}

void Discovery::ReleaseAsync(std::string source, TargetSets::ReleaseOptions options,
                             ReleaseCallback done) {
  deps_.loop.Post([this, source = std::move(source), options = std::move(options),
                   done = std::move(done)]() mutable {
    const uint64_t holder = sets_.Holder(source);
    absl::StatusOr<ApplyResult> result = sets_.Release(source, options);
    if (!result.ok() || options.dry_run) return done(std::move(result));
    if (holder != 0 && options.force) Displace(holder, false);
    const std::vector<std::string> jobs = result->changed_jobs;
    Follow(source, jobs, [result = std::move(result), done = std::move(done)]() mutable {
      done(std::move(result));
    });
  });
}

void Discovery::AcceptHeldAsync(std::string source, TargetSets::AcceptOptions options,
                                ReleaseCallback done) {
  deps_.loop.Post([this, source = std::move(source), options = std::move(options),
                   done = std::move(done)]() mutable {
    absl::StatusOr<ApplyResult> result = sets_.AcceptHeld(source, options, Now());
    if (!result.ok() || options.dry_run) return done(std::move(result));
    const std::vector<std::string> jobs = result->changed_jobs;
    Follow(source, jobs, [result = std::move(result), done = std::move(done)]() mutable {
      done(std::move(result));
    });
  });
}

void Discovery::ReadAsync(absl::AnyInvocable<void(const TargetSets&)> read) {
  deps_.loop.Post([this, read = std::move(read)]() mutable { read(sets_); });
}

// --- streams

void Discovery::OpenStreamAsync(uint64_t stream_id, SyncPeer& peer) {
  deps_.loop.Post([this, stream_id, &peer] {
    streams_[stream_id] = std::make_unique<SyncSession>(*this, stream_id, peer);
    waiting_.insert(stream_id);
    // A pusher says its Hello at once: who waits for longest is the likeliest to be none.
    if (waiting_.size() > options_.max_streams) streams_.at(*waiting_.begin())->OnCrowdedOut();
  });
}

void Discovery::StreamMessageAsync(uint64_t stream_id, SyncInput input) {
  deps_.loop.Post([this, stream_id, input = std::move(input)]() mutable {
    auto it = streams_.find(stream_id);
    if (it != streams_.end()) it->second->OnMessage(std::move(input));
  });
}

void Discovery::StreamHalfCloseAsync(uint64_t stream_id) {
  deps_.loop.Post([this, stream_id] {
    auto it = streams_.find(stream_id);
    if (it != streams_.end()) it->second->OnHalfClose();
  });
}

void Discovery::CloseStreamAsync(uint64_t stream_id, absl::AnyInvocable<void()> closed) {
  deps_.loop.Post([this, stream_id, closed = std::move(closed)]() mutable {
    streams_.erase(stream_id);
    closed();
  });
}

void Discovery::Displace(uint64_t stream_id, bool fenced) {
  auto it = streams_.find(stream_id);
  if (it != streams_.end()) it->second->OnDisplaced(fenced);
}

void Discovery::ShutdownAsync(absl::AnyInvocable<void()> done) {
  deps_.loop.Post([this, done = std::move(done)]() mutable {
    for (auto& [id, stream] : streams_) stream->OnShutdown();
    done();
  });
}

bool Discovery::ReserveStream(const std::string& source) {
  if (held_streams_ >= options_.max_streams && sets_.Holder(source) == 0) return false;
  ++held_streams_;
  deps_.metrics.streams.Set(static_cast<double>(held_streams_));
  return true;
}

void Discovery::ReleaseStream() {
  --held_streams_;
  deps_.metrics.streams.Set(static_cast<double>(held_streams_));
}

void Discovery::EndStream(const std::string& source, uint64_t stream_id) {
  if (sets_.Holder(source) != stream_id) return;
  sets_.EndStream(source, stream_id);
  Follow(source, {}, {});
}

void Discovery::CheckSilenceSoon(uint64_t stream_id) {
  deps_.loop.Post([this, alive = std::weak_ptr<void>(alive_), stream_id] {
    if (alive.expired()) return;
    auto it = streams_.find(stream_id);
    if (it != streams_.end()) it->second->CheckSilence();
  });
}

bool Discovery::ReserveStaged(uint64_t bytes) {
  if (staged_bytes_ + bytes > options_.max_staged_bytes) return false;
  staged_bytes_ += bytes;
  deps_.metrics.staged_bytes.Set(static_cast<double>(staged_bytes_));
  return true;
}

void Discovery::ReleaseStaged(uint64_t bytes) {
  staged_bytes_ -= bytes;
  deps_.metrics.staged_bytes.Set(static_cast<double>(staged_bytes_));
}

// Also in answer to a reload: whoever was refused something may try again.
void Discovery::AskAllAgain() {
  for (auto& [id, stream] : streams_) stream->AskAgain();
}

// --- what time brings

void Discovery::ArmTimers(const std::string& source) {
  ArmLease(source);
  ArmHold(source);
}

void Discovery::OnTick() {
  tick_timer_ = deps_.loop.RunAfter(options_.tick, [this] { OnTick(); });
  NoteRunning();
  for (const std::string& source : sets_.SourceNames()) CountStanding(source);
  AskAllAgain();
}

// Only when the disk knows who is withheld: else the next start would take them for confirmed.
void Discovery::NoteRunning() {
  if (deps_.journal == nullptr) return;
  absl::Status noted = sets_.KeepWithheld();
  if (noted.ok()) noted = sets_.KeepLost();
  if (noted.ok()) noted = deps_.journal->NoteRunning(deps_.loop.clock().Now());
  if (!noted.ok() && !note_failing_) {
    LogError("Can't note that trawld runs: a restart may hold what it knew", {{"err", noted}});
  }
  note_failing_ = !noted.ok();
}

// One that is armed looks at what was heard when it fires.
void Discovery::ArmHold(const std::string& source) {
  if (hold_timers_.contains(source)) return;
  const std::optional<absl::Duration> due = sets_.NextDue(source, Now());
  if (!due) return;
  hold_timers_[source] = deps_.loop.RunAfter(*due, [this, source] { OnHoldTimer(source); });
}

void Discovery::OnHoldTimer(const std::string& source) {
  hold_timers_.erase(source);
  const absl::StatusOr<ApplyResult> result = sets_.CarryOutDue(source, Now());
  if (absl::IsUnavailable(result.status())) {
    hold_timers_[source] =
        deps_.loop.RunAfter(options_.persist_retry, [this, source] { OnHoldTimer(source); });
    return;
  }
  if (!result.ok()) return;  // it is gone
  if (result->counts.removed > 0) {
    LogWarn("Removals were held for long enough, targets removed",
            {{"source", source}, {"targets", result->counts.removed}});
  }
  Follow(source, result->changed_jobs, {});
}

// One that is armed looks at what was heard when it fires, and goes on waiting; only a lease that
// has become shorter needs another.
void Discovery::ArmLease(const std::string& source) {
  const std::optional<absl::Duration> end = sets_.LeaseEnd(source);
  const auto armed = lease_timers_.find(source);
  if (armed != lease_timers_.end()) {
    if (end && armed->second.due <= *end) return;
    deps_.loop.Cancel(armed->second.id);
    lease_timers_.erase(armed);
  }
  if (!end) return;
  const absl::Duration left = *end - deps_.loop.clock().Steady();
  const TimerId id = deps_.loop.RunAfter(std::max(left, absl::ZeroDuration()),
                                         [this, source] { OnLeaseTimer(source); });
  lease_timers_[source] = {id, *end};
}

void Discovery::OnLeaseTimer(const std::string& source) {
  lease_timers_.erase(source);
  const std::optional<absl::Duration> end = sets_.LeaseEnd(source);
  if (!end) return;
  if (*end > deps_.loop.clock().Steady()) return ArmLease(source);
  // After a long write timers come first: what was said before it renews the lease.
  deps_.loop.Post([this, alive = std::weak_ptr<void>(alive_), source] {
    if (!alive.expired()) ExpireLease(source);
  });
}

void Discovery::ExpireLease(const std::string& source) {
  const std::optional<absl::Duration> end = sets_.LeaseEnd(source);
  if (!end || *end > deps_.loop.clock().Steady()) return ArmLease(source);
  ApplyResult result = sets_.Expire(source);
  if (result.counts.removed > 0) {
    LogWarn("Lease expired, targets removed",
            {{"source", source}, {"targets", result.counts.removed}});
  }
  // Its pusher is told too: a source that it holds and does not say anew would stay empty.
  const auto holder = streams_.find(sets_.Holder(source));
  if (holder != streams_.end()) holder->second->OnChangedElsewhere("the lease expired");
  Follow(source, result.changed_jobs, {});
}

// --- configuration

void Discovery::SetKnownJobsAsync(std::vector<std::string> jobs, absl::AnyInvocable<void()> done) {
  deps_.loop.Post([this, jobs = std::move(jobs), done = std::move(done)]() mutable {
    sets_.SetKnownJobs(std::move(jobs));
    deps_.metrics.pending_groups.Set(static_cast<double>(sets_.PendingGroups()));
    AskAllAgain();
    if (done) done();
  });
}

void Discovery::SetConfigured(const std::string& source, SourceView::Kind kind,
                              const std::string& job, std::vector<TargetGroup> groups,
                              absl::AnyInvocable<void()> done) {
  const bool changed = sets_.SetConfigured(source, kind, job, std::move(groups));
  CountSource(source);
  ReconcileJobs(changed ? std::vector<std::string>{job} : std::vector<std::string>{},
                std::move(done));
}

void Discovery::CountLimit(std::string_view limit) {
  deps_.metrics.limit_hits_total.Increment({limit});
}

void Discovery::CountResult(const std::string& source, const ApplyResult& result) {
  for (const Issue& issue : result.issues) {
    if (!issue.limit.empty()) CountLimit(issue.limit);
  }
  for (const std::string& job : result.newly_pending_jobs) {
    LogWarn("Job is not in the running configuration, its targets are held as pending",
            {{"source", source},
             {"job", job},
             {"known", PresentableText(absl::StrJoin(sets_.known_jobs(), ", "), kMaxLoggedBytes)}});
  }
  if (result.refusals_forgotten) CountLimit("refused");
  if (result.newly_held == 0) return;
  deps_.metrics.removals_held_total.Increment({source}, static_cast<double>(result.newly_held));
  LogWarn("Removals are held, targets are still scraped",
          {{"source", source}, {"targets", result.newly_held}});
}

void Discovery::CountStanding(const std::string& source) {
  using Standing = SourceView::Standing;
  const std::optional<Standing> standing = sets_.StandingOf(source, Now());
  // True if it is new.
  const auto count = [&](std::set<std::string>& sources, Standing counted) {
    if (standing == counted) return sources.insert(source).second;
    sources.erase(source);
    return false;
  };
  count(withheld_, Standing::kHeld);
  if (count(orphaned_, Standing::kOrphaned)) {
    LogWarn("Source is orphaned: nobody was heard, its targets are kept", {{"source", source}});
  }
  deps_.metrics.withheld_sources.Set(static_cast<double>(withheld_.size()));
  deps_.metrics.orphaned_sources.Set(static_cast<double>(orphaned_.size()));
}

void Discovery::CountSource(const std::string& source) {
  CountGroups(source);
  deps_.metrics.sources.Set(static_cast<double>(sets_.source_count()));
  deps_.metrics.pending_groups.Set(static_cast<double>(sets_.PendingGroups()));
}

void Discovery::CountGroups(const std::string& source) {
  const std::optional<SourceCounts> counts = sets_.CountsOf(source);
  if (counts) {
    deps_.metrics.groups.Set({source}, static_cast<double>(counts->groups));
    deps_.metrics.targets.Set({source}, static_cast<double>(counts->targets));
    deps_.metrics.held_targets.Set({source}, static_cast<double>(counts->held));
  } else {
    deps_.metrics.RemoveSource(source);
  }
}

}  // namespace trawl
