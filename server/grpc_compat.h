#pragma once

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_interceptor.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"

// What of gRPC is experimental, differs between versions, or has a default that must not stand:
// in one place. Written for 1.51.

namespace trawl {

// Takes connections that somebody else accepted. gRPC 1.51's own listener never accepts again
// once the process has run out of descriptors (CVE-2023-4785); server/accept_loop.h does.
class ConnectionAcceptor {
 public:
  // Before BuildAndStart.
  explicit ConnectionAcceptor(grpc::ServerBuilder& builder,
                              std::shared_ptr<grpc::ServerCredentials> credentials);
  // Takes the socket over, which must not block. Before the server's start and after its shutdown
  // it is closed. One thread: gRPC 1.51 changes certificates without a lock.
  void HandleConnection(int fd);

 private:
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
};

// A server's own certificate with its chain, its key, and the authorities whose clients it knows.
struct ServerCertificates {
  std::string certificate;         // PEM
  std::string key;                 // PEM
  std::string client_authorities;  // PEM; "": none
  friend bool operator==(const ServerCertificates&, const ServerCertificates&) = default;
};

// TLS for one port, with certificates that may change: each handshake is done with what `current`
// says then. It must be right: a key that is not the certificate's fails at the start, and later
// leaves in use what was there before. gRPC's own watcher of files drops what it had as soon as one
// of them is wrong, and no handshake succeeds before all of them are right.
//
// `current` is called at the start, and then by who hands a connection in.
std::shared_ptr<grpc::ServerCredentials> MakeTlsServerCredentials(
    grpc_ssl_client_certificate_request_type client_certificates,
    std::function<std::shared_ptr<const ServerCertificates>()> current);

// Message sizes above the largest record, keepalive as proto/README.md says, no compression of
// gRPC's own, and the standard health service, which is a callback one.
void SetServerDefaults(grpc::ServerBuilder& builder, int max_message_bytes);

// Sees each call of the server that is built; once.
void SetInterceptors(
    grpc::ServerBuilder& builder,
    std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> interceptors);

// Ends the server: calls under way may go on for as long as `grace`, then they are cancelled.
// Waits for them.
void ShutdownServer(grpc::Server& server, absl::Duration grace);

// From now on health is told of this service, too. Not serving at first.
void AddToHealth(grpc::Server& server, const std::string& service);
// For each service of health's and for "".
void SetServing(grpc::Server& server, bool serving);

}  // namespace trawl
