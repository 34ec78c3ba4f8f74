#include "server/grpc_compat.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>
#include <vector>

namespace trawl {

ConnectionAcceptor::ConnectionAcceptor(grpc::ServerBuilder& builder,
                                       std::shared_ptr<grpc::ServerCredentials> credentials)
    : acceptor_(builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
          std::move(credentials))) {}

void ConnectionAcceptor::HandleConnection(int fd) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = fd;
  acceptor_->HandleNewConnection(&connection);
}

void SetServerDefaults(grpc::ServerBuilder& builder, int max_message_bytes) {
  grpc::EnableDefaultHealthCheckService(true);
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // A peer that vanished without a word is noticed, and its stream ends.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  // Never GRPC_ARG_TCP_TX_ZEROCOPY_ENABLED: CVE-2024-11407.
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
}

void SetInterceptors(
    grpc::ServerBuilder& builder,
    std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> interceptors) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> all;
  all.push_back(std::move(interceptors));
  builder.experimental().SetInterceptorCreators(std::move(all));
}

void ShutdownServer(grpc::Server& server, absl::Duration grace) {
  // gRPC wants a point of the wall clock.
  server.Shutdown(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(grace));
  server.Wait();
}

void AddToHealth(grpc::Server& server, const std::string& service) {
  if (auto* health = server.GetHealthCheckService()) health->SetServingStatus(service, false);
}

void SetServing(grpc::Server& server, bool serving) {
  if (auto* health = server.GetHealthCheckService()) health->SetServingStatus(serving);
}

}  // namespace trawl
