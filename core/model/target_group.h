#pragma once

#include <cstddef>
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
  // The last so many of the targets are not listed any more, and are there because their removal is
  // held (discovery/shrink_guard.h).
  size_t held = 0;
  // None of them is scraped before somebody confirms their source (discovery/source_state.h).
  bool withheld = false;
  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};

}  // namespace trawl
