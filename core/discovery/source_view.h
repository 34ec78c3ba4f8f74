#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/discovery/change.h"

namespace trawl {

// A source as readers see it.
struct SourceView {
  enum class Kind { kPushed = 1, kStatic = 2, kFile = 3, kHttp = 4 };
  // Numbered as trawl.discovery.v1.Source.State, where each is explained.
  enum class Standing { kLive = 1, kRestored = 2, kHeld = 3, kOrphaned = 4 };

  std::string name;
  Kind kind = Kind::kPushed;
  Standing standing = Standing::kLive;
  std::string instance;
  std::string peer;
  bool connected = false;
  uint64_t applied_version = 0;
  std::string history_id;
  std::optional<uint64_t> fencing_token;
  absl::Time last_heard = absl::InfinitePast();  // wall clock; InfinitePast: not since the start
  LeasePolicy lease;
  SourceCounts counts;
  // Until all held removals are carried out, if the pusher is heard; unset: none is going to be.
  std::optional<absl::Duration> held_for;
  std::vector<Issue> refused;  // the first ones
  uint64_t refused_count = 0;
  std::vector<std::string> pending_jobs;  // with groups, but not in the running config
};

}  // namespace trawl
