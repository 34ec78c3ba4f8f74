#pragma once

#include <string>

#include "trawl/status/v1/status.pb.h"

namespace trawl {

// A target on the command line: its id (16 hex digits) or its URL; `job` may be empty.
status::v1::TargetRef TargetArgument(const std::string& text, const std::string& job);

}  // namespace trawl
