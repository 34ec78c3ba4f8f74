#pragma once

#include "absl/status/statusor.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// Answers ListTargets from a snapshot: filters, order (job, scrape_url, id) and pages. A target
// that is there all the while is on exactly one page, whatever comes and goes in between.
// kInvalidArgument: a matcher or the page token can't be read. Pure.
absl::StatusOr<status::v1::ListTargetsResponse> ListTargets(
    const PoolsSnapshot& pools, const status::v1::ListTargetsRequest& request);

}  // namespace trawl
