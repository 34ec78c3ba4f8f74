#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/discovery/sync_session.h"
#include "core/discovery/target_sets.h"
#include "core/telemetry/discovery_metrics.h"

namespace trawl {

// The discovery state and everything that changes it, on one event loop: pushes, streams, leases,
// and the configuration's own sources. What a change comes to is handed to the manager; a change
// is answered when the manager has told its loops.
//
// The methods named "...Async" are thread-safe and run their callback on the discovery loop;
// the others are for the discovery loop.
class Discovery {
 public:
  static constexpr int kSilentHeartbeats = 3;

  struct Options {
    TargetSets::Options sets;
    uint64_t max_staged_bytes = 256 << 20;              // all snapshots under way, together
    absl::Duration staged_timeout = absl::Seconds(30);  // without a part
    uint32_t max_in_flight = 16;
    uint32_t max_message_bytes = 4 << 20;
    size_t max_wanted = 1000;   // refused groups that one message asks for; the next has the rest
    size_t max_streams = 1000;  // that said Hello; and so many that did not yet
    absl::Duration hello_timeout = absl::Seconds(10);
    // A stream that was silent for kSilentHeartbeats of them ends.
    absl::Duration heartbeat_interval = absl::Seconds(10);
    // For leases that give no length; and how long a pusher counts as heard after a message, which
    // is time that removals under the shrink guard wait.
    absl::Duration default_lease = absl::Seconds(60);
    absl::Duration persist_retry = absl::Seconds(5);  // a pusher's, when the disk is full
    // What was not known to run for longer does not scrape what it knew before it is confirmed.
    absl::Duration max_restored_age = absl::Hours(1);
    // How often it is noted that the process runs, and looked for what time has brought.
    absl::Duration tick = absl::Minutes(1);
    uint64_t max_request_bytes = 32 << 20;  // of unary calls
  };
  // Takes a job's new targets; runs `done`, on any thread, when its loops were told.
  using Reconcile = absl::AnyInvocable<void(std::shared_ptr<const DesiredTargets> targets,
                                            absl::AnyInvocable<void()> done)>;
  struct Deps {
    EventLoop& loop;
    Reconcile reconcile;
    DiscoveryMetrics& metrics;
    // Keeps what is pushed, written on the loop before it is applied; null: nothing is kept.
    StateJournal* journal = nullptr;
  };

  Discovery(const Options& options, Deps deps);
  ~Discovery();

  // What the journal kept, on the loop, before anything else; and when the last process noted
  // that it ran, if it is known.
  void Restore(std::vector<RestoredSource> sources, std::optional<absl::Time> last_running);

  using ApplyCallback = absl::AnyInvocable<void(ApplyResult)>;
  void ApplyAsync(Change change, ApplyCallback done);
  using ReleaseCallback = absl::AnyInvocable<void(absl::StatusOr<ApplyResult>)>;
  void ReleaseAsync(std::string source, TargetSets::ReleaseOptions options, ReleaseCallback done);
  void AcceptHeldAsync(std::string source, TargetSets::AcceptOptions options, ReleaseCallback done);
  // Runs a read on the loop: the sets may be looked at, not kept.
  void ReadAsync(absl::AnyInvocable<void(const TargetSets&)> read);

  // Streams. The peer must outlive its session; CloseStream ends the session and may be called
  // at any time, `closed` runs when the peer is not used any more.
  void OpenStreamAsync(uint64_t stream_id, SyncPeer& peer);
  void StreamMessageAsync(uint64_t stream_id, SyncInput input);
  void StreamHalfCloseAsync(uint64_t stream_id);
  void CloseStreamAsync(uint64_t stream_id, absl::AnyInvocable<void()> closed);
  // Ids for streams, unique in the process. Thread-safe.
  uint64_t NextStreamId() { return next_stream_id_.fetch_add(1); }
  // Every stream gets a Goaway and ends.
  void ShutdownAsync(absl::AnyInvocable<void()> done);

  // The configuration's jobs; jobs that came or went are reconciled anew.
  void SetKnownJobsAsync(std::vector<std::string> jobs, absl::AnyInvocable<void()> done);
  // --- for SyncSession and ConfigSources, on the loop
  void SetConfigured(const std::string& source, SourceView::Kind kind, const std::string& job,
                     std::vector<TargetGroup> groups, absl::AnyInvocable<void()> done);
  const Options& options() const { return options_; }
  TargetSets& sets() { return sets_; }
  EventLoop& loop() { return deps_.loop; }
  TargetSets::Now Now() const;
  // Applies, counts, reconciles; `done` runs on the loop when the loops were told (at once if
  // nothing changed).
  void Apply(const Change& change, uint64_t stream_id, ApplyCallback done);
  // Room for a stream that holds `source` from now on; one that takes it over has the other's.
  bool ReserveStream(const std::string& source);
  void ReleaseStream();
  // The stream said its Hello, or ended without. More than once is as good as once.
  void EndWaiting(uint64_t stream_id) { waiting_.erase(stream_id); }
  // A stream of the source ended.
  void EndStream(const std::string& source, uint64_t stream_id);
  // Looks at a stream's silence behind all that came before: after a long write timers are first.
  void CheckSilenceSoon(uint64_t stream_id);
  bool ReserveStaged(uint64_t bytes);
  void ReleaseStaged(uint64_t bytes);
  void Displace(uint64_t stream_id, bool fenced);
  // The source's lease and its held removals, after it was heard or changed.
  void ArmTimers(const std::string& source);
  // What follows from each change of a source, whoever made it and whatever it is: what is
  // forgotten, timers, counts, and the manager of these jobs. `done` runs on the loop when its
  // loops were told (at once without jobs).
  void Follow(const std::string& source, const std::vector<std::string>& jobs,
              absl::AnyInvocable<void()> done);
  void CountLimit(std::string_view limit);

 private:
  static TargetSets::Options SetsOptions(const Options& options);
  void ReconcileJobs(const std::vector<std::string>& jobs, absl::AnyInvocable<void()> done);
  void ArmLease(const std::string& source);
  void OnLeaseTimer(const std::string& source);
  void ExpireLease(const std::string& source);
  void ArmHold(const std::string& source);
  void OnHoldTimer(const std::string& source);
  void OnTick();
  void NoteRunning();
  void AskAllAgain();
  void CountStanding(const std::string& source);
  void CountResult(const std::string& source, const ApplyResult& result);
  void CountSource(const std::string& source);
  void CountGroups(const std::string& source);

  // Constant after construction.
  const Options options_;
  Deps deps_;

  std::atomic<uint64_t> next_stream_id_{1};

  // Owned by the loop's thread.
  TargetSets sets_;
  std::map<uint64_t, std::unique_ptr<SyncSession>> streams_;
  struct LeaseTimer {
    TimerId id = 0;
    absl::Duration due;  // steady clock; not later than the lease ends
  };
  std::map<std::string, LeaseTimer> lease_timers_;
  std::map<std::string, TimerId> hold_timers_;
  std::set<std::string> withheld_, orphaned_;  // sources that stand so, as they were last counted
  TimerId tick_timer_ = 0;
  const std::shared_ptr<void> alive_ = std::make_shared<char>();  // for what is posted
  bool note_failing_ = false;                                     // said once
  uint64_t staged_bytes_ = 0;
  size_t held_streams_ = 0;     // that said Hello, and did not end
  std::set<uint64_t> waiting_;  // streams that did not say Hello yet, oldest first
};

}  // namespace trawl
