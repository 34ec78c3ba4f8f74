#include "client/append/storage_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

namespace trawl {
namespace {

constexpr int kKeepaliveMs = 10'000;
constexpr int kFirstReconnectMs = 100;
constexpr int kMaxReconnectMs = 5'000;
constexpr int kConnectTimeoutMs = 10'000;

grpc::ChannelArguments MessageLimits() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(kMaxStorageMessageBytes);
  arguments.SetMaxReceiveMessageSize(kMaxStorageMessageBytes);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeStorageChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    bool own_connection) {
  grpc::ChannelArguments arguments = MessageLimits();
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  if (own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

std::shared_ptr<grpc::Channel> MakeInProcessStorageChannel(grpc::Server& server) {
  return server.InProcessChannel(MessageLimits());
}

}  // namespace trawl
