#include "client/trawlctl/connection.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace trawl {
namespace {

constexpr int kMaxMessageBytes = 256 << 20;

}  // namespace

Connection::Connection(const Options& options) : options_(options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  auto channel =
      grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), arguments);
  discovery_ = discovery::v1::DiscoveryService::NewStub(channel);
  status_ = status::v1::StatusService::NewStub(channel);
}

void Connection::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(options_.timeout));
}

absl::Status Connection::Translate(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(
        absl::StrCat(status.error_message(), "; server ", options_.address));
  }
  return absl::Status(code, status.error_message());
}

}  // namespace trawl
