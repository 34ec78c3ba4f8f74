#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "client/stream/grpc_message_stream.h"
#include "core/append/append_stream.h"
#include "core/base/event_loop.h"

namespace trawl {

// Opens Append streams over a gRPC channel, for one event loop.
class GrpcAppendStreamFactory final
    : public GrpcMessageStreamFactory<storage::v1::AppendRequest, storage::v1::AppendResponse> {
 public:
  GrpcAppendStreamFactory(const std::shared_ptr<grpc::Channel>& channel, EventLoop& loop);
};

}  // namespace trawl
