#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// A target that somebody named, in the snapshot in which it was found. Keeps alive what it shows.
struct FoundTarget {
  std::shared_ptr<const PoolStatus> pool;         // null: of a pending job
  std::shared_ptr<const DesiredTargets> pending;  // null: of a pool
  std::shared_ptr<const ActiveTarget> active;     // null: dropped
  std::optional<DroppedTarget> dropped;

  status::v1::Target ToTarget() const;
};

// Finds it by id or URL. kInvalidArgument: it names nothing. kNotFound. kFailedPrecondition: it
// fits several; the message lists some.
absl::StatusOr<FoundTarget> FindTarget(const PoolsSnapshot& pools,
                                       const status::v1::TargetRef& ref);

}  // namespace trawl
