#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/append/record.h"
#include "core/append/sink_session.h"
#include "tests/core/append/sink_rig.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

using Rig = SinkRig;

Rig::Options ManyRecordsAMessage() {
  Rig::Options options;
  options.message_bytes = 2'000;
  options.keyframe_bytes = 1'500;
  options.segment_bytes = 6'000;
  options.compress = false;
  return options;
}

// The first record of a kind behind some others that is no keyframe, nor is the next scrape.
uint64_t FindRecord(Rig& rig, RecordKind kind) {
  for (uint64_t number = 10; number < rig.log.next_number(); ++number) {
    uint64_t scrape = number + 1;
    while (scrape < rig.log.next_number() && rig.log.Read(scrape)->kind != RecordKind::kScrape) {
      ++scrape;
    }
    if (scrape == rig.log.next_number()) break;
    if (rig.log.Read(number)->kind == kind && !rig.log.Read(number)->keyframe &&
        !rig.log.Read(scrape)->keyframe) {
      return number;
    }
  }
  return 0;
}

TEST(StuckRecordTest, ARecordAtWhichStreamsBreakIsFoundToldAndWaits) {
  Rig rig(ManyRecordsAMessage());
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(60);
  const uint64_t poison = FindRecord(rig, RecordKind::kScrape);
  rig.store.set_poison(poison);

  rig.Retry();

  EXPECT_EQ(rig.sink().durable, poison - 1);
  EXPECT_EQ(rig.sink().stuck_number, poison);
  EXPECT_THAT(StuckTargetText(rig.sink()), testing::HasSubstr("host"));
  EXPECT_GE(rig.sink().streams_without_progress, SinkSession::kStuckStreams);
  EXPECT_THAT(rig.store.gaps(), IsEmpty());

  rig.store.set_poison(0);  // a person mends the store
  ASSERT_TRUE(rig.Finish());
  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_EQ(rig.sink().stuck_number, 0u);
}

TEST(StuckRecordTest, ASkippedRecordBecomesAGapAndIsNeverSentAgain) {
  for (const auto encoding :
       {storage::v1::ENCODING_DECIMAL_DELTA, storage::v1::ENCODING_RAW_COLUMNS}) {
    Rig::Options options = ManyRecordsAMessage();
    options.encoding = encoding;
    Rig rig(options);
    rig.lane.AddSink("s", rig.factory);
    rig.Scrapes(60);
    const uint64_t poison = FindRecord(rig, RecordKind::kScrape);
    rig.store.set_poison(poison);
    rig.Retry();
    EXPECT_THAT(rig.lane.SkipRecord("s", poison + 1, false),
                StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(rig.lane.SkipRecord("t", poison, false), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(rig.lane.SkipRecord("s", poison, /*dry_run=*/true),
                IsOkAndHolds(rig.expected[poison].size()));

    EXPECT_THAT(rig.lane.SkipRecord("s", poison, false), IsOkAndHolds(rig.expected[poison].size()));
    // The store goes away behind it once more: it is not sent to rebuild either.
    for (int i = 0; i < 6; ++i) {
      rig.store.TakeOne();
      rig.loop.RunUntilIdle();
    }
    rig.store.Commit();
    rig.store.Crash();
    rig.Scrapes(3);
    ASSERT_TRUE(rig.Finish());

    ASSERT_THAT(rig.store.gaps(), testing::Not(IsEmpty()));
    EXPECT_EQ(rig.store.gaps()[0].from(), poison);
    EXPECT_EQ(rig.store.gaps()[0].to(), poison);
    EXPECT_EQ(rig.store.gaps()[0].reason(), storage::v1::Gap::SKIPPED);
    EXPECT_EQ(rig.store.gaps()[0].samples(), rig.expected[poison].size());
    rig.expected.erase(poison);
    EXPECT_EQ(rig.store.rows(), rig.expected);
    EXPECT_THAT(rig.store.complaints(), IsEmpty());
  }
}

TEST(StuckRecordTest, BehindASkippedRecordValuesAreRawUpToTheKeyframe) {
  Rig rig(ManyRecordsAMessage());
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(60);
  const uint64_t poison = FindRecord(rig, RecordKind::kScrape);
  const std::string bytes(rig.log.Read(poison)->bytes);
  rig.store.set_poison(poison);
  rig.Retry();
  ASSERT_THAT(rig.lane.SkipRecord("s", poison, false), IsOk());
  ASSERT_TRUE(rig.Finish());

  bool raw = false;
  for (const auto& request : rig.factory.written()) {
    EXPECT_EQ(request.records().body().find(bytes), std::string::npos);
    std::string_view body = request.records().body();
    while (!body.empty()) {
      const auto record = ParseRecord(body);
      ASSERT_THAT(record, IsOk());
      body.remove_prefix(record->size);
      storage::v1::Scrape scrape;
      if (record->kind != RecordKind::kScrape) continue;
      ASSERT_TRUE(
          scrape.ParseFromArray(record->payload.data(), static_cast<int>(record->payload.size())));
      if ((scrape.flags() & storage::v1::Scrape::KEYFRAME) != 0) {
        EXPECT_TRUE(scrape.raw().empty());
      }
      raw |= !scrape.raw().empty();
    }
  }
  EXPECT_TRUE(raw);
}

TEST(StuckRecordTest, ASkippedDefinitionTakesTheRestOfItsSegment) {
  Rig rig(ManyRecordsAMessage());
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(60);
  const uint64_t poison = FindRecord(rig, RecordKind::kDictionary);
  uint64_t end = poison;
  while (rig.log.SegmentStart(end) == rig.log.SegmentStart(poison)) ++end;
  rig.store.set_poison(poison);
  rig.Retry();
  EXPECT_EQ(StuckTargetText(rig.sink()), "");

  ASSERT_THAT(rig.lane.SkipRecord("s", poison, false), IsOk());
  ASSERT_TRUE(rig.Finish());

  ASSERT_THAT(rig.store.gaps(), SizeIs(1));
  EXPECT_EQ(rig.store.gaps()[0].from(), poison);
  EXPECT_EQ(rig.store.gaps()[0].to(), end - 1);
  std::erase_if(rig.expected,
                [&](const auto& entry) { return entry.first > poison && entry.first < end; });
  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
}

TEST(StuckRecordTest, ASkippedDefinitionOfTheNewestSegmentEndsIt) {
  Rig rig;
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(20);
  const uint64_t poison = FindRecord(rig, RecordKind::kDictionary);
  ASSERT_NE(poison, 0u);
  rig.store.set_poison(poison);
  rig.Retry();

  ASSERT_THAT(rig.lane.SkipRecord("s", poison, false), IsOk());
  const uint64_t end = rig.log.next_number();
  rig.Scrapes(5);
  ASSERT_TRUE(rig.Finish());

  EXPECT_TRUE(rig.log.Read(end)->segment_start);
  std::erase_if(rig.expected,
                [&](const auto& entry) { return entry.first > poison && entry.first < end; });
  EXPECT_EQ(rig.store.rows(), rig.expected);
}

TEST(StuckRecordTest, AHeldSinkOpensNoStreamBeforeItIsReleasedAndHoldsTheLog) {
  Rig::Options options;
  options.segment_bytes = 4'000;
  Rig rig(options);
  rig.lane.AddSink("s", rig.factory, /*held=*/true);
  rig.Scrapes(60);
  rig.lane.AddSink("s", rig.factory, /*held=*/true);  // new credentials
  rig.Retry();
  EXPECT_EQ(rig.factory.opened(), 0u);
  EXPECT_EQ(rig.sink().state, SinkState::kHeld);
  EXPECT_EQ(rig.log.first_number(), 1u);
  bool drained = false;
  rig.lane.Drain(absl::Seconds(1), [&](bool all) { drained = all; });
  rig.loop.RunUntilIdle();
  EXPECT_TRUE(drained);  // it is not what a stop waits for

  rig.lane.ReleaseSink("s");
  ASSERT_TRUE(rig.Finish());

  EXPECT_EQ(rig.store.rows(), rig.expected);
}

}  // namespace
}  // namespace trawl
