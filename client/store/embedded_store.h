#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/store/store_backend.h"
#include "core/base/clock.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace trawl {

// A whole storage service inside this process: a back end, its thread, and a gRPC server without
// a port. A sink of trawld reaches it over InProcessChannel(), so that there is one path to all
// stores. Example:
//
//   auto store = EmbeddedStore::Open({.thread_name = "store-0"}, {clock},
//                                    SqliteBackendFactory({.path = "data/samples.db"}, fs));
//   ... (*store)->InProcessChannel() ...
//   (*store)->Shutdown(absl::Seconds(5));
//
// Thread-safe after Open. The factory's references (file system, ...) must outlive the store.
class EmbeddedStore {
 public:
  struct Options {
    // As operators see it; at most 15 characters.
    std::string thread_name = "store-0";
    // For logs of both sides.
    std::string version;
    // At most this between two commits of what came.
    absl::Duration commit_interval = absl::Milliseconds(200);
  };
  struct Deps {
    const Clock& clock;
  };

  // Errors are the back end's: the file is another program's, locked, of a newer format, ...
  static absl::StatusOr<std::unique_ptr<EmbeddedStore>> Open(const Options& options,
                                                             const Deps& deps,
                                                             StoreBackendFactory backend);
  // As Shutdown(0 s).
  ~EmbeddedStore();

  // A channel to the service; each call makes another. Channels must be gone, or hold no call,
  // before Shutdown's deadline: later calls fail with UNAVAILABLE.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // The service, for a server with a port (trawl-store).
  grpc::Service& service();

  // Takes no more, commits what was taken, answers it, ends the streams. Idempotent. Waits at most
  // `deadline`. Not from a gRPC or the store's thread.
  void Shutdown(absl::Duration deadline);

  // The first half of Shutdown, for the owner of a server with a port: takes no more, commits,
  // answers, ends the streams; the service refuses from then on. Idempotent.
  void EndStreams();

  // What is stored, as of now; nothing after Shutdown. Waits for the store's thread, which may have
  // to count through a large file. Not from a gRPC callback.
  StoreStats Stats();

 private:
  struct Parts;
  explicit EmbeddedStore(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace trawl
