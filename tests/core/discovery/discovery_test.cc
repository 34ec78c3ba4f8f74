#include "core/discovery/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecordingPeer final : public SyncPeer {
 public:
  void Send(SyncOutput output) override { sent.push_back(std::move(output)); }
  void Finish(absl::Status s) override {
    finished = true;
    status = std::move(s);
  }

  template <typename T>
  std::vector<T> All() const {
    std::vector<T> found;
    for (const SyncOutput& output : sent) {
      if (const T* message = std::get_if<T>(&output.message)) found.push_back(*message);
    }
    return found;
  }

  std::vector<SyncOutput> sent;
  bool finished = false;
  absl::Status status;
};

class DiscoveryTest : public ::testing::Test {
 protected:
  DiscoveryTest() { discovery_->SetKnownJobsAsync({"node"}, {}); }

  std::unique_ptr<Discovery> Make() {
    Discovery::Options options;
    options.max_staged_bytes = 1000;
    return std::make_unique<Discovery>(
        options, Discovery::Deps{loop_,
                                 [this](std::shared_ptr<const DesiredTargets> desired,
                                        absl::AnyInvocable<void()> done) {
                                   desired_ = std::move(desired);
                                   if (hold_reconcile_) {
                                     held_.push_back(std::move(done));
                                   } else {
                                     done();
                                   }
                                 },
                                 metrics_});
  }

  void Say(uint64_t stream, SyncInput input) {
    discovery_->StreamMessageAsync(stream, std::move(input));
    loop_.RunUntilIdle();
  }
  void SayHello(uint64_t stream, RecordingPeer& peer, std::string instance = "r1",
                std::optional<uint64_t> token = {}) {
    discovery_->OpenStreamAsync(stream, peer);
    StreamHello hello;
    hello.source = "k8s";
    hello.instance = std::move(instance);
    hello.fencing_token = token;
    hello.history_id = "h";
    hello.lease = lease_;
    Say(stream, {1, hello});
  }
  void SaySnapshot(uint64_t stream, uint64_t version, std::vector<std::string> targets) {
    Say(stream, {2, SyncBegin{version, 1, 100}});
    Say(stream, {3, SyncPart{{{"node", {"0", std::move(targets), {}}}}, 50}});
    Say(stream, {4, SyncEnd{}});
  }
  std::vector<std::string> Targets() const {
    std::vector<std::string> all;
    if (desired_ == nullptr) return all;
    for (const OwnedGroup& group : desired_->groups) {
      all.insert(all.end(), group.group->targets.begin(), group.group->targets.end());
    }
    return all;
  }

  FakeEventLoop loop_;
  prometheus::Registry registry_;
  DiscoveryMetrics metrics_{registry_};
  std::shared_ptr<const DesiredTargets> desired_;
  bool hold_reconcile_ = false;
  std::deque<absl::AnyInvocable<void()>> held_;
  std::optional<LeasePolicy> lease_;
  std::unique_ptr<Discovery> discovery_ = Make();
  RecordingPeer peer_;
};

TEST_F(DiscoveryTest, UnaryPushIsAnsweredWhenTheLoopsWereTold) {
  hold_reconcile_ = true;
  std::optional<ApplyResult> answer;
  Change push;
  push.source = "a";
  push.scope = Change::Scope::kJobs;
  push.groups = {{"node", {"0", {"n1"}, {}}}};

  discovery_->ApplyAsync(push, [&](ApplyResult result) { answer = std::move(result); });
  loop_.RunUntilIdle();
  EXPECT_FALSE(answer);
  held_.front()();
  loop_.RunUntilIdle();

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, ApplyStatus::kApplied);
}

TEST_F(DiscoveryTest, SnapshotIsVisibleAtItsEndAndNotBefore) {
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 2, 100}});
  Say(1, {3, SyncPart{{{"node", {"0", {"n1"}, {}}}}, 50}});
  EXPECT_THAT(Targets(), IsEmpty());

  Say(1, {4, SyncPart{{{"node", {"1", {"n2"}, {}}}}, 50}});
  Say(1, {5, SyncEnd{}});

  EXPECT_THAT(Targets(), ElementsAre("n1", "n2"));
  auto acks = peer_.All<SyncAck>();
  ASSERT_THAT(acks, SizeIs(4));
  EXPECT_TRUE(acks[0].staged);
  EXPECT_EQ(acks[3].result.status, ApplyStatus::kApplied);
  EXPECT_EQ(acks[3].result.applied_version, 5u);
}

TEST_F(DiscoveryTest, StreamThatDiesBeforeTheSnapshotsEndChangesNothing) {
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 1, 100}});
  Say(1, {3, SyncPart{{{"node", {"0", {"n1"}, {}}}}, 50}});
  bool closed = false;

  discovery_->CloseStreamAsync(1, [&] { closed = true; });
  loop_.RunUntilIdle();

  EXPECT_TRUE(closed);
  EXPECT_THAT(Targets(), IsEmpty());
  EXPECT_TRUE(discovery_->ReserveStaged(1000)) << "the reservation was given back";
}

TEST_F(DiscoveryTest, SnapshotWithAWrongCountIsRejected) {
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 2, 100}});
  Say(1, {3, SyncPart{{{"node", {"0", {"n1"}, {}}}}, 50}});
  Say(1, {4, SyncEnd{}});

  EXPECT_EQ(peer_.All<SyncAck>().back().result.issues[0].code, IssueCode::kCountMismatch);
  EXPECT_THAT(Targets(), IsEmpty());
}

TEST_F(DiscoveryTest, SnapshotIsRejectedWhenADeltaMovedTheVersionMeanwhile) {
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  Say(1, {5, SyncBegin{6, 1, 100}});
  Say(1, {6, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {}}});
  Say(1, {7, SyncPart{{{"node", {"0", {"n3"}, {}}}}, 50}});
  Say(1, {8, SyncEnd{}});

  EXPECT_EQ(peer_.All<SyncAck>().back().result.issues[0].code, IssueCode::kNoSnapshot);
  EXPECT_THAT(Targets(), ElementsAre("n1", "n2"));
}

TEST_F(DiscoveryTest, StagedSnapshotThatStallsIsDropped) {
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 1, 100}});

  loop_.Advance(absl::Seconds(20));
  Say(1, {3, SyncHeartbeat{}});
  loop_.Advance(absl::Seconds(11));
  Say(1, {4, SyncPart{{{"node", {"0", {"n1"}, {}}}}, 50}});

  EXPECT_EQ(peer_.All<SyncAck>().back().result.issues[0].code, IssueCode::kNoSnapshot);
}

TEST_F(DiscoveryTest, SnapshotsWithoutRoomAreToldWhenToTryAgain) {
  RecordingPeer other;
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 1, 900}});
  discovery_->OpenStreamAsync(2, other);
  StreamHello hello;
  hello.source = "other";
  hello.history_id = "h";
  Say(2, {1, hello});
  Say(2, {2, SyncBegin{5, 1, 200}});

  auto acks = other.All<SyncAck>();
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_EQ(acks[0].result.status, ApplyStatus::kRejected);
  EXPECT_EQ(acks[0].retry_after, absl::Seconds(1));
}

TEST_F(DiscoveryTest, BadTargetOnTheStreamRejectsItsGroupAlone) {
  SayHello(1, peer_);
  Say(1, {2, SyncBegin{5, 2, 100}});
  Say(1, {3, SyncPart{{{"node", {"0", {"a/b"}, {}}}, {"node", {"1", {"n2"}, {}}}}, 50}});
  Say(1, {4, SyncEnd{}});

  EXPECT_EQ(peer_.All<SyncAck>().back().result.status, ApplyStatus::kAppliedPartly);
  EXPECT_THAT(Targets(), ElementsAre("n2"));
}

TEST_F(DiscoveryTest, DeltaOverAGapGetsAResync) {
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});

  Say(1, {5, SyncDelta{7, 8, {{"node", {"1", {"n2"}, {}}}}, {}}});

  ASSERT_THAT(peer_.All<SyncResync>(), SizeIs(1));
  EXPECT_EQ(peer_.All<SyncResync>()[0].applied_version, 5u);
  EXPECT_EQ(peer_.All<SyncResync>()[0].need, SyncNeed::kDelta);
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(DiscoveryTest, AResyncNeedsWhatAHelloOfTheRejectedVersionWould) {
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  const auto need_after = [&](uint64_t base, uint64_t version) {
    Say(1, {5, SyncDelta{base, version, {{"node", {"1", {"n2"}, {}}}}, {}}});
    return peer_.All<SyncResync>().back().need;
  };
  EXPECT_EQ(need_after(6, 7), SyncNeed::kDelta);
  EXPECT_EQ(need_after(3, 4), SyncNeed::kSnapshot) << "it is behind";
  EXPECT_EQ(need_after(4, 5), SyncNeed::kSnapshot) << "its version 5 is another";

  RecordingPeer other;
  discovery_->OpenStreamAsync(2, other);
  StreamHello hello;
  hello.source = "k8s";
  hello.instance = "r1";
  hello.history_id = "other";
  Say(2, {1, hello});
  Say(2, {2, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {}}});
  EXPECT_EQ(other.All<SyncResync>().back().need, SyncNeed::kSnapshot);
  EXPECT_EQ(other.All<SyncResync>().back().history_id, "h");
}

TEST_F(DiscoveryTest, AcksComeInTheOrderOfTheRequests) {
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  hold_reconcile_ = true;
  Say(1, {5, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {}}});
  Say(1, {6, SyncHeartbeat{}});
  EXPECT_EQ(peer_.All<SyncAck>().back().id, 4u);

  held_.front()();
  loop_.RunUntilIdle();

  auto acks = peer_.All<SyncAck>();
  EXPECT_EQ(acks[acks.size() - 2].id, 5u);
  EXPECT_EQ(acks.back().id, 6u);
}

TEST_F(DiscoveryTest, NewerStreamOfTheSameInstanceWinsAndTheOlderGetsGoaway) {
  RecordingPeer second;
  SayHello(1, peer_);
  SayHello(2, second);

  ASSERT_THAT(peer_.All<SyncGoaway>(), SizeIs(1));
  EXPECT_FALSE(peer_.All<SyncGoaway>()[0].fenced) << "its token is not too low";
  EXPECT_EQ(peer_.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(second.All<SyncWelcome>(), SizeIs(1));
}

TEST_F(DiscoveryTest, LowerTokenGetsAFencedGoaway) {
  RecordingPeer second;
  SayHello(1, peer_, "r1", 5);
  SayHello(2, second, "r2", 4);

  ASSERT_THAT(second.All<SyncGoaway>(), SizeIs(1));
  EXPECT_TRUE(second.All<SyncGoaway>()[0].fenced);
  EXPECT_FALSE(peer_.finished);
}

TEST_F(DiscoveryTest, DisconnectKeepsTheTargets) {
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});

  discovery_->CloseStreamAsync(1, [] {});
  loop_.Advance(absl::Hours(24));

  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(DiscoveryTest, LeaseWithRemovalRunsOutWhenNothingIsHeard) {
  lease_ = LeasePolicy{absl::Seconds(30), true};
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  loop_.Advance(absl::Seconds(20));
  Say(1, {5, SyncHeartbeat{}});
  loop_.Advance(absl::Seconds(20));
  EXPECT_THAT(Targets(), ElementsAre("n1")) << "the heartbeat renewed it";

  loop_.Advance(absl::Seconds(11));

  EXPECT_THAT(Targets(), IsEmpty());
}

// The holder's stream shows that it lives; a stranger's call does not.
TEST_F(DiscoveryTest, ALeaseIsRenewedByWhatTheHolderSaysAlsoIfItIsRejected) {
  lease_ = LeasePolicy{absl::Seconds(15), true};
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  for (int i = 0; i < 6; ++i) {
    loop_.Advance(absl::Seconds(10));
    Say(1, {5, SyncDelta{77, 78, {}, {}}});
    EXPECT_EQ(peer_.All<SyncAck>().back().result.status, ApplyStatus::kRejected);
  }
  EXPECT_THAT(Targets(), ElementsAre("n1"));

  for (int i = 0; i < 2; ++i) {
    Change foreign;
    foreign.source = "k8s";
    foreign.groups = {{"node", {"0", {"n2"}, {}}}};
    discovery_->ApplyAsync(foreign, [](const ApplyResult& result) {
      EXPECT_EQ(result.status, ApplyStatus::kRejected);
    });
    loop_.Advance(absl::Seconds(8));
  }
  EXPECT_THAT(Targets(), IsEmpty());
}

TEST_F(DiscoveryTest, ALeaseThatEndsUnderAnOpenStreamAsksItsPusherForEverythingAgain) {
  lease_ = LeasePolicy{absl::Seconds(15), true};
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});

  loop_.Advance(absl::Seconds(16));

  EXPECT_THAT(Targets(), IsEmpty());
  ASSERT_THAT(peer_.All<SyncResync>(), SizeIs(1));
  const SyncResync resync = peer_.All<SyncResync>()[0];
  EXPECT_EQ(resync.need, SyncNeed::kSnapshot);
  EXPECT_EQ(resync.applied_version, 6u);
  EXPECT_EQ(resync.history_id, "");
  SaySnapshot(1, 5, {"n1"});
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

// Else the pusher would take the ack for the newer news, and its targets for scraped.
TEST_F(DiscoveryTest, AResyncComesBehindTheAcksOfWhatWasSaidBefore) {
  lease_ = LeasePolicy{absl::Seconds(15), true};
  SayHello(1, peer_);
  SaySnapshot(1, 5, {"n1"});
  hold_reconcile_ = true;
  Say(1, {5, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {}}});
  loop_.Advance(absl::Seconds(16));
  EXPECT_THAT(peer_.All<SyncResync>(), IsEmpty());

  held_.front()();
  loop_.RunUntilIdle();

  ASSERT_TRUE(std::holds_alternative<SyncResync>(peer_.sent.back().message));
  EXPECT_EQ(peer_.All<SyncAck>().back().result.applied_version, 6u);
}

TEST_F(DiscoveryTest, AStreamThatIsSilentForThreeHeartbeatsEndsAndFreesItsSource) {
  RecordingPeer other;
  SayHello(1, peer_, "r1");
  SaySnapshot(1, 5, {"n1"});
  loop_.Advance(absl::Seconds(29));
  Say(1, {5, SyncHeartbeat{}});
  loop_.Advance(absl::Seconds(29));
  EXPECT_FALSE(peer_.finished);

  loop_.Advance(absl::Seconds(1));

  EXPECT_EQ(peer_.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(peer_.All<SyncGoaway>(), SizeIs(1));
  EXPECT_EQ(metrics_.limit_hits_total.Value({"silence"}), 1);
  SayHello(2, other, "r2");
  EXPECT_THAT(other.All<SyncWelcome>(), SizeIs(1));
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(DiscoveryTest, AClientThatWaitsForItsAckIsNotSilent) {
  SayHello(1, peer_);
  hold_reconcile_ = true;
  SaySnapshot(1, 5, {"n1"});
  loop_.Advance(absl::Minutes(5));
  EXPECT_FALSE(peer_.finished);

  held_.front()();
  loop_.Advance(absl::Seconds(31));
  EXPECT_TRUE(peer_.finished);
}

TEST_F(DiscoveryTest, ASourceOfWhichNothingWasAppliedGoesWithItsStream) {
  SayHello(1, peer_);
  EXPECT_EQ(metrics_.sources.Value(), 1);
  discovery_->CloseStreamAsync(1, [] {});
  loop_.RunUntilIdle();

  EXPECT_EQ(metrics_.sources.Value(), 0);
  EXPECT_EQ(discovery_->sets().source_count(), 0u);
}

TEST_F(DiscoveryTest, ARenewalOfASourceThatIsNotThereIsRefusedAndMakesNone) {
  std::optional<ApplyResult> answer;
  Change renewal;
  renewal.source = "typo";
  discovery_->ApplyAsync(renewal, [&](ApplyResult result) { answer = std::move(result); });
  loop_.RunUntilIdle();

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, ApplyStatus::kRejected);
  EXPECT_EQ(answer->issues.at(0).code, IssueCode::kUnknownSource);
  EXPECT_EQ(discovery_->sets().source_count(), 0u);
}

// A pool that a reload brings finds the groups there: nobody has to push them again.
TEST_F(DiscoveryTest, GroupsOfAnUnknownJobAreHandedOnAllTheSame) {
  Change push;
  push.source = "a";
  push.scope = Change::Scope::kJobs;
  push.groups = {{"later", {"0", {"n1"}, {}}}};

  discovery_->ApplyAsync(push, [](const ApplyResult&) {});
  loop_.RunUntilIdle();

  ASSERT_NE(desired_, nullptr);
  EXPECT_EQ(desired_->job, "later");
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(DiscoveryTest, ADryRunTellsNoLoop) {
  Change push;
  push.source = "a";
  push.scope = Change::Scope::kJobs;
  push.groups = {{"node", {"0", {"n1"}, {}}}};
  push.dry_run = true;
  std::optional<ApplyResult> answer;

  discovery_->ApplyAsync(push, [&](ApplyResult result) { answer = std::move(result); });
  loop_.RunUntilIdle();

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, ApplyStatus::kApplied);
  EXPECT_EQ(desired_, nullptr);
}

TEST_F(DiscoveryTest, WhatADisplacedStreamStillSaysIsDropped) {
  RecordingPeer second;
  SayHello(1, peer_, "r1", 7);
  SaySnapshot(1, 5, {"n1"});
  SayHello(2, second, "r2", 8);
  const size_t sent = peer_.sent.size();

  Say(1, {5, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {}}});

  EXPECT_TRUE(peer_.All<SyncGoaway>()[0].fenced);
  EXPECT_THAT(peer_.sent, SizeIs(sent)) << "the goaway was the last message";
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(DiscoveryTest, FirstMessageMustBeAHello) {
  discovery_->OpenStreamAsync(1, peer_);
  Say(1, {1, SyncHeartbeat{}});

  EXPECT_EQ(peer_.status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DiscoveryTest, HalfCloseEndsTheStreamAfterItsAcks) {
  SayHello(1, peer_);
  hold_reconcile_ = true;
  SaySnapshot(1, 5, {"n1"});
  discovery_->StreamHalfCloseAsync(1);
  loop_.RunUntilIdle();
  EXPECT_FALSE(peer_.finished);

  held_.front()();
  loop_.RunUntilIdle();

  EXPECT_TRUE(peer_.finished);
  EXPECT_TRUE(peer_.status.ok());
  EXPECT_EQ(peer_.All<SyncAck>().back().id, 4u);
}

}  // namespace
}  // namespace trawl
