#include "server/target_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A watch over targets of one job, and its reader, which takes messages when the test says so.
class TargetWatchTest : public ::testing::Test, private TargetWatch::Reader {
 protected:
  TargetWatchTest() { Publish(3); }

  void Start(TargetWatch::Options options = {}) {
    watch_ = std::make_unique<TargetWatch>(
        options,
        TargetWatch::Deps{loop_, [this] { return pools_; }, [this] { return lanes_; }, *this,
                          metrics_.server()},
        TargetFilter::Make({}).value());
    watch_->Start();
  }

  void Publish(int targets) {
    auto pools = std::make_shared<PoolsSnapshot>();
    std::vector<std::shared_ptr<const ActiveTarget>> active;
    for (int i = 0; i < targets; ++i) active.push_back(TargetOf(i));
    pools->pools = {MakePool("node", active)};
    pools_ = std::move(pools);
  }
  std::shared_ptr<ActiveTarget> TargetOf(int i) {
    while (targets_.size() <= static_cast<size_t>(i)) {
      targets_.push_back(MakeTarget("node", absl::StrCat("h", targets_.size(), ":1")));
    }
    return targets_[static_cast<size_t>(i)];
  }
  void Scrape(int i) {
    const_cast<TargetStatus&>(*TargetOf(i)->status).Set({.health = TargetHealth::kUp});
  }

  // The kinds of messages since the last call, as a reader that takes each at once.
  std::vector<std::string> Read() {
    std::vector<std::string> kinds;
    while (waiting_) {
      waiting_ = false;
      kinds.push_back(Kind(message_));
      watch_->OnWritten();
    }
    return kinds;
  }
  static std::string Kind(const pb::WatchTargetsResponse& message) {
    if (message.has_reset()) return "reset";
    if (message.has_snapshot_part()) {
      return absl::StrCat("part ", message.snapshot_part().targets_size());
    }
    if (message.has_snapshot_done()) {
      return absl::StrCat("done ", message.snapshot_done().targets());
    }
    const auto& changes = message.changes();
    return absl::StrCat("changed ", changes.changed_size(), " removed ", changes.removed_size(),
                        " merged ", changes.merged());
  }

  void Write(pb::WatchTargetsResponse message) override {
    EXPECT_FALSE(waiting_) << "two messages under way";
    message_ = std::move(message);
    waiting_ = true;
  }

  FakeEventLoop loop_;
  Metrics metrics_;
  std::vector<std::shared_ptr<ActiveTarget>> targets_;
  std::shared_ptr<const PoolsSnapshot> pools_;
  std::vector<std::shared_ptr<const LaneStatus>> lanes_;
  pb::WatchTargetsResponse message_;
  bool waiting_ = false;
  std::unique_ptr<TargetWatch> watch_;
};

TEST_F(TargetWatchTest, TheStateComesFirstInPartsThenChanges) {
  Start({.max_message_targets = 2});
  EXPECT_THAT(Read(), ElementsAre("part 2", "part 1", "done 3"));

  Scrape(1);
  loop_.Advance(absl::Milliseconds(999));
  EXPECT_THAT(Read(), IsEmpty());
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(Read(), ElementsAre("changed 1 removed 0 merged 0"));
}

TEST_F(TargetWatchTest, WhatStoresRefusedIsShown) {
  RejectedSamples rejected;
  rejected.NoteRecord(1, TargetOf(0)->target->public_hash);
  rejected.Count("mimir", 1, storage::v1::Reject::TOO_OLD, 3);
  auto lane = std::make_shared<LaneStatus>();
  lane->rejected = rejected.Snapshot();
  lanes_ = {lane};
  Publish(1);

  Start();

  ASSERT_EQ(message_.snapshot_part().targets_size(), 1);
  EXPECT_EQ(message_.snapshot_part().targets(0).rejected(0).samples(), 3u);
}

TEST_F(TargetWatchTest, MessagesAreBoundedInBytesToo) {
  Start({.max_message_bytes = 1});
  EXPECT_THAT(Read(), ElementsAre("part 1", "part 1", "part 1", "done 3"));
}

TEST_F(TargetWatchTest, AStateWithoutTargetsIsCompleteAtOnce) {
  Publish(0);
  Start();
  EXPECT_THAT(Read(), ElementsAre("done 0"));
}

TEST_F(TargetWatchTest, NothingIsSaidWhileNothingChanges) {
  Start();
  Read();
  loop_.Advance(absl::Hours(1));
  EXPECT_THAT(Read(), IsEmpty());
}

TEST_F(TargetWatchTest, ASlowReaderGetsTheNewestStateAndIsToldHowManyItMissed) {
  Start();
  Read();
  Scrape(0);
  loop_.Advance(absl::Seconds(1));  // this one is not taken
  for (int i = 0; i < 5; ++i) {
    Scrape(0);
    loop_.Advance(absl::Seconds(10));
  }
  Publish(2);

  EXPECT_THAT(Read(), ElementsAre("changed 1 removed 0 merged 0"));
  loop_.Advance(absl::ZeroDuration());
  EXPECT_THAT(Read(), ElementsAre("changed 1 removed 1 merged 4"));
}

TEST_F(TargetWatchTest, AReaderThatWasSilentForTooLongStartsAnew) {
  Start({.max_silence = absl::Minutes(10)});
  Read();
  Scrape(0);
  loop_.Advance(absl::Seconds(1));
  std::weak_ptr<const PoolsSnapshot> old = pools_;
  std::weak_ptr<const PoolStatus> pool = pools_->pools[0];
  Publish(2);
  EXPECT_FALSE(pool.expired()) << "the view looks into it";
  loop_.Advance(absl::Minutes(10));
  EXPECT_TRUE(old.expired());
  EXPECT_TRUE(pool.expired()) << "a silent reader holds an old state";
  EXPECT_EQ(metrics_.server().watchers_given_up_total.Value(), 1);

  EXPECT_THAT(Read(), ElementsAre("changed 1 removed 0 merged 0", "reset", "part 2", "done 2"));
  Scrape(1);
  loop_.Advance(absl::Seconds(1));
  EXPECT_THAT(Read(), ElementsAre("changed 1 removed 0 merged 0"));
}

TEST_F(TargetWatchTest, SilenceInTheMiddleOfTheStateIsAResetToo) {
  Start({.max_silence = absl::Minutes(1), .max_message_targets = 2});
  loop_.Advance(absl::Minutes(2));
  EXPECT_THAT(Read(), ElementsAre("part 2", "reset", "part 2", "part 1", "done 3"));
}

TEST_F(TargetWatchTest, ManyRemovedTargetsAreToldInSeveralMessages) {
  Start({.max_message_targets = 2});
  Read();
  Publish(0);
  loop_.Advance(absl::Seconds(1));
  EXPECT_THAT(Read(), ElementsAre("changed 0 removed 2 merged 0", "changed 0 removed 1 merged 0"));
}

TEST_F(TargetWatchTest, AWatchThatEndsLeavesNoTimer) {
  Start();
  Read();
  watch_.reset();
  EXPECT_EQ(loop_.pending_timers(), 0u);
}

}  // namespace
}  // namespace trawl
