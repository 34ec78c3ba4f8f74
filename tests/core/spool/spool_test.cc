#include "core/spool/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string SegmentPath(uint64_t number) {
  return absl::StrCat(SpoolRig::kDirectory, "/", SegmentFileName(number));
}

TEST(SpoolTest, WhatWasAppendedIsReadWhileItIsWrittenAndByTheNextRun) {
  SpoolRig rig;
  rig.Segment(40, 5'000, 10);
  rig.Segment(40, 5'000, 10);

  EXPECT_THAT(rig.Tell(*rig.spool).records, SizeIs(rig.last()));
  rig.Crash();
  const auto stored = rig.Recover();

  EXPECT_EQ(stored->next_number(), rig.last() + 1);
  EXPECT_EQ(stored->first_number(), 1u);
  const Told told = rig.Tell(*stored);
  EXPECT_THAT(told.records, SizeIs(rig.last()));
  EXPECT_THAT(told.holes, IsEmpty());
  EXPECT_EQ(stored->SamplesBetween(1, rig.last()), rig.Samples(1, rig.last()));
  for (uint64_t n = 1; n <= rig.last(); n += 7) {
    EXPECT_EQ(stored->SamplesBetween(n, n + 3), rig.Samples(n, std::min(n + 3, rig.last())));
  }
}

TEST(SpoolTest, RecordIsInTheKernelWhenAppendReturns) {
  SpoolRig rig;
  ASSERT_OK(rig.Append(RecordKind::kDictionary, 100, 0, true));
  ASSERT_OK(rig.Append(RecordKind::kScrape, 100, 5));

  ASSERT_OK_AND_ASSIGN(const std::string content, rig.files.ReadFile(SegmentPath(1)));
  EXPECT_EQ(content.substr(content.size() - rig.written(2).bytes.size()), rig.written(2).bytes);
}

TEST(SpoolTest, WhatTheSyncerPassedOverSurvivesAPowerLoss) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  rig.loop.Advance(absl::Seconds(1));
  const uint64_t synced = rig.last();
  ASSERT_OK(rig.Append(RecordKind::kScrape, 100, 5));

  rig.files.LosePower();
  rig.spool.reset();

  const auto stored = rig.Recover();
  EXPECT_EQ(stored->next_number(), synced + 1);
  EXPECT_THAT(rig.Tell(*stored).records, SizeIs(synced));
}

TEST(SpoolTest, FilesGoWhenEverybodyIsPast) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  const uint64_t first = rig.last();
  rig.Segment(5, 300, 3);

  rig.spool->Trim(first);
  rig.loop.Advance(absl::Seconds(1));

  EXPECT_THAT(rig.files.List(SpoolRig::kDirectory),
              IsOkAndHolds(ElementsAre(SegmentFileName(first + 1), "gaps")));
  rig.spool->Trim(rig.last());
  rig.Stop();
  EXPECT_THAT(rig.files.List(SpoolRig::kDirectory), StatusIs(absl::StatusCode::kNotFound));
}

TEST(SpoolTest, NextRunKnowsWhatTheCapTook) {
  Spool::Options options = SpoolRig::DefaultOptions();
  options.max_bytes = 10'000;
  SpoolRig rig(options);
  for (int i = 0; i < 10; ++i) rig.Segment(10, 250, 4);
  const uint64_t first = rig.spool->first_number();
  ASSERT_GT(first, 1u);
  rig.Crash();

  const auto stored = rig.Recover();

  const Told told = rig.Tell(*stored);
  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, first - 1);
  EXPECT_EQ(told.holes[0].samples, rig.Samples(1, first - 1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kCap);
}

TEST(SpoolTest, SegmentsOverTheAgeLimitGo) {
  Spool::Options options = SpoolRig::DefaultOptions();
  options.max_age = absl::Hours(2);
  SpoolRig rig(options);
  rig.Segment(5, 250, 4);
  const uint64_t old = rig.last();
  rig.loop.Advance(absl::Hours(1));
  rig.Segment(5, 250, 4);

  rig.loop.Advance(absl::Minutes(59));
  EXPECT_EQ(rig.spool->first_number(), 1u);
  rig.loop.Advance(absl::Minutes(2));

  EXPECT_EQ(rig.spool->first_number(), old + 1);
  const std::optional<LogHole> hole = rig.spool->HoleAt(1);
  ASSERT_TRUE(hole);
  EXPECT_EQ(hole->reason, HoleReason::kAge);
  EXPECT_EQ(rig.spool->status()->dropped_samples[static_cast<size_t>(HoleReason::kAge)],
            rig.Samples(1, old));
}

TEST(SpoolTest, WallClockThatJumpsAheadMakesNothingOld) {
  SpoolRig rig;
  rig.Segment(5, 250, 4);
  rig.Segment(5, 250, 4);
  rig.loop.StepWall(absl::Hours(24 * 8));
  rig.loop.Advance(absl::Seconds(5));
  EXPECT_EQ(rig.spool->first_number(), 1u);
  rig.loop.StepWall(-absl::Hours(24 * 8));
  rig.Crash();
  const std::unique_ptr<StoredLog> stored = rig.Recover();

  rig.loop.StepWall(absl::Hours(24 * 8));
  rig.loop.Advance(absl::Seconds(5));

  EXPECT_THAT(rig.Tell(*stored).records, SizeIs(rig.last()));
  EXPECT_EQ(rig.budget.dropped_samples(HoleReason::kAge), 0u);
}

TEST(SpoolTest, WhatAgeTakesOfAnEarlierRunIsCounted) {
  SpoolRig rig;
  rig.Segment(5, 250, 4);
  const uint64_t first = rig.last();
  rig.Segment(5, 250, 4);
  rig.Crash();
  const std::unique_ptr<StoredLog> stored = rig.Recover();
  stored->Trim(first + 3);  // inside of the second

  rig.loop.Advance(absl::Hours(24 * 8));

  EXPECT_EQ(rig.budget.dropped_samples(HoleReason::kAge), rig.Samples(first + 4, rig.last()));
  EXPECT_EQ(rig.budget.dropped_samples(HoleReason::kCap), 0u);
}

TEST(SpoolTest, BudgetOfAllTakesTheOldestSegmentOfAny) {
  SpoolRig rig(SpoolRig::DefaultOptions(), 20'000);
  rig.Segment(10, 250, 4);
  rig.loop.Advance(absl::Seconds(5));
  rig.Segment(10, 250, 4);
  rig.loop.Advance(absl::Seconds(5));
  auto share = rig.budget.Join();
  share->bytes = 18'000;
  share->oldest_ms = absl::ToUnixMillis(rig.loop.Now());

  rig.loop.Advance(absl::Seconds(2));

  EXPECT_GT(rig.spool->first_number(), 1u);
  EXPECT_EQ(rig.spool->HoleAt(1)->reason, HoleReason::kCap);
  share->oldest_ms = 0;  // now it is the other one's turn
  const uint64_t first = rig.spool->first_number();
  rig.Segment(10, 250, 4);
  EXPECT_EQ(rig.spool->first_number(), first);
  rig.budget.Leave(share);
}

TEST(SpoolTest, StoredLogGoesWhenEverybodyIsPast) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  const uint64_t first = rig.last();
  rig.Segment(5, 300, 3);
  rig.Stop();
  const auto stored = rig.Recover();

  stored->Trim(first);
  EXPECT_EQ(stored->first_number(), first + 1);
  stored->Trim(rig.last());
  EXPECT_EQ(stored->first_number(), stored->next_number());
  EXPECT_EQ(stored->next_number(), rig.last() + 1);
  stored->RemoveDirectory();
  rig.syncer->Pass();

  EXPECT_THAT(FindStoredLanes(rig.files, "/data/spool", 8), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(rig.files.List("/data/spool"), IsOkAndHolds(IsEmpty()));
}

TEST(SpoolTest, LanesOfEarlierRunsAreFound) {
  MemFileSystem files;
  EXPECT_THAT(FindStoredLanes(files, "/data/spool", 9), IsOkAndHolds(IsEmpty()));
  for (const char* path : {"10/0/x", "9/0/x", "7/1/x", "7/0/x", "7/strange/x", "strange/0/x",
                           "07/0/x", "+7/0/x", "7/00/x", "7/+1/x"}) {
    files.Put(absl::StrCat("/data/spool/", path), "x");
  }
  ASSERT_OK(files.CreateDirectory("/data/spool/6"));
  RemoveEmptyEpochs(files, "/data/spool");

  ASSERT_OK_AND_ASSIGN(const auto lanes, FindStoredLanes(files, "/data/spool", 9));

  std::vector<std::string> found;
  for (const StoredLane& lane : lanes) found.push_back(lane.directory);
  EXPECT_THAT(found, ElementsAre("/data/spool/7/0", "/data/spool/7/1", "/data/spool/10/0"));
  EXPECT_THAT(files.List("/data/spool/6"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(SpoolTest, LookingAtALogChangesNothing) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  rig.Crash();
  rig.files.Put(SegmentPath(900), "no segment");
  const std::map<std::string, uint64_t> before = rig.files.Sizes();
  StoredLog::Options options;
  options.directory = rig.options.directory;
  options.identity = rig.options.identity;
  options.read_only = true;
  options.max_age = absl::ZeroDuration();

  ASSERT_OK_AND_ASSIGN(const auto log,
                       StoredLog::Open(options, {rig.loop, rig.files, *rig.syncer, rig.budget}));
  EXPECT_THAT(rig.Tell(*log).records, SizeIs(rig.last()));
  EXPECT_EQ(log->findings().set_aside, 1u);
  rig.loop.Advance(absl::Minutes(1));

  EXPECT_EQ(rig.files.Sizes(), before);
}

}  // namespace
}  // namespace trawl
