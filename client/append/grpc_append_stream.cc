#include "client/append/grpc_append_stream.h"

#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {

GrpcAppendStreamFactory::GrpcAppendStreamFactory(const std::shared_ptr<grpc::Channel>& channel,
                                                 EventLoop& loop)
    : GrpcMessageStreamFactory(
          [stub = std::shared_ptr(storage::v1::StorageService::NewStub(channel))](
              grpc::ClientContext* context, Reactor* reactor) {
            stub->async()->Append(context, reactor);
          },
          loop) {}

}  // namespace trawl
