#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace trawl {

// `host:port` of a listen flag, as Go reads it: the host may be empty (every address), a name, or
// an address, IPv6 in brackets.
struct ListenAddress {
  std::string host;
  uint16_t port = 0;  // 0: any free one

  std::string ToString() const;
  // Nobody but this machine's processes can connect: 127.0.0.0/8, ::1, localhost.
  bool IsLoopback() const;
};
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

// Sockets that listen at an address; a name may stand for several. Closed with the object.
class ListenSockets {
 public:
  // `listen tcp 127.0.0.1:8729: bind: address already in use`; kFailedPrecondition.
  static absl::StatusOr<ListenSockets> Open(const ListenAddress& address);
  ListenSockets(ListenSockets&& other) noexcept : fds_(std::move(other.fds_)), port_(other.port_) {
    other.fds_.clear();
  }
  ListenSockets& operator=(ListenSockets&&) = delete;
  ~ListenSockets();

  const std::vector<int>& fds() const { return fds_; }
  uint16_t port() const { return port_; }

 private:
  ListenSockets() = default;

  std::vector<int> fds_;
  uint16_t port_ = 0;
};

}  // namespace trawl
