#include "server/proto_conversions.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace trawl {

void SetDuration(absl::Duration duration, google::protobuf::Duration* out) {
  const int64_t seconds = absl::IDivDuration(duration, absl::Seconds(1), &duration);
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(duration / absl::Nanoseconds(1)));
}

void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t seconds = absl::ToUnixSeconds(time);  // rounds down: nanos are never negative
  out->set_seconds(seconds);
  out->set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

void SetLabels(const Labels& labels, LabelMap* out) {
  for (const Label& label : labels) (*out)[label.name] = label.value;
}

Labels ToLabels(const LabelMap& map) {
  std::vector<Label> labels;
  labels.reserve(map.size());
  for (const auto& [name, value] : map) {
    if (!value.empty()) labels.push_back({name, value});
  }
  std::sort(labels.begin(), labels.end());
  return Labels::FromSorted(std::move(labels));
}

}  // namespace trawl
