#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "core/base/event_loop.h"

namespace trawl {

// Drives an event loop in a test: how the real one and the fake are run differs.
class EventLoopDriver {
 public:
  virtual ~EventLoopDriver() = default;
  virtual EventLoop& loop() = 0;
  // Runs the loop until `done` is true; it becomes true within `time`.
  virtual void RunUntil(const std::function<bool()>& done, absl::Duration time) = 0;
  // Destroys the loop.
  virtual void Destroy() = 0;
};

using EventLoopDriverFactory = std::unique_ptr<EventLoopDriver> (*)();

// What event_loop.h promises; TEST_P over the factories.
class EventLoopContractTest : public ::testing::TestWithParam<EventLoopDriverFactory> {
 protected:
  EventLoopContractTest() : driver_(GetParam()()), loop_(driver_->loop()) {}

  void RunUntilLogged(size_t entries) {
    driver_->RunUntil([&] { return log_.size() >= entries; }, absl::Milliseconds(50));
  }
  EventLoop::Callback Logs(std::string entry) {
    return [this, entry] { log_.push_back(entry); };
  }

  std::unique_ptr<EventLoopDriver> driver_;
  EventLoop& loop_;
  std::vector<std::string> log_;
};

TEST_P(EventLoopContractTest, PostedCallbacksRunInOrder) {
  loop_.Post(Logs("a"));
  loop_.Post(Logs("b"));
  loop_.Post(Logs("c"));

  RunUntilLogged(3);

  EXPECT_THAT(log_, ::testing::ElementsAre("a", "b", "c"));
}

TEST_P(EventLoopContractTest, ACallbackMayPost) {
  loop_.Post([this] {
    log_.push_back("outer");
    loop_.Post(Logs("inner"));
  });

  RunUntilLogged(2);

  EXPECT_THAT(log_, ::testing::ElementsAre("outer", "inner"));
}

TEST_P(EventLoopContractTest, CallbacksPostedByAnotherThreadRunInItsOrder) {
  std::thread poster([this] {
    for (int i = 0; i < 100; ++i) loop_.Post(Logs(std::to_string(i)));
  });
  poster.join();

  RunUntilLogged(100);

  ASSERT_EQ(log_.size(), 100u);
  for (size_t i = 0; i < log_.size(); ++i) EXPECT_EQ(log_[i], std::to_string(i));
}

TEST_P(EventLoopContractTest, CallbacksRunOnTheLoopsThread) {
  bool in_loop = false;
  loop_.Post([&] {
    in_loop = loop_.InLoopThread();
    log_.push_back("ran");
  });

  RunUntilLogged(1);

  EXPECT_TRUE(in_loop);
}

TEST_P(EventLoopContractTest, TimersRunInTheOrderOfTheirTimes) {
  loop_.RunAfter(absl::Milliseconds(3), Logs("late"));
  loop_.RunAfter(absl::Milliseconds(1), Logs("early"));
  loop_.RunAfter(absl::Milliseconds(2), Logs("middle"));

  RunUntilLogged(3);

  EXPECT_THAT(log_, ::testing::ElementsAre("early", "middle", "late"));
}

TEST_P(EventLoopContractTest, ATimerNeverRunsBeforeItsTime) {
  const absl::Duration start = loop_.clock().Steady();
  absl::Duration ran;
  loop_.RunAfter(absl::Microseconds(1500), [&] {
    ran = loop_.clock().Steady();
    log_.push_back("ran");
  });

  RunUntilLogged(1);

  EXPECT_GE(ran - start, absl::Microseconds(1500));
}

TEST_P(EventLoopContractTest, ANegativeDelayIsNoDelay) {
  loop_.RunAfter(-absl::Seconds(1), Logs("ran"));

  RunUntilLogged(1);

  EXPECT_THAT(log_, ::testing::ElementsAre("ran"));
}

TEST_P(EventLoopContractTest, ACancelledTimerDoesNotRun) {
  const TimerId cancelled = loop_.RunAfter(absl::Milliseconds(1), Logs("cancelled"));
  loop_.RunAfter(absl::Milliseconds(2), Logs("kept"));
  loop_.Cancel(cancelled);

  RunUntilLogged(1);

  EXPECT_THAT(log_, ::testing::ElementsAre("kept"));
}

TEST_P(EventLoopContractTest, ATimerMayCancelOneThatIsDueInTheSameTurn) {
  TimerId second = 0;
  loop_.Post([&] {
    loop_.RunAfter(absl::ZeroDuration(), [&] {
      log_.push_back("first");
      loop_.Cancel(second);
    });
    second = loop_.RunAfter(absl::ZeroDuration(), Logs("second"));
    loop_.RunAfter(absl::Milliseconds(1), Logs("third"));
  });

  RunUntilLogged(2);

  EXPECT_THAT(log_, ::testing::ElementsAre("first", "third"));
}

TEST_P(EventLoopContractTest, UnknownTimersAreIgnoredByCancel) {
  loop_.Cancel(0);
  loop_.Cancel(12345);
  const TimerId timer = loop_.RunAfter(absl::ZeroDuration(), Logs("ran"));
  RunUntilLogged(1);

  loop_.Cancel(timer);

  EXPECT_NE(timer, 0u);
  EXPECT_THAT(log_, ::testing::ElementsAre("ran"));
}

TEST_P(EventLoopContractTest, TheTurnsEndComesAfterTheTurnsCallbacks) {
  loop_.Post([this] {
    loop_.AtTurnEnd(Logs("end"));
    log_.push_back("first");
  });
  loop_.Post(Logs("second"));

  RunUntilLogged(3);

  EXPECT_THAT(log_, ::testing::ElementsAre("first", "second", "end"));
}

TEST_P(EventLoopContractTest, TheTurnsEndComesBeforeTheNextTimer) {
  loop_.RunAfter(absl::Milliseconds(1), [this] { loop_.AtTurnEnd(Logs("end")); });
  loop_.RunAfter(absl::Milliseconds(20), Logs("timer"));

  RunUntilLogged(2);

  EXPECT_THAT(log_, ::testing::ElementsAre("end", "timer"));
}

TEST_P(EventLoopContractTest, WhatWasPostedIsDestroyedUnrunWithTheLoop) {
  const auto owned = std::make_shared<int>(1);
  loop_.Post([this, owned] { log_.push_back("ran"); });
  loop_.RunAfter(absl::Hours(1), [this, owned] { log_.push_back("ran"); });

  driver_->Destroy();

  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_THAT(log_, ::testing::IsEmpty());
}

}  // namespace trawl
