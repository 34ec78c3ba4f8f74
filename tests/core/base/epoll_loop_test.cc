#include "core/base/epoll_loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace trawl {
namespace {

using ::testing::ElementsAre;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC), 0); }
  ~Pipe() {
    close(ends_[0]);
    CloseWriter();
  }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void Write() { EXPECT_EQ(write(writer(), "x", 1), 1); }
  void Read() {
    char byte;
    EXPECT_EQ(read(reader(), &byte, 1), 1);
  }
  void CloseWriter() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

class EpollLoopTest : public ::testing::Test {
 protected:
  SystemClock clock_;
  EpollLoop loop_{clock_};
};

TEST_F(EpollLoopTest, ReadinessIsReportedUntilItIsTakenAway) {
  Pipe pipe;
  pipe.Write();
  int calls = 0;
  loop_.Watch(pipe.reader(), FdWatcher::kReadable, [&](uint32_t ready) {
    EXPECT_EQ(ready, FdWatcher::kReadable);
    if (++calls == 3) {
      pipe.Read();
      loop_.RunAfter(absl::Milliseconds(2), [&] { loop_.Stop(); });
    }
  });

  loop_.Run();

  EXPECT_EQ(calls, 3);
}

TEST_F(EpollLoopTest, AClosedPeerIsAnError) {
  Pipe pipe;
  uint32_t got = 0;
  pipe.CloseWriter();
  loop_.Watch(pipe.reader(), FdWatcher::kReadable, [&](uint32_t ready) {
    got = ready;
    loop_.Stop();
  });

  loop_.Run();

  EXPECT_TRUE(got & FdWatcher::kError);
}

TEST_F(EpollLoopTest, SetEventsChangesWhatIsWatched) {
  Pipe pipe;
  std::vector<uint32_t> got;
  loop_.Watch(pipe.writer(), 0, [&](uint32_t ready) {
    got.push_back(ready);
    loop_.Stop();
  });
  loop_.RunAfter(absl::Milliseconds(1), [&] {
    EXPECT_TRUE(got.empty());
    loop_.SetEvents(pipe.writer(), FdWatcher::kWritable);
  });

  loop_.Run();

  EXPECT_THAT(got, ElementsAre(FdWatcher::kWritable));
}

TEST_F(EpollLoopTest, ACallbackUnwatchedInTheSameTurnDoesNotRun) {
  Pipe first;
  Pipe second;
  first.Write();
  second.Write();
  std::vector<std::string> ran;
  // Whichever comes first takes the other away.
  loop_.Watch(first.reader(), FdWatcher::kReadable, [&](uint32_t) {
    ran.push_back("one");
    loop_.Unwatch(first.reader());
    loop_.Unwatch(second.reader());
    loop_.RunAfter(absl::Milliseconds(1), [&] { loop_.Stop(); });
  });
  loop_.Watch(second.reader(), FdWatcher::kReadable, [&](uint32_t) {
    ran.push_back("one");
    loop_.Unwatch(first.reader());
    loop_.Unwatch(second.reader());
    loop_.RunAfter(absl::Milliseconds(1), [&] { loop_.Stop(); });
  });

  loop_.Run();

  EXPECT_THAT(ran, ElementsAre("one"));
}

TEST_F(EpollLoopTest, AnOldEventDoesNotReachANewWatchOfTheSameDescriptor) {
  Pipe first;
  Pipe second;
  first.Write();
  second.Write();
  int stale = 0;
  const auto replace = [&](Pipe& other) {
    other.Read();  // no longer readable: only the old event could call
    loop_.Unwatch(other.reader());
    loop_.Watch(other.reader(), FdWatcher::kReadable, [&](uint32_t) { ++stale; });
    loop_.RunAfter(absl::Milliseconds(1), [&] { loop_.Stop(); });
  };
  loop_.Watch(first.reader(), FdWatcher::kReadable, [&](uint32_t) {
    loop_.Unwatch(first.reader());
    replace(second);
  });
  loop_.Watch(second.reader(), FdWatcher::kReadable, [&](uint32_t) {
    loop_.Unwatch(second.reader());
    replace(first);
  });

  loop_.Run();

  EXPECT_EQ(stale, 0);
}

TEST_F(EpollLoopTest, ACallbackMayUnwatchItself) {
  Pipe pipe;
  pipe.Write();
  const auto owned = std::make_shared<int>(0);
  loop_.Watch(pipe.reader(), FdWatcher::kReadable, [&, owned](uint32_t) {
    loop_.Unwatch(pipe.reader());
    ++*owned;  // still there
    loop_.Stop();
  });

  loop_.Run();

  EXPECT_EQ(*owned, 1);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(EpollLoopTest, StopBeforeRunEndsIt) {
  loop_.Stop();
  loop_.Run();
}

TEST_F(EpollLoopTest, StopEndsAfterTheTurn) {
  std::vector<std::string> ran;
  loop_.Post([&] {
    loop_.Stop();
    ran.push_back("first");
  });
  loop_.Post([&] { ran.push_back("second"); });
  loop_.AtTurnEnd([&] { ran.push_back("end"); });

  loop_.Run();

  EXPECT_THAT(ran, ElementsAre("first", "second", "end"));
}

TEST_F(EpollLoopTest, ALoopOfTimersWithoutDelayStarvesNothing) {
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    loop_.RunAfter(absl::ZeroDuration(), [&] { tick(); });
    if (ticks == 10) loop_.Post([&] { loop_.Stop(); });
  };
  tick();

  loop_.Run();

  EXPECT_EQ(ticks, 10);
}

TEST(LoopThreadTest, RunsPostsOnItsOwnThreadAndJoins) {
  SystemClock clock;
  LoopThread thread(clock, "a-name-that-is-too-long");
  std::array<char, 16> name{};
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  EXPECT_FALSE(thread.loop().InLoopThread());

  thread.loop().Post([&] {
    EXPECT_TRUE(thread.loop().InLoopThread());
    pthread_getname_np(pthread_self(), name.data(), name.size());
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
  }
  thread.Shutdown();
  thread.Shutdown();

  EXPECT_STREQ(name.data(), "a-name-that-is-");
}

}  // namespace
}  // namespace trawl
