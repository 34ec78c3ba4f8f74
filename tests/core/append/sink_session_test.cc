#include "core/append/sink_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "core/append/lane.h"
#include "core/append/memory_record_log.h"
#include "tests/core/append/model_store.h"
#include "tests/core/append/page_source.h"
#include "tests/core/append/sink_rig.h"
#include "tests/fakes/fake_append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

using Rig = SinkRig;

// Odd ones in decimal delta, where a wrong resume would show in every value; the others in raw
// columns, which the session has to make out of it.
storage::v1::Encoding EncodingOf(uint64_t run) {
  return run % 2 == 1 ? storage::v1::ENCODING_DECIMAL_DELTA : storage::v1::ENCODING_RAW_COLUMNS;
}

storage::v1::AppendResponse Ack(uint64_t durable, uint64_t window = 0) {
  storage::v1::AppendResponse response;
  response.mutable_ack()->set_durable(durable);
  response.mutable_ack()->set_window_bytes(window);
  return response;
}

storage::v1::AppendResponse Welcome(uint64_t durable, uint64_t window = uint64_t{1} << 30) {
  storage::v1::AppendResponse response;
  response.mutable_welcome()->set_durable(durable);
  response.mutable_welcome()->set_window_bytes(window);
  return response;
}

TEST(SinkSessionTest, HelloSaysWhoseRecordsTheyAre) {
  Rig rig;

  rig.lane.AddSink("s", rig.factory);
  rig.loop.RunUntilIdle();

  ASSERT_THAT(rig.factory.written(), SizeIs(1));
  const storage::v1::Hello& hello = rig.factory.written()[0].hello();
  EXPECT_EQ(hello.writer_id(), "writer");
  EXPECT_EQ(hello.incarnation(), 7u);
  EXPECT_EQ(hello.epoch(), 7u);
  EXPECT_EQ(hello.lane(), 3u);
  EXPECT_EQ(hello.first_number(), 1u);
  EXPECT_EQ(hello.next_number(), 1u);
  EXPECT_EQ(hello.sink(), "s");
}

TEST(SinkSessionTest, NothingGoesBeforeWelcome) {
  Rig rig;
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(3);

  rig.loop.Advance(absl::Seconds(1));

  EXPECT_THAT(rig.factory.written(), SizeIs(1));
  EXPECT_EQ(rig.sink().state, SinkState::kOpening);
}

TEST(SinkSessionTest, ScrapesReachTheStoreAndTheLogIsTrimmed) {
  Rig::Options options;
  options.segment_bytes = 2'000;
  Rig rig(options);
  rig.Connect();

  rig.Scrapes(50);
  ASSERT_TRUE(rig.Finish());

  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
  EXPECT_GT(rig.log.first_number(), 10u);
  EXPECT_EQ(rig.sink().backlog_records, 0u);
  EXPECT_GT(rig.lane.Snapshot().segments, 3u);
}

TEST(SinkSessionTest, SmallMessagesWaitForTheFlushDelay) {
  Rig::Options options;
  options.message_bytes = 256 << 10;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(3);
  rig.Settle();
  EXPECT_THAT(rig.factory.written(), SizeIs(1));

  rig.loop.Advance(absl::Milliseconds(199));
  EXPECT_THAT(rig.factory.written(), SizeIs(1));
  rig.loop.Advance(absl::Milliseconds(1));

  ASSERT_THAT(rig.factory.written(), SizeIs(2));
  EXPECT_EQ(rig.last_written().records().count(), rig.log.next_number() - 1);
  EXPECT_EQ(rig.last_written().records().compression(), storage::v1::Records::ZSTD);
}

TEST(SinkSessionTest, OneWriteAtATimeEvenWhenAnAckOvertakesIt) {
  Rig rig;
  rig.Connect();
  rig.factory.CompleteWrites(false);
  rig.Scrapes(5);
  rig.loop.RunUntilIdle();
  ASSERT_THAT(rig.factory.written(), SizeIs(2));
  ASSERT_TRUE(rig.factory.write_pending());

  rig.factory.Answer(Ack(1));  // the fake aborts on a second write
  rig.loop.RunUntilIdle();
  rig.Scrapes(2);
  rig.loop.Advance(absl::Seconds(1));

  EXPECT_THAT(rig.factory.written(), SizeIs(2));
  EXPECT_EQ(rig.sink().durable, 1u);
  rig.factory.CompleteWrite();
  rig.loop.RunUntilIdle();
  EXPECT_THAT(rig.factory.written(), SizeIs(3));
}

TEST(SinkSessionTest, ShutWindowStopsRecordsAndAnAckOpensIt) {
  Rig rig;
  rig.store.set_window_bytes(1);
  rig.Connect();
  rig.Scrapes(5);
  rig.Settle();
  ASSERT_THAT(rig.factory.written(), SizeIs(2));
  EXPECT_TRUE(rig.sink().window_shut);
  rig.loop.Advance(absl::Seconds(1));
  EXPECT_THAT(rig.factory.written(), SizeIs(2));

  const uint64_t used = rig.factory.written()[1].records().body().size();
  rig.factory.Answer(Ack(1, used + 1));
  rig.Settle();

  EXPECT_THAT(rig.factory.written(), SizeIs(3));
  rig.factory.Answer(Ack(1, 1));  // a smaller limit is ignored, a shut window is no error
  rig.Settle();
  EXPECT_THAT(rig.factory.written(), SizeIs(3));
  EXPECT_EQ(rig.sink().protocol_errors, 0u);
}

TEST(SinkSessionTest, StoreThatCrashesAtAnyMessageGetsEachRecordOnce) {
  for (const size_t message_bytes : {size_t{1}, size_t{700}}) {
    for (int crash_at = 0; crash_at < 45; ++crash_at) {
      SCOPED_TRACE(absl::StrCat("crash at message ", crash_at, " of ", message_bytes, " bytes"));
      Rig::Options options;
      options.segment_bytes = 6'000;
      options.keyframe_bytes = 1'500;
      options.message_bytes = message_bytes;
      options.encoding = EncodingOf(static_cast<uint64_t>(crash_at));
      Rig rig(options);
      rig.lane.AddSink("s", rig.factory);
      rig.Scrapes(25);
      rig.loop.Advance(absl::Seconds(1));
      for (int taken = 0; taken < crash_at && rig.store.TakeOne(); ++taken) {
        rig.loop.RunUntilIdle();
        if (taken % 3 == 2) rig.store.Commit();
        rig.loop.RunUntilIdle();
      }

      rig.store.Crash();
      rig.Scrapes(5);
      ASSERT_TRUE(rig.Finish());

      EXPECT_EQ(rig.store.rows(), rig.expected);
      EXPECT_THAT(rig.store.complaints(), IsEmpty());
      EXPECT_THAT(rig.store.gaps(), IsEmpty());
    }
  }
}

TEST(SinkSessionTest, CrashesAtRandomMomentsLoseAndDoubleNothing) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    Rig::Options options;
    options.segment_bytes = 1'000 + random() % 10'000;
    options.keyframe_bytes = 500 + random() % 5'000;
    options.message_bytes = 1 + random() % 3'000;
    options.encoding = EncodingOf(seed);
    Rig rig(options);
    rig.store.set_window_bytes(1 << 20);
    rig.Connect();
    for (int step = 0; step < 300; ++step) {
      switch (random() % 8) {
        case 0:
        case 1:
          rig.Scrape();
          break;
        case 2:
          rig.loop.Advance(absl::Milliseconds(random() % 400));
          break;
        case 3:
          rig.store.Commit();
          break;
        case 4:
          if (random() % 6 == 0) rig.store.Crash();
          break;
        default:
          rig.store.TakeOne();
      }
      if (random() % 2 == 0) rig.loop.RunUntilIdle();
    }
    ASSERT_TRUE(rig.Finish());
    EXPECT_EQ(rig.store.rows(), rig.expected);
    EXPECT_THAT(rig.store.complaints(), IsEmpty());
    EXPECT_EQ(rig.sink().protocol_errors, 0u);
  }
}

TEST(SinkSessionTest, ResumeSendsDefinitionsAndRecordsSinceTheKeyframeOnly) {
  Rig::Options options;
  options.keyframe_bytes = 3'000;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(60);
  ASSERT_TRUE(rig.Finish());
  rig.store.Crash();
  rig.Scrape();

  ASSERT_TRUE(rig.Finish());

  uint64_t dictionary = 0;
  const uint64_t resumed_at = rig.log.next_number() - 1;
  const uint64_t keyframe = rig.log.Keyframe(resumed_at - 1);
  for (uint64_t number = 1; number < keyframe; ++number) {
    if (rig.log.Read(number)->kind == RecordKind::kDictionary) ++dictionary;
  }
  EXPECT_GT(keyframe, 10u);
  EXPECT_GE(rig.store.rebuild_records(), dictionary);
  EXPECT_LE(rig.store.rebuild_records(), dictionary + (resumed_at - keyframe));
  EXPECT_EQ(rig.store.rows(), rig.expected);
}

TEST(SinkSessionTest, RecordsOverTheCapAreTold) {
  Rig::Options options;
  options.log_bytes = 20'000;
  options.segment_bytes = 4'000;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(5);
  ASSERT_TRUE(rig.Finish());
  rig.store.Crash();
  rig.loop.RunUntilIdle();
  rig.Scrapes(200);
  const uint64_t first = rig.log.first_number();
  uint64_t lost_samples = 0;
  for (auto& [number, rows] : rig.expected) {
    if (number > rig.store.durable() && number < first) lost_samples += rows.size();
  }
  const uint64_t durable = rig.store.durable();

  ASSERT_TRUE(rig.Finish());

  ASSERT_THAT(rig.store.gaps(), SizeIs(1));
  const storage::v1::Gap& gap = rig.store.gaps()[0];
  EXPECT_EQ(gap.from(), durable + 1);
  EXPECT_EQ(gap.to(), first - 1);
  EXPECT_EQ(gap.reason(), storage::v1::Gap::SPOOL_CAP);
  // The first of the dropped segments are counted exactly, the others as wholes.
  EXPECT_EQ(gap.samples(), lost_samples);
  EXPECT_THAT(rig.sink().gap_samples, ElementsAre(Pair(storage::v1::Gap::SPOOL_CAP, lost_samples)));
  std::erase_if(rig.expected,
                [&](const auto& entry) { return entry.first > durable && entry.first < first; });
  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
}

TEST(SinkSessionTest, WhatIsLostIsKnownBeforeTheStoreIsBack) {
  Rig::Options options;
  options.log_bytes = 20'000;
  options.segment_bytes = 4'000;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(5);
  ASSERT_TRUE(rig.Finish());
  rig.store.Crash();
  rig.loop.RunUntilIdle();
  EXPECT_THAT(rig.sink().untold_gap_samples, IsEmpty());

  rig.Scrapes(200);

  const uint64_t lost = rig.lane.Snapshot().capped_samples;
  EXPECT_GT(lost, 0u);
  EXPECT_THAT(rig.sink().gap_samples, IsEmpty());
  EXPECT_THAT(rig.sink().untold_gap_samples, ElementsAre(Pair(storage::v1::Gap::SPOOL_CAP, lost)));
  ASSERT_TRUE(rig.Finish());
  EXPECT_THAT(rig.sink().gap_samples, ElementsAre(Pair(storage::v1::Gap::SPOOL_CAP, lost)));
  EXPECT_THAT(rig.sink().untold_gap_samples, IsEmpty());
}

TEST(SinkSessionTest, WhatIsLostIsCountedOnceThoughItIsToldAgain) {
  Rig::Options options;
  options.log_bytes = 20'000;
  options.segment_bytes = 4'000;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(5);
  ASSERT_TRUE(rig.Finish());
  rig.store.Crash();
  rig.loop.RunUntilIdle();
  const uint64_t durable = rig.store.durable();
  for (int i = 0; i < 3; ++i) {
    rig.Scrapes(200);
    rig.loop.Advance(absl::Seconds(5));
    rig.store.TakeOne();  // Hello, after which the Gap is told
    rig.Settle();
    ASSERT_EQ(rig.store.durable(), durable);
    rig.store.Crash();
    rig.loop.RunUntilIdle();
  }

  ASSERT_TRUE(rig.Finish());

  EXPECT_GT(rig.store.gaps().size(), 0u);
  const uint64_t first = rig.store.gaps().back().to() + 1;
  uint64_t lost_samples = 0;
  for (auto& [number, rows] : rig.expected) {
    if (number > durable && number < first) lost_samples += rows.size();
  }
  EXPECT_THAT(rig.sink().gap_samples, ElementsAre(Pair(storage::v1::Gap::SPOOL_CAP, lost_samples)));
}

TEST(SinkSessionTest, CapThatOvertakesAnOpenStreamIsTold) {
  Rig::Options options;
  options.log_bytes = 20'000;
  options.segment_bytes = 4'000;
  options.message_bytes = 900;
  Rig rig(options);
  rig.store.set_window_bytes(600);
  rig.Connect();
  rig.Scrapes(200);
  EXPECT_EQ(rig.sink().state, SinkState::kStreaming);
  rig.store.set_window_bytes(1 << 30);
  ASSERT_TRUE(rig.Finish());

  ASSERT_THAT(rig.store.gaps(), SizeIs(1));
  EXPECT_THAT(rig.store.complaints(), IsEmpty());
  const storage::v1::Gap& gap = rig.store.gaps()[0];
  std::erase_if(rig.expected, [&](const auto& entry) {
    return entry.first >= gap.from() && entry.first <= gap.to();
  });
  EXPECT_EQ(rig.store.rows(), rig.expected);
}

TEST(SinkSessionTest, StoreThatWentBackGetsWhatIsLeftAndAGapForTheRest) {
  Rig::Options options;
  options.segment_bytes = 4'000;
  Rig rig(options);
  rig.Connect();
  rig.Scrapes(60);
  ASSERT_TRUE(rig.Finish());
  const uint64_t acked = rig.store.durable();
  const uint64_t first = rig.log.first_number();
  ASSERT_GT(first, 5u);

  rig.store.RestoreBackup(3);
  rig.Settle();
  rig.loop.Advance(absl::Seconds(5));
  rig.store.TakeOne();  // Hello
  rig.Settle();
  rig.store.RestoreBackup(3);  // once more: what is lost is still the store's loss
  rig.Scrapes(3);
  ASSERT_TRUE(rig.Finish());

  ASSERT_THAT(rig.store.gaps(), SizeIs(2));
  for (const storage::v1::Gap& gap : rig.store.gaps()) {
    EXPECT_EQ(gap.from(), 4u);
    EXPECT_EQ(gap.to(), first - 1);
    EXPECT_EQ(gap.reason(), storage::v1::Gap::STORE_REWOUND);
  }
  EXPECT_GT(rig.store.durable(), acked);
  std::erase_if(rig.expected,
                [&](const auto& entry) { return entry.first > 3 && entry.first < first; });
  EXPECT_EQ(rig.store.rows(), rig.expected);
  EXPECT_EQ(rig.sink().protocol_errors, 0u);
}

// ---- Stores that lie

TEST(SinkSessionTest, AckOfWhatWasNeverSentIsAProtocolError) {
  Rig rig;
  rig.store.set_window_bytes(1);
  rig.Connect();
  rig.Scrapes(5);
  rig.Settle();

  rig.factory.Answer(Ack(2));  // the window let one record go
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().protocol_errors, 1u);
  EXPECT_EQ(rig.sink().durable, 0u);
  EXPECT_EQ(rig.sink().state, SinkState::kWaiting);
  EXPECT_FALSE(rig.factory.open());
  rig.store.set_window_bytes(1 << 30);
  ASSERT_TRUE(rig.Finish());
  EXPECT_EQ(rig.store.rows(), rig.expected);
}

TEST(SinkSessionTest, AckThatGoesBackIsAProtocolError) {
  Rig rig;
  rig.Connect();
  rig.Scrapes(5);
  rig.Settle();
  rig.store.Commit();
  rig.loop.RunUntilIdle();
  const uint64_t durable = rig.sink().durable;

  rig.factory.Answer(Ack(durable - 1));
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().protocol_errors, 1u);
  EXPECT_EQ(rig.sink().durable, durable);
}

TEST(SinkSessionTest, WelcomeBeyondTheRunningEpochIsAProtocolError) {
  Rig rig;
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(2);
  rig.loop.RunUntilIdle();

  rig.factory.Answer(Welcome(rig.log.next_number()));
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().protocol_errors, 1u);
  EXPECT_EQ(rig.sink().durable, 0u);
}

TEST(SinkSessionTest, WelcomeBeyondAnEarlierEpochMeansThatItIsDrained) {
  Rig::Options options;
  options.epoch = 6;
  Rig rig(options);
  rig.lane.AddSink("s", rig.factory);
  rig.Scrapes(2);
  rig.loop.RunUntilIdle();

  rig.factory.Answer(Welcome(1'000));
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().protocol_errors, 0u);
  EXPECT_EQ(rig.sink().backlog_records, 0u);
}

TEST(SinkSessionTest, SecondWelcomeAndAckBeforeWelcomeAreProtocolErrors) {
  Rig rig;
  rig.Connect();
  rig.factory.Answer(Welcome(0));
  rig.loop.RunUntilIdle();
  EXPECT_EQ(rig.sink().protocol_errors, 1u);

  rig.loop.Advance(absl::Seconds(6));
  ASSERT_TRUE(rig.factory.open());
  rig.factory.Answer(Ack(0));
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().protocol_errors, 2u);
}

// ---- Silence, errors, back-off

TEST(SinkSessionTest, SilentStoreIsPingedAfterFiveSecondsAndDroppedAfterTwenty) {
  Rig rig;
  rig.Connect();
  rig.loop.Advance(absl::Milliseconds(4'999));
  EXPECT_THAT(rig.factory.written(), SizeIs(1));

  rig.loop.Advance(absl::Milliseconds(1));
  ASSERT_THAT(rig.factory.written(), SizeIs(2));
  EXPECT_TRUE(rig.last_written().has_ping());
  rig.loop.Advance(absl::Milliseconds(14'999));
  EXPECT_TRUE(rig.factory.open());
  rig.loop.Advance(absl::Milliseconds(1));

  EXPECT_EQ(rig.sink().state, SinkState::kWaiting);
  EXPECT_EQ(rig.sink().last_error.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(SinkSessionTest, StoreThatAnswersPingsIsKept) {
  Rig rig;
  rig.Connect();

  for (int i = 0; i < 60; ++i) {
    rig.loop.Advance(absl::Seconds(1));
    rig.Settle();
  }

  EXPECT_EQ(rig.factory.opened(), 1u);
}

TEST(SinkSessionTest, PingIsAnswered) {
  Rig rig;
  rig.Connect();
  storage::v1::AppendResponse ping;
  ping.mutable_ping()->set_nonce(42);

  rig.factory.Answer(ping);
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.last_written().pong().nonce(), 42u);
}

TEST(SinkSessionTest, StoreThatIsDownIsTriedAgainAtMostFiveSecondsApart) {
  Rig rig;
  rig.lane.AddSink("s", rig.factory);
  rig.loop.RunUntilIdle();

  for (size_t attempt = 1; attempt < 30; ++attempt) {
    ASSERT_EQ(rig.factory.opened(), attempt);
    rig.factory.Close(absl::UnavailableError("connection refused"));
    rig.loop.RunUntilIdle();
    EXPECT_EQ(rig.sink().state, SinkState::kWaiting);
    rig.loop.Advance(absl::Seconds(5));
  }

  EXPECT_FALSE(rig.sink().degraded);
}

TEST(SinkSessionTest, ErrorsThatNeedAPersonAreShownAsDegradedUntilAnAck) {
  Rig rig;
  rig.Connect();
  rig.factory.Close(absl::UnauthenticatedError("who are you"));
  rig.loop.RunUntilIdle();
  EXPECT_TRUE(rig.sink().degraded);
  EXPECT_EQ(rig.sink().last_error.message(), "who are you");

  rig.Scrape();
  ASSERT_TRUE(rig.Finish());

  EXPECT_FALSE(rig.sink().degraded);
}

TEST(SinkSessionTest, GoawayIsObeyed) {
  Rig rig;
  rig.Connect();
  storage::v1::AppendResponse response;
  response.mutable_goaway()->set_action(storage::v1::Goaway::RECONNECT);
  response.mutable_goaway()->set_reason("restart");
  response.mutable_goaway()->mutable_retry_after()->set_seconds(30);
  rig.factory.Answer(response);
  rig.loop.RunUntilIdle();
  EXPECT_FALSE(rig.factory.open());

  rig.loop.Advance(absl::Seconds(29));
  EXPECT_EQ(rig.factory.opened(), 1u);
  rig.loop.Advance(absl::Seconds(1));

  EXPECT_EQ(rig.factory.opened(), 2u);
}

TEST(SinkSessionTest, StreamsThatBreakAtTheSameRecordAreCounted) {
  Rig rig;
  rig.Scrape();
  rig.Connect();
  rig.Scrape();
  for (int i = 0; i < 3; ++i) {
    rig.Settle();
    rig.store.Crash();
    rig.loop.Advance(absl::Seconds(5));
  }
  EXPECT_EQ(rig.sink().streams_without_progress, 3u);

  ASSERT_TRUE(rig.Finish());

  EXPECT_EQ(rig.sink().streams_without_progress, 0u);
}

TEST(SinkSessionTest, RejectsAndTotalsAreTold) {
  Rig rig;
  rig.Connect();
  rig.Scrape();
  rig.Settle();
  storage::v1::AppendResponse ack = Ack(1);
  storage::v1::Reject& reject = *ack.mutable_ack()->add_rejects();
  reject.set_number(1);
  reject.set_code(storage::v1::Reject::OUT_OF_ORDER);
  reject.set_samples(4);
  ack.mutable_ack()->mutable_totals()->set_stored(10);
  (*ack.mutable_ack()->mutable_totals()->mutable_rejected())[storage::v1::Reject::OUT_OF_ORDER] = 4;

  rig.factory.Answer(ack);
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().totals.stored, 10u);
  EXPECT_THAT(rig.sink().totals.rejected, ElementsAre(Pair(storage::v1::Reject::OUT_OF_ORDER, 4)));
  EXPECT_THAT(rig.sink().reject_samples, ElementsAre(Pair(storage::v1::Reject::OUT_OF_ORDER, 4)));
}

TEST(SinkSessionTest, RejectsAreTheTargetsUntilItIsGone) {
  Rig rig;
  rig.Connect();
  rig.Scrape();
  rig.Settle();
  storage::v1::AppendResponse ack = Ack(2);
  storage::v1::Reject& reject = *ack.mutable_ack()->add_rejects();
  reject.set_number(2);  // 1 is the definition
  reject.set_code(storage::v1::Reject::TOO_OLD);
  reject.set_samples(4);

  rig.factory.Answer(ack);
  rig.loop.RunUntilIdle();

  const auto rejected = rig.lane.Snapshot().rejected;
  ASSERT_NE(rejected, nullptr);
  EXPECT_THAT(*rejected->at(rig.page.layout()->target_labels().Hash()),
              ElementsAre(Pair(Pair("s", storage::v1::Reject::TOO_OLD), 4)));
  rig.lane.Forget(rig.page.layout());
  EXPECT_EQ(rig.lane.Snapshot().rejected, nullptr);
}

TEST(SinkSessionTest, WhatWaitsIsToldInRecordsBytesAndSamplesAndSinceWhen) {
  Rig rig;
  rig.Connect();
  rig.Scrape();
  const absl::Time first = absl::FromUnixMillis(rig.page.time_ms());
  ASSERT_TRUE(rig.Finish());
  EXPECT_EQ(rig.sink().backlog_bytes, 0u);
  EXPECT_EQ(rig.sink().backlog_samples, 0u);
  EXPECT_EQ(rig.sink().durable_time, first);
  const absl::Time acked = rig.sink().last_ack;
  EXPECT_LE(acked, rig.loop.clock().Now());
  EXPECT_GT(acked, absl::InfinitePast());

  rig.Scrapes(2);
  rig.loop.Advance(absl::Seconds(1));

  const SinkStatus status = rig.sink();
  EXPECT_EQ(status.backlog_samples, rig.log.SamplesBetween(status.durable + 1, 1'000));
  EXPECT_GT(status.backlog_samples, 0u);
  EXPECT_EQ(status.backlog_bytes, rig.log.BytesFrom(status.durable + 1));
  EXPECT_GT(status.backlog_bytes, 0u);
  EXPECT_EQ(status.durable_time, first);
  EXPECT_EQ(status.last_ack, acked);
  ASSERT_TRUE(rig.Finish());
  EXPECT_EQ(rig.sink().durable_time, absl::FromUnixMillis(rig.page.time_ms()));
  EXPECT_GT(rig.sink().last_ack, acked);
}

TEST(SinkSessionTest, WhatTheWindowLetsOutStillIsTold) {
  Rig rig;
  EXPECT_THAT(rig.lane.Snapshot().sinks, IsEmpty());
  rig.store.set_window_bytes(1'000'000);
  rig.Connect();
  EXPECT_EQ(rig.sink().window_bytes, 1'000'000u);
  rig.Scrape();
  rig.loop.RunUntilIdle();
  EXPECT_EQ(rig.sink().window_bytes, 1'000'000u - rig.sink().body_bytes_sent);
  EXPECT_FALSE(rig.sink().window_shut);

  rig.store.Crash();
  rig.loop.RunUntilIdle();

  EXPECT_EQ(rig.sink().window_bytes, 0u);
  EXPECT_FALSE(rig.sink().window_shut);
}

TEST(SinkSessionTest, WhatAStoreSaysDoesNotFillTheMemory) {
  Rig rig;
  rig.Connect();
  rig.Scrape();
  rig.Settle();
  storage::v1::AppendResponse ack = Ack(1);
  for (int code = 1000; code < 1100; ++code) {
    storage::v1::Reject& reject = *ack.mutable_ack()->add_rejects();
    reject.set_code(static_cast<storage::v1::Reject::Code>(code));
    reject.set_samples(1);
    (*ack.mutable_ack()->mutable_totals()->mutable_rejected())[code] = 2;
  }
  rig.factory.Answer(ack);
  rig.loop.RunUntilIdle();

  EXPECT_THAT(rig.sink().reject_samples,
              ElementsAre(Pair(storage::v1::Reject::CODE_UNSPECIFIED, 100)));
  EXPECT_THAT(rig.sink().totals.rejected,
              ElementsAre(Pair(storage::v1::Reject::CODE_UNSPECIFIED, 200)));

  storage::v1::AppendResponse goaway;
  goaway.mutable_goaway()->set_reason(std::string(1'000'000, 'x'));
  rig.factory.Answer(goaway);
  rig.loop.RunUntilIdle();

  EXPECT_LE(rig.sink().last_error.message().size(), 1024u);
}

}  // namespace
}  // namespace trawl
