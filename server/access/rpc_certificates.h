#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "server/grpc_compat.h"

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

// The files of the gRPC port's TLS, which may change while trawld runs.
//
// Guarantees:
//   1. WHAT IS IN USE FITS TOGETHER. A certificate without its key, as in a renewal that is half
//      done, or text that is no PEM changes nothing: connections get what was read last.
//   2. A connection that comes after a Refresh gets what that found, where it was right.
//
// Refresh: one thread. Current: any thread.
class RpcCertificates {
 public:
  // Of a port with TLS. Errors name the file that can't be read, or is wrong.
  static absl::StatusOr<std::unique_ptr<RpcCertificates>> Open(FileSystem& files,
                                                               const RpcTls& tls);

  // Reads the files again. On an error what was read last stays: of the certificate and its key,
  // or of the clients' authorities.
  absl::Status Refresh();

  std::shared_ptr<const ServerCertificates> Current() const { return current_.Get(); }
  // For one port. It and this must outlive the server.
  std::shared_ptr<grpc::ServerCredentials> MakeCredentials() const;

 private:
  RpcCertificates(FileSystem& files, const RpcTls& tls) : files_(files), tls_(tls) {}
  absl::Status ReadKeyPair(ServerCertificates& out);
  absl::Status ReadAuthorities(ServerCertificates& out);

  FileSystem& files_;
  const RpcTls tls_;
  Published<ServerCertificates> current_;
};

}  // namespace trawl
