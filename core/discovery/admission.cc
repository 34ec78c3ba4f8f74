#include "core/discovery/admission.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"
#include "core/discovery/change_plan.h"

namespace trawl {
namespace {

using Verdict = Admission::Verdict;

// trawld numbers on behind what a pusher gave, and never comes to the end.
constexpr uint64_t kMaxVersion = uint64_t{1} << 63;

Admission Rejected(IssueCode code, std::string detail, bool resync = false) {
  return {Verdict::kRejected, code, std::move(detail), resync};
}

Admission CheckHolder(const Change& change, const Source& source) {
  if (source.kind != SourceView::Kind::kPushed) {
    return Rejected(IssueCode::kNotOwner, absl::StrCat("source ", GoQuote(change.source),
                                                       " belongs to the configuration file"));
  }
  const bool from_holder = change.stream_id != 0 && change.stream_id == source.stream_id;
  if (from_holder) return {};
  if (change.stream_id != 0) {
    return Rejected(IssueCode::kFenced, "another client took the source over");
  }
  if (source.fencing_token &&
      (!change.fencing_token || *change.fencing_token < *source.fencing_token)) {
    return Rejected(IssueCode::kFenced,
                    absl::StrCat("the source is fenced with token ", *source.fencing_token));
  }
  const bool higher = change.fencing_token &&
                      (!source.fencing_token || *change.fencing_token > *source.fencing_token);
  if (source.stream_id != 0 && !higher) {
    return Rejected(IssueCode::kHeldByOther,
                    absl::StrCat("a stream of instance ", GoQuote(source.instance), " (",
                                 source.peer, ") holds the source"));
  }
  return {};
}

bool MendsRefused(const Change& change, const Source& source) {
  return change.scope == Change::Scope::kGroups && change.remove.empty() &&
         !change.groups.empty() &&
         std::all_of(change.groups.begin(), change.groups.end(), [&](const JobGroup& g) {
           return source.refused.contains({g.job, g.group.key});
         });
}

// It is the change that made the applied version, said again.
bool IsLast(const Change& change, const Source& source) {
  return change.version && *change.version == source.version &&
         change.history_id == source.history_id && ContentDigest(change) == source.last_digest;
}

bool Confirms(const Change& change, const Source& source) {
  return change.allow_shrink && !source.held.empty();
}

Admission CheckBase(const Change& change, const Source& source) {
  if (!change.base_version || *change.base_version == source.version) return {};
  return Rejected(IssueCode::kVersionGap,
                  absl::StrFormat("base version %d is not the applied version %d",
                                  *change.base_version, source.version),
                  true);
}

// Of the whole source is a snapshot; and a Push, where there is nothing that it could leave.
Admission CheckHistory(const Change& change, const Source& source) {
  const bool nothing_there = source.groups.empty() && source.refused.empty() && source.held.empty();
  if (change.scope == Change::Scope::kSource) return {};
  if (change.scope == Change::Scope::kJobs && nothing_there) return {};
  return Rejected(IssueCode::kVersionGap,
                  absl::StrCat("the source's applied state is of ",
                               source.history_id.empty() ? "no history"
                                                         : "history " + GoQuote(source.history_id),
                               ": a snapshot is needed"),
                  true);
}

Admission CheckVersion(const Change& change, const Source& source) {
  if (change.history_id.empty() == change.version.has_value()) {
    return Rejected(IssueCode::kMissingField,
                    "history_id and version go together: set both or none");
  }
  if (change.version && *change.version > kMaxVersion) {
    return Rejected(IssueCode::kOutOfRange, absl::StrFormat("version %d is above the largest, %d",
                                                            *change.version, kMaxVersion));
  }
  const bool last = IsLast(change, source);  // its base is the one before
  if (Admission base = CheckBase(change, source); base.verdict == Verdict::kRejected && !last) {
    return base;
  }
  if (!change.version) return {};
  if (change.history_id != source.history_id) return CheckHistory(change, source);
  if (*change.version > source.version) return {};
  if (*change.version < source.version) {
    return Rejected(IssueCode::kStaleVersion,
                    absl::StrFormat("version %d is older than the applied version %d",
                                    *change.version, source.version));
  }
  if (last) {
    return {.verdict = Confirms(change, source) ? Verdict::kGoesOn : Verdict::kRepeated,
            .detail = {}};
  }
  if (change.scope == Change::Scope::kSource || MendsRefused(change, source)) return {};
  return Rejected(
      IssueCode::kVersionConflict,
      absl::StrFormat("version %d is applied already, with other content", *change.version));
}

}  // namespace

std::optional<Issue> CheckId(std::string_view field, std::string_view id, size_t max_bytes) {
  if (id.size() <= max_bytes) return std::nullopt;
  Issue issue;
  issue.code = IssueCode::kTooLarge;
  issue.field = field;
  issue.limit = "id_bytes";
  issue.detail = absl::StrFormat("%d bytes, at most %d are allowed", id.size(), max_bytes);
  return issue;
}

std::optional<Issue> CheckLease(const std::optional<LeasePolicy>& lease,
                                const std::shared_ptr<const JobFilter>& may_write,
                                const Source& source, absl::Duration min_ttl) {
  if (!lease) return std::nullopt;
  Issue issue;
  if (lease->ttl && *lease->ttl < min_ttl) {
    issue.code = IssueCode::kOutOfRange;
    issue.field = "lease.ttl";
    issue.detail = absl::StrCat("a duration of at least ", absl::FormatDuration(min_ttl),
                                " is required, got ", absl::FormatDuration(*lease->ttl));
    return issue;
  }
  if (!lease->remove_on_expiry || *lease == source.lease) return std::nullopt;
  const std::optional<std::string> foreign = ForeignJob(source, may_write);
  if (!foreign) return std::nullopt;
  issue.code = IssueCode::kNotOwner;
  issue.field = "lease.on_expiry";
  issue.detail = absl::StrCat("this client may not write job ", GoQuote(*foreign),
                              ", whose targets would go as well");
  return issue;
}

bool TakesLease(const std::optional<LeasePolicy>& lease,
                const std::shared_ptr<const JobFilter>& may_write, const Source& source) {
  return lease && !ForeignJob(source, may_write);
}

std::optional<std::string> JobLeasedAway(const Change& change,
                                         const std::vector<const JobGroup*>& upsert,
                                         const Source& source) {
  if (!change.lease.value_or(source.lease).remove_on_expiry) return std::nullopt;
  if (TakesLease(change.lease, change.may_write, source)) return std::nullopt;
  // After a restart nobody knows whose it is: of two clients that share the source, perhaps.
  const bool known = source.leased_by.has_value();
  if (!known && !ForeignJob(source, change.may_write)) return std::nullopt;
  const std::set<std::string> jobs = known ? std::set<std::string>() : JobsOf(source);
  for (const JobGroup* group : upsert) {
    const bool own = known ? MayWrite(*source.leased_by, group->job) : jobs.contains(group->job);
    if (!own) return group->job;
  }
  return std::nullopt;
}

Admission Admit(const Change& change, const Source& source) {
  Admission admission = CheckHolder(change, source);
  if (admission.verdict != Verdict::kGoesOn) return admission;
  return CheckVersion(change, source);
}

}  // namespace trawl
