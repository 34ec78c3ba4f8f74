#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "core/append/sink_session.h"
#include "tests/core/append/sink_rig.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;

using Rig = SinkRig;

Rig::Options SmallSegments() {
  Rig::Options options;
  options.segment_bytes = 6'000;
  options.keyframe_bytes = 1'500;
  options.message_bytes = 400;
  return options;
}

// Once the fault is over nothing is lost, nothing there twice, and nobody broke the protocol.
void ExpectAllStoredOnce(Rig& rig) {
  ASSERT_TRUE(rig.Finish());
  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
  EXPECT_THAT(rig.store.gaps(), IsEmpty());
  EXPECT_EQ(rig.sink().protocol_errors, 0u);
}

// Scrapes go on for a while, and until the stream broke once; at each message it breaks with this
// chance, before the store took it, or after, or after it committed it. How often it broke.
int RunWithBreaks(Rig& rig, absl::StatusCode code, int percent, std::mt19937_64& random) {
  int broken = 0;
  for (int step = 0; step < 40 || (broken == 0 && step < 1'000); ++step) {
    rig.Scrape();
    rig.loop.Advance(absl::Milliseconds(random() % 400));
    for (int message = 0; message < 3; ++message) {
      if (!rig.factory.open()) break;
      const bool breaks = static_cast<int>(random() % 100) < percent;
      const uint64_t when = random() % 3;
      if (!breaks || when > 0) rig.store.TakeOne();
      if (breaks) rig.factory.Close(absl::Status(code, "fault"));
      broken += breaks ? 1 : 0;
      if (!breaks || when > 1) rig.store.Commit();
      rig.loop.RunUntilIdle();
    }
  }
  return broken;
}

TEST(StorageFaultsTest, EveryStatusAtEveryRateLosesAndDoublesNothing) {
  for (int code = 1; code <= 16; ++code) {
    for (const int percent : {1, 10, 100}) {
      SCOPED_TRACE(absl::StrCat("status ", code, " at ", percent, " %"));
      Rig rig(SmallSegments());
      std::mt19937_64 random(static_cast<uint64_t>(code * 1000 + percent));
      rig.lane.AddSink("s", rig.factory);

      EXPECT_GT(RunWithBreaks(rig, static_cast<absl::StatusCode>(code), percent, random), 0);

      EXPECT_EQ(rig.sink().last_error.code(), absl::StatusCode(code));
      ExpectAllStoredOnce(rig);
    }
  }
}

TEST(StorageFaultsTest, AStoreThatEndsStreamsInOrderLosesAndDoublesNothing) {
  Rig rig(SmallSegments());
  std::mt19937_64 random(1);
  rig.lane.AddSink("s", rig.factory);

  EXPECT_GT(RunWithBreaks(rig, absl::StatusCode::kOk, 30, random), 0);

  ExpectAllStoredOnce(rig);
}

TEST(StorageFaultsTest, AStoreThatAnswersNothingIsLeftAfterTwentySecondsAndTriedAgain) {
  Rig rig(SmallSegments());
  rig.lane.AddSink("s", rig.factory);
  for (int second = 0; second < 60; ++second) {
    rig.Scrape();
    rig.loop.Advance(absl::Seconds(1));
  }
  EXPECT_GE(rig.factory.opened(), 3u);
  EXPECT_EQ(rig.sink().last_error.code(), absl::StatusCode::kDeadlineExceeded);

  ExpectAllStoredOnce(rig);
}

TEST(StorageFaultsTest, SlowAcksLoseAndDoubleNothing) {
  for (const absl::Duration wait : {absl::Milliseconds(100), absl::Seconds(1), absl::Seconds(10)}) {
    SCOPED_TRACE(absl::FormatDuration(wait));
    Rig rig(SmallSegments());
    rig.lane.AddSink("s", rig.factory);
    for (absl::Duration time; time < absl::Seconds(40); time += absl::Milliseconds(100)) {
      if (time % absl::Milliseconds(500) == absl::ZeroDuration()) rig.Scrape();
      rig.loop.Advance(absl::Milliseconds(100));
      rig.store.TakeAll();
      if (time % wait == absl::ZeroDuration()) rig.store.Commit();
      rig.loop.RunUntilIdle();
    }
    EXPECT_EQ(rig.factory.opened(), 1u);  // it answers pings all the while

    ExpectAllStoredOnce(rig);
  }
}

TEST(StorageFaultsTest, AWindowThatStaysShutHoldsTheRecordsBack) {
  Rig rig(SmallSegments());
  rig.store.set_window_bytes(0);
  rig.lane.AddSink("s", rig.factory);
  for (int second = 0; second < 60; ++second) {
    rig.Scrape();
    rig.loop.Advance(absl::Seconds(1));
    rig.store.TakeAll();
    rig.loop.RunUntilIdle();
  }
  EXPECT_EQ(rig.sink().records_sent, 0u);
  EXPECT_TRUE(rig.sink().window_shut);
  EXPECT_EQ(rig.factory.opened(), 1u);

  rig.store.set_window_bytes(uint64_t{1} << 30);
  rig.store.Crash();  // the limit comes with the next Welcome
  ExpectAllStoredOnce(rig);
}

TEST(StorageFaultsTest, AResetBehindEveryCommitLosesAckAfterAckAndDoublesNothing) {
  Rig rig(SmallSegments());
  rig.lane.AddSink("s", rig.factory);
  for (int step = 0; step < 60; ++step) {
    rig.Scrape();
    rig.loop.Advance(absl::Milliseconds(700));
    rig.store.TakeAll();
    rig.loop.RunUntilIdle();
    rig.store.TakeAll();
    if (rig.factory.open()) rig.factory.Close(absl::UnavailableError("connection reset"));
    rig.store.Commit();
    rig.loop.RunUntilIdle();
  }

  ExpectAllStoredOnce(rig);
}

// A balancer leads each stream to the one or the other: at least once over the two.
TEST(StorageFaultsTest, TwoStoresBehindOneAddressLoseNothingBetweenThem) {
  Rig rig(SmallSegments());
  ModelStore other(rig.factory);
  other.set_store_id("other");
  rig.lane.AddSink("s", rig.factory);
  std::mt19937_64 random(4);
  for (int stream = 0; stream < 20; ++stream) {
    ModelStore& store = random() % 2 == 0 ? rig.store : other;
    rig.Scrapes(3);
    for (int step = 0; step < 60; ++step) {
      rig.loop.Advance(absl::Milliseconds(100));
      store.TakeAll();
      rig.loop.RunUntilIdle();
      if (random() % 4 == 0) store.Commit();
    }
    store.Crash();
  }
  ASSERT_TRUE(rig.Finish());

  std::map<uint64_t, Rows> stored = rig.store.rows();
  for (const auto& [number, rows] : other.rows()) stored.emplace(number, rows);
  EXPECT_EQ(stored, rig.expected);
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
  EXPECT_THAT(other.complaints(), IsEmpty());
  EXPECT_FALSE(other.rows().empty());
  EXPECT_EQ(rig.sink().protocol_errors, 0u);
  for (const ModelStore* store : {&rig.store, &other}) {
    for (const storage::v1::Gap& gap : store->gaps()) {
      EXPECT_EQ(gap.reason(), storage::v1::Gap::STORE_REWOUND);  // the other has them
    }
  }
}

}  // namespace
}  // namespace trawl
