#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "trawl/discovery/v1/discovery.grpc.pb.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {

// Who we are, and whom we trust.
struct ClientCredentials {
  std::shared_ptr<grpc::ChannelCredentials> channel;
  std::string token;  // a bearer token; "": none
};

// trawlctl's connection to one trawld. Calls block, with a deadline each. One thread.
class Connection {
 public:
  struct Options {
    std::string address = "127.0.0.1:8729";
    absl::Duration timeout = absl::Seconds(10);
    // With any of these the connection is by TLS, and the server's certificate is verified.
    std::string tls_ca_file;    // PEM; "": the system's CAs
    std::string tls_cert_file;  // PEM, with tls_key_file: who we are
    std::string tls_key_file;
    bool tls = false;
    std::string token_file;  // holds a bearer token; "": none
  };

  // Errors: a file that can't be read.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const Options& options);

  discovery::v1::DiscoveryService::Stub& discovery() { return *discovery_; }
  status::v1::StatusService::Stub& status() { return *status_; }

  // Calls `(stub.*method)(context, request, &response)`; an error carries the server's words. One
  // that can't be reached, or does not answer in time, is kUnavailable, with its address; a server
  // that answers so itself is there: kFailedPrecondition.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    Prepare(context);
    return Translate((stub.*method)(&context, request, &response));
  }

  // Calls a method that answers with a stream, for as long as the stream lasts and `take` says
  // true; the timeout does not count. OK: `take` had enough, or the server ended the stream with
  // OK.
  template <typename Stub, typename Request, typename Response, typename Take>
  absl::Status Read(Stub& stub,
                    std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(
                        grpc::ClientContext*, const Request&),
                    const Request& request, Take take) {
    grpc::ClientContext context;
    Authorize(context);
    const std::unique_ptr<grpc::ClientReader<Response>> reader = (stub.*method)(&context, request);
    Response response;
    while (reader->Read(&response)) {
      if (take(response)) continue;
      context.TryCancel();
      return absl::OkStatus();
    }
    const grpc::Status end = reader->Finish();
    // A server that ends a stream says so over a connection that still stands: it is leaving.
    if (end.error_code() == grpc::StatusCode::UNAVAILABLE) return Unreachable(end);
    return Translate(end);
  }

 private:
  Connection(const Options& options, const ClientCredentials& credentials);
  void Prepare(grpc::ClientContext& context) const;
  void Authorize(grpc::ClientContext& context) const;
  absl::Status Translate(const grpc::Status& status) const;
  absl::Status Unreachable(const grpc::Status& status) const;

  const Options options_;
  const std::string token_;  // "": none
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<discovery::v1::DiscoveryService::Stub> discovery_;
  std::unique_ptr<status::v1::StatusService::Stub> status_;
};

// The bearer token in a file; "" of no file.
absl::StatusOr<std::string> ReadToken(const std::string& path);

// Reads the files that the options name.
absl::StatusOr<ClientCredentials> LoadCredentials(const Connection::Options& options);

}  // namespace trawl
