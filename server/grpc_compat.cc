#include "server/grpc_compat.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>
#include <vector>

namespace trawl {
namespace {

// gRPC's C library asks at each handshake; its C++ one has no name for that.
class ChangingCredentials final : public grpc::ServerCredentials {
 public:
  using Current = std::function<std::shared_ptr<const ServerCertificates>()>;
  ChangingCredentials(grpc_ssl_client_certificate_request_type client_certificates, Current current)
      : current_(std::move(current)),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(client_certificates,
                                                                            &OnHandshake, this))) {}
  ~ChangingCredentials() override { grpc_server_credentials_release(credentials_); }

  // Calls are checked by the services, not here.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status OnHandshake(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<ChangingCredentials*>(self)->Fetch(config);
  }
  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const ServerCertificates> now = current_();
    if (now == handed_over_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {now->key.c_str(), now->certificate.c_str()};
    // gRPC insists on some authorities, also where no client is asked for a certificate.
    const std::string& authorities =
        now->client_authorities.empty() ? now->certificate : now->client_authorities;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    handed_over_ = std::move(now);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const Current current_;
  std::shared_ptr<const ServerCertificates> handed_over_;  // thread of the connections
  grpc_server_credentials* const credentials_;
};

}  // namespace

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

std::shared_ptr<grpc::ServerCredentials> MakeTlsServerCredentials(
    grpc_ssl_client_certificate_request_type client_certificates,
    std::function<std::shared_ptr<const ServerCertificates>()> current) {
  return std::make_shared<ChangingCredentials>(client_certificates, std::move(current));
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
