#include "client/append/grpc_append_stream.h"

#include <utility>

#include "client/stream/fresh_stub.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {

using storage::v1::StorageService;

GrpcAppendStreamFactory::GrpcAppendStreamFactory(
    std::function<std::shared_ptr<grpc::Channel>()> make_channel, EventLoop& loop)
    : GrpcMessageStreamFactory(
          [stub = std::make_shared<FreshStub<StorageService>>(std::move(make_channel))](
              grpc::ClientContext* context, Reactor* reactor) {
            stub->ForNextCall().async()->Append(context, reactor);
          },
          loop) {}

}  // namespace trawl
