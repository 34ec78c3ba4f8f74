// What the fakes of base's seams can do beyond the seams' contracts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

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

// What an uneven power loss may leave of /d, for so many seeds.
class UnevenPowerLossTest : public ::testing::Test {
 protected:
  using Tree = std::map<std::string, std::string>;

  static constexpr int kSeeds = 500;

  // Runs the program, loses power, and reads all there is.
  static Tree Outcome(const std::function<void(MemFileSystem&)>& program, int seed) {
    MemFileSystem fs;
    EXPECT_OK(fs.CreateDirectory("/d"));
    program(fs);
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    fs.LosePowerUnevenly(random);
    Tree tree;
    for (const auto& [path, size] : fs.Sizes()) {
      tree[path] = fs.ReadFile(path).value_or("unreadable");
    }
    return tree;
  }
  static std::set<Tree> Outcomes(const std::function<void(MemFileSystem&)>& program) {
    std::set<Tree> outcomes;
    for (int seed = 0; seed < kSeeds; ++seed) outcomes.insert(Outcome(program, seed));
    return outcomes;
  }

  static void Append(MemFileSystem& fs, const std::string& path, std::string_view bytes,
                     bool synced) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs.OpenForAppend(path, false));
    ASSERT_OK(file->Append(bytes));
    if (synced) {
      ASSERT_OK(file->Sync());
    }
  }
};

TEST_F(UnevenPowerLossTest, TheLastWriteIsCutAtEachOfItsBytesAndNoneBefore) {
  std::set<std::string> cut;
  for (const Tree& tree : Outcomes([](MemFileSystem& fs) {
         fs.Put("/d/a", "");
         Append(fs, "/d/a", "synced", true);
         Append(fs, "/d/a", "1234567", false);
       })) {
    // Where it ends is one chance, whether its sector was written another.
    const std::string& content = tree.at("/d/a");
    EXPECT_THAT(content, StartsWith("synced"));
    if (content.find('\0') == std::string::npos) cut.insert(content);
  }

  EXPECT_THAT(cut, ElementsAre("synced", "synced1", "synced12", "synced123", "synced1234",
                               "synced12345", "synced123456", "synced1234567"));
}

TEST_F(UnevenPowerLossTest, ALaterWriteMayBeThereWithoutAnEarlierOne) {
  constexpr size_t kSector = 512;
  std::set<std::string> found;  // the first byte of both
  for (const Tree& tree : Outcomes([&](MemFileSystem& fs) {
         fs.Put("/d/a", "");
         Append(fs, "/d/a", std::string(kSector, '1'), false);
         Append(fs, "/d/a", std::string(kSector, '2'), false);
       })) {
    const std::string& content = tree.at("/d/a");
    if (content.size() > kSector) found.insert({content[0], content[kSector]});
  }

  EXPECT_THAT(found, UnorderedElementsAre(std::string(2, '\0'), std::string("1\0", 2),
                                          std::string("\0"
                                                      "2",
                                                      2),
                                          "12"));
}

TEST_F(UnevenPowerLossTest, WritesToDifferentFilesComeInAnyOrder) {
  std::set<std::pair<bool, bool>> there;
  for (const Tree& tree : Outcomes([](MemFileSystem& fs) {
         fs.Put("/d/a", "");
         fs.Put("/d/b", "");
         Append(fs, "/d/a", "x", false);
         Append(fs, "/d/b", "x", false);
       })) {
    there.emplace(tree.at("/d/a") == "x", tree.at("/d/b") == "x");
  }

  EXPECT_THAT(there, SizeIs(4));
}

TEST_F(UnevenPowerLossTest, BytesThatWereReplacedAreTheOldOrTheNewSectorBySector) {
  const std::string old(1024, 'o');
  std::set<std::string> found;
  for (const Tree& tree : Outcomes([&](MemFileSystem& fs) {
         fs.Put("/d/a", old);
         ASSERT_OK_AND_ASSIGN(const auto file, fs.OpenForUpdate("/d/a"));
         ASSERT_OK(file->WriteAt(500, std::string(24, 'n')));
       })) {
    found.insert(tree.at("/d/a").substr(500, 24));
  }

  EXPECT_THAT(found, UnorderedElementsAre(
                         std::string(24, 'o'), std::string(12, 'n') + std::string(12, 'o'),
                         std::string(12, 'o') + std::string(12, 'n'), std::string(24, 'n')));
}

TEST_F(UnevenPowerLossTest, NamesThatWereNotSyncedByChanceAreThere) {
  const std::set<Tree> outcomes = Outcomes([](MemFileSystem& fs) {
    fs.Put("/d/gone", "g");
    fs.Put("/d/old", "o");
    Append(fs, "/d/made", "m", true);
    ASSERT_OK(fs.Remove("/d/gone"));
    ASSERT_OK(fs.Rename("/d/old", "/d/new"));
  });

  std::set<std::pair<bool, bool>> made_and_gone;
  for (const Tree& tree : outcomes) {
    made_and_gone.emplace(tree.contains("/d/made"), tree.contains("/d/gone"));
    for (const auto& [path, content] : tree) EXPECT_THAT(content, SizeIs(1)) << path;
  }
  EXPECT_THAT(made_and_gone, SizeIs(4));
}

TEST_F(UnevenPowerLossTest, AFileThatIsReplacedIsTheOldOrTheNewOne) {
  std::set<std::string> found;
  for (const Tree& tree : Outcomes([](MemFileSystem& fs) {
         fs.Put("/d/a", "old");
         Append(fs, "/d/a.new", "new", true);
         ASSERT_OK(fs.Rename("/d/a.new", "/d/a"));
       })) {
    ASSERT_TRUE(tree.contains("/d/a"));
    found.insert(tree.at("/d/a"));
  }

  EXPECT_THAT(found, ElementsAre("new", "old"));
}

TEST_F(UnevenPowerLossTest, WhatWasSyncedIsThereWhole) {
  const std::string bytes(1500, 's');
  const auto program = [&](MemFileSystem& fs) {
    Append(fs, "/d/a", bytes, true);
    ASSERT_OK(fs.SyncDirectory("/d"));
  };

  EXPECT_THAT(Outcomes(program), ElementsAre(Tree{{"/d/a", bytes}}));
}

TEST_F(UnevenPowerLossTest, ASeedGivesTheSameAgain) {
  const auto program = [](MemFileSystem& fs) {
    for (const char* path : {"/d/a", "/d/b", "/d/c"}) {
      Append(fs, path, std::string(2000, 'x'), false);
    }
  };

  for (int seed = 0; seed < 20; ++seed) EXPECT_EQ(Outcome(program, seed), Outcome(program, seed));
}

}  // namespace
}  // namespace trawl
