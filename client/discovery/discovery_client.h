#pragma once

#include <grpcpp/security/credentials.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/discovery/grpc_discovery_peer.h"
#include "client/discovery/pusher.h"
#include "client/discovery/pusher_status.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/published.h"

namespace trawl {

// What a discovery service links to push targets to trawlds, with a thread of its own.
//
//   DiscoveryClient::Options options;
//   options.source = "k8s-prod";
//   options.addresses = {"trawl-0:8729", "trawl-1:8729"};
//   options.on_changed = [](const PusherStatus& status) { ... };
//   auto client = DiscoveryClient::Start(std::move(options));
//   (*client)->Replace(all_groups);             // once, then whole or in changes
//   (*client)->Update({changed_group}, {{"node", "rack7"}});
//
// Calls return at once; the guarantees are Pusher's. A group that a trawld refused is in Status(),
// and is tried again when it changed. Destroying the client ends the streams; every trawld keeps
// its targets.
//
// Thread-safe, but for the destructor; on_changed runs on the client's thread and must not block
// or destroy the client.
class DiscoveryClient final : private Pusher::Listener {
 public:
  struct Options {
    std::string source;  // required: who owns the targets
    // Which replica of the caller speaks; for people. With several addresses trawlds are told
    // "replica-1 for trawl-0:8729".
    std::string instance;
    std::optional<uint64_t> fencing_token;  // number of the leadership, where there are leaders
    std::optional<discovery::v1::LeasePolicy> lease;  // unset: targets are kept whatever happens
    std::vector<std::string> addresses;               // at least one
    size_t replicas = 1;                              // trawlds that scrape each target
    std::vector<std::string> leaving;  // of an earlier run: released once all others are settled
    std::shared_ptr<grpc::ChannelCredentials> credentials;  // null: none, plain text
    std::string token;                                      // a bearer token; "": none
    // Gives the token instead, anew for each stream and call: so that another one, after the old
    // one was refused, needs no restart. On the client's thread.
    std::function<std::string()> read_token;
    PushSession::Options session;
    std::function<void(const PusherStatus& status)> on_changed;  // may be empty
  };

  // kInvalidArgument: no source or no address.
  static absl::StatusOr<std::unique_ptr<DiscoveryClient>> Start(Options options);
  ~DiscoveryClient() override;

  // As Pusher's; kInvalidArgument changes nothing.
  absl::Status Replace(std::vector<discovery::v1::TargetGroup> groups,
                       const Pusher::ChangeOptions& change = {});
  absl::Status Update(std::vector<discovery::v1::TargetGroup> upsert, std::vector<GroupId> remove,
                      const Pusher::ChangeOptions& change = {});
  absl::Status SetTrawlds(std::vector<std::string> addresses, size_t replicas,
                          std::vector<std::string> leaving = {});
  void SetFencingToken(std::optional<uint64_t> token);

  // As of the last change.
  std::shared_ptr<const PusherStatus> Status() const { return status_.Get(); }

 private:
  explicit DiscoveryClient(Options options);
  void OnPusherChanged() override;
  // Runs on the client's thread.
  void Run(std::function<void(Pusher& pusher)> task);

  // Constant after construction.
  const Options options_;
  const SystemClock clock_;

  Published<PusherStatus> status_;

  // The client's thread.
  absl::BitGen random_;
  std::unique_ptr<GrpcDiscoveryPeers> peers_;
  std::unique_ptr<Pusher> pusher_;
  LoopThread thread_;
};

}  // namespace trawl
