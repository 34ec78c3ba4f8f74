#pragma once

#include <functional>
#include <memory>

#include "core/discovery/discovery.h"
#include "core/model/labels.h"
#include "core/scrape/pool_status.h"
#include "server/access/access_control.h"
#include "server/sync_reactor.h"
#include "trawl/discovery/v1/discovery.grpc.pb.h"

namespace trawl {

// trawl.discovery.v1.DiscoveryService over core/discovery: translates, and decides nothing.
// Everything is answered from the discovery loop; no gRPC thread waits.
// Thread-safe. Stop the server before the discovery loop: calls under way need it to end.
class DiscoveryService final : public discovery::v1::DiscoveryService::CallbackService {
 public:
  struct Options {
    SyncReactor::Options sync;
  };
  struct Deps {
    Discovery& discovery;
    // For Counts.active and dropped. Thread-safe.
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
    // For Welcome. Thread-safe.
    std::function<Labels()> external_labels;
    // Who may do what. Outlives the service.
    AccessControl& access;
  };

  DiscoveryService(const Options& options, Deps deps);

  grpc::ServerBidiReactor<discovery::v1::SyncRequest, discovery::v1::SyncResponse>* Sync(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Push(grpc::CallbackServerContext* context,
                                 const discovery::v1::PushRequest* request,
                                 discovery::v1::PushResponse* response) override;
  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* context,
                                   const discovery::v1::UpdateRequest* request,
                                   discovery::v1::UpdateResponse* response) override;
  grpc::ServerUnaryReactor* Release(grpc::CallbackServerContext* context,
                                    const discovery::v1::ReleaseRequest* request,
                                    discovery::v1::ReleaseResponse* response) override;
  grpc::ServerUnaryReactor* ListSources(grpc::CallbackServerContext* context,
                                        const discovery::v1::ListSourcesRequest* request,
                                        discovery::v1::ListSourcesResponse* response) override;
  grpc::ServerUnaryReactor* AcceptHeld(grpc::CallbackServerContext* context,
                                       const discovery::v1::AcceptHeldRequest* request,
                                       discovery::v1::AcceptHeldResponse* response) override;
  grpc::ServerUnaryReactor* ListGroups(grpc::CallbackServerContext* context,
                                       const discovery::v1::ListGroupsRequest* request,
                                       discovery::v1::ListGroupsResponse* response) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context, const Request& request,
                                  Response* response);
  void CountTargets(const std::string& source, discovery::v1::Counts* counts) const;

  const Options options_;
  const Deps deps_;
};

}  // namespace trawl
