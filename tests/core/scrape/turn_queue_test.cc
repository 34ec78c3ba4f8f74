#include "core/scrape/turn_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;

class TurnQueueTest : public ::testing::Test {
 protected:
  void Enter(const std::string& name) {
    queue_.Enter([this, name] { begun_.push_back(name); });
  }

  FakeEventLoop loop_;
  TurnQueue queue_{loop_};
  std::vector<std::string> begun_;
};

TEST_F(TurnQueueTest, TheFirstBeginsAtOnceAndTheOthersInOrder) {
  Enter("a");
  Enter("b");
  Enter("c");
  EXPECT_THAT(begun_, ElementsAre("a"));

  queue_.Leave();
  loop_.RunUntilIdle();
  EXPECT_THAT(begun_, ElementsAre("a", "b"));

  queue_.Leave();
  loop_.RunUntilIdle();
  EXPECT_THAT(begun_, ElementsAre("a", "b", "c"));
}

TEST_F(TurnQueueTest, NobodyOvertakesTheOneWhoIsAboutToBegin) {
  Enter("a");
  Enter("b");
  queue_.Leave();

  Enter("c");
  loop_.RunUntilIdle();

  EXPECT_THAT(begun_, ElementsAre("a", "b"));
}

TEST_F(TurnQueueTest, IsFreeAgainWhenTheLastHasLeft) {
  Enter("a");
  queue_.Leave();

  Enter("b");

  EXPECT_THAT(begun_, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace trawl
