#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/trawlctl/connection.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// A target on the command line: its id (16 hex digits), its URL, or job/instance, which the server
// is asked about; `job` may be empty. kNotFound; kFailedPrecondition if the name fits several.
absl::StatusOr<status::v1::TargetRef> TargetArgument(Connection& connection,
                                                     const std::string& text,
                                                     const std::string& job);

}  // namespace trawl
