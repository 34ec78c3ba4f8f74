#include "client/append/storage_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "client/stream/fresh_stub.h"

namespace trawl {
namespace {

grpc::ChannelArguments WithMessageLimits(grpc::ChannelArguments arguments) {
  arguments.SetMaxSendMessageSize(kMaxStorageMessageBytes);
  arguments.SetMaxReceiveMessageSize(kMaxStorageMessageBytes);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeStorageChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments = WithMessageLimits(FreshChannelArguments());
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

std::shared_ptr<grpc::Channel> MakeInProcessStorageChannel(grpc::Server& server) {
  return server.InProcessChannel(WithMessageLimits({}));
}

}  // namespace trawl
