#pragma once

#include "absl/status/statusor.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// Answers GetTarget from a snapshot: one target and its last scrapes. Errors as FindTarget's. Pure.
absl::StatusOr<status::v1::GetTargetResponse> GetTarget(
    const PoolsSnapshot& pools, const status::v1::GetTargetRequest& request);

}  // namespace trawl
