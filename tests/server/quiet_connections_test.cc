#include "server/quiet_connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http_stream.h"
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
    if (watched_.contains(fd)) watched_[fd] = std::move(callback);
  }
  size_t watched() const { return watched_.size(); }

 private:
  absl::flat_hash_map<int, FdCallback> watched_;
};

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class QuietConnectionsTest : public ::testing::Test {
 protected:
  ~QuietConnectionsTest() override {
    for (const int fd : clients_) close(fd);
  }
  // Our side of a new connection; the client's is kept.
  int NewConnection() {
    std::array<int, 2> fds;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()), 0);
    clients_.push_back(fds[1]);
    ours_.push_back(fds[0]);
    quiet_.Add(std::make_unique<HttpStream>(HttpStream::Options{.max_head_bytes = 5000},
                                            loop_.clock(), fds[0], nullptr));
    return fds[0];
  }
  // The n-th client speaks.
  void Say(size_t n, std::string_view text) {
    EXPECT_EQ(send(clients_[n], text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
    watcher_.Readable(ours_[n]);
  }
  // Whether the n-th client sees the end.
  bool IsClosed(size_t n) {
    char byte;
    return recv(clients_[n], &byte, 1, MSG_DONTWAIT) == 0;
  }

  FakeEventLoop loop_;
  FakeWatcher watcher_;
  std::vector<int> clients_;
  std::vector<int> ours_;
  std::vector<std::unique_ptr<HttpStream>> heard_;
  int closed_ = 0;
  QuietConnections quiet_{{.max_connections = 3, .max_wait = absl::Seconds(10)},
                          {loop_, watcher_},
                          {.heard = [this](auto stream) { heard_.push_back(std::move(stream)); },
                           .closed = [this] { ++closed_; }}};
};

TEST_F(QuietConnectionsTest, OneThatSaidWhatItWantsIsHandedOnAndNotWatchedAnyMore) {
  const int fd = NewConnection();

  Say(0, kRequest);
  loop_.Advance(absl::Seconds(60));

  ASSERT_EQ(heard_.size(), 1u);
  EXPECT_EQ(heard_[0]->socket(), fd);
  EXPECT_EQ(watcher_.watched(), 0u);
  EXPECT_EQ(closed_, 0);
}

TEST_F(QuietConnectionsTest, ARequestMayComeByteByByteAndIsReadAsItCame) {
  NewConnection();

  for (const char& byte : kRequest) {
    EXPECT_TRUE(heard_.empty());
    Say(0, std::string_view(&byte, 1));
  }

  ASSERT_EQ(heard_.size(), 1u);
  std::string request(2 * kRequest.size(), ' ');
  EXPECT_EQ(heard_[0]->read(request.data(), 3), 3);
  EXPECT_EQ(heard_[0]->read(request.data() + 3, request.size() - 3), ssize_t(kRequest.size() - 3));
  EXPECT_EQ(request.substr(0, kRequest.size()), kRequest);
  EXPECT_EQ(heard_[0]->read(request.data(), 3), 0);
}

TEST_F(QuietConnectionsTest, OneThatStaysSilentOrStopsHalfWayIsClosed) {
  NewConnection();
  NewConnection();
  loop_.Advance(absl::Seconds(9));
  Say(1, kRequest.substr(0, 10));
  EXPECT_FALSE(IsClosed(0));
  EXPECT_FALSE(IsClosed(1));

  loop_.Advance(absl::Seconds(1));

  EXPECT_TRUE(IsClosed(0));
  EXPECT_TRUE(IsClosed(1));
  EXPECT_EQ(closed_, 2);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(QuietConnectionsTest, OneThatHangsUpIsForgotten) {
  NewConnection();
  Say(0, kRequest.substr(0, 10));
  shutdown(clients_[0], SHUT_RDWR);

  watcher_.Readable(ours_[0]);

  EXPECT_EQ(watcher_.watched(), 0u);
  EXPECT_EQ(loop_.pending_timers(), 0u);
  EXPECT_EQ(closed_, 0);
}

TEST_F(QuietConnectionsTest, AHeadThatIsTooLongIsNotWaitedFor) {
  NewConnection();

  Say(0, std::string(5000, 'x'));

  EXPECT_TRUE(IsClosed(0));
  EXPECT_TRUE(heard_.empty());
}

TEST_F(QuietConnectionsTest, WhenThereAreTooManyTheOldestThatWasNotHeardGoes) {
  for (int i = 0; i < 3; ++i) NewConnection();
  Say(0, kRequest.substr(0, 10));

  const int newest = NewConnection();

  EXPECT_TRUE(IsClosed(0));
  EXPECT_FALSE(IsClosed(1));
  Say(3, kRequest);
  ASSERT_EQ(heard_.size(), 1u);
  EXPECT_EQ(heard_[0]->socket(), newest);
}

TEST_F(QuietConnectionsTest, WhileAllOthersAreServedTheNewOneIsClosed) {
  for (size_t i = 0; i < 3; ++i) {
    NewConnection();
    Say(i, kRequest);
  }

  NewConnection();
  EXPECT_TRUE(IsClosed(3));

  quiet_.OnOver();
  NewConnection();
  EXPECT_FALSE(IsClosed(4));
  EXPECT_EQ(closed_, 1);
}

}  // namespace
}  // namespace trawl
