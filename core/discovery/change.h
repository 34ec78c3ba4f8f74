#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/model/target_group.h"

// The vocabulary of discovery without protobuf: what a source asks for, and what came of it.
// Field by field the messages of trawl.discovery.v1, where each is explained.

namespace trawl {

// A group within a source.
struct GroupName {
  std::string job;
  std::string key;
  friend auto operator<=>(const GroupName&, const GroupName&) = default;
};

struct JobGroup {
  std::string job;
  TargetGroup group;
};

// Numbered as trawl.discovery.v1.Issue.Code.
enum class IssueCode {
  kUnspecified = 0,
  kUnknownJob = 1,
  kBadAddress = 2,
  kBadLabelName = 3,
  kBadLabelValue = 4,
  kDuplicateTarget = 5,
  kDuplicateGroup = 6,
  kLimit = 7,
  kNotOwner = 8,
  kRemovalsHeld = 9,
  kVersionGap = 10,
  kStaleVersion = 11,
  kTooLarge = 12,
  kCountMismatch = 13,
  kFenced = 14,
  kMissingField = 15,
  kVersionConflict = 16,
  kNoSnapshot = 17,
  kNotPersisted = 18,
  kHeldByOther = 19,
  kOutOfRange = 20,
  kUnknownSource = 21,
};

// Something wrong (error) or doubtful (warning) in a request.
struct Issue {
  bool error = true;
  IssueCode code = IssueCode::kUnspecified;
  GroupName group;
  int target_index = -1;  // -1: the whole group
  std::string field;      // path in the request: "groups[3].targets[0]"; "" for the request itself
  std::string detail;
  std::string_view limit;  // the limit that was hit, as the counter names it; not kept on disk
};

// "groups[3].targets[0]: "a/b" is not a valid hostname"
std::string DescribeIssue(const Issue& issue);

// Numbers of one source. All but `groups` count targets (addresses in groups).
struct SourceCounts {
  uint64_t groups = 0;
  uint64_t targets = 0;
  uint64_t added = 0;
  uint64_t removed = 0;
  uint64_t unchanged = 0;
  uint64_t held = 0;  // removed, and scraped all the same
};

struct LeasePolicy {
  std::optional<absl::Duration> ttl;  // unset: the default
  bool remove_on_expiry = false;
  friend bool operator==(const LeasePolicy&, const LeasePolicy&) = default;
};

// Which jobs a client may write: not all of a source's, where access rules say so. Thread-safe.
using JobFilter = std::function<bool(std::string_view job)>;
inline bool MayWrite(const std::shared_ptr<const JobFilter>& filter, std::string_view job) {
  return filter == nullptr || (*filter)(job);
}

// One atomic change that a source asks for; what Push, Update, a snapshot and a delta become.
struct Change {
  enum class Scope {
    kSource,  // snapshot: `groups` are all there is
    kJobs,    // Push: they replace what the source has in `jobs` and in the jobs they name
    kGroups,  // Update, delta: they are upserted, `remove` goes
  };

  std::string source;
  Scope scope = Scope::kGroups;
  std::vector<JobGroup> groups;
  std::vector<std::string> jobs;
  std::vector<GroupName> remove;

  std::string history_id;
  std::optional<uint64_t> base_version;
  std::optional<uint64_t> version;
  std::optional<uint64_t> fencing_token;
  bool allow_partial = false;
  bool allow_shrink = false;    // its removals are meant, and those that are held
  uint64_t source_targets = 0;  // of the whole source, if its pusher divides it; 0: it does not
  bool dry_run = false;
  std::optional<LeasePolicy> lease;
  std::shared_ptr<const JobFilter> may_write;  // null: every job
  std::string peer;                            // network address, for people
  uint64_t stream_id = 0;                      // the Sync stream it came on; 0: unary
};

enum class ApplyStatus { kApplied, kAppliedPartly, kNoop, kRejected };

struct ApplyResult {
  ApplyStatus status = ApplyStatus::kNoop;
  uint64_t applied_version = 0;
  std::vector<Issue> issues;  // errors first; capped
  uint64_t issue_count = 0;
  SourceCounts counts;
  bool resync = false;        // the pusher's idea of the applied version is wrong
  bool precondition = false;  // rejected for the source's state, not for the request's content
  uint64_t newly_held = 0;    // targets whose removal is held from now on
  // Jobs with groups that the running configuration doesn't have; each once, until it changes.
  std::vector<std::string> newly_pending_jobs;
  bool refusals_forgotten = false;  // more groups were refused than a source's state remembers
  std::vector<std::string> changed_jobs;
};

}  // namespace trawl
