#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trawl {

// The gRPC port's TLS. Without a certificate there is none.
struct RpcTls {
  std::string cert_file;       // PEM: the certificate and its chain
  std::string key_file;        // PEM
  std::string client_ca_file;  // PEM; "": clients are not asked for certificates
  // A client without a certificate may connect: it has a token instead.
  bool client_certificate_optional = false;

  bool enabled() const { return !cert_file.empty(); }
};

// `open …`, or a certificate and a key that do not fit. So that a wrong file is told at the start.
absl::Status CheckKeyPair(const std::string& cert_file, const std::string& key_file);

// The files are read again when they change: a few seconds later new connections get what they
// hold then. Errors are those of the first reading.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeRpcCredentials(const RpcTls& tls);

}  // namespace trawl
