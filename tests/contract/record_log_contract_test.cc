#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/append/memory_record_log.h"
#include "core/append/record.h"
#include "core/append/record_log.h"
#include "core/spool/spool.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

// What every RecordLog keeps to. A log joins by a maker in INSTANTIATE_TEST_SUITE_P below.
struct LogKind {
  std::string name;
  // A new, empty log whose cap is about `max_bytes`.
  std::function<std::shared_ptr<RecordLog>(size_t max_bytes)> make;
};

class RecordLogContractTest : public ::testing::TestWithParam<LogKind> {
 protected:
  void Make(size_t max_bytes = size_t{1} << 20) { log_ = GetParam().make(max_bytes); }

  static std::string Framed(RecordKind kind, std::string_view payload) {
    std::string record;
    AppendRecord(kind, payload, record);
    return record;
  }
  absl::Status TryAppend(RecordKind kind, uint64_t samples, std::string_view bytes,
                         bool segment_start = false, bool keyframe = false) {
    const std::string framed = Framed(kind, bytes);
    LogRecord record;
    record.number = log_->next_number();
    record.kind = kind;
    record.samples = samples;
    record.segment_start = segment_start;
    record.keyframe = keyframe || segment_start;
    record.bytes = framed;
    return log_->Append(record);
  }
  // A segment: a definition and `scrapes` scrapes of `bytes` bytes and of 1, 2, … samples.
  void AppendSegment(int scrapes, size_t bytes = 100) {
    ASSERT_THAT(TryAppend(RecordKind::kDictionary, 0, "definition", true), IsOk());
    for (int i = 1; i <= scrapes; ++i) {
      ASSERT_THAT(TryAppend(RecordKind::kScrape, static_cast<uint64_t>(i), std::string(bytes, 's')),
                  IsOk());
    }
  }

  std::shared_ptr<RecordLog> log_;
};

TEST_P(RecordLogContractTest, EmptyLogBeginsAtOne) {
  Make();

  EXPECT_EQ(log_->next_number(), 1u);
  EXPECT_EQ(log_->first_number(), 1u);
  EXPECT_EQ(log_->total_bytes(), 0u);
  EXPECT_EQ(log_->segment_bytes(), 0u);
  EXPECT_THAT(log_->Read(1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(RecordLogContractTest, RecordsAreReadAsTheyWereAppended) {
  Make();
  ASSERT_THAT(TryAppend(RecordKind::kDictionary, 0, "definition", true), IsOk());
  ASSERT_THAT(TryAppend(RecordKind::kScrape, 7, "scrape", false, true), IsOk());

  const absl::StatusOr<LogRecord> first = log_->Read(1);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->number, 1u);
  EXPECT_EQ(first->kind, RecordKind::kDictionary);
  EXPECT_TRUE(first->segment_start);
  EXPECT_TRUE(first->keyframe);
  EXPECT_EQ(first->bytes, Framed(RecordKind::kDictionary, "definition"));
  const absl::StatusOr<LogRecord> second = log_->Read(2);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->kind, RecordKind::kScrape);
  EXPECT_FALSE(second->segment_start);
  EXPECT_TRUE(second->keyframe);
  EXPECT_EQ(second->samples, 7u);
  EXPECT_EQ(second->bytes, Framed(RecordKind::kScrape, "scrape"));
  EXPECT_THAT(log_->Read(3), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(RecordLogContractTest, SegmentsAndKeyframesAreFound) {
  Make();
  AppendSegment(2);                                                          // 1 to 3
  ASSERT_THAT(TryAppend(RecordKind::kScrape, 1, "s", false, true), IsOk());  // 4
  ASSERT_THAT(TryAppend(RecordKind::kScrape, 1, "s"), IsOk());
  AppendSegment(1);  // 6 and 7

  EXPECT_EQ(log_->SegmentStart(1), 1u);
  EXPECT_EQ(log_->SegmentStart(5), 1u);
  EXPECT_EQ(log_->SegmentStart(6), 6u);
  EXPECT_EQ(log_->SegmentStart(7), 6u);
  EXPECT_EQ(log_->Keyframe(3), 1u);
  EXPECT_EQ(log_->Keyframe(4), 4u);
  EXPECT_EQ(log_->Keyframe(5), 4u);
  EXPECT_EQ(log_->Keyframe(7), 6u);
}

TEST_P(RecordLogContractTest, TrimTakesWholeSegmentsThatAreDurable) {
  Make();
  AppendSegment(2);  // 1 to 3
  AppendSegment(2);  // 4 to 6

  log_->Trim(2);
  EXPECT_EQ(log_->first_number(), 1u);
  log_->Trim(3);

  EXPECT_EQ(log_->first_number(), 4u);
  EXPECT_THAT(log_->Read(3), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(log_->Read(4), IsOk());
}

TEST_P(RecordLogContractTest, SegmentThatIsBeingWrittenIsKept) {
  Make();
  AppendSegment(2);

  log_->Trim(3);

  EXPECT_THAT(log_->Read(1), IsOk());
  ASSERT_THAT(TryAppend(RecordKind::kScrape, 1, "s"), IsOk());
  EXPECT_EQ(log_->SegmentStart(4), 1u);
}

TEST_P(RecordLogContractTest, OverTheCapTheOldestSegmentsGo) {
  Make(10'000);
  for (int i = 0; i < 10; ++i) AppendSegment(20);  // 21 records of about 2,000 bytes

  EXPECT_LE(log_->total_bytes(), 10'000u);
  EXPECT_GT(log_->first_number(), 1u);
  EXPECT_EQ((log_->first_number() - 1) % 21, 0u);
  EXPECT_EQ(log_->next_number(), 211u);
  EXPECT_THAT(log_->Read(log_->first_number() - 1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(RecordLogContractTest, WhatTheCapTookIsCounted) {
  Make(10'000);
  AppendSegment(20);
  EXPECT_EQ(log_->dropped_samples(HoleReason::kCap), 0u);

  for (int i = 0; i < 9; ++i) AppendSegment(20);

  const uint64_t lost = log_->SamplesBetween(1, log_->first_number() - 1);
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(log_->dropped_samples(HoleReason::kCap), lost);
  log_->Trim(log_->next_number() - 1);
  EXPECT_EQ(log_->dropped_samples(HoleReason::kCap), lost) << "what is trimmed is no loss";
}

TEST_P(RecordLogContractTest, SamplesOfDroppedRecordsAreStillKnown) {
  Make(10'000);
  for (int i = 0; i < 10; ++i) AppendSegment(20);
  const uint64_t first = log_->first_number();
  const uint64_t a_segment = 20 * 21 / 2;

  EXPECT_EQ(log_->SamplesBetween(1, 210), 10 * a_segment);
  EXPECT_EQ(log_->SamplesBetween(1, first - 1), (first - 1) / 21 * a_segment);
  EXPECT_EQ(log_->SamplesBetween(5, 6), 4u + 5u);
  EXPECT_EQ(log_->SamplesBetween(209, 210), 19u + 20u);
  EXPECT_EQ(log_->SamplesBetween(6, 5), 0u);
}

TEST_P(RecordLogContractTest, BytesFromANumberAreOfItAndWhatIsBehind) {
  Make();
  EXPECT_EQ(log_->BytesFrom(1), 0u);
  for (int i = 0; i < 3; ++i) AppendSegment(20);
  uint64_t records = 0;
  for (uint64_t n = 1; n < log_->next_number(); ++n) records += log_->Read(n)->bytes.size();

  EXPECT_GE(log_->BytesFrom(1), records);
  EXPECT_LE(log_->BytesFrom(1), log_->total_bytes());
  EXPECT_EQ(log_->BytesFrom(log_->next_number()), 0u);
  for (uint64_t n = 1; n < log_->next_number(); ++n) {
    EXPECT_GT(log_->BytesFrom(n), log_->BytesFrom(n + 1)) << n;
  }
}

TEST_P(RecordLogContractTest, OfRecordsThatAreNotKeptNoBytesCount) {
  Make(10'000);
  for (int i = 0; i < 10; ++i) AppendSegment(20);

  EXPECT_EQ(log_->BytesFrom(1), log_->BytesFrom(log_->first_number()));
}

TEST_P(RecordLogContractTest, ThereIsNoHoleWhereRecordsAreOrWillBe) {
  Make();
  AppendSegment(2);

  for (uint64_t number = 1; number <= 5; ++number) EXPECT_FALSE(log_->HoleAt(number)) << number;
}

TEST_P(RecordLogContractTest, WhatTheCapTookIsAHoleOfThatReason) {
  Make(10'000);
  for (int i = 0; i < 10; ++i) AppendSegment(20);
  const uint64_t first = log_->first_number();

  const std::optional<LogHole> hole = log_->HoleAt(5);

  ASSERT_TRUE(hole);
  EXPECT_EQ(hole->from, 5u);
  EXPECT_EQ(hole->to, first - 1);
  EXPECT_EQ(hole->samples, log_->SamplesBetween(5, first - 1));
  EXPECT_EQ(hole->reason, HoleReason::kCap);
  EXPECT_FALSE(log_->HoleAt(first));
}

TEST_P(RecordLogContractTest, WhatWasTrimmedIsAHoleThatIsNoLoss) {
  Make(10'000);
  AppendSegment(2);  // 1 to 3
  for (int i = 0; i < 10; ++i) AppendSegment(20);
  log_->Trim(3);

  const std::optional<LogHole> trimmed = log_->HoleAt(2);
  ASSERT_TRUE(trimmed);
  EXPECT_EQ(trimmed->from, 2u);
  EXPECT_EQ(trimmed->to, 3u);
  EXPECT_EQ(trimmed->reason, HoleReason::kTrimmed);
  const std::optional<LogHole> lost = log_->HoleAt(4);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->to, log_->first_number() - 1);
  EXPECT_EQ(lost->reason, HoleReason::kCap);
}

TEST_P(RecordLogContractTest, RecordOverTheCapIsRefusedAndTheLogGoesOn) {
  Make(10'000);
  AppendSegment(2);

  EXPECT_THAT(TryAppend(RecordKind::kScrape, 1, std::string(20'000, 's')),
              StatusIs(absl::StatusCode::kResourceExhausted));

  EXPECT_EQ(log_->next_number(), 4u);
  EXPECT_EQ(log_->max_segment_bytes(), 10'000u);
  AppendSegment(1);
  EXPECT_EQ(log_->next_number(), 6u);
}

TEST_P(RecordLogContractTest, BytesAreCounted) {
  Make();
  AppendSegment(2, 100);
  EXPECT_GE(log_->segment_bytes(), 200u);
  const uint64_t before = log_->total_bytes();

  AppendSegment(1, 100);

  EXPECT_LT(log_->segment_bytes(), 200u);
  EXPECT_GE(log_->total_bytes(), before + 100);
}

// A spool with the world that it needs.
struct SpoolInWorld {
  explicit SpoolInWorld(size_t max_bytes)
      : budget(max_bytes), spool(MakeOptions(max_bytes), {loop, files, syncer, budget}) {}
  static Spool::Options MakeOptions(size_t max_bytes) {
    Spool::Options options;
    options.directory = "/data/spool/7/0";
    options.identity = {"0123456789abcdef0123456789abcdef", 7, 0};
    options.max_bytes = max_bytes;
    return options;
  }

  MemFileSystem files;
  FakeEventLoop loop;
  SpoolSyncer syncer{SpoolSyncer::Options{}, {loop, files}};
  SpoolBudget budget;
  Spool spool;
};

std::shared_ptr<RecordLog> MakeSpool(size_t max_bytes) {
  const auto world = std::make_shared<SpoolInWorld>(max_bytes);
  return {world, &world->spool};
}

std::shared_ptr<RecordLog> MakeMemoryLog(size_t max_bytes) {
  return std::make_shared<MemoryRecordLog>(MemoryRecordLog::Options{max_bytes});
}

INSTANTIATE_TEST_SUITE_P(Logs, RecordLogContractTest,
                         ::testing::Values(LogKind{"Memory", MakeMemoryLog},
                                           LogKind{"Spool", MakeSpool}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace trawl
