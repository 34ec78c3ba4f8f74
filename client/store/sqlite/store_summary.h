#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace trawl {

// What a SQLite store's file holds, in three numbers.
struct StoreSummary {
  uint64_t samples = 0;  // stored over the file's life, stale markers included
  uint64_t series = 0;   // distinct ones that are kept
  uint64_t targets = 0;
};

// Errors as ReadSamples. Reads on the calling thread.
absl::StatusOr<StoreSummary> ReadStoreSummary(const std::string& path);

}  // namespace trawl
