#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "server/accept_loop.h"
#include "server/grpc_compat.h"
#include "server/listen_address.h"
#include "server/reset_guard.h"

namespace trawl {

// A gRPC server of callback services (never a synchronous one: field-tested to start threads
// without bound), whose connections are accepted by a loop of our own. Health is on.
//
// One thread.
class RpcServer {
 public:
  struct Options {
    int max_message_bytes = 40 << 20;
    size_t max_connections = 1000;     // more are closed as they come
    std::function<void()> on_refused;  // one was; on a thread of the server's. May be null.
    size_t max_resets = 200;  // calls that a connection may give up in a second; it is closed then
    std::function<void()> on_flood;  // one was; as on_refused
    // Names of services that may be asked for by health, beside "" for all.
    std::vector<std::string> health_services;
    // Null: without TLS.
    std::shared_ptr<grpc::ServerCredentials> credentials;
  };

  // Takes connections at once; the services must outlive the server.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const Options& options, ListenSockets sockets, const std::vector<grpc::Service*>& services);
  // As Shutdown(0 s).
  ~RpcServer();

  // What health says. Not serving at first.
  void SetServing(bool serving);
  // No more connections. Idempotent.
  void StopAccepting() { accept_loop_->Stop(); }
  // No more connections and calls; those under way may go on for as long as `grace`, then they
  // are cancelled. Idempotent.
  void Shutdown(absl::Duration grace);
  uint16_t port() const { return accept_loop_->port(); }
  // That are open. Thread-safe until Shutdown.
  size_t connections() { return accept_loop_->connections(); }

 private:
  RpcServer() = default;

  // A connection of `peer`'s gives up calls too fast.
  void OnFlood(std::string_view peer);

  SystemClock clock_;
  std::function<void()> on_flood_;
  std::unique_ptr<ResetGuard> guard_;
  std::unique_ptr<ConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<AcceptLoop*> accepting_ = nullptr;  // accept_loop_, for OnFlood
  std::unique_ptr<AcceptLoop> accept_loop_;
};

}  // namespace trawl
