#pragma once

#include <grpcpp/security/credentials.h>

#include <functional>
#include <memory>
#include <string>

#include "client/discovery/discovery_peer.h"
#include "core/base/event_loop.h"

namespace trawl {

// Reaches trawlds over gRPC: a connection an address, with keepalive (10 s, 10 s), so that a dead
// one is noticed in 20 s, made when a call wants it (FreshStub). Addresses are host:port,
// unix:path, or any gRPC name.
//
// Loop's thread. Peers, and the streams that they opened, must be destroyed before the loop; a
// peer's destructor waits for gRPC to be done with its calls. Never destroy one inside a gRPC
// callback.
class GrpcDiscoveryPeers final : public DiscoveryPeers {
 public:
  struct Options {
    std::shared_ptr<grpc::ChannelCredentials> credentials;
    // Gives the bearer token of each stream and call, "": none. May be empty, too.
    std::function<std::string()> token;
  };

  GrpcDiscoveryPeers(Options options, EventLoop& loop);

  std::unique_ptr<DiscoveryPeer> Connect(const std::string& address) override;

 private:
  const Options options_;
  EventLoop& loop_;
};

}  // namespace trawl
