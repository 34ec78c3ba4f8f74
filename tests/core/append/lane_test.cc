#include "core/append/lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "core/append/memory_record_log.h"
#include "tests/core/append/model_store.h"
#include "tests/core/append/page_source.h"
#include "tests/fakes/fake_append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A lane without sinks.
class LaneTest : public ::testing::Test {
 protected:
  LaneTest() : log_(MemoryRecordLog::Options{}), page_(table_, "host", 21) {}

  Lane& MakeLane(Lane::Options options = {}) {
    options.session.message_bytes = 1;
    lane_.emplace(options, Lane::Deps{loop_, log_, random_});
    return *lane_;
  }
  void Scrape() {
    ASSERT_THAT(lane_->Append(page_.NextScrape()), IsOk());
    expected_[log_.next_number() - 1] = page_.ExpectedRows(external_);
  }
  void Settle(ModelStore& store) {
    loop_.RunUntilIdle();
    while (store.TakeOne()) loop_.RunUntilIdle();
  }

  FakeEventLoop loop_;
  std::mt19937 random_{3};
  MemoryRecordLog log_;
  KeyTable table_;
  PageSource page_;
  Labels external_;
  std::map<uint64_t, Rows> expected_;
  std::optional<Lane> lane_;
};

TEST_F(LaneTest, ScrapeIsCommittedWhenAppendReturns) {
  MakeLane();

  Scrape();

  EXPECT_EQ(log_.next_number(), 3u);
  EXPECT_EQ(log_.Read(1)->kind, RecordKind::kDictionary);
  EXPECT_TRUE(log_.Read(1)->segment_start);
  EXPECT_EQ(log_.Read(2)->kind, RecordKind::kScrape);
  EXPECT_TRUE(log_.Read(2)->keyframe);
  EXPECT_EQ(log_.Read(2)->samples, expected_[2].size());
}

TEST_F(LaneTest, SegmentEndsBySize) {
  Lane::Options options;
  options.max_segment_bytes = 3'000;
  MakeLane(options);

  for (int i = 0; i < 40; ++i) Scrape();

  EXPECT_GT(lane_->Snapshot().segments, 2u);
}

TEST_F(LaneTest, SegmentsAreASixteenthOfTheCapOfALane) {
  EXPECT_EQ(Lane::SegmentBytes(size_t{256} << 20), size_t{16} << 20);
  EXPECT_EQ(Lane::SegmentBytes(size_t{100} << 30), Lane::kMaxSegmentBytes);
}

TEST_F(LaneTest, SegmentEndsByAge) {
  MakeLane();
  Scrape();
  loop_.Advance(absl::Minutes(29));
  Scrape();
  EXPECT_EQ(lane_->Snapshot().segments, 1u);

  loop_.Advance(absl::Minutes(1));
  Scrape();

  EXPECT_EQ(lane_->Snapshot().segments, 2u);
}

TEST_F(LaneTest, SegmentEndsWhenExternalLabelsChange) {
  FakeAppendStreamFactory factory(loop_);
  ModelStore store(factory);
  MakeLane().AddSink("s", factory);
  Scrape();
  lane_->SetExternalLabels(Labels{});  // no change
  Scrape();
  EXPECT_EQ(lane_->Snapshot().segments, 1u);

  external_ = Labels{{"cluster", "c"}};
  lane_->SetExternalLabels(external_);
  Scrape();

  EXPECT_EQ(lane_->Snapshot().segments, 2u);
  Settle(store);
  store.Commit();
  EXPECT_EQ(store.rows(), expected_);
}

TEST_F(LaneTest, KeyframesComeByBytes) {
  Lane::Options options;
  options.keyframe_bytes = 2'000;
  MakeLane(options);

  for (int i = 0; i < 40; ++i) Scrape();

  const LaneStatus status = lane_->Snapshot();
  EXPECT_GT(status.keyframes, 3u);
  EXPECT_LT(status.keyframes, 39u);
  EXPECT_EQ(status.segments, 1u);
}

TEST_F(LaneTest, SinkThatIsAddedLaterStartsAtASegmentRolledForIt) {
  FakeAppendStreamFactory factory(loop_);
  ModelStore store(factory);
  MakeLane();
  for (int i = 0; i < 3; ++i) Scrape();
  const uint64_t start = log_.next_number();
  expected_.clear();

  lane_->AddSink("s", factory);
  for (int i = 0; i < 3; ++i) Scrape();
  Settle(store);
  store.Commit();

  EXPECT_TRUE(log_.Read(start)->segment_start);
  ASSERT_THAT(store.gaps(), SizeIs(1));
  EXPECT_EQ(store.gaps()[0].from(), 1u);
  EXPECT_EQ(store.gaps()[0].to(), start - 1);
  EXPECT_EQ(store.gaps()[0].samples(), 0u);
  EXPECT_EQ(store.gaps()[0].reason(), storage::v1::Gap::BEFORE_SINK);
  EXPECT_EQ(store.rows(), expected_);
  EXPECT_THAT(store.complaints(), IsEmpty());
}

TEST_F(LaneTest, DeadSinkHoldsTheLogButNotTheOtherSink) {
  FakeAppendStreamFactory good_factory(loop_);
  FakeAppendStreamFactory dead_factory(loop_);
  ModelStore good(good_factory);
  Lane::Options options;
  options.max_segment_bytes = 2'000;
  MakeLane(options);
  lane_->AddSink("good", good_factory);
  lane_->AddSink("dead", dead_factory);
  for (int i = 0; i < 30; ++i) Scrape();

  Settle(good);
  good.Commit();
  loop_.RunUntilIdle();

  EXPECT_EQ(good.rows(), expected_);
  EXPECT_EQ(log_.first_number(), 1u);
  lane_->RemoveSink("dead");
  EXPECT_GT(log_.first_number(), 1u);
}

TEST_F(LaneTest, EqualNameKeepsTheCursorAndMovesTheStream) {
  FakeAppendStreamFactory before(loop_);
  FakeAppendStreamFactory after(loop_);
  ModelStore store(before);
  MakeLane().AddSink("s", before);
  Scrape();
  Settle(store);
  store.Commit();
  loop_.RunUntilIdle();

  lane_->AddSink("s", after);
  loop_.RunUntilIdle();

  EXPECT_FALSE(before.open());
  EXPECT_TRUE(after.open());
  ASSERT_THAT(lane_->Snapshot().sinks, SizeIs(1));
  EXPECT_EQ(lane_->Snapshot().sinks[0].durable, 2u);
}

TEST_F(LaneTest, DrainFlushesAtOnceAndTellsWhenAllIsDurable) {
  FakeAppendStreamFactory factory(loop_);
  ModelStore store(factory);
  Lane::Options options;
  MakeLane(options).AddSink("s", factory);
  Settle(store);
  Scrape();
  std::optional<bool> drained;

  lane_->Drain(absl::Seconds(10), [&](bool all) { drained = all; });
  Settle(store);
  EXPECT_FALSE(drained.has_value());
  store.Commit();
  loop_.RunUntilIdle();

  EXPECT_EQ(drained, true);
}

TEST_F(LaneTest, DrainGivesUpAtItsTimeout) {
  FakeAppendStreamFactory factory(loop_);
  MakeLane().AddSink("s", factory);
  Scrape();
  std::optional<bool> drained;

  lane_->Drain(absl::Seconds(10), [&](bool all) { drained = all; });
  loop_.Advance(absl::Milliseconds(9'999));
  EXPECT_FALSE(drained.has_value());
  loop_.Advance(absl::Milliseconds(1));

  EXPECT_EQ(drained, false);
}

TEST_F(LaneTest, ScrapeThatIsTooLargeIsRefusedAndTheLaneGoesOn) {
  FakeAppendStreamFactory factory(loop_);
  ModelStore store(factory);
  MakeLane().AddSink("s", factory);
  SeriesKey key;
  key.labels = Labels{{"__name__", "m"}};
  const KeyId id = table_.Intern(key);
  const auto big = std::make_shared<Layout>(table_, std::make_shared<Labels>(),
                                            std::vector<KeyId>(4'200'000, id), 0, LayoutPatch{});
  table_.Unref(id);
  const std::vector<double> values(big->size(), 1);
  ScrapeBatch batch;
  batch.layout = big;
  batch.values = values;

  EXPECT_THAT(lane_->Append(batch), StatusIs(absl::StatusCode::kInvalidArgument));
  Scrape();
  Settle(store);
  store.Commit();

  EXPECT_EQ(lane_->Snapshot().append_failures, 1u);
  EXPECT_EQ(store.rows(), expected_);
}

// A page that the log can't hold takes nothing else with it.
TEST_F(LaneTest, AScrapeThatTheLogCannotHoldIsCountedAndTakesNothingWithIt) {
  MemoryRecordLog small({.max_bytes = 8'000});
  FakeAppendStreamFactory factory(loop_);  // nobody takes anything
  lane_.emplace(Lane::Options{}, Lane::Deps{loop_, small, random_});
  lane_->AddSink("s", factory);
  ASSERT_OK(lane_->Append(page_.NextScrape()));
  const uint64_t kept = small.next_number();
  SeriesKey key;
  std::vector<KeyId> ids;
  for (int i = 0; i < 1'000; ++i) {
    key.labels = Labels{{"__name__", absl::StrCat("metric_", i)}};
    ids.push_back(table_.Intern(key));
  }
  const auto big =
      std::make_shared<Layout>(table_, std::make_shared<Labels>(), ids, 0, LayoutPatch{});
  for (const KeyId id : ids) table_.Unref(id);
  const std::vector<double> values(ids.size(), 1);
  ScrapeBatch batch;
  batch.layout = big;
  batch.values = values;

  EXPECT_THAT(lane_->Append(batch), StatusIs(absl::StatusCode::kResourceExhausted));

  EXPECT_EQ(small.first_number(), 1u);
  EXPECT_EQ(small.next_number(), kept);
  EXPECT_EQ(lane_->Snapshot().refused_samples, 1'000u);
  EXPECT_EQ(lane_->Snapshot().capped_samples, 0u);
  EXPECT_OK(lane_->Append(page_.NextScrape())) << "the lane goes on";
}

// A log that refuses one record: what the refused scrape defined must be defined again.
class RefusingLog final : public RecordLog {
 public:
  absl::Status Append(const LogRecord& record) override {
    if (refuse) return absl::InternalError("disk on fire");
    return log.Append(record);
  }
  uint64_t next_number() const override { return log.next_number(); }
  uint64_t first_number() const override { return log.first_number(); }
  absl::StatusOr<LogRecord> Read(uint64_t number) override { return log.Read(number); }
  std::optional<LogHole> HoleAt(uint64_t number) override { return log.HoleAt(number); }
  uint64_t SegmentStart(uint64_t number) const override { return log.SegmentStart(number); }
  uint64_t Keyframe(uint64_t number) const override { return log.Keyframe(number); }
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const override {
    return log.SamplesBetween(from, to);
  }
  uint64_t BytesFrom(uint64_t number) const override { return log.BytesFrom(number); }
  uint64_t dropped_samples(HoleReason reason) const override { return log.dropped_samples(reason); }
  void Trim(uint64_t durable) override { log.Trim(durable); }
  uint64_t segment_bytes() const override { return log.segment_bytes(); }
  uint64_t total_bytes() const override { return log.total_bytes(); }

  bool refuse = false;
  MemoryRecordLog log{MemoryRecordLog::Options{}};
};

TEST_F(LaneTest, LogThatRefusesARecordGetsANewSegmentNext) {
  for (const auto encoding :
       {storage::v1::ENCODING_RAW_COLUMNS, storage::v1::ENCODING_DECIMAL_DELTA}) {
    RefusingLog log;
    FakeAppendStreamFactory factory(loop_);
    ModelStore store(factory);
    store.set_encoding(encoding);
    Lane lane(Lane::Options{}, Lane::Deps{loop_, log, random_});
    lane.AddSink("s", factory);
    std::map<uint64_t, Rows> expected;
    for (int i = 0; i < 30; ++i) {
      log.refuse = i % 7 == 3;
      const absl::Status status = lane.Append(page_.NextScrape());
      EXPECT_EQ(status.ok(), !log.refuse);
      if (status.ok()) expected[log.next_number() - 1] = page_.ExpectedRows({});
    }

    loop_.Advance(absl::Seconds(1));
    Settle(store);
    loop_.Advance(absl::Seconds(1));
    Settle(store);
    store.Commit();

    EXPECT_EQ(store.rows(), expected);
    EXPECT_THAT(store.complaints(), IsEmpty());
  }
}

TEST_F(LaneTest, StatusIsPublishedSoonAfterAChangeAndAnIdleLaneIsStill) {
  MakeLane();
  EXPECT_EQ(lane_->status()->scrapes, 0u);
  Scrape();
  EXPECT_EQ(lane_->status()->scrapes, 0u);

  loop_.Advance(absl::Milliseconds(500));

  EXPECT_EQ(lane_->status()->scrapes, 1u);
  EXPECT_EQ(lane_->status()->samples, expected_[2].size());
  EXPECT_EQ(loop_.pending_timers(), 0u);
}

}  // namespace
}  // namespace trawl
