#pragma once

#include "absl/status/statusor.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// How a target came to be what it is, step by step, by the code that builds targets (T6): one that
// exists, or what discovery might say. kNotFound, kFailedPrecondition: as FindTarget; also if the
// job has no rules yet, as no configuration has it. Pure.
absl::StatusOr<status::v1::ExplainTargetResponse> ExplainTarget(
    const PoolsSnapshot& pools, const status::v1::ExplainTargetRequest& request);

}  // namespace trawl
