#include "server/rpc_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

namespace trawl {

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const Options& options, ListenSockets sockets, const std::vector<grpc::Service*>& services) {
  std::unique_ptr<RpcServer> out(new RpcServer);
  grpc::ServerBuilder builder;
  SetServerDefaults(builder, options.max_message_bytes);
  for (grpc::Service* service : services) builder.RegisterService(service);
  out->acceptor_ = std::make_unique<ConnectionAcceptor>(
      builder,
      options.credentials != nullptr ? options.credentials : grpc::InsecureServerCredentials());
  out->server_ = builder.BuildAndStart();
  if (out->server_ == nullptr) return absl::InternalError("the gRPC server did not start");
  trawl::SetServing(*out->server_, false);
  out->accept_loop_ = std::make_unique<AcceptLoop>(
      AcceptLoop::Options{.max_connections = options.max_connections,
                          .on_refused = options.on_refused},
      std::move(sockets), [raw = out.get()](int fd) { raw->acceptor_->HandleConnection(fd); });
  return out;
}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::SetServing(bool serving) { trawl::SetServing(*server_, serving); }

void RpcServer::Shutdown(absl::Duration grace) {
  if (accept_loop_ != nullptr) accept_loop_->Stop();
  if (server_ == nullptr) return;
  ShutdownServer(*server_, grace);
  server_.reset();
}

}  // namespace trawl
