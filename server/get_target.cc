#include "server/get_target.h"

#include "core/base/status_macros.h"
#include "server/status_conversions.h"
#include "server/target_ref.h"

namespace trawl {

namespace pb = status::v1;

absl::StatusOr<pb::GetTargetResponse> GetTarget(const PoolsSnapshot& pools,
                                                const pb::GetTargetRequest& request) {
  ASSIGN_OR_RETURN(const FoundTarget found, FindTarget(pools, request.target()));
  pb::GetTargetResponse response;
  *response.mutable_target() = found.ToTarget();
  if (found.active == nullptr) return response;
  const uint64_t labels = found.active->target->public_hash;
  response.mutable_target()->set_labels_shared(
      SharedLabels(*found.pool, {labels}).contains(labels));
  for (const ScrapeRecord& record : found.active->status->History()) {
    *response.add_history() = ToProto(record);
  }
  return response;
}

}  // namespace trawl
