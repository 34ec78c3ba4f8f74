#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/labels.h"

namespace trawl {

// A label and its bytes as they stand in a prometheus TimeSeries.
struct EncodedLabel {
  std::string name;
  std::string bytes;
};
using EncodedLabels = std::vector<EncodedLabel>;  // sorted by name

EncodedLabels EncodeLabels(const Labels& labels);

// A series without its target's labels.
struct RemoteWriteKey {
  EncodedLabels labels;
  bool complete = false;  // only the external labels apply
};

// The series of a target, as remote write spells them. Immutable; keys are shared by layouts.
struct RemoteWriteLayout {
  EncodedLabels target;    // the external labels, and over them the target's
  EncodedLabels external;  // those alone
  std::vector<std::shared_ptr<const RemoteWriteKey>> keys;
};

// Appends one TimeSeries of one sample to a WriteRequest's bytes: labels sorted by name, the value
// bit by bit.
void AppendTimeSeries(const RemoteWriteLayout& layout, uint32_t position, double value,
                      int64_t time_ms, std::string& out);

}  // namespace trawl
