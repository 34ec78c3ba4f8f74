#include "core/spool/lost_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/spool/gap_ledger.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

TEST(LostRangesTest, TheNewestAreCountedTogetherWhenThereAreMany) {
  LostRanges lost;
  for (uint64_t i = 0; i < 150; ++i) {
    lost.Add({10 * i + 1, 10 * i + 11, 100 * i, 100 * i + 100, HoleReason::kCap, {}});
  }

  EXPECT_EQ(lost.ranges().size(), LostRanges::kMaxRanges);
  EXPECT_EQ(lost.Find(1)->end, 11u);
  EXPECT_EQ(lost.ranges().back().end, 1501u);
  EXPECT_EQ(lost.ranges().back().samples_end, 15'000u);
  lost.Forget(1500);
  EXPECT_TRUE(lost.empty());
}

// Numbers and samples, by reason. Fails where ranges overlap.
std::map<HoleReason, std::pair<uint64_t, uint64_t>> Sums(const LostRanges& lost) {
  std::map<HoleReason, std::pair<uint64_t, uint64_t>> sums;
  uint64_t end = 0;
  for (const LostRanges::Range& range : lost.ranges()) {
    EXPECT_GE(range.first, end);
    end = range.end;
    sums[range.reason].first += range.end - range.first;
    sums[range.reason].second += range.samples_end - range.samples_before;
  }
  return sums;
}

TEST(LostRangesTest, ReasonsThatAlternateKeepTheirSumsAndNoNumberIsForgotten) {
  LostRanges lost;
  uint64_t number = 1;
  uint64_t samples = 0;
  const auto add = [&](uint64_t numbers, uint64_t more, HoleReason reason) {
    lost.Add({number, number + numbers, samples, samples + more, reason, {}});
    number += numbers;
    samples += more;
  };
  for (int i = 0; i < 1'000; ++i) {
    add(7, 70, HoleReason::kCap);
    add(3, 11, HoleReason::kAge);
    if (i % 10 == 0) add(1, 5, HoleReason::kDamaged);
  }

  EXPECT_THAT(lost.ranges(), SizeIs(LostRanges::kMaxRanges));
  EXPECT_THAT(Sums(lost), ElementsAre(Pair(HoleReason::kCap, Pair(7'000, 70'000)),
                                      Pair(HoleReason::kAge, Pair(3'000, 11'000)),
                                      Pair(HoleReason::kDamaged, Pair(100, 500))));
  for (uint64_t n = 1; n < number; ++n) EXPECT_NE(lost.Find(n), nullptr) << n;
}

TEST(LostRangesTest, WhatStandsApartIsNotCountedTogether) {
  LostRanges lost;
  for (uint64_t i = 0; i < 300; ++i) {
    lost.Add({10 * i + 1, 10 * i + 6, 100 * i, 100 * i + 50, HoleReason::kCap, {}});
  }

  EXPECT_THAT(lost.ranges(), SizeIs(300));
  EXPECT_THAT(Sums(lost), ElementsAre(Pair(HoleReason::kCap, Pair(1'500, 15'000))));
  EXPECT_EQ(lost.Find(6), nullptr);
}

// ---- On disk

std::string SegmentPath(uint64_t number) {
  return absl::StrCat(SpoolRig::kDirectory, "/", SegmentFileName(number));
}

// The segment goes, and the ledger will say why.
void Lose(SpoolRig& rig, uint64_t first, HoleReason reason, LostRanges& lost) {
  const uint64_t end = rig.SegmentEnd(first);
  const uint64_t before = rig.Samples(1, first - 1);
  lost.Add({first, end, before, before + rig.Samples(first, end - 1), reason, {}});
  ASSERT_OK(rig.files.Remove(SegmentPath(first)));
}

void WriteLedger(SpoolRig& rig, const LostRanges& lost) {
  constexpr uint64_t kNewest = 1'000'000;  // generation
  ASSERT_OK(WriteLedgerPage(
      rig.files, absl::StrCat(SpoolRig::kDirectory, "/", kLedgerFileName), kNewest,
      EncodeLedgerPage(lost, kNewest, rig.options.identity.Checksum(), {.delivered = 0})));
}

TEST(GapLedgerTest, MoreHolesThanAPageHasRoomForAreAllToldByTheNextRun) {
  constexpr int kSegments = 400;
  SpoolRig rig;
  for (int i = 0; i < kSegments; ++i) rig.Segment(2, 30, 2);
  rig.Crash();
  LostRanges lost;
  // Age takes the oldest, one by one; the cap took what was in memory alone, here and there.
  int i = 0;
  for (uint64_t first = 1; first <= rig.last(); first = rig.SegmentEnd(first), ++i) {
    if (i < 10) Lose(rig, first, HoleReason::kAge, lost);
    if (i >= 10 && i % 2 == 0) Lose(rig, first, HoleReason::kCap, lost);
  }
  ASSERT_GT(lost.ranges().size(), LostRanges::kMaxRanges);
  WriteLedger(rig, lost);

  const Told told = rig.Tell(*rig.Recover());

  // The age's, and the first of the cap's behind it.
  ASSERT_THAT(told.holes, SizeIs(1 + (kSegments - 10) / 2));
  for (const LogHole& hole : told.holes) {
    EXPECT_EQ(hole.samples, rig.Samples(hole.from, hole.to)) << hole.from;
    EXPECT_EQ(hole.reason, hole.from == 1 ? HoleReason::kAge : HoleReason::kCap) << hole.from;
  }
}

TEST(GapLedgerTest, RemovalThatAPowerLossUndidTakesNoneThatWasCountedWithItAlong) {
  SpoolRig rig;
  for (int i = 0; i < 3; ++i) rig.Segment(5, 100, 2);
  rig.Crash();
  const uint64_t second = rig.SegmentEnd(1);
  const uint64_t third = rig.SegmentEnd(second);
  LostRanges lost;
  lost.Add({1, third, 0, rig.Samples(1, third - 1), HoleReason::kCap, {}});
  ASSERT_OK(rig.files.Remove(SegmentPath(1)));
  WriteLedger(rig, lost);

  const Told told = rig.Tell(*rig.Recover());

  EXPECT_THAT(told.records, SizeIs(rig.last() + 1 - second));
  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, second - 1);
  EXPECT_EQ(told.holes[0].samples, rig.Samples(1, second - 1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kCap);
}

}  // namespace
}  // namespace trawl
