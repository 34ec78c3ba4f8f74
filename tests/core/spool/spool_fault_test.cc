// A disk that is full or broken: the spool goes on in memory, and returns to the disk by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// As a lane does it: a new segment when the spool asks for one.
void AppendScrapes(SpoolRig& rig, int scrapes, size_t bytes = 400) {
  for (int i = 0; i < scrapes; ++i) {
    if (rig.last() == 0 || rig.spool->wants_segment()) {
      ASSERT_OK(rig.Append(RecordKind::kDictionary, bytes, 0, true));
    }
    ASSERT_OK(rig.Append(RecordKind::kScrape, bytes, 3, false, i % 5 == 0));
  }
}

TEST(SpoolFaultTest, FullDiskDegradesAndRoomBringsItBack) {
  SpoolRig rig;
  rig.files.SetCapacity(20'000);
  AppendScrapes(rig, 100);
  EXPECT_TRUE(rig.spool->status()->degraded);
  EXPECT_THAT(rig.spool->status()->last_error, StatusIs(absl::StatusCode::kResourceExhausted));
  rig.loop.Advance(absl::Seconds(2));
  EXPECT_GT(rig.spool->status()->memory_bytes, 10'000u);
  EXPECT_GT(rig.spool->status()->memory_samples, 100u);

  rig.files.SetCapacity(1'000'000);
  rig.loop.Advance(absl::Seconds(10));
  AppendScrapes(rig, 10);

  EXPECT_FALSE(rig.spool->status()->degraded);
  const Told told = rig.Tell(*rig.spool);
  EXPECT_THAT(told.records, SizeIs(rig.last()));
  rig.loop.Advance(absl::Seconds(2));
  rig.Crash();
  const Told after = rig.Tell(*rig.Recover());
  ASSERT_THAT(after.holes, SizeIs(1));
  EXPECT_EQ(after.holes[0].reason, HoleReason::kNotSpooled);
  EXPECT_EQ(after.holes[0].samples, rig.Samples(after.holes[0].from, after.holes[0].to));
}

TEST(SpoolFaultTest, DiskThatStaysFullIsTriedAgainAndAgainButTheMemoryIsBounded) {
  Spool::Options options = SpoolRig::DefaultOptions();
  options.max_memory_bytes = 64'000;
  SpoolRig rig(options);
  rig.files.SetCapacity(20'000);

  for (int i = 0; i < 60; ++i) {
    AppendScrapes(rig, 20);
    rig.loop.Advance(absl::Seconds(1));
    EXPECT_LE(rig.spool->status()->memory_bytes, options.max_memory_bytes + 8'000);
  }

  EXPECT_GT(rig.spool->status()->failures, 10u);
  EXPECT_LT(rig.spool->status()->failures, 70u);
  const Told told = rig.Tell(*rig.spool);
  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kCap);
  EXPECT_EQ(told.holes[0].samples, rig.Samples(told.holes[0].from, told.holes[0].to));
  EXPECT_EQ(rig.spool->first_number(), 1u);  // what is on disk is kept
}

// As half of what is free is.
TEST(SpoolFaultTest, WithoutAnyRoomOnTheDiskRecordsAreInMemory) {
  SpoolRig rig(SpoolRig::DefaultOptions(), /*budget_bytes=*/0);
  rig.files.SetCapacity(0);

  for (int i = 0; i < 4; ++i) rig.Segment(10, 250, 4);

  EXPECT_EQ(rig.spool->first_number(), 1u);
  EXPECT_EQ(rig.Tell(*rig.spool).records.size(), rig.last());
}

TEST(SpoolFaultTest, WhatWaitedForRoomSinceTheStartIsNotDroppedWhenThereIsSome) {
  SpoolRig rig;
  rig.files.SetCapacity(0);
  rig.budget.NoteDisk(0, 0);
  AppendScrapes(rig, 100);
  EXPECT_TRUE(rig.spool->status()->degraded);

  rig.files.SetCapacity(1'000'000);
  rig.loop.Advance(absl::Seconds(10));
  AppendScrapes(rig, 10);

  EXPECT_FALSE(rig.spool->status()->degraded);
  EXPECT_EQ(rig.spool->first_number(), 1u);
  EXPECT_THAT(rig.Tell(*rig.spool).records, SizeIs(rig.last()));
}

TEST(SpoolFaultTest, FailureOfAnyOperationLosesNothingWhileTheProcessLives) {
  for (int n = 0; n < 60; ++n) {
    SCOPED_TRACE(n);
    for (const absl::Status& error : {absl::ResourceExhaustedError("no space left on device"),
                                      absl::UnknownError("input/output error")}) {
      SpoolRig rig;
      rig.files.FailAfter(n, error);
      for (int i = 0; i < 12; ++i) {
        AppendScrapes(rig, 3);
        rig.loop.Advance(absl::Milliseconds(700));
      }
      const Told told = rig.Tell(*rig.spool);
      EXPECT_THAT(told.records, SizeIs(rig.last()));
      EXPECT_THAT(told.holes, IsEmpty());
      rig.files.FailAfter(-1, absl::OkStatus());
      rig.loop.Advance(absl::Seconds(20));
      AppendScrapes(rig, 3);
      rig.loop.Advance(absl::Seconds(2));
      EXPECT_FALSE(rig.spool->status()->degraded);
      // A crash takes no more than what never reached the disk, and that is told.
      rig.Crash();
      const auto stored = rig.Recover();
      EXPECT_EQ(stored->next_number(), rig.last() + 1);
      rig.Tell(*stored);
    }
  }
}

TEST(SpoolFaultTest, SegmentThatCouldNotBeSyncedIsNotSyncedAgain) {
  SpoolRig rig;
  AppendScrapes(rig, 5);
  const uint64_t before = rig.last();
  rig.files.FailAfter(0, absl::UnknownError("input/output error"));
  rig.syncer->Pass();
  EXPECT_EQ(rig.syncer->counts().failed_syncs, 1u);

  EXPECT_TRUE(rig.spool->wants_segment());
  AppendScrapes(rig, 5);

  EXPECT_EQ(rig.spool->SegmentStart(rig.last()), before + 1);
  rig.syncer->Pass();
  EXPECT_EQ(rig.syncer->counts().failed_syncs, 1u);
  EXPECT_THAT(rig.Tell(*rig.spool).records, SizeIs(rig.last()));
}

void RemoveAll(MemFileSystem& files, const std::string& directory) {
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, files.List(directory));
  for (const std::string& name : names) ASSERT_OK(files.Remove(directory + "/" + name));
  ASSERT_OK(files.Remove(directory));
}

TEST(SpoolFaultTest, DirectoryThatSomebodyRemovedIsNoticedInAPassAndMadeAgain) {
  SpoolRig rig;
  AppendScrapes(rig, 5);
  rig.syncer->Pass();
  RemoveAll(rig.files, SpoolRig::kDirectory);

  rig.syncer->Pass();
  EXPECT_TRUE(rig.spool->wants_segment());
  const uint64_t first = rig.last() + 1;
  AppendScrapes(rig, 5);
  rig.loop.Advance(absl::Seconds(2));

  EXPECT_FALSE(rig.spool->status()->degraded);
  EXPECT_THAT(rig.Tell(*rig.spool).records, SizeIs(rig.last()));
  rig.Crash();
  const Told after = rig.Tell(*rig.Recover());
  EXPECT_THAT(after.records, SizeIs(rig.last() + 1 - first));
}

// Of a copy nobody can tell as long as it has what was written.
TEST(SpoolFaultTest, CopyInTheFilesPlaceIsNoticedInThePassAfterMoreIsWritten) {
  SpoolRig rig;
  AppendScrapes(rig, 5);
  const std::string path = absl::StrCat(SpoolRig::kDirectory, "/", SegmentFileName(1));
  const std::string copy = *rig.files.ReadFile(path);
  ASSERT_OK(rig.files.Remove(path));
  rig.files.Put(path, copy);
  rig.syncer->Pass();
  EXPECT_FALSE(rig.spool->wants_segment());

  AppendScrapes(rig, 5);
  rig.syncer->Pass();

  EXPECT_TRUE(rig.spool->wants_segment());
  EXPECT_EQ(rig.syncer->counts().failed_syncs, 1u);
}

TEST(SpoolFaultTest, DirectoryThatIsRemovedBetweenSegmentsIsMadeAgain) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  RemoveAll(rig.files, SpoolRig::kDirectory);

  rig.Segment(5, 300, 3);
  rig.loop.Advance(absl::Seconds(2));

  EXPECT_FALSE(rig.spool->status()->degraded);
  EXPECT_EQ(rig.spool->status()->memory_samples, 0u);
}

TEST(SpoolFaultTest, RemovalThatFailsIsTriedAgain) {
  SpoolRig rig;
  rig.Segment(5, 300, 3);
  const uint64_t first = rig.last();
  rig.Segment(5, 300, 3);
  rig.syncer->Pass();
  rig.spool->Trim(first);
  // Two looks at the newest file, whether it is there and how large, then the removal.
  rig.files.FailAfter(2, absl::UnknownError("input/output error"));

  rig.syncer->Pass();
  EXPECT_EQ(rig.syncer->counts().failed_removals, 1u);
  rig.syncer->Pass();

  EXPECT_THAT(rig.files.List(SpoolRig::kDirectory), IsOkAndHolds(SizeIs(2)));
}

}  // namespace
}  // namespace trawl
