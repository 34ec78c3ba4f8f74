#include "server/rpc_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "core/base/log.h"

namespace trawl {

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const Options& options, ListenSockets sockets, const std::vector<grpc::Service*>& services) {
  std::unique_ptr<RpcServer> out(new RpcServer);
  grpc::ServerBuilder builder;
  SetServerDefaults(builder, options.max_message_bytes);
  out->on_flood_ = options.on_flood;
  out->guard_ = std::make_unique<ResetGuard>(
      ResetGuard::Options{
          .max_resets = options.max_resets,
          .on_flood = [raw = out.get()](std::string_view peer) { raw->OnFlood(peer); }},
      out->clock_);
  SetInterceptors(builder, out->guard_->Interceptors());
  for (grpc::Service* service : services) builder.RegisterService(service);
  out->acceptor_ = std::make_unique<ConnectionAcceptor>(
      builder,
      options.credentials != nullptr ? options.credentials : grpc::InsecureServerCredentials());
  out->server_ = builder.BuildAndStart();
  if (out->server_ == nullptr) return absl::InternalError("the gRPC server did not start");
  for (const std::string& service : options.health_services) AddToHealth(*out->server_, service);
  trawl::SetServing(*out->server_, false);
  out->accept_loop_ = std::make_unique<AcceptLoop>(
      AcceptLoop::Options{.max_connections = options.max_connections,
                          .on_refused = options.on_refused},
      std::move(sockets), [raw = out.get()](int fd) { raw->acceptor_->HandleConnection(fd); });
  out->accepting_ = out->accept_loop_.get();
  return out;
}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::OnFlood(std::string_view peer) {
  AcceptLoop* accepting = accepting_;
  if (accepting == nullptr || !accepting->ShutDown(peer)) return;
  LogWarn("Connection closed: it gives up calls as fast as it opens them", {{"peer", peer}});
  if (on_flood_ != nullptr) on_flood_();
}

void RpcServer::SetServing(bool serving) { trawl::SetServing(*server_, serving); }

void RpcServer::Shutdown(absl::Duration grace) {
  if (accept_loop_ != nullptr) accept_loop_->Stop();
  if (server_ == nullptr) return;
  ShutdownServer(*server_, grace);
  server_.reset();
}

}  // namespace trawl
