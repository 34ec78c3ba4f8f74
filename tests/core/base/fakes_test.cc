// What the fakes of base's seams can do beyond the seams' contracts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FakeEventLoopTest, AdvanceFiresEachTimerAtItsOwnTime) {
  FakeEventLoop loop;
  const absl::Duration start = loop.Steady();
  std::vector<absl::Duration> fired;
  for (const int seconds : {10, 5, 20}) {
    loop.RunAfter(absl::Seconds(seconds), [&] { fired.push_back(loop.Steady() - start); });
  }

  loop.Advance(absl::Seconds(15));

  EXPECT_THAT(fired, ElementsAre(absl::Seconds(5), absl::Seconds(10)));
  EXPECT_EQ(loop.Steady() - start, absl::Seconds(15));
  EXPECT_EQ(loop.pending_timers(), 1u);
  EXPECT_EQ(loop.NextTimerIn(), absl::Seconds(5));
}

TEST(FakeEventLoopTest, TiesFireInTheOrderOfCreation) {
  FakeEventLoop loop;
  std::vector<int> fired;
  for (int i = 0; i < 3; ++i) loop.RunAfter(absl::Seconds(1), [&, i] { fired.push_back(i); });

  loop.Advance(absl::Seconds(1));

  EXPECT_THAT(fired, ElementsAre(0, 1, 2));
}

TEST(FakeEventLoopTest, ATimerMadeByATimerFiresInTheSameAdvance) {
  FakeEventLoop loop;
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    loop.RunAfter(absl::Seconds(1), [&] { tick(); });
  };
  loop.RunAfter(absl::Seconds(1), [&] { tick(); });

  loop.Advance(absl::Seconds(10));

  EXPECT_EQ(ticks, 10);
}

TEST(FakeEventLoopTest, SteppingTheWallClockMovesNoTimer) {
  FakeEventLoop loop;
  int fired = 0;
  loop.RunAfter(absl::Seconds(10), [&] { ++fired; });
  const absl::Time before = loop.Now();

  loop.StepWall(-absl::Hours(1));
  loop.Advance(absl::Seconds(9));

  EXPECT_EQ(fired, 0);
  EXPECT_EQ(loop.Now(), before - absl::Hours(1) + absl::Seconds(9));
  EXPECT_TRUE(loop.AdvanceToNextTimer());
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(loop.AdvanceToNextTimer());
}

class MemFileSystemTest : public ::testing::Test {
 protected:
  MemFileSystemTest() { EXPECT_OK(fs_.CreateDirectory("/d")); }
  MemFileSystem fs_;
};

TEST_F(MemFileSystemTest, APowerLossDropsWhatWasNotSynced) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend("/d/a", false));
  ASSERT_OK(file->Append("safe"));
  ASSERT_OK(file->Sync());
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Append("lost"));

  fs_.LosePower();

  EXPECT_THAT(fs_.ReadFile("/d/a"), IsOkAndHolds("safe"));
  EXPECT_FALSE(file->Append("x").ok());
}

TEST_F(MemFileSystemTest, APowerLossDropsAFileWhoseDirectoryWasNotSynced) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend("/d/a", false));
  ASSERT_OK(file->Append("bytes"));
  ASSERT_OK(file->Sync());

  fs_.LosePower();

  EXPECT_THAT(fs_.List("/d"), IsOkAndHolds(IsEmpty()));
}

TEST_F(MemFileSystemTest, APowerLossUndoesARenameThatWasNotSynced) {
  fs_.Put("/d/a", "one");
  ASSERT_OK(fs_.Rename("/d/a", "/d/b"));

  fs_.LosePower();

  EXPECT_THAT(fs_.List("/d"), IsOkAndHolds(ElementsAre("a")));
}

TEST_F(MemFileSystemTest, WriteFileDurablyLeavesTheOldOrTheNewContentAtEveryFailure) {
  constexpr int kOperations = 5;  // open, append, sync, rename, sync of the directory
  for (int successes = 0; successes < kOperations; ++successes) {
    MemFileSystem fs;
    fs.Put("/d/a", "old");

    fs.FailAfter(successes, absl::InternalError("ordered"));
    const absl::Status status = WriteFileDurably(fs, "/d/a", "new");
    fs.LosePower();

    ASSERT_OK_AND_ASSIGN(const std::string content, fs.ReadFile("/d/a"));
    EXPECT_EQ(content, "old") << "failing after " << successes;
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal));
  }
}

TEST_F(MemFileSystemTest, AFullFileSystemTakesWhatFits) {
  fs_.SetCapacity(6);
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend("/d/a", false));
  ASSERT_OK(file->Append("1234"));

  EXPECT_THAT(file->Append("5678"), StatusIs(absl::StatusCode::kResourceExhausted));

  EXPECT_THAT(fs_.ReadFile("/d/a"), IsOkAndHolds("123456"));
}

TEST_F(MemFileSystemTest, AnOrderedFailureComesOnce) {
  fs_.FailAfter(1, absl::InternalError("ordered"));

  EXPECT_OK(fs_.List("/d"));
  EXPECT_THAT(fs_.List("/d"), StatusIs(absl::StatusCode::kInternal, "ordered"));
  EXPECT_OK(fs_.List("/d"));
}

TEST_F(MemFileSystemTest, ALockFromBeforeAPowerLossDoesNotFreeANewOne) {
  ASSERT_OK_AND_ASSIGN(auto before, fs_.Lock("/d/lock"));
  fs_.LosePower();
  ASSERT_OK_AND_ASSIGN(const auto after, fs_.Lock("/d/lock"));

  before.reset();

  EXPECT_FALSE(fs_.Lock("/d/lock").ok());
}

}  // namespace
}  // namespace trawl
