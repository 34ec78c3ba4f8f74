#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/time/time.h"

namespace trawl {

// {job="node", instance="…"}
std::string FormatLabels(const google::protobuf::Map<std::string, std::string>& labels);
// "3.2s ago", "never"; `now` is the caller's clock.
std::string FormatAgo(const google::protobuf::Timestamp& time, bool set, absl::Time now);
// "12.3ms"
std::string FormatShort(const google::protobuf::Duration& duration);

}  // namespace trawl
