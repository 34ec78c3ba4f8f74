#include "server/open_connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

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

}  // namespace
}  // namespace trawl
