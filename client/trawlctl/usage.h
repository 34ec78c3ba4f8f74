#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

namespace trawl {

// An error in the command line itself that its parser can't see: exit code 2, where the same code
// from a server, which refuses what was asked, is 1. The mark stays when the status is passed on.
inline constexpr std::string_view kUsageMark = "trawlctl/usage";

inline absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsageMark, absl::Cord());
  return status;
}

// What the server says of words that stand on the command line as it got them.
inline absl::Status OfCommandLine(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? UsageError(std::string(status.message())) : status;
}

inline bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsageMark).has_value();
}

}  // namespace trawl
