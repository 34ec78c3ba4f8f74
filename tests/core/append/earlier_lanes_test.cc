#include "core/append/earlier_lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/append/drain_order.h"
#include "core/append/memory_record_log.h"
#include "core/append/record_encoder.h"
#include "tests/core/append/model_store.h"
#include "tests/core/append/page_source.h"
#include "tests/fakes/fake_append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(DrainOrderTest, OldestEpochFirstAndThisRunLast) {
  DrainOrder order({{7, 0}, {5, 1}, {5, 0}});

  EXPECT_THAT(order.Streaming(), ElementsAre(EpochLane{5, 0}, EpochLane{5, 1}));
  EXPECT_FALSE(order.RunningStreams());
  order.Drained({5, 0});
  EXPECT_THAT(order.Streaming(), ElementsAre(EpochLane{5, 1}));
  order.Drained({5, 1});
  EXPECT_THAT(order.Streaming(), ElementsAre(EpochLane{7, 0}));
  EXPECT_FALSE(order.RunningStreams());
  order.Drained({7, 0});
  EXPECT_THAT(order.Streaming(), IsEmpty());
  EXPECT_TRUE(order.RunningStreams());
}

TEST(DrainOrderTest, AStoreThatTakesThemGetsTheNewestFirst) {
  DrainOrder order({{7, 0}, {5, 0}});
  order.SetNewestFirst();

  EXPECT_THAT(order.Streaming(), ElementsAre(EpochLane{7, 0}));
  EXPECT_TRUE(order.RunningStreams());
  EXPECT_FALSE(order.done());
}

// Two lanes of each of two earlier runs.
class EarlierLanesTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kThisRun = 9;

  // A lane of an earlier run, and the store that one sink has for it.
  struct Left {
    explicit Left(EventLoop& loop) : factory(loop), store(factory) {}
    FakeAppendStreamFactory factory;
    ModelStore store;
    std::map<uint64_t, Rows> expected;
    bool removed = false;
  };

  EarlierLanesTest() : page_(table_, "host", 3) {
    EarlierLanes::Options options;
    options.identity.incarnation = kThisRun;
    lanes_.emplace(
        options, EarlierLanes::Deps{loop_, random_},
        EarlierLanes::Callbacks{.drained =
                                    [this](const std::string& sink, const EpochLane& lane) {
                                      drained_.push_back({sink, lane});
                                      if (sink == "s") order_.Drained(lane);
                                      Release();
                                    },
                                .newest_first =
                                    [this](const std::string&) {
                                      order_.SetNewestFirst();
                                      Release();
                                    }});
    for (const EpochLane& lane : kLanes) AddLog(lane);
  }

  void AddLog(const EpochLane& lane) {
    auto log = std::make_unique<MemoryRecordLog>(MemoryRecordLog::Options{});
    Left& left = *left_.emplace(lane, std::make_unique<Left>(loop_)).first->second;
    RecordEncoder encoder;
    for (int scrape = 0; scrape < 20; ++scrape) {
      if (scrape % 7 == 0) encoder.BeginSegment({}, "");
      RecordEncoder::Encoded encoded;
      ASSERT_THAT(encoder.Encode(page_.NextScrape(), encoded), IsOk());
      for (const std::string& bytes : encoded.dictionary) {
        const bool first = scrape % 7 == 0 && &bytes == &encoded.dictionary[0];
        Append(*log, RecordKind::kDictionary, bytes, first, 0);
      }
      Append(*log, RecordKind::kScrape, encoded.scrape, false, encoded.samples);
      left.expected[log->next_number() - 1] = page_.ExpectedRows({});
    }
    lanes_->AddLog(lane, std::move(log), [&left] { left.removed = true; });
  }

  static void Append(RecordLog& log, RecordKind kind, const std::string& bytes, bool first,
                     uint64_t samples) {
    LogRecord record;
    record.number = log.next_number();
    record.kind = kind;
    record.segment_start = record.keyframe = first;
    record.samples = samples;
    record.bytes = bytes;
    ASSERT_THAT(log.Append(record), IsOk());
  }

  // The sink wants all lanes, in order.
  void AddSink() {
    for (const EpochLane& lane : kLanes) {
      lanes_->AddSink(lane, {.name = "s"}, left_[lane]->factory);
    }
    lanes_->CloseUnwanted();
    Release();
  }
  void Release() {
    for (const EpochLane& lane : order_.Streaming()) lanes_->ReleaseSink(lane, "s");
  }
  void Run(absl::Duration time) {
    for (absl::Duration step = absl::Milliseconds(100); time > absl::ZeroDuration(); time -= step) {
      loop_.Advance(step);
      for (auto& [lane, left] : left_) {
        left->store.TakeAll();
        loop_.RunUntilIdle();
        left->store.TakeAll();
        left->store.Commit();
        loop_.RunUntilIdle();
      }
    }
  }
  Left& left(const EpochLane& lane) { return *left_[lane]; }
  // Lanes that a sink has not all of.
  size_t Waiting() const {
    const auto lanes = lanes_->status();
    return static_cast<size_t>(std::count_if(
        lanes->begin(), lanes->end(), [](const LaneStatus& lane) { return !lane.sinks.empty(); }));
  }

  const std::vector<EpochLane> kLanes = {{5, 0}, {5, 1}, {7, 0}, {7, 1}};
  FakeEventLoop loop_;
  std::mt19937 random_{1};
  KeyTable table_;
  PageSource page_;
  std::map<EpochLane, std::unique_ptr<Left>> left_;
  std::vector<std::pair<std::string, EpochLane>> drained_;
  DrainOrder order_{{{5, 0}, {5, 1}, {7, 0}, {7, 1}}};
  std::optional<EarlierLanes> lanes_;
};

TEST_F(EarlierLanesTest, AllIsBroughtAndEachLogRemoved) {
  AddSink();

  Run(absl::Seconds(5));

  for (auto& [lane, left] : left_) {
    EXPECT_EQ(left->store.rows(), left->expected);
    EXPECT_THAT(left->store.complaints(), IsEmpty());
    EXPECT_THAT(left->store.gaps(), IsEmpty());
    EXPECT_TRUE(left->removed);
    const storage::v1::Hello& hello = left->factory.written()[0].hello();
    EXPECT_EQ(hello.epoch(), lane.epoch);
    EXPECT_EQ(hello.lane(), lane.lane);
    EXPECT_EQ(hello.incarnation(), kThisRun);
  }
  EXPECT_TRUE(order_.RunningStreams());
  loop_.Advance(absl::Seconds(1));
  const auto lanes = lanes_->status();
  for (const LaneStatus& lane : *lanes) {
    EXPECT_THAT(lane.sinks, IsEmpty());
    EXPECT_EQ(lane.log_bytes, 0u);
  }
}

TEST_F(EarlierLanesTest, ANewerEpochWaitsForAllLanesOfTheOlder) {
  left({5, 1}).store.set_window_bytes(0);
  AddSink();

  Run(absl::Seconds(5));

  EXPECT_TRUE(left({5, 0}).removed);
  EXPECT_EQ(left({7, 0}).factory.opened(), 0u);
  EXPECT_EQ(left({7, 1}).factory.opened(), 0u);
  EXPECT_FALSE(order_.RunningStreams());
  EXPECT_EQ(Waiting(), 3u);

  left({5, 1}).store.set_window_bytes(1 << 30);
  left({5, 1}).store.Crash();
  Run(absl::Seconds(10));
  EXPECT_TRUE(order_.RunningStreams());
}

TEST_F(EarlierLanesTest, AStoreThatTakesSamplesOutOfOrderGetsTheNewestBesideTheOldest) {
  for (auto& [lane, left] : left_) left->store.set_newest_first(true);
  left({5, 0}).store.set_window_bytes(0);
  AddSink();

  Run(absl::Seconds(5));

  EXPECT_TRUE(order_.RunningStreams());
  EXPECT_TRUE(left({7, 0}).removed);
  EXPECT_TRUE(left({7, 1}).removed);
}

TEST_F(EarlierLanesTest, ALogStaysUntilEachSinkHasItOrIsRemoved) {
  FakeAppendStreamFactory dead(loop_);
  lanes_->AddSink({5, 0}, {.name = "dead"}, dead);
  AddSink();

  Run(absl::Seconds(5));
  EXPECT_FALSE(left({5, 0}).removed);
  EXPECT_TRUE(left({5, 1}).removed);

  lanes_->RemoveSink("dead");
  Run(absl::Seconds(1));
  EXPECT_TRUE(left({5, 0}).removed);
}

TEST_F(EarlierLanesTest, ASinkStartsWhereItWasAddedAndAStoreThatHasAllSaysSo) {
  const uint64_t start = std::next(left({5, 0}).expected.begin(), 6)->first + 1;  // a segment
  lanes_->AddSink({5, 0}, {.name = "s", .start = start}, left({5, 0}).factory);
  lanes_->ReleaseSink({5, 0}, "s");
  lanes_->CloseUnwanted();

  Run(absl::Seconds(5));

  ASSERT_EQ(left({5, 0}).store.gaps().size(), 1u);
  EXPECT_EQ(left({5, 0}).store.gaps()[0].reason(), storage::v1::Gap::BEFORE_SINK);
  EXPECT_EQ(left({5, 0}).store.rows().begin()->first, start + 1);
  EXPECT_TRUE(left({5, 0}).removed);
  EXPECT_TRUE(left({7, 1}).removed);  // nobody wants it
}

// What is told last is told in the turn in which the session ends.
TEST_F(EarlierLanesTest, WhatASinkLostIsStillToldWhenItHasAll) {
  const uint64_t skipped = std::next(left({5, 0}).expected.begin(), 3)->first;
  for (const EpochLane& lane : kLanes) {
    lanes_->AddSink(lane, {.name = "s", .skipped = {skipped}}, left_[lane]->factory);
  }
  lanes_->CloseUnwanted();
  Release();

  Run(absl::Seconds(5));
  ASSERT_EQ(Waiting(), 0u);

  const auto lanes = lanes_->status();
  ASSERT_EQ(lanes->size(), kLanes.size());
  for (const LaneStatus& lane : *lanes) {
    ASSERT_EQ(lane.drained_sinks.size(), 1u);
    EXPECT_THAT(lane.drained_sinks[0].gap_samples,
                ElementsAre(Pair(storage::v1::Gap::SKIPPED, Gt(0u))));
    EXPECT_GT(lane.drained_sinks[0].body_bytes_sent, 0u);
  }

  lanes_->RemoveSink("s");
  Run(absl::Seconds(1));
  const auto after = lanes_->status();
  for (const LaneStatus& lane : *after) EXPECT_THAT(lane.drained_sinks, IsEmpty());
}

TEST_F(EarlierLanesTest, ARecordOfAnEarlierRunCanBeSkipped) {
  const uint64_t poison = std::next(left({5, 0}).expected.begin(), 3)->first;
  left({5, 0}).store.set_poison(poison);
  AddSink();
  Run(absl::Seconds(60));
  EXPECT_EQ(lanes_->status()->at(0).sinks.at(0).stuck_number, poison);

  EXPECT_THAT(lanes_->SkipRecord({6, 0}, "s", poison, false),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(lanes_->SkipRecord({5, 0}, "s", poison, false), IsOk());
  Run(absl::Seconds(10));

  left({5, 0}).expected.erase(poison);
  EXPECT_EQ(left({5, 0}).store.rows(), left({5, 0}).expected);
  EXPECT_TRUE(left({5, 0}).removed);
}

TEST_F(EarlierLanesTest, ARecordThatWasSkippedInAnEarlierRunStaysSkipped) {
  const uint64_t skipped = std::next(left({5, 0}).expected.begin(), 3)->first;
  lanes_->AddSink({5, 0}, {.name = "s", .skipped = {skipped}}, left({5, 0}).factory);
  lanes_->ReleaseSink({5, 0}, "s");

  Run(absl::Seconds(5));

  left({5, 0}).expected.erase(skipped);
  EXPECT_EQ(left({5, 0}).store.rows(), left({5, 0}).expected);
}

}  // namespace
}  // namespace trawl
