#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct AddressDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressDeleter>;

absl::Status ListenError(const ListenAddress& address, std::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("listen tcp ", address.ToString(), ": ", why));
}

// As Go words it: in lower case.
std::string BindError(int error) {
  std::string text = std::strerror(error);
  text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  return absl::StrCat("bind: ", text);
}

absl::StatusOr<AddressList> Lookup(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const std::string port = absl::StrCat(address.port);
  const int error = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(),
                                &hints, &list);
  if (error != 0) return ListenError(address, gai_strerror(error));
  return AddressList(list);
}

// -1 and errno.
int OpenOne(const addrinfo& address, uint16_t port) {
  sockaddr_storage where = {};
  std::memcpy(&where, address.ai_addr, address.ai_addrlen);
  if (where.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(where).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(where).sin_port = htons(port);
  }
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  // No SO_REUSEPORT: a second server at this address must be told.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, reinterpret_cast<sockaddr*>(&where), address.ai_addrlen) == 0 &&
      listen(fd, SOMAXCONN) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

uint16_t PortOf(int fd) {
  sockaddr_storage where = {};
  socklen_t size = sizeof where;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size) != 0) return 0;
  return ntohs(where.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(where).sin6_port
                                           : reinterpret_cast<sockaddr_in&>(where).sin_port);
}

}  // namespace

std::string ListenAddress::ToString() const {
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]" : "", ":", port);
}

// A name but localhost may stand for any address, also one that begins with "127.".
bool ListenAddress::IsLoopback() const {
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return host == "localhost" || host == "::1";
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("address ", GoQuote(text), ": ", why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("missing port in address");
  ListenAddress out;
  std::string_view host = text.substr(0, colon);
  uint32_t port = 0;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) return bad("invalid port");
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("too many colons in address");
  }
  out.host = host;
  out.port = static_cast<uint16_t>(port);
  return out;
}

absl::StatusOr<ListenSockets> ListenSockets::Open(const ListenAddress& address) {
  absl::StatusOr<AddressList> list = Lookup(address);
  if (!list.ok()) return list.status();
  ListenSockets sockets;
  int error = 0;
  for (const addrinfo* at = list->get(); at != nullptr; at = at->ai_next) {
    // Port 0 is chosen by the first socket; the others take the same.
    const uint16_t port = sockets.fds_.empty() ? address.port : sockets.port_;
    const int fd = OpenOne(*at, port);
    if (fd < 0) {
      error = errno;
      // A machine without IPv6 still serves the other addresses.
      if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL) continue;
      return ListenError(address, BindError(error));
    }
    sockets.fds_.push_back(fd);
    sockets.port_ = PortOf(fd);
  }
  if (sockets.fds_.empty()) return ListenError(address, BindError(error));
  return sockets;
}

ListenSockets::~ListenSockets() {
  for (const int fd : fds_) close(fd);
}

}  // namespace trawl
