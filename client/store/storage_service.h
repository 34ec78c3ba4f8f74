#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "client/store/store_sessions.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {

// StorageService over StoreSessions: a callback service whose callbacks only hand messages over to
// the store thread. A stream is read no further while more than max_unprocessed_bytes of it wait
// for that thread, so a writer that ignores its window costs bounded memory.
//
// Thread-safe. The loop must run until the server has shut down.
class GrpcStorageService final : public storage::v1::StorageService::CallbackService {
 public:
  struct Options {
    size_t max_unprocessed_bytes = size_t{4} << 20;
  };
  // How many Append calls there are. Thread-safe.
  class OpenStreams;
  struct Deps {
    EventLoop& loop;          // the store thread's
    StoreSessions& sessions;  // touched on the loop only
  };

  GrpcStorageService(const Options& options, const Deps& deps);
  ~GrpcStorageService() override;

  // Waits until no Append is open any more, at most `deadline`. For a server's end, after the
  // sessions': over the in-process transport grpc::Server::Shutdown cuts every call off at once,
  // with what was not read yet.
  void AwaitStreams(absl::Duration deadline);

  grpc::ServerBidiReactor<storage::v1::AppendRequest, storage::v1::AppendResponse>* Append(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const storage::v1::WriteRequest* request,
                                  storage::v1::WriteResponse* response) override;
  grpc::ServerUnaryReactor* GetWriterState(grpc::CallbackServerContext* context,
                                           const storage::v1::GetWriterStateRequest* request,
                                           storage::v1::GetWriterStateResponse* response) override;

 private:
  const Options options_;
  EventLoop& loop_;
  StoreSessions& sessions_;
  std::atomic<uint64_t> next_stream_{1};
  const std::shared_ptr<OpenStreams> open_;
};

}  // namespace trawl
