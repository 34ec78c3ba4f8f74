#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace trawl {

// The one mapping between our statuses and gRPC's: codes by number, messages as they are.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace trawl
