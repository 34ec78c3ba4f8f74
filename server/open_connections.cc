#include "server/open_connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

// As gRPC 1.51 writes addresses of TCP; of others "".
std::string PeerOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return absl::StrCat("ipv4:", text, ":", ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    return absl::StrCat("ipv4:", text, ":", ntohs(v6.sin6_port));
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return absl::StrCat("ipv6:%5B", text, "%5D:", ntohs(v6.sin6_port));
}

}  // namespace

void OpenConnections::Add(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return;
  MutexLock lock(mutex_);
  // Also where nobody counts those that are over don't pile up.
  if (connections_.size() >= sweep_at_) Sweep();
  connections_.push_back({fd, status.st_ino});
}

size_t OpenConnections::AtMost() const {
  MutexLock lock(mutex_);
  return connections_.size();
}

size_t OpenConnections::Count() {
  MutexLock lock(mutex_);
  Sweep();
  return connections_.size();
}

bool OpenConnections::ShutDown(std::string_view peer) {
  MutexLock lock(mutex_);
  for (const Connection& connection : connections_) {
    // A socket that is closed between the look and the call is the worst that can happen: then
    // one of ours that got its descriptor meanwhile is broken off, and made again.
    if (PeerOf(connection.fd) != peer || !IsOpen(connection)) continue;
    return shutdown(connection.fd, SHUT_RDWR) == 0;
  }
  return false;
}

void OpenConnections::Sweep() {
  std::erase_if(connections_, [](const Connection& connection) { return !IsOpen(connection); });
  sweep_at_ = std::max<size_t>(64, 2 * connections_.size());
}

// The kernel gives each socket an inode of its own.
bool OpenConnections::IsOpen(const Connection& connection) {
  struct stat status = {};
  return fstat(connection.fd, &status) == 0 && status.st_ino == connection.inode;
}

}  // namespace trawl
