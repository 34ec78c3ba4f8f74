#include "server/accept_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "tests/server/loopback_socket.h"

namespace trawl {
namespace {

// Waits for the end that the other side makes.
bool IsClosedByPeer(int fd) {
  char byte;
  return recv(fd, &byte, 1, 0) <= 0;
}

class AcceptLoopTest : public ::testing::Test {
 protected:
  AcceptLoopTest()
      : loop_({.max_connections = 2, .on_refused = [this] { CountRefused(); }},
              *ListenSockets::Open({"127.0.0.1", 0}), [this](int fd) { Take(fd); }) {}
  ~AcceptLoopTest() override {
    loop_.Stop();
    for (const int fd : taken_) close(fd);
  }

  void Take(int fd) {
    MutexLock lock(mutex_);
    taken_.push_back(fd);
    changed_.NotifyAll();
  }
  void CountRefused() {
    MutexLock lock(mutex_);
    ++refused_;
  }
  void WaitTaken(size_t count) {
    MutexLock lock(mutex_);
    while (taken_.size() < count) changed_.Wait(mutex_);
  }
  void CloseFirstTaken() {
    MutexLock lock(mutex_);
    close(taken_.front());
    taken_.erase(taken_.begin());
  }
  size_t refused() {
    MutexLock lock(mutex_);
    return refused_;
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<int> taken_ TRAWL_GUARDED_BY(mutex_);
  size_t refused_ TRAWL_GUARDED_BY(mutex_) = 0;
  AcceptLoop loop_;
};

TEST_F(AcceptLoopTest, AConnectionBeyondTheLimitIsClosedAndCounted) {
  const int first = ConnectToLoopback(loop_.port());
  const int second = ConnectToLoopback(loop_.port());
  WaitTaken(2);
  const int third = ConnectToLoopback(loop_.port());

  EXPECT_TRUE(IsClosedByPeer(third));
  EXPECT_EQ(loop_.connections(), 2u);
  loop_.Stop();
  EXPECT_EQ(refused(), 1u);
  for (const int fd : {first, second, third}) close(fd);
}

TEST_F(AcceptLoopTest, WhoComesWhenOneHasGoneIsTaken) {
  const int first = ConnectToLoopback(loop_.port());
  const int second = ConnectToLoopback(loop_.port());
  WaitTaken(2);
  CloseFirstTaken();

  const int third = ConnectToLoopback(loop_.port());
  WaitTaken(2);

  EXPECT_EQ(loop_.connections(), 2u);
  EXPECT_EQ(refused(), 0u);
  for (const int fd : {first, second, third}) close(fd);
}

}  // namespace
}  // namespace trawl
