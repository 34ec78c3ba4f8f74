#include "server/quiet_connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

// Says that descriptors are readable when the test says so.
class FakeWatcher final : public FdWatcher {
 public:
  void Watch(int fd, uint32_t, FdCallback callback) override { watched_[fd] = std::move(callback); }
  void SetEvents(int, uint32_t) override {}
  void Unwatch(int fd) override { watched_.erase(fd); }

  void Readable(int fd) {
    FdCallback callback = std::move(watched_.at(fd));
    callback(kReadable);
  }
  size_t watched() const { return watched_.size(); }

 private:
  absl::flat_hash_map<int, FdCallback> watched_;
};

class QuietConnectionsTest : public ::testing::Test {
 protected:
  ~QuietConnectionsTest() override {
    for (const int fd : clients_) close(fd);
    for (const int fd : spoke_) close(fd);
  }
  // Our side of a new connection; the client's is kept.
  int NewConnection() {
    std::array<int, 2> fds;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    clients_.push_back(fds[1]);
    quiet_.Add(fds[0]);
    return fds[0];
  }
  // Whether the n-th client sees the end.
  bool IsClosed(size_t n) {
    char byte;
    return recv(clients_[n], &byte, 1, MSG_DONTWAIT) == 0;
  }

  FakeEventLoop loop_;
  FakeWatcher watcher_;
  std::vector<int> clients_;
  std::vector<int> spoke_;
  int closed_ = 0;
  QuietConnections quiet_{
      {.max_connections = 3, .max_silence = absl::Seconds(10)},
      {loop_, watcher_},
      {.speaks = [this](int fd) { spoke_.push_back(fd); }, .closed = [this] { ++closed_; }}};
};

TEST_F(QuietConnectionsTest, OneThatSpeaksIsHandedOnAndNotWatchedAnyMore) {
  const int fd = NewConnection();

  watcher_.Readable(fd);
  loop_.Advance(absl::Seconds(60));

  EXPECT_EQ(spoke_, std::vector<int>{fd});
  EXPECT_EQ(watcher_.watched(), 0u);
  EXPECT_EQ(closed_, 0);
}

TEST_F(QuietConnectionsTest, OneThatStaysSilentIsClosed) {
  NewConnection();

  loop_.Advance(absl::Seconds(9));
  EXPECT_FALSE(IsClosed(0));
  loop_.Advance(absl::Seconds(1));

  EXPECT_TRUE(IsClosed(0));
  EXPECT_EQ(closed_, 1);
}

TEST_F(QuietConnectionsTest, WhenThereAreTooManyTheOldestSilentOneGoes) {
  for (int i = 0; i < 3; ++i) NewConnection();

  const int newest = NewConnection();

  EXPECT_TRUE(IsClosed(0));
  EXPECT_FALSE(IsClosed(1));
  watcher_.Readable(newest);
  EXPECT_EQ(spoke_, std::vector<int>{newest});
}

TEST_F(QuietConnectionsTest, WhileAllOthersAreServedTheNewOneIsClosed) {
  for (int i = 0; i < 3; ++i) watcher_.Readable(NewConnection());

  NewConnection();
  EXPECT_TRUE(IsClosed(3));

  quiet_.OnOver();
  NewConnection();
  EXPECT_FALSE(IsClosed(4));
  EXPECT_EQ(closed_, 1);
}

}  // namespace
}  // namespace trawl
