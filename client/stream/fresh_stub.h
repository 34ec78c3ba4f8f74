#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <functional>
#include <memory>
#include <utility>

namespace trawl {

// Gives the stub for the next call to a peer whose caller has a back-off.
//
// A gRPC channel that could not connect has a back-off too, in which it fails every call unheard:
// the caller's would come on top of it, and a peer that is back would be noticed after the sum of
// both. It also looks its name up again once in 30 s at most. So such a channel is not waited for:
// the next call gets a new one, which looks up and connects there and then, and nothing connects
// between two calls. A channel that lost its connection, or is making one, stays.
//
// One thread only, never inside a gRPC callback: it may let go of a channel's last reference.
template <typename Service>
class FreshStub {
 public:
  // Makes a channel with FreshChannelArguments.
  using MakeChannel = std::function<std::shared_ptr<grpc::Channel>()>;

  explicit FreshStub(MakeChannel make_channel) : make_channel_(std::move(make_channel)) {}

  typename Service::Stub& ForNextCall() {
    if (channel_ == nullptr || channel_->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      stub_.reset();
      channel_ = make_channel_();
      stub_ = Service::NewStub(channel_);
    }
    return *stub_;
  }

 private:
  const MakeChannel make_channel_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<typename Service::Stub> stub_;
};

// For the channels of a FreshStub: a connection of its own, which is given up 10 s after it was
// begun, and as dead when a ping (after 10 s of silence) is not answered in 10 s.
inline grpc::ChannelArguments FreshChannelArguments() {
  constexpr int kConnectTimeoutMs = 10'000;
  constexpr int kKeepaliveMs = 10'000;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);              // no limit
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);  // is the timeout
  // Longer than a caller's longest step: it has a new channel by then.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  // Connections, and their back-off, are else shared by all channels to an address.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace trawl
