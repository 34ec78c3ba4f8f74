#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trawl {

// Who calls: the names that its certificate and its token prove. Empty: nobody proved anything.
struct Caller {
  std::vector<std::string> names;
};

// One --discovery.allow: a caller of this name may push these sources into these jobs.
struct PushRule {
  std::string name;
  std::vector<std::string> sources{"*"};
  std::vector<std::string> jobs{"*"};
  friend bool operator==(const PushRule&, const PushRule&) = default;
};
// `NAME [sources=S,S...] [jobs=J,J...]`: `k8s.example sources=k8s-* jobs=node,api`. A `*` in a
// source or job stands for any run of characters; what is left out is `*`.
absl::StatusOr<PushRule> ParsePushRule(std::string_view text);

struct AccessRules {
  std::vector<PushRule> push;
  std::vector<std::string> viewers;    // names that may look
  std::vector<std::string> operators;  // names that may look, and act on trawld itself
};

// What a caller may do on the gRPC port.
//
//   1. WITHOUT ANY RULE whoever can connect (and proved a name, where one is asked for) may do all.
//   2. With rules, what no rule allows is denied: kUnauthenticated to a caller that proved no name,
//      kPermissionDenied, with the names it proved, to others.
//   3. An operator may all that a viewer may. Neither may push for it: that is a push rule's.
//
// Immutable; thread-safe. Pure.
class AccessPolicy {
 public:
  // `names_required`: callers without a name may do nothing, rules or not.
  explicit AccessPolicy(AccessRules rules = {}, bool names_required = false);

  // No rule is given.
  bool open() const;

  absl::Status MayView(const Caller& caller) const;
  // ScrapeNow, PlanConfig, ReloadConfig, SkipRecord, AcceptHeld, a forced Release.
  absl::Status MayOperate(const Caller& caller) const;
  // Change what some source wants.
  absl::Status MayPushSomething(const Caller& caller) const;
  // Change what `source` wants, in some job.
  absl::Status MayPush(const Caller& caller, std::string_view source) const;
  // ... in this job. True for every job if no rule restricts the caller's.
  bool MayPushInto(const Caller& caller, std::string_view source, std::string_view job) const;

 private:
  bool HasRole(const Caller& caller, const std::vector<std::string>& names) const;
  absl::Status CheckNamed(const Caller& caller) const;

  const AccessRules rules_;
  const bool names_required_;
};

}  // namespace trawl
