#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/base/message_stream.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

using SyncStream = MessageStream<discovery::v1::SyncRequest, discovery::v1::SyncResponse>;
using SyncStreamFactory =
    MessageStreamFactory<discovery::v1::SyncRequest, discovery::v1::SyncResponse>;

// One trawld's discovery service, as a pusher calls it. Loop's thread.
class DiscoveryPeer {
 public:
  virtual ~DiscoveryPeer() = default;
  virtual SyncStreamFactory& streams() = 0;
  // `done` runs on the loop, never from inside Release, and not after the peer is destroyed.
  virtual void Release(const discovery::v1::ReleaseRequest& request,
                       absl::AnyInvocable<void(absl::Status)> done) = 0;
};

// Makes peers; must outlive them. Loop's thread.
class DiscoveryPeers {
 public:
  virtual ~DiscoveryPeers() = default;
  virtual std::unique_ptr<DiscoveryPeer> Connect(const std::string& address) = 0;
};

}  // namespace trawl
