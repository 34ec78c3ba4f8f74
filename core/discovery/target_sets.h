#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/change_plan.h"
#include "core/discovery/desired_jobs.h"
#include "core/discovery/desired_targets.h"
#include "core/discovery/source.h"
#include "core/discovery/source_view.h"
#include "core/discovery/state_journal.h"
#include "core/discovery/state_record.h"

namespace trawl {

// What a Sync stream's Hello asks, and what the sets answer (discovery-protocol.md 3, 4, 8).
struct StreamHello {
  std::string source;
  std::string instance;
  std::optional<uint64_t> fencing_token;
  std::string history_id;
  uint64_t version = 0;
  std::optional<LeasePolicy> lease;
  std::shared_ptr<const JobFilter> may_write;  // of all that the stream brings; null: every job
  std::string peer;
  uint64_t stream_id = 0;  // unique in the process
};

enum class SyncNeed { kNothing = 1, kDelta = 2, kSnapshot = 3 };

struct HelloResult {
  // OK, or why the stream must end: kAborted (another holds the source), kInvalidArgument,
  // kPermissionDenied, kResourceExhausted (also: there is no disk to keep the token or the lease).
  absl::Status status;
  std::string_view limit;  // that was hit, as the counter names it
  bool fenced = false;     // a higher token was seen
  uint64_t displaced = 0;  // the stream that lost the source to this one; 0: none
  bool outranked = false;  // ... because this one's token is higher
  SyncNeed need = SyncNeed::kSnapshot;
  uint64_t applied_version = 0;
  std::string history_id;
  std::vector<Issue> refused;
  SourceCounts counts;
  bool withheld = false;  // still: restored, and what the client holds is not what was applied
  std::vector<std::string> changed_jobs;  // of a source that was withheld and is no more
};

// Who wants which targets: (source, job, group key) → group, for every source. The state behind
// the discovery service; pure: no clock, no thread, and no I/O but the journal's.
//
// Guarantees (discovery-protocol.md):
//   1. A CHANGE IS APPLIED WHOLE OR NOT AT ALL; with allow_partial, but for the groups named in
//      the issues, which keep their last good content.
//   2. SOURCES NEVER TOUCH EACH OTHER'S GROUPS. What a job gets is the union over the sources.
//   3. Repeating a versioned change changes nothing (kNoop); a gap asks for a resync.
//   4. The higher fencing token wins; the loser's changes are rejected.
//   5. Groups that did not change keep their object: who compares pointers sees what changed.
//   6. WHAT IS ANSWERED IS KEPT: with a journal, a pushed source's change is recorded before
//      anything is touched; one that can't be is rejected (kNotPersisted).
//   7. REMOVALS THAT LOOK LIKE A MISTAKE ARE HELD (ShrinkGuard): listed apart, counted, and wanted
//      as before, until they are confirmed, or their pusher was heard for long enough.
//   8. A source that is withheld is listed, and nothing of it is wanted.
//
// One thread.
class TargetSets {
 public:
  struct Options {
    PlanOptions plan;
    size_t max_sources = 1000;  // pushed ones
    // Of a source's name, an instance and a history id; a pusher that divides its source has the
    // addresses of its trawlds in it.
    size_t max_id_bytes = 16 << 10;
    absl::Duration min_lease = absl::Seconds(1);  // a shorter one is refused
    size_t max_issues = 100;      // listed in an answer; the true number is given too
    size_t max_refused = 10'000;  // refused groups that a source's state remembers
    // Of leases that state no length. A pusher counts as heard for so long after each message: time
    // in which held removals wait.
    absl::Duration default_lease = absl::Minutes(1);
    absl::Duration silent_after = absl::Hours(1);  // then a source is orphaned
  };
  using Now = DiscoveryTime;

  // Without a journal nothing is kept. It outlives the sets.
  explicit TargetSets(const Options& options, StateJournal* journal = nullptr)
      : options_(options), journal_(journal) {}

  // A source as the journal kept it, before anything was said of it. Its lease starts anew, and
  // the time that its held removals wait. `withhold`: it may be too old to be scraped.
  void Restore(RestoredSource restored, bool withhold, const Now& now);
  // Records which sources are withheld, so that the next start does not take them for confirmed.
  absl::Status KeepWithheld();
  // Records what the journal has lost.
  absl::Status KeepLost();

  // The one way to change a pushed source.
  ApplyResult Apply(const Change& change, const Now& now);

  HelloResult Hello(const StreamHello& hello, const Now& now);
  // The stream ended; its source keeps everything.
  void EndStream(const std::string& source, uint64_t stream_id);
  // A pushed source of which there is nothing to remember, neither content nor history nor fence,
  // and that no stream holds: from now on it is as if it had never been.
  void ForgetIfBlank(const std::string& source);
  // The pusher spoke: its lease starts anew. Whatever the holder says on its stream counts, also
  // what is rejected; of unary calls those that are accepted.
  void Heard(const std::string& source, const Now& now);
  // The id of the stream that holds a source; 0: none.
  uint64_t Holder(const std::string& source) const;
  uint64_t AppliedVersion(const std::string& source) const;
  bool Withheld(const std::string& source) const;
  std::string HistoryId(const std::string& source) const;
  // What who is at `version` of a history has to say for the source to be there as well.
  SyncNeed NeedOf(const std::string& source, const std::string& history_id, uint64_t version) const;
  std::optional<SourceCounts> CountsOf(const std::string& source) const;  // unset: no such source
  size_t source_count() const { return sources_.size(); }
  // Groups that would be scraped if the running configuration had their jobs. O(jobs).
  size_t PendingGroups() const;
  // Unset: no such source.
  std::optional<LeasePolicy> Lease(const std::string& source) const;
  // When the source's targets go if nothing is heard, on the steady clock. Unset: never, or they
  // went. May be over.
  std::optional<absl::Duration> LeaseEnd(const std::string& source) const;

  // Gives a source up. kNotFound; kFailedPrecondition while another holds it (unless `force`);
  // kPermissionDenied; kUnavailable: it can't be recorded.
  struct ReleaseOptions {
    std::optional<uint64_t> fencing_token;
    bool remove_targets = false;
    bool force = false;
    bool dry_run = false;
    // Every job that the source has must be among them; null: every job.
    std::shared_ptr<const JobFilter> may_write = nullptr;
  };
  absl::StatusOr<ApplyResult> Release(const std::string& source, const ReleaseOptions& options);
  // A lease with removal ran out: the targets go, and the history with them, also if that can't
  // be recorded: a restart finds them then, and starts the lease anew.
  ApplyResult Expire(const std::string& source);

  // An operator decides about what is held. kNotFound; kInvalidArgument; kUnavailable: it can't
  // be recorded. The source's version does not change: its pusher removed the targets long ago.
  struct AcceptOptions {
    enum class What {
      kUnspecified = 0,
      kRemovals = 1,         // they are carried out
      kRestored = 2,         // the source is withheld no longer
      kDiscardRemovals = 3,  // the targets stay until an update removes them again
    };
    What what = What::kUnspecified;
    std::vector<std::string> jobs;  // empty: all
    bool dry_run = false;
  };
  absl::StatusOr<ApplyResult> AcceptHeld(const std::string& source, const AcceptOptions& options,
                                         const Now& now);
  // Carries out the held removals whose time is over. kUnavailable: it can't be recorded.
  absl::StatusOr<ApplyResult> CarryOutDue(const std::string& source, const Now& now);
  // When that is, if the pusher is heard until then. Unset: nothing waits, or the pusher is not
  // heard now.
  std::optional<absl::Duration> NextDue(const std::string& source, const Now& now) const;

  // Refused groups that the stream which holds the source is to be asked for, once each time that
  // there is a reason: a restart, a reload, or room that came. Empty: none, or no stream.
  std::vector<GroupName> TakeWanted(const std::string& source);

  // Makes `source` one of the configuration's own: from now on nobody can push to it.
  void Claim(const std::string& source, SourceView::Kind kind);
  // Replaces what one of the configuration's own sources (static, file) wants for one job.
  // False if nothing changed. Never held, never versioned.
  bool SetConfigured(const std::string& source, SourceView::Kind kind, const std::string& job,
                     std::vector<TargetGroup> groups);

  // The running configuration's jobs: decides what is pending. Refused groups may be wanted now.
  void SetKnownJobs(std::vector<std::string> jobs);
  const std::vector<std::string>& known_jobs() const { return known_jobs_; }

  // Costs what changed since it was last asked for.
  std::shared_ptr<const DesiredTargets> Desired(const std::string& job) const {
    return desired_.Get(job);
  }
  std::vector<SourceView> Sources(const Now& now) const;
  std::vector<std::string> SourceNames() const;
  // Unset: no such source.
  std::optional<SourceView::Standing> StandingOf(const std::string& source, const Now& now) const;
  struct GroupView {
    std::string source;
    GroupName name;
    std::shared_ptr<const TargetGroup> group;  // listed; null: all of it is held
    std::shared_ptr<const HeldGroup> held;     // null: nothing is
    const Issue* refused = nullptr;            // why its newest content was; valid for the call
    bool pending = false;
  };
  // Ordered by (source, job, key), those after `after`; empty filters match all.
  struct GroupPosition {
    std::string source;
    GroupName name;
  };
  std::vector<GroupView> Groups(const std::string& source, const std::string& job,
                                const std::optional<GroupPosition>& after, size_t limit) const;

 private:
  const Source* Find(const std::string& source) const;
  ApplyResult Unchanged(const Source& source) const;
  // Why a change is refused whatever it changes, or there is no room for one more source; unset:
  // it is not.
  std::optional<Issue> CheckChange(const Change& change, const Source* known) const;
  std::optional<Issue> CheckHello(const StreamHello& hello, const Source* known) const;
  std::optional<Issue> CheckRoom(const Source* known) const;
  ApplyResult Reject(ApplyResult result, Issue issue) const;
  ApplyResult NotPersisted(const Source& before, const absl::Status& status) const;
  ApplyResult Repeat(const Change& change, const Source& before, const Now& now);
  ApplyResult Carry(const Change& change, const Source& before, ChangePlan plan, const Now& now);
  // What the change makes of a source. A renewal changes the head alone.
  static StateDelta Renewal(const Change& change, const Source& before);
  StateDelta DeltaOf(const Change& change, const ChangePlan& plan, const Source& before,
                     ApplyResult& result) const;
  bool Remembers(const Issue& refused, const Source& before) const;
  // OK at once when the delta changes nothing.
  absl::Status Record(const std::string& name, const Source& before, const StateDelta& delta);
  absl::Status Forget(const std::string& name);
  // In memory, with what is desired. The jobs that changed.
  std::vector<std::string> Settle(const std::string& name, const StateDelta& delta,
                                  const std::set<GroupName>& newly_held, const Now& now);
  std::vector<std::string> Empty(const std::string& name, const StateDelta& delta);
  // Says anew what the source wants of these groups. Their jobs.
  std::vector<std::string> Index(const std::string& name, const std::set<GroupName>& groups);
  StateDelta Accept(const Source& source, const AcceptOptions& options) const;
  absl::StatusOr<ApplyResult> CarryOut(const std::string& name, const StateDelta& delta,
                                       const Now& now);
  void TellHeld(const ChangePlan& plan, const Now& now, ApplyResult& result) const;
  // Returns them.
  std::set<std::string> WarnUnknownJobs(const Change& change, ApplyResult& result) const;
  std::string ListKnownJobs(const std::shared_ptr<const JobFilter>& may_write) const;
  static void WarnLease(const std::string& job, ApplyResult& result);
  void FinishIssues(ApplyResult& result) const;
  SourceView::Standing StandingOf(const Source& source, const Now& now) const;
  SourceView ViewOf(const std::string& name, const Source& source, const Now& now) const;
  bool Known(const std::string& job) const;

  const Options options_;
  StateJournal* const journal_;
  std::map<std::string, Source> sources_;
  DesiredJobs desired_;                  // what the sources' groups come to
  std::vector<std::string> known_jobs_;  // sorted
};

}  // namespace trawl
