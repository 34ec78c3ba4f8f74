#pragma once

#include <string>
#include <vector>

#include "core/discovery/change.h"

namespace trawl {

// Limits of one group (each has an option of trawld; architecture.md: every limit has a default).
struct GroupLimits {
  size_t max_targets = 100'000;
  size_t max_labels = 256;
  size_t max_name_bytes = 1024;    // label names, job names and group keys
  size_t max_value_bytes = 65536;  // label values and addresses
};

// Checks one pushed group's content; pure. `path` names it in the request ("groups[3]").
// Every problem is reported. The rules are Prometheus' (an address has no '/', spec 3.1; label
// names are legacy or UTF-8, never __address__) and the limits.
std::vector<Issue> CheckGroup(const JobGroup& group, const std::string& path,
                              const GroupLimits& limits);

}  // namespace trawl
