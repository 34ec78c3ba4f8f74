#include "server/reset_guard.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

class ResetGuardTest : public ::testing::Test {
 protected:
  void Reset(std::string_view peer, int times) {
    for (int i = 0; i < times; ++i) guard_.OnReset(peer);
  }

  FakeEventLoop loop_;
  std::vector<std::string> floods_;
  ResetGuard guard_{
      {.max_resets = 10, .on_flood = [this](std::string_view peer) { floods_.emplace_back(peer); }},
      loop_};
};

TEST_F(ResetGuardTest, AsManyResetsInASecondAsMayBeAreNoFlood) {
  for (int second = 0; second < 5; ++second) {
    Reset("a", 10);
    loop_.Advance(absl::Seconds(1));
  }
  EXPECT_TRUE(floods_.empty());
}

TEST_F(ResetGuardTest, AFloodIsToldOnceASecond) {
  Reset("a", 1000);
  EXPECT_EQ(floods_, std::vector<std::string>{"a"});

  loop_.Advance(absl::Seconds(1));
  Reset("a", 1000);
  EXPECT_EQ(floods_.size(), 2u);
}

TEST_F(ResetGuardTest, PeersAreCountedEachForItself) {
  for (int i = 0; i < 10; ++i) {
    Reset("a", 1);
    Reset("b", 1);
  }
  EXPECT_TRUE(floods_.empty());
  Reset("b", 1);
  EXPECT_EQ(floods_, std::vector<std::string>{"b"});
}

}  // namespace
}  // namespace trawl
