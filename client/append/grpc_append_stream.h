#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "core/append/append_stream.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {

// Opens Append streams over a gRPC channel, for one event loop.
//
// A broken connection is told at once (no waiting for it to be ready): who opens streams does so
// with a back-off. Messages are read one at a time: a store can't fill the loop with acks.
//
// Open is for the loop's thread. The streams must be destroyed before the factory, the factory
// before the loop. The destructor waits for gRPC to be done with all calls, which were cancelled
// by then; the loop need not run any more. Never destroy it inside a gRPC callback.
class GrpcAppendStreamFactory final : public AppendStreamFactory {
 public:
  GrpcAppendStreamFactory(std::shared_ptr<grpc::Channel> channel, EventLoop& loop);
  ~GrpcAppendStreamFactory() override;

  std::unique_ptr<AppendStream> Open(AppendStream::Observer& observer) override;

 private:
  class Call;
  class OpenCalls;
  class Stream;

  // The channel's last reference must not go inside a callback: it goes with this object or with
  // a call that is released on the loop.
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<storage::v1::StorageService::Stub> stub_;
  EventLoop& loop_;
  const std::shared_ptr<OpenCalls> open_calls_;
};

}  // namespace trawl
