#pragma once

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/append/record_log.h"

namespace trawl {

// A snapshot of one lane's spool: a value. Counters count from the start of the run.
struct SpoolStatus {
  bool degraded = false;    // the newest records are in memory only
  absl::Status last_error;  // why it was degraded last
  uint64_t file_bytes = 0;
  uint64_t memory_bytes = 0;  // of records that are on no disk
  uint64_t segments = 0;
  absl::Time oldest = absl::InfiniteFuture();  // when the oldest segment got its first record

  uint64_t written_bytes = 0;
  uint64_t memory_samples = 0;                           // appended that are on no disk
  uint64_t failures = 0;                                 // of files: opening, writing, syncing
  std::array<uint64_t, kHoleReasons> dropped_samples{};  // by HoleReason
};

}  // namespace trawl
