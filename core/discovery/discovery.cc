#include "core/discovery/discovery.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"

namespace trawl {
namespace {

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
    : options_(options), deps_(std::move(deps)), sets_(options.sets, deps_.journal) {}

void Discovery::Restore(std::vector<RestoredSource> sources) {
  std::set<std::string> jobs;
  for (RestoredSource& restored : sources) {
    const std::string name = restored.source;
    for (const auto& [group, unused] : restored.state.groups) jobs.insert(group.job);
    sets_.Restore(std::move(restored), Now());
    ArmLease(name);
    CountGroups(name);
  }
  deps_.metrics.sources.Set(static_cast<double>(sets_.source_count()));
  ReconcileJobs({jobs.begin(), jobs.end()}, {});
}

Discovery::~Discovery() {
  for (auto& [source, timer] : lease_timers_) deps_.loop.Cancel(timer);
}

TargetSets::Now Discovery::Now() const {
  return {deps_.loop.clock().Now(), deps_.loop.clock().Steady()};
}

void Discovery::ApplyAsync(Change change, ApplyCallback done) {
  deps_.loop.Post([this, change = std::move(change), done = std::move(done)]() mutable {
    Apply(std::move(change), 0, std::move(done));
  });
}

void Discovery::Apply(Change change, uint64_t stream_id, ApplyCallback done) {
  const std::string source = change.source;
  const uint64_t holder = sets_.Holder(source);
  const Change::Scope scope = change.scope;
  ApplyResult result = sets_.Apply(change, Now());
  // A rejected change must not make a metric for each name that a stranger thinks up.
  const std::string counted = sets_.CountsOf(source) ? source : "";
  deps_.metrics.updates_total.Increment({counted, KindName(scope), StatusName(result.status)});
  if (result.status == ApplyStatus::kRejected || change.dry_run) return done(std::move(result));
  if (stream_id == 0 && holder != 0) {
    // A unary call with a higher token took the source over from its stream.
    sets_.EndStream(source, holder);
    Displace(holder, true);
  }
  ArmLease(source);
  CountSource(source);
  const std::vector<std::string> jobs = result.changed_jobs;
  // The session may have ended by the time its loops are told: it is looked up again.
  auto answer = [this, stream_id, result = std::move(result), done = std::move(done)]() mutable {
    if (stream_id != 0 && !streams_.contains(stream_id)) return;
    done(std::move(result));
  };
  ReconcileJobs(jobs, std::move(answer));
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
  deps_.loop.Post([this, source = std::move(source), options, done = std::move(done)]() mutable {
    const uint64_t holder = sets_.Holder(source);
    absl::StatusOr<ApplyResult> result = sets_.Release(source, options);
    if (!result.ok()) return done(std::move(result));
    if (holder != 0 && options.force && !options.dry_run) Displace(holder, false);
    ArmLease(source);
    CountSource(source);
    const std::vector<std::string> jobs = result->changed_jobs;
    ReconcileJobs(jobs, [result = std::move(result), done = std::move(done)]() mutable {
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
    if (streams_.size() >= options_.max_streams) {
      peer.Finish(absl::ResourceExhaustedError(
          absl::StrCat("at most ", options_.max_streams, " streams are served")));
      return;
    }
    streams_[stream_id] = std::make_unique<SyncSession>(*this, stream_id, peer);
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

bool Discovery::ReserveStaged(uint64_t bytes) {
  if (staged_bytes_ + bytes > options_.max_staged_bytes) return false;
  staged_bytes_ += bytes;
  return true;
}

void Discovery::ReleaseStaged(uint64_t bytes) { staged_bytes_ -= bytes; }

// --- leases

void Discovery::ArmLease(const std::string& source) {
  const bool armed = lease_timers_.contains(source);
  const std::optional<LeasePolicy> lease = sets_.Lease(source);
  if (!lease || !lease->remove_on_expiry) {
    if (armed) {
      deps_.loop.Cancel(lease_timers_[source]);
      lease_timers_.erase(source);
    }
    return;
  }
  // One that is armed looks at what was heard when it fires, and goes on waiting.
  if (armed) return;
  lease_timers_[source] = deps_.loop.RunAfter(lease->ttl.value_or(options_.default_lease),
                                              [this, source] { OnLeaseTimer(source); });
}

void Discovery::OnLeaseTimer(const std::string& source) {
  lease_timers_.erase(source);
  const std::optional<LeasePolicy> lease = sets_.Lease(source);
  if (!lease || !lease->remove_on_expiry) return;
  const absl::Duration left = sets_.LastHeard(source) +
                              lease->ttl.value_or(options_.default_lease) -
                              deps_.loop.clock().Steady();
  if (left > absl::ZeroDuration()) {
    lease_timers_[source] = deps_.loop.RunAfter(left, [this, source] { OnLeaseTimer(source); });
    return;
  }
  ApplyResult result = sets_.Expire(source);
  if (result.counts.removed > 0) {
    LogWarn("Lease expired, targets removed",
            {{"source", source}, {"targets", result.counts.removed}});
  }
  CountSource(source);
  ReconcileJobs(result.changed_jobs, {});
}

// --- configuration

void Discovery::SetKnownJobsAsync(std::vector<std::string> jobs, absl::AnyInvocable<void()> done) {
  deps_.loop.Post([this, jobs = std::move(jobs), done = std::move(done)]() mutable {
    sets_.SetKnownJobs(std::move(jobs));
    deps_.metrics.pending_groups.Set(static_cast<double>(sets_.PendingGroups()));
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
  } else {
    deps_.metrics.RemoveSource(source);
  }
}

}  // namespace trawl
