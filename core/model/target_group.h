#pragma once

#include <string>
#include <vector>

#include "core/model/labels.h"

namespace trawl {

// A target group as discovery gives it: addresses and labels for all of them
// (spec 1.9; field names as in http_sd's JSON). `key` is Prometheus' "source": unique inside
// (source, job).
struct TargetGroup {
  std::string key;
  std::vector<std::string> targets;  // become __address__
  Labels labels;
  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};

}  // namespace trawl
