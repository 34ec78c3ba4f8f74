#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>

#include "client/stream/grpc_message_stream.h"
#include "core/append/append_stream.h"
#include "core/base/event_loop.h"

namespace trawl {

// Opens Append streams over gRPC, for one event loop: each connects at once unless there is a
// connection, so that the only back-off is that of whoever opens them.
class GrpcAppendStreamFactory final
    : public GrpcMessageStreamFactory<storage::v1::AppendRequest, storage::v1::AppendResponse> {
 public:
  // `make_channel` (by MakeStorageChannel) is called in Open. One to a store in this process has
  // no connection to lose: there it may give the same channel again and again.
  GrpcAppendStreamFactory(std::function<std::shared_ptr<grpc::Channel>()> make_channel,
                          EventLoop& loop);
};

}  // namespace trawl
