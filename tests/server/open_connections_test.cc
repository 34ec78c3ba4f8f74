#include "server/open_connections.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

int NewSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

TEST(OpenConnectionsTest, OneIsOverWhenItsDescriptorIsClosed) {
  OpenConnections connections;
  const int first = NewSocket();
  const int second = NewSocket();
  connections.Add(first);
  connections.Add(second);
  EXPECT_EQ(connections.Count(), 2u);

  close(first);

  EXPECT_EQ(connections.AtMost(), 2u);
  EXPECT_EQ(connections.Count(), 1u);
  EXPECT_EQ(connections.AtMost(), 1u);
  close(second);
}

TEST(OpenConnectionsTest, ADescriptorThatIsUsedAgainCountsOnlyForTheNewSocket) {
  OpenConnections connections;
  const int first = NewSocket();
  connections.Add(first);
  close(first);
  const int again = NewSocket();
  ASSERT_EQ(again, first);  // the lowest that is free

  EXPECT_EQ(connections.Count(), 0u);
  connections.Add(again);
  EXPECT_EQ(connections.Count(), 1u);
  close(again);
}

TEST(OpenConnectionsTest, ThoseThatAreOverDoNotPileUp) {
  OpenConnections connections;
  for (int i = 0; i < 1000; ++i) {
    const int fd = NewSocket();
    connections.Add(fd);
    close(fd);
  }

  EXPECT_LE(connections.AtMost(), 64u);
}

// A connected pair of TCP sockets.
struct Pair {
  explicit Pair(int family, sockaddr* address, socklen_t size) {
    const int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listener, address, size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, address, &size), 0);
    client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, address, size), 0);
    server = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    close(listener);
  }
  ~Pair() {
    close(client);
    close(server);
  }
  bool ended() const {
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
  }

  int client = -1;
  int server = -1;
};

TEST(OpenConnectionsTest, OneIsBrokenOffByTheNameThatGrpcGivesItsPeer) {
  sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  Pair first(AF_INET, reinterpret_cast<sockaddr*>(&any), sizeof any);
  any.sin_port = 0;
  Pair second(AF_INET, reinterpret_cast<sockaddr*>(&any), sizeof any);
  OpenConnections connections;
  connections.Add(first.server);
  connections.Add(second.server);
  sockaddr_in peer = {};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getsockname(second.client, reinterpret_cast<sockaddr*>(&peer), &size), 0);
  const std::string name = absl::StrCat("ipv4:127.0.0.1:", ntohs(peer.sin_port));

  EXPECT_FALSE(connections.ShutDown(name + "0"));
  EXPECT_TRUE(connections.ShutDown(name));

  EXPECT_TRUE(second.ended());
  EXPECT_FALSE(first.ended());
}

TEST(OpenConnectionsTest, SoIsOneOverIpv6) {
  sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  Pair pair(AF_INET6, reinterpret_cast<sockaddr*>(&any), sizeof any);
  OpenConnections connections;
  connections.Add(pair.server);
  sockaddr_in6 peer = {};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getsockname(pair.client, reinterpret_cast<sockaddr*>(&peer), &size), 0);

  EXPECT_TRUE(connections.ShutDown(absl::StrCat("ipv6:%5B::1%5D:", ntohs(peer.sin6_port))));
  EXPECT_TRUE(pair.ended());
}

}  // namespace
}  // namespace trawl
