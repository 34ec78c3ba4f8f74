#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/source.h"

namespace trawl {

// Whether a change of a source may go on, before its content is looked at: who says it, and which
// version it has (the table in proto/README.md). Pure.
struct Admission {
  enum class Verdict {
    kGoesOn,
    kRepeated,  // it is applied already
    kRejected,
  };
  Verdict verdict = Verdict::kGoesOn;
  // Of a rejection.
  IssueCode code = IssueCode::kUnspecified;
  std::string detail;
  bool resync = false;  // the pusher's idea of the applied version is wrong
};

// `source` is what is known of the change's source; a fresh one if nothing is.
Admission Admit(const Change& change, const Source& source);

// What is wrong with a source's name, an instance or a history id; unset: nothing.
std::optional<Issue> CheckId(std::string_view field, std::string_view id, size_t max_bytes);

// What is wrong with a lease that is asked for; unset: nothing. One that removes removes of every
// job: who sets it must be allowed to write all that the source has.
std::optional<Issue> CheckLease(const std::optional<LeasePolicy>& lease,
                                const std::shared_ptr<const JobFilter>& may_write,
                                const Source& source, absl::Duration min_ttl);

// Whether the lease that is asked for is from now on this client's, if another one's was in force:
// it may write all that the source has.
bool TakesLease(const std::optional<LeasePolicy>& lease,
                const std::shared_ptr<const JobFilter>& may_write, const Source& source);

// A job of these groups, which come into the source, whose targets its lease would remove though
// they are not its setter's to write; unset: there is none.
std::optional<std::string> JobLeasedAway(const Change& change,
                                         const std::vector<const JobGroup*>& upsert,
                                         const Source& source);

}  // namespace trawl
