#include "server/target_inspector.h"

#include <utility>

#include "server/explain.h"
#include "server/scrape_now.h"
#include "server/target_ref.h"

namespace trawl {

namespace pb = status::v1;

absl::StatusOr<pb::ExplainTargetResponse> TargetInspector::Explain(
    const pb::ExplainTargetRequest& request) const {
  return ExplainTarget(*manager_.Snapshot(), request);
}

void TargetInspector::ScrapeNow(const pb::ScrapeNowRequest& request, ScrapeCallback done) {
  const absl::StatusOr<FoundTarget> found = FindTarget(*manager_.Snapshot(), request.target());
  if (!found.ok()) return done(found.status());
  if (found->active == nullptr) {
    return done(absl::FailedPreconditionError(
        "the target is dropped, there is nothing to scrape: ExplainTarget tells why"));
  }
  const Target& target = *found->active->target;
  manager_.Probe({found->pool->job, target.hash, ShardOf(target, found->pool->shards)},
                 ProbeLimits(request),
                 [done = std::move(done)](absl::StatusOr<ProbeResult> result) mutable {
                   if (!result.ok()) return done(result.status());
                   done(ToProto(*result));
                 });
}

}  // namespace trawl
