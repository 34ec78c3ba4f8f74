#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/base/file_system.h"
#include "core/spool/lost_ranges.h"

namespace trawl {

// What a lane of an epoch lost by dropping, on disk, so that the next run still tells it as Gaps,
// and what every sink was past (FORMAT.md). Two pages in a file that never grows are written in
// turn, in place: a full disk can't stop it, and a torn write leaves the page before.
//
// Stateless functions; the file is written by the syncer's thread alone.
inline constexpr size_t kLedgerPageBytes = 4096;
inline constexpr std::string_view kLedgerFileName = "gaps";

// How far a lane got.
struct LaneProgress {
  std::optional<uint64_t> delivered;  // every sink is past these; unset: not known
  // First number of the newest segment that got a file; 0: not known. Only beside `delivered`.
  uint64_t newest_file = 0;
};

// `generation` counts the writes, from 1. Where there are more ranges than a page has room for,
// those of one reason are joined over records that are there.
std::string EncodeLedgerPage(const LostRanges& lost, uint64_t generation, uint32_t identity,
                             const LaneProgress& progress = {});
// Room for both pages.
absl::Status CreateLedger(FileSystem& files, const std::string& path);
// Written and synced.
absl::Status WriteLedgerPage(FileSystem& files, const std::string& path, uint64_t generation,
                             std::string_view page);

struct Ledger {
  LostRanges lost;  // with records in them that are there
  uint64_t generation = 0;
  LaneProgress progress;
};
// The newest page that is whole; nothing lost if there is none.
Ledger ReadLedger(FileSystem& files, const std::string& path, uint32_t identity);

}  // namespace trawl
