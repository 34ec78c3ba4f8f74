#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/change_plan.h"
#include "core/discovery/desired_targets.h"
#include "core/discovery/group_check.h"
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
  std::string peer;
  uint64_t stream_id = 0;  // unique in the process
};

enum class SyncNeed { kNothing = 1, kDelta = 2, kSnapshot = 3 };

struct HelloResult {
  // OK, or why the stream must end: kAborted (another holds the source), kInvalidArgument,
  // kResourceExhausted, kUnavailable (the token or the lease can't be kept).
  absl::Status status;
  bool fenced = false;     // a higher token was seen
  uint64_t displaced = 0;  // the stream that lost the source to this one; 0: none
  bool outranked = false;  // ... because this one's token is higher
  SyncNeed need = SyncNeed::kSnapshot;
  uint64_t applied_version = 0;
  std::string history_id;
  std::vector<Issue> refused;
  SourceCounts counts;
};

// A source as readers see it.
struct SourceView {
  enum class Kind { kPushed = 1, kStatic = 2, kFile = 3, kHttp = 4 };
  std::string name;
  Kind kind = Kind::kPushed;
  std::string instance;
  std::string peer;
  bool connected = false;
  bool restored = false;  // from disk, and not heard of since
  uint64_t applied_version = 0;
  std::string history_id;
  std::optional<uint64_t> fencing_token;
  absl::Time last_heard = absl::InfinitePast();  // wall clock
  absl::Duration last_heard_steady;              // steady clock
  LeasePolicy lease;
  SourceCounts counts;
  std::vector<Issue> refused;
  std::vector<std::string> pending_jobs;  // with groups, but not in the running config
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
//
// One thread.
class TargetSets {
 public:
  struct Options {
    GroupLimits group;
    size_t max_sources = 1000;
    size_t max_groups_per_source = 1'000'000;
    size_t max_targets_per_source = 1'000'000;
    size_t max_issues = 100;  // listed in an answer; the true number is given too
  };
  struct Now {
    absl::Time wall;
    absl::Duration steady;
  };

  // Without a journal nothing is kept. It outlives the sets.
  explicit TargetSets(const Options& options, StateJournal* journal = nullptr)
      : options_(options), journal_(journal) {}

  // A source as the journal kept it, before anything was said of it. Its lease starts anew.
  void Restore(RestoredSource restored, const Now& now);

  // The one way to change a pushed source.
  ApplyResult Apply(const Change& change, const Now& now);

  HelloResult Hello(const StreamHello& hello, const Now& now);
  // The stream ended; its source keeps everything.
  void EndStream(const std::string& source, uint64_t stream_id);
  // Any accepted message renews the lease.
  void Heard(const std::string& source, const Now& now);
  // The id of the stream that holds a source; 0: none.
  uint64_t Holder(const std::string& source) const;
  uint64_t AppliedVersion(const std::string& source) const;
  std::string HistoryId(const std::string& source) const;
  std::optional<SourceCounts> CountsOf(const std::string& source) const;  // unset: no such source
  size_t source_count() const { return sources_.size(); }
  // Groups of jobs that the running configuration does not have. O(jobs with groups).
  size_t PendingGroups() const;
  // Unset: no such source.
  std::optional<LeasePolicy> Lease(const std::string& source) const;
  absl::Duration LastHeard(const std::string& source) const;  // steady clock

  // Gives a source up. kNotFound; kFailedPrecondition while another holds it (unless `force`);
  // kUnavailable: it can't be recorded.
  struct ReleaseOptions {
    std::optional<uint64_t> fencing_token;
    bool remove_targets = false;
    bool force = false;
    bool dry_run = false;
  };
  absl::StatusOr<ApplyResult> Release(const std::string& source, const ReleaseOptions& options);
  // A lease with removal ran out: the targets go, and the history with them, also if that can't
  // be recorded: a restart finds them then, and starts the lease anew.
  ApplyResult Expire(const std::string& source);

  // Makes `source` one of the configuration's own: from now on nobody can push to it.
  void Claim(const std::string& source, SourceView::Kind kind);
  // Replaces what one of the configuration's own sources (static, file) wants for one job.
  // False if nothing changed. Never held, never versioned.
  bool SetConfigured(const std::string& source, SourceView::Kind kind, const std::string& job,
                     std::vector<TargetGroup> groups);

  // The running configuration's jobs: decides what is pending.
  void SetKnownJobs(std::vector<std::string> jobs);
  const std::vector<std::string>& known_jobs() const { return known_jobs_; }

  std::shared_ptr<const DesiredTargets> Desired(const std::string& job) const;
  std::vector<SourceView> Sources() const;
  struct GroupView {
    std::string source;
    std::string job;
    std::shared_ptr<const TargetGroup> group;
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
  // What of it is pushed and kept, and what ends with the process.
  struct Source : SourceState {
    SourceView::Kind kind = SourceView::Kind::kPushed;
    uint64_t targets = 0;
    std::string instance;
    std::string peer;
    uint64_t stream_id = 0;
    absl::Time last_heard = absl::InfinitePast();
    absl::Duration last_heard_steady;
    bool restored = false;
  };
  ApplyResult Reject(ApplyResult result, IssueCode code, std::string detail) const;
  bool CheckHolder(const Change& change, const Source& source, ApplyResult& result) const;
  // True when the change is to go on; otherwise `result` is final (no-op or rejected).
  bool CheckVersion(const Change& change, const Source& source, ApplyResult& result) const;
  bool MendsRefused(const Change& change, const Source& source) const;
  bool CheckLimits(const Change& change, const ChangePlan& plan, ApplyResult& result) const;
  // What the change makes of a source. A renewal changes the head alone.
  static StateDelta Renewal(const Change& change, const Source& before);
  static StateDelta DeltaOf(const Change& change, const ChangePlan& plan, const Source& before);
  // OK at once when the delta changes nothing.
  absl::Status Record(const std::string& name, const Source& before, const StateDelta& delta);
  absl::Status Forget(const std::string& name);
  void Commit(const Change& change, const ChangePlan& plan, const StateDelta& delta);
  // Of a delta that removes all: the jobs that lost groups.
  std::vector<std::string> Empty(const std::string& name, const StateDelta& delta);
  void WarnUnknownJobs(const Change& change, ApplyResult& result) const;
  void FinishIssues(ApplyResult& result) const;
  SourceCounts Counts(const Source& source) const;
  bool Known(const std::string& job) const;

  const Options options_;
  StateJournal* const journal_;
  std::map<std::string, Source> sources_;
  // job → sources that have groups in it: what Desired looks at.
  std::map<std::string, std::set<std::string>> job_sources_;
  std::vector<std::string> known_jobs_;  // sorted
};

}  // namespace trawl
