#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/discovery/source_state.h"

// The bytes in a log of what of a pushed source outlives the process (FORMAT.md). Pure.

namespace trawl {

struct RestoredSource {
  std::string source;
  SourceState state;
};

// The start of a log file: its mark, and a snapshot record.
std::string EncodeLogStart(std::string_view source, const SourceState& state);
// A record to append.
std::string EncodeDelta(const StateDelta& delta);

// What a log file holds.
struct StateLogContents {
  std::string source;
  SourceState state;
  size_t snapshot_bytes = 0;  // the file's mark and its snapshot
  size_t good_bytes = 0;      // less than the file has: what is behind is a torn write
  bool torn = false;          // ... of which there is something, and not zeros alone
};

// kDataLoss: damaged, which a torn write at the end is not: it is too short, or a disk's sector of
// it was not written.
absl::StatusOr<StateLogContents> DecodeLog(std::string_view bytes);

}  // namespace trawl
