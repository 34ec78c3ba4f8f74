#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "server/flags.h"

namespace trawl {

// Who may have how many of the process' descriptors, so that none goes without because another has
// many: a target more is a scrape that waits, a descriptor too few may be a state that isn't kept.
//
//   limit = own + servers + cells + targets
struct DescriptorShares {
  // Open at the start (standard streams, what was inherited), and what a run opens for itself:
  // event loops, locks, logs, ports, for each shard its loop, its spool, its resolver and its
  // streams to storage, and for each sink its files and its requests.
  int64_t own = 0;
  // Of the rest a quarter: connections to both ports, and what comes and goes (files that are read,
  // sinks that a reload brings). No more than the ports' limits can use.
  int64_t servers = 0;
  // Of what is left then an eighth: what libcurl has beside its connections (CurlCell).
  int64_t cells = 0;
  // All others: connections to targets.
  int64_t targets = 0;

  // What servers' share allows of the ports' limits: a half of it to gRPC, a quarter to HTTP.
  size_t max_grpc_connections = 0;
  size_t max_web_connections = 0;
};

// Pure. `open` are open now, of `limit`. kResourceExhausted: the limit is too small; how large it
// must be stands in the message.
absl::StatusOr<DescriptorShares> ShareDescriptors(int64_t limit, int64_t open, const Flags& flags,
                                                  size_t sinks);

}  // namespace trawl
