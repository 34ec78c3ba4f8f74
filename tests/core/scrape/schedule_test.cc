#include "core/scrape/schedule.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/hash.h"
#include "core/model/labels.h"

namespace trawl {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(15);
const absl::Time kNow = absl::FromUnixNanos(1'767'225'600'123'456'789);

TEST(OffsetSeedTest, DiffersWithHostAndExternalLabels) {
  const uint64_t seed = OffsetSeed("host-a", Labels({{"replica", "1"}}));

  EXPECT_NE(seed, 0u);
  EXPECT_EQ(seed, OffsetSeed("host-a", Labels({{"replica", "1"}})));
  EXPECT_NE(seed, OffsetSeed("host-a", Labels({{"replica", "2"}})));
  EXPECT_NE(seed, OffsetSeed("host-b", Labels({{"replica", "1"}})));
}

TEST(OffsetSeedTest, IsFnvOfHostAndLabelsText) {
  EXPECT_EQ(OffsetSeed("h", Labels({{"a", "b"}})), Fnv1a64("h{a=\"b\"}"));
  EXPECT_EQ(OffsetSeed("h", Labels()), Fnv1a64("h{}"));
}

TEST(OffsetFromNowTest, SpreadsTargetsEvenly) {
  std::vector<int> buckets(10);
  for (int i = 0; i < 10000; ++i) {
    const uint64_t hash = Fnv1a64(absl::StrCat("target-", i));
    const absl::Duration offset = OffsetFromNow(hash, /*seed=*/0, kInterval, kNow);
    ASSERT_GT(offset, absl::ZeroDuration());
    ASSERT_LE(offset, kInterval);
    ++buckets[static_cast<size_t>(absl::ToDoubleSeconds(offset) / 15.0 * 9.9999999)];
  }
  for (int count : buckets) {
    EXPECT_GT(count, 850);
    EXPECT_LT(count, 1150);
  }
}

TEST(OffsetFromNowTest, LandsOnTheSamePhaseWheneverItStarts) {
  const uint64_t hash = 0x1234567890abcdef;
  const absl::Time first = kNow + OffsetFromNow(hash, 7, kInterval, kNow);

  for (absl::Duration later : {absl::Milliseconds(1), absl::Seconds(4), absl::Seconds(1000)}) {
    const absl::Time start = kNow + later;
    const absl::Time again = start + OffsetFromNow(hash, 7, kInterval, start);
    EXPECT_EQ((again - first) % kInterval, absl::ZeroDuration()) << later;
  }
}

TEST(OffsetFromNowTest, ReplicasDiffer) {
  EXPECT_NE(OffsetFromNow(99, 1, kInterval, kNow), OffsetFromNow(99, 0xffff0000, kInterval, kNow));
}

TEST(TickerTest, TicksEveryIntervalFromItsOrigin) {
  Ticker ticker(absl::Seconds(100), kInterval);

  EXPECT_EQ(ticker.Wait(absl::Seconds(95)), absl::Seconds(5));
  EXPECT_EQ(ticker.Serve(absl::Seconds(100)), 0u);
  EXPECT_EQ(ticker.Wait(absl::Seconds(101)), absl::Seconds(14));
}

TEST(TickerTest, LateServingKeepsTheGrid) {
  Ticker ticker(absl::Seconds(100), kInterval);

  ticker.Serve(absl::Seconds(103));

  EXPECT_EQ(ticker.Wait(absl::Seconds(103)), absl::Seconds(12));
}

TEST(TickerTest, LatenessIsCountedFromWhenTheTickWasDue) {
  Ticker ticker(absl::Seconds(100), kInterval);

  EXPECT_EQ(ticker.Lateness(absl::Seconds(99)), absl::ZeroDuration());
  EXPECT_EQ(ticker.Lateness(absl::Seconds(103)), absl::Seconds(3));
  ticker.Serve(absl::Seconds(103));
  EXPECT_EQ(ticker.Lateness(absl::Seconds(103)), absl::ZeroDuration());
}

TEST(TickerTest, OnlyTheLastMissedTickIsDue) {
  Ticker ticker(absl::Seconds(100), kInterval);
  ticker.Serve(absl::Seconds(100));  // a scrape that takes 40 s: ticks at 115 and 130 pass

  EXPECT_EQ(ticker.Wait(absl::Seconds(140)), absl::ZeroDuration());
  EXPECT_EQ(ticker.Serve(absl::Seconds(140)), 1u);
  EXPECT_EQ(ticker.Wait(absl::Seconds(141)), absl::Seconds(4));
}

TEST(TimestampAlignerTest, MovesSmallDelaysOntoTheGrid) {
  TimestampAligner aligner;
  aligner.Start(kNow);

  EXPECT_EQ(aligner.Align(kNow + absl::Milliseconds(2), kInterval), kNow);
  EXPECT_EQ(aligner.Align(kNow + kInterval + absl::Microseconds(1900), kInterval),
            kNow + kInterval);
}

TEST(TimestampAlignerTest, LeavesLargerDelaysAlone) {
  TimestampAligner aligner;
  aligner.Start(kNow);

  const absl::Time late = kNow + kInterval + absl::Milliseconds(3);
  EXPECT_EQ(aligner.Align(late, kInterval), late);
  EXPECT_EQ(aligner.Align(kNow + 5 * kInterval, kInterval), kNow + 5 * kInterval);
}

TEST(TimestampAlignerTest, ToleranceIsAHundredthOfShortIntervals) {
  TimestampAligner aligner;
  aligner.Start(kNow);

  const absl::Time late = kNow + absl::Milliseconds(1) + absl::Microseconds(1);
  EXPECT_EQ(aligner.Align(late, absl::Milliseconds(100)), late);
}

TEST(TimestampAlignerTest, StartsAnewWhenTheClockWasSetBack) {
  TimestampAligner aligner;
  aligner.Start(kNow);

  const absl::Time back = kNow - absl::Hours(1);
  EXPECT_EQ(aligner.Align(back, kInterval), back);
  EXPECT_EQ(aligner.Align(back + kInterval + absl::Milliseconds(1), kInterval), back + kInterval);
}

TEST(NextTimestampTest, RisesWithTheClock) {
  EXPECT_EQ(NextTimestamp(5000, kNoTimestamp).ms, 5000);
  EXPECT_EQ(NextTimestamp(6000, 5000).ms, 6000);
}

TEST(NextTimestampTest, ClockSetBackALittleGivesTheNextMillisecond) {
  for (int64_t now : {20000, 19000, 10000}) {
    const ScrapeTimestamp next = NextTimestamp(now, 20000);
    EXPECT_EQ(next.ms, 20001) << now;
    EXPECT_FALSE(next.clock_stepped);
  }
}

TEST(NextTimestampTest, ClockSetBackFarIsBelievedAndTold) {
  const ScrapeTimestamp next = NextTimestamp(9999, 20000);

  EXPECT_EQ(next.ms, 9999);
  EXPECT_TRUE(next.clock_stepped);
}

}  // namespace
}  // namespace trawl
