// How a source stands: live, restored, held after too long an absence, orphaned; and refused
// groups that are asked for again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/discovery/discovery_world.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Standing = SourceView::Standing;
using What = TargetSets::AcceptOptions::What;

class StandingTest : public ::testing::Test {
 protected:
  static Change Push(std::vector<std::string> targets) {
    Change change;
    change.source = "k8s";
    change.scope = Change::Scope::kJobs;
    change.jobs = {"node"};
    change.groups = {{"node", {"0", std::move(targets), {}}}};
    return change;
  }
  void BeAwayFor(absl::Duration time) {
    world_.Stop();
    world_.files.LosePower();
    world_.loop.Advance(time);
    world_.Start();
  }
  void SayHello(uint64_t stream, RecordingSyncPeer& peer, uint64_t version) {
    StreamHello hello;
    hello.source = "k8s";
    hello.instance = "r1";
    hello.history_id = "h";
    hello.version = version;
    world_.SayHello(stream, peer, hello);
  }
  void PushVersion(uint64_t version, std::vector<std::string> targets) {
    Change change = Push(std::move(targets));
    change.history_id = "h";
    change.version = version;
    ASSERT_EQ(world_.Apply(change).status, ApplyStatus::kApplied);
  }
  Standing Now() { return world_.View().standing; }
  double WithheldMetric() { return world_.metrics.withheld_sources.Value(); }

  RecordingSyncPeer peer_;
  DiscoveryWorld world_;
};

// --- away for too long

TEST_F(StandingTest, AShortAbsenceIsNoReasonNotToScrape) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Minutes(59));
  EXPECT_EQ(Now(), Standing::kRestored);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
  EXPECT_EQ(WithheldMetric(), 0);
}

TEST_F(StandingTest, AfterTooLongAnAbsenceTargetsAreListedAndNotScraped) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Minutes(62));
  EXPECT_EQ(Now(), Standing::kHeld);
  EXPECT_EQ(world_.View().counts.targets, 1u);
  EXPECT_THAT(world_.Targets(), IsEmpty());
  EXPECT_EQ(WithheldMetric(), 1);
}

TEST_F(StandingTest, AbsenceIsCountedFromTheLastMinuteThatItRan) {
  world_.Apply(Push({"n1"}));
  world_.loop.Advance(absl::Hours(5));
  BeAwayFor(absl::Minutes(30));
  EXPECT_EQ(Now(), Standing::kRestored);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
}

TEST_F(StandingTest, WithoutANoteNobodyKnowsHowLongItWas) {
  world_.Apply(Push({"n1"}));
  ASSERT_THAT(world_.files.Remove("data/discovery/running"), IsOk());
  ASSERT_THAT(world_.files.SyncDirectory("data/discovery"), IsOk());
  BeAwayFor(absl::ZeroDuration());
  EXPECT_EQ(Now(), Standing::kHeld);
}

TEST_F(StandingTest, AnAcceptedChangeConfirmsAllOfTheSource) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Hours(2));
  Change other;
  other.source = "k8s";
  other.groups = {{"node", {"1", {"n2"}, {}}}};
  world_.Apply(other);
  EXPECT_EQ(Now(), Standing::kLive);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1", "n2"));
  EXPECT_EQ(WithheldMetric(), 0);
}

TEST_F(StandingTest, ARejectedChangeOrARenewalConfirmsNothing) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Hours(2));
  world_.Apply(Push({"a/b"}));
  Change renewal;
  renewal.source = "k8s";
  world_.Apply(renewal);
  EXPECT_EQ(Now(), Standing::kHeld);
  EXPECT_THAT(world_.Targets(), IsEmpty());
}

TEST_F(StandingTest, ARepeatedChangeConfirms) {
  PushVersion(5, {"n1"});
  BeAwayFor(absl::Hours(2));
  Change again = Push({"n1"});
  again.history_id = "h";
  again.version = 5;
  EXPECT_EQ(world_.Apply(again).status, ApplyStatus::kNoop);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
  world_.LosePowerAndStart();
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
}

TEST_F(StandingTest, ADryRunTellsThatTheCallWouldConfirm) {
  PushVersion(5, {"n1"});
  BeAwayFor(absl::Hours(2));
  Change dry = Push({"n1"});
  dry.dry_run = true;
  dry.history_id = "h";
  for (const uint64_t version : {5, 6}) {  // said again, and with nothing new
    dry.version = version;
    const ApplyResult result = world_.Apply(dry);
    EXPECT_EQ(result.status, ApplyStatus::kApplied);
    EXPECT_EQ(result.applied_version, 5u);
    EXPECT_EQ(result.counts.targets, 1u);
    EXPECT_EQ(result.counts.unchanged, 1u);
  }
  Change renewal;
  renewal.source = "k8s";
  renewal.dry_run = true;
  EXPECT_EQ(world_.Apply(renewal).status, ApplyStatus::kNoop);
  EXPECT_EQ(Now(), Standing::kHeld);
  EXPECT_THAT(world_.Targets(), IsEmpty());

  Change again = dry;
  again.version = 5;
  again.dry_run = false;
  world_.Apply(again);
  EXPECT_EQ(Now(), Standing::kLive);
  EXPECT_EQ(world_.Apply(dry).status, ApplyStatus::kNoop);
}

TEST_F(StandingTest, AHelloThatAgreesConfirmsAnotherDoesNot) {
  PushVersion(5, {"n1"});
  BeAwayFor(absl::Hours(2));
  SayHello(1, peer_, 6);
  EXPECT_TRUE(peer_.Last<SyncWelcome>()->hello.withheld);
  EXPECT_EQ(Now(), Standing::kHeld);
  EXPECT_THAT(world_.Targets(), IsEmpty());

  SayHello(2, peer_, 5);
  EXPECT_FALSE(peer_.Last<SyncWelcome>()->hello.withheld);
  EXPECT_EQ(Now(), Standing::kLive);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
  world_.Stop();
}

TEST_F(StandingTest, AnOperatorConfirms) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Hours(2));
  ASSERT_THAT(world_.Accept("k8s", What::kRestored, {}, true), IsOk());
  EXPECT_EQ(Now(), Standing::kHeld);
  ASSERT_THAT(world_.Accept("k8s", What::kRestored), IsOk());
  EXPECT_EQ(Now(), Standing::kRestored);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
  world_.LosePowerAndStart();
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
}

TEST_F(StandingTest, ASecondStartDoesNotTakeItForConfirmed) {
  world_.Apply(Push({"n1"}));
  BeAwayFor(absl::Hours(2));
  world_.loop.Advance(absl::Minutes(30));
  BeAwayFor(absl::Minutes(1));
  EXPECT_EQ(Now(), Standing::kHeld);
}

TEST_F(StandingTest, ASecondStartDoesNotTakeItForConfirmedThoughTheDiskWasFull) {
  world_.Apply(Push({"n1"}));
  world_.Stop();
  world_.files.SetCapacity(0);
  world_.loop.Advance(absl::Hours(2));
  world_.Start();
  EXPECT_EQ(Now(), Standing::kHeld);
  world_.loop.Advance(absl::Minutes(30));
  world_.files.SetCapacity(1 << 20);
  BeAwayFor(absl::Minutes(1));
  EXPECT_EQ(Now(), Standing::kHeld);
}

TEST_F(StandingTest, AClockThatWasSetBackALittleHoldsNothing) {
  world_.Apply(Push({"n1"}));
  world_.Stop();
  world_.loop.StepWall(-absl::Minutes(1));
  world_.Start();
  EXPECT_EQ(Now(), Standing::kRestored);
}

TEST_F(StandingTest, WithANoteFromTheFutureNobodyKnowsHowLongItWas) {
  world_.Apply(Push({"n1"}));
  world_.Stop();
  world_.loop.StepWall(-absl::Hours(5));
  world_.Start();
  EXPECT_EQ(Now(), Standing::kHeld);
  EXPECT_THAT(world_.Targets(), IsEmpty());
}

TEST_F(StandingTest, AnExpiredLeaseEndsItAlsoForTheGauge) {
  Change push = Push({"n1"});
  push.lease = LeasePolicy{absl::Seconds(30), true};
  world_.Apply(push);
  world_.Stop();
  world_.loop.Advance(absl::Hours(2));
  world_.Start();
  EXPECT_EQ(world_.metrics.withheld_sources.Value(), 1);
  world_.loop.Advance(absl::Seconds(31));
  EXPECT_EQ(world_.metrics.withheld_sources.Value(), 0);
}

// --- orphaned

TEST_F(StandingTest, ASilentSourceIsOrphanedAndKeepsItsTargets) {
  world_.Apply(Push({"n1"}));
  world_.loop.Advance(absl::Hours(1));
  EXPECT_EQ(Now(), Standing::kLive);
  world_.loop.Advance(absl::Minutes(1));
  EXPECT_EQ(Now(), Standing::kOrphaned);
  EXPECT_EQ(world_.metrics.orphaned_sources.Value(), 1);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));

  SayHello(1, peer_, 0);
  EXPECT_EQ(Now(), Standing::kLive);
  world_.Stop();
}

TEST_F(StandingTest, ASourceReleasedWithItsTargetsKeptIsOrphanedAtOnceAlsoAfterARestart) {
  world_.Apply(Push({"n1"}));
  ASSERT_THAT(world_.Release("k8s", {}), IsOk());
  EXPECT_EQ(Now(), Standing::kOrphaned);
  EXPECT_EQ(world_.metrics.orphaned_sources.Value(), 1);
  world_.LosePowerAndStart();
  EXPECT_EQ(Now(), Standing::kOrphaned);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1"));
  world_.Apply(Push({"n2"}));
  EXPECT_EQ(Now(), Standing::kLive);
  world_.LosePowerAndStart();
  EXPECT_EQ(Now(), Standing::kRestored);
}

// --- refused groups

class WantTest : public StandingTest {
 protected:
  WantTest() {
    world_.options.sets.plan.max_targets = 3;
    world_.Start();
  }
  // The stream lives on.
  void BeatFor(absl::Duration time) {
    for (absl::Duration at; at < time; at += absl::Seconds(10)) {
      world_.loop.Advance(absl::Seconds(10));
      world_.Say(1, {9, SyncHeartbeat{}});
    }
  }
  // Group "0" with n1, "1" without room, "2" bad.
  void Begin() {
    SayHello(1, peer_, 0);
    world_.Say(1, {2, SyncBegin{5, 3, 1000}});
    world_.Say(1, {3, SyncPart{{{"node", {"0", {"n1", "n2"}, {}}},
                                {"node", {"1", {"n3", "n4"}, {}}},
                                {"node", {"2", {"a/b"}, {}}}},
                               100}});
    world_.Say(1, {4, SyncEnd{}});
    ASSERT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kAppliedPartly);
  }
  std::vector<std::string> Wanted() {
    std::vector<std::string> keys;
    const auto want = peer_.Last<SyncWant>();
    if (want) {
      for (const GroupName& name : want->groups) keys.push_back(name.key);
    }
    std::erase_if(peer_.sent, [](const SyncOutput& output) {
      return std::holds_alternative<SyncWant>(output.message);
    });
    return keys;
  }
};

TEST_F(WantTest, AGroupWithoutRoomIsRefusedAlone) {
  Begin();
  const ApplyResult result = peer_.Last<SyncAck>()->result;
  ASSERT_THAT(result.issues, SizeIs(2));
  EXPECT_EQ(result.issues[1].code, IssueCode::kLimit);
  EXPECT_EQ(result.issues[1].group.key, "1");
  EXPECT_EQ(result.issues[1].field, "groups[1]");
  EXPECT_THAT(world_.Targets(), ElementsAre("n1", "n2"));
  EXPECT_EQ(world_.metrics.limit_hits_total.Value({"targets"}), 1);
  world_.Stop();
}

TEST_F(WantTest, WhatHadNoRoomIsAskedForWhenThereIsSome) {
  Begin();
  BeatFor(absl::Minutes(3));
  EXPECT_THAT(Wanted(), IsEmpty());
  world_.Say(1, {5, SyncDelta{5, 6, {{"node", {"0", {"n1"}, {}}}}, {}}});

  BeatFor(absl::Minutes(1));
  EXPECT_THAT(Wanted(), ElementsAre("1"));
  world_.Say(1, {6, SyncDelta{6, 6, {{"node", {"1", {"n3", "n4"}, {}}}}, {}}});

  EXPECT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kApplied);
  EXPECT_THAT(world_.Targets(), ElementsAre("n1", "n3", "n4"));
  BeatFor(absl::Minutes(3));
  EXPECT_THAT(Wanted(), IsEmpty());
  world_.Stop();
}

TEST_F(WantTest, AReloadAsksForAllThatWasRefused) {
  Begin();
  world_.discovery->SetKnownJobsAsync({"node"}, {});
  world_.loop.RunUntilIdle();
  EXPECT_THAT(Wanted(), ElementsAre("1", "2"));
  world_.Stop();
}

TEST_F(WantTest, ARestartListsThemInWelcomeAndAsksForThem) {
  Begin();
  world_.LosePowerAndStart();
  SayHello(2, peer_, 5);
  EXPECT_THAT(peer_.Last<SyncWelcome>()->hello.refused, SizeIs(2));
  EXPECT_THAT(Wanted(), ElementsAre("1", "2"));
  world_.Stop();
}

TEST_F(WantTest, AClientThatHasToSendASnapshotIsNotAskedBesides) {
  Begin();
  world_.LosePowerAndStart();
  SayHello(2, peer_, 1);
  EXPECT_THAT(Wanted(), IsEmpty());
  world_.Stop();
}

TEST_F(WantTest, ARefusedGroupThatIsNotNamedAnyMoreIsForgotten) {
  Begin();
  world_.Say(1, {5, SyncBegin{7, 1, 1000}});
  world_.Say(1, {6, SyncPart{{{"node", {"0", {"n1"}, {}}}}, 100}});
  world_.Say(1, {7, SyncEnd{}});
  EXPECT_EQ(world_.View().refused_count, 0u);
  world_.LosePowerAndStart();
  EXPECT_EQ(world_.View().refused_count, 0u);
}

TEST_F(WantTest, RefusalsThatAreRememberedAreBounded) {
  world_.options.sets.max_refused = 2;
  world_.Start();
  Change change = Push({});
  change.allow_partial = true;
  change.groups.clear();
  for (const char* key : {"a", "b", "c", ""}) change.groups.push_back({"node", {key, {"x/"}, {}}});
  EXPECT_EQ(world_.Apply(change).issue_count, 5u);
  EXPECT_EQ(world_.View().refused_count, 2u);
  EXPECT_EQ(world_.metrics.limit_hits_total.Value({"refused"}), 1);
}

TEST_F(WantTest, ManyRefusedGroupsAreAskedForInSeveralMessages) {
  world_.options.max_wanted = 2;
  world_.Start();
  Begin();
  SyncDelta delta{5, 6, {}, {}};
  for (const char* key : {"a", "b", "c"}) delta.upsert.push_back({"node", {key, {"x/"}, {}}});
  world_.Say(1, {5, std::move(delta)});
  peer_.sent.clear();

  world_.discovery->SetKnownJobsAsync({"node"}, {});
  world_.loop.RunUntilIdle();

  std::vector<size_t> sizes;
  for (const SyncOutput& output : peer_.sent) {
    if (const auto* want = std::get_if<SyncWant>(&output.message)) {
      sizes.push_back(want->groups.size());
    }
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  world_.Stop();
}

}  // namespace
}  // namespace trawl
