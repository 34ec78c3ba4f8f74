#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/time/time.h"
#include "core/model/labels.h"

namespace trawl {

// What every service's conversions need. Pure.

using LabelMap = google::protobuf::Map<std::string, std::string>;

void SetDuration(absl::Duration duration, google::protobuf::Duration* out);
void SetTime(absl::Time time, google::protobuf::Timestamp* out);
// Values that protobuf allows and that are out of range become infinite.
absl::Duration ToDuration(const google::protobuf::Duration& duration);

void SetLabels(const Labels& labels, LabelMap* out);
// Empty values are as if absent.
Labels ToLabels(const LabelMap& map);

}  // namespace trawl
