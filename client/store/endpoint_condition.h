#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace trawl {

// How a place that a store sends samples on to does, for people: a value.
struct EndpointCondition {
  // What it said last when it took nothing or refused samples ("401 Unauthorized: …"), or why it
  // could not be reached. "": nothing went wrong yet.
  std::string last_error;
  absl::Time last_error_time = absl::InfinitePast();
  // Some lane gets nothing through for now; its request is tried again.
  bool failing = false;
  // Samples that were refused with others and not asked for alone, as so many were refused.
  uint64_t undivided_samples = 0;
};

}  // namespace trawl
