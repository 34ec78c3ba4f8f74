#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

enum class PushState {
  kWaiting,   // for the next attempt; last_error says why
  kOpening,   // a stream was opened, its Welcome is awaited
  kSending,   // the trawld does not have the newest version yet
  kInSync,    // it has
  kFenced,    // another pusher has a higher fencing token: no further attempt
  kReleasing  // the address left: its targets are taken away once the others have theirs
};
std::string_view PushStateName(PushState state);

// One trawld, as its pusher sees it.
struct TrawldStatus {
  std::string address;
  PushState state = PushState::kWaiting;
  uint64_t version = 0;          // that it should have
  uint64_t applied_version = 0;  // that it has; 0: not known, or of another history
  size_t groups = 0;             // that it should have
  size_t targets = 0;
  discovery::v1::Counts counts;  // its own words in the last answer; `held` among them
  // Groups that it refused and why, and how many in truth when it did not list all.
  std::vector<discovery::v1::Issue> refused;
  uint64_t refused_count = 0;
  // Of the last change: a job that it doesn't know, removals that are held.
  std::vector<discovery::v1::Issue> warnings;
  std::vector<std::string> jobs;  // of its configuration
  absl::Status last_error;
  absl::Time last_error_time = absl::InfinitePast();
  uint64_t streams_opened = 0;
  uint64_t snapshots_sent = 0;
  uint64_t deltas_sent = 0;
  uint64_t resyncs = 0;
};

struct PusherStatus {
  std::vector<TrawldStatus> trawlds;  // those in use by address, then those that are released
  size_t groups = 0;                  // of the source, before it is divided
  size_t targets = 0;

  // Every trawld has what it is to have, and none is left to be released.
  bool InSync() const;
};

}  // namespace trawl
