#include "server/descriptor_shares.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

constexpr int64_t kOfProcess = 32;
constexpr int64_t kOfShard = 12;
constexpr int64_t kOfSink = 16;
constexpr int64_t kMinServers = 32;
constexpr int64_t kMinTargets = 32;  // cells included
// Of servers' share.
constexpr int64_t kGrpcPart = 2;
constexpr int64_t kWebPart = 4;

// What the ports' limits can use.
int64_t MostForServers(const Flags& flags) {
  return std::max(kGrpcPart * static_cast<int64_t>(flags.max_grpc_connections),
                  kWebPart * static_cast<int64_t>(flags.max_web_connections));
}

}  // namespace

absl::StatusOr<DescriptorShares> ShareDescriptors(int64_t limit, int64_t open, const Flags& flags,
                                                  size_t sinks) {
  const int64_t shards = ShardCount(flags);
  DescriptorShares out;
  out.own = open + kOfProcess + kOfShard * shards + kOfSink * static_cast<int64_t>(sinks);
  const int64_t least = out.own + kMinServers + kMinTargets;
  if (limit < least) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the limit of open files is ", limit, ", and ", least, " are needed with --shards=", shards,
        ": raise it (ulimit -n, systemd's LimitNOFILE)"));
  }
  const int64_t rest = limit - out.own;
  out.servers = std::clamp(rest / 4, kMinServers, std::max(kMinServers, MostForServers(flags)));
  const int64_t scraping = rest - out.servers;
  out.cells = scraping / 8;
  out.targets = scraping - out.cells;
  out.max_grpc_connections =
      std::min(flags.max_grpc_connections, static_cast<size_t>(out.servers / kGrpcPart));
  out.max_web_connections =
      std::min(flags.max_web_connections, static_cast<size_t>(out.servers / kWebPart));
  return out;
}

}  // namespace trawl
