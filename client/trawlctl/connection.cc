#include "client/trawlctl/connection.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/trawlctl/usage.h"
#include "core/base/duration.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr int kMaxMessageBytes = 256 << 20;

absl::StatusOr<std::string> ReadIfNamed(const std::string& path) {
  if (path.empty()) return std::string();
  return PosixFileSystem().ReadFile(path);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const Connection::Options& options) {
  const bool certificate = !options.tls_cert_file.empty() || !options.tls_key_file.empty();
  if (!options.tls && !certificate && options.tls_ca_file.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  if (options.tls_cert_file.empty() != options.tls_key_file.empty()) {
    return UsageError("--tls-cert-file and --tls-key-file go together");
  }
  grpc::SslCredentialsOptions ssl;
  ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadIfNamed(options.tls_ca_file));
  ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadIfNamed(options.tls_cert_file));
  ASSIGN_OR_RETURN(ssl.pem_private_key, ReadIfNamed(options.tls_key_file));
  return grpc::SslCredentials(ssl);
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadIfNamed(path));
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::StatusOr<ClientCredentials> LoadCredentials(const Connection::Options& options) {
  ClientCredentials credentials;
  ASSIGN_OR_RETURN(credentials.channel, MakeCredentials(options));
  ASSIGN_OR_RETURN(credentials.token, ReadToken(options.token_file));
  return credentials;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const Options& options) {
  ASSIGN_OR_RETURN(const ClientCredentials credentials, LoadCredentials(options));
  return std::unique_ptr<Connection>(new Connection(options, credentials));
}

Connection::Connection(const Options& options, const ClientCredentials& credentials)
    : options_(options), token_(credentials.token) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  channel_ = grpc::CreateCustomChannel(options.address, credentials.channel, arguments);
  discovery_ = discovery::v1::DiscoveryService::NewStub(channel_);
  status_ = status::v1::StatusService::NewStub(channel_);
}

void Connection::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(options_.timeout));
  Authorize(context);
}

void Connection::Authorize(grpc::ClientContext& context) const {
  if (!token_.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
}

absl::Status Connection::Translate(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kDeadlineExceeded) {
    return absl::UnavailableError(absl::StrCat("no answer in ", FormatGoDuration(options_.timeout),
                                               "; server ", options_.address));
  }
  if (code == absl::StatusCode::kUnavailable) {
    // Over a connection that stands it is the server's own word: that it can't do this just now.
    if (channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY) {
      return absl::FailedPreconditionError(status.error_message());
    }
    return Unreachable(status);
  }
  return absl::Status(code, status.error_message());
}

absl::Status Connection::Unreachable(const grpc::Status& status) const {
  return absl::UnavailableError(
      absl::StrCat(status.error_message(), "; server ", options_.address));
}

}  // namespace trawl
