#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server.h>

#include <cstddef>
#include <memory>
#include <string>

namespace trawl {

// Both sides' limit of a message: above the largest record (32 MiB). Servers must set it too.
inline constexpr int kMaxStorageMessageBytes = 64 << 20;

// A channel to a storage service at `address` (host:port, unix:path, or any gRPC name), with a
// connection of its own and keepalive (10 s, 10 s, also without calls). It is for one connection: a
// channel that can't connect is to be replaced (FreshStub). Thread-safe.
std::shared_ptr<grpc::Channel> MakeStorageChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// A channel to a storage service in this process.
std::shared_ptr<grpc::Channel> MakeInProcessStorageChannel(grpc::Server& server);

}  // namespace trawl
