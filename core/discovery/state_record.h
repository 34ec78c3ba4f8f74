#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/discovery/change.h"
#include "core/discovery/change_plan.h"

// What of a pushed source outlives the process, and its bytes in a log (FORMAT.md). Pure.

namespace trawl {

// The part of it that is small, and stands whole in every record.
struct SourceHead {
  uint64_t version = 0;
  std::string history_id;
  std::optional<uint64_t> fencing_token;
  uint64_t last_digest = 0;  // of the change that made `version`
  LeasePolicy lease;
  friend bool operator==(const SourceHead&, const SourceHead&) = default;
};

struct SourceState : SourceHead {
  GroupMap groups;
  std::map<GroupName, Issue> refused;  // groups that were not taken, and why
};

struct RestoredSource {
  std::string source;
  SourceState state;
};

// One change of a source: O(change). A group that is put or removed is refused no longer.
struct StateDelta {
  SourceHead head;          // after the change
  bool remove_all = false;  // first, all groups and refusals go
  std::vector<GroupName> remove;
  std::vector<std::pair<GroupName, std::shared_ptr<const TargetGroup>>> upsert;
  std::vector<Issue> refused;
};

// The one way in which a delta changes a source, in memory as from disk.
void ApplyDelta(const StateDelta& delta, SourceState& state);

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
};

// kDataLoss: damaged, which a torn write at the end is not.
absl::StatusOr<StateLogContents> DecodeLog(std::string_view bytes);

}  // namespace trawl
