// The shrink guard, from a pusher's mistake to its end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/discovery/shrink_guard.h"
#include "tests/core/discovery/discovery_world.h"

namespace trawl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using What = TargetSets::AcceptOptions::What;

std::vector<std::string> Numbered(int from, int to) {
  std::vector<std::string> targets;
  for (int i = from; i < to; ++i) targets.push_back(absl::StrCat("n", i));
  return targets;
}

class HeldRemovalsTest : public ::testing::Test {
 protected:
  // A stream with a hundred targets at version 2, of which version 3 leaves ten.
  void SayThatMostAreGone() {
    StreamHello hello;
    hello.source = "k8s";
    hello.history_id = "h";
    world_.SayHello(1, peer_, hello);
    world_.SayEmptySnapshot(1, 1);
    world_.Say(1, {4, SyncDelta{1, 2, {{"node", {"0", Numbered(0, 100), {}}}}, {}}});
    world_.Say(1, {5, MostAreGone()});
    ASSERT_EQ(peer_.Last<SyncAck>()->result.counts.held, 90u);
  }
  static SyncDelta MostAreGone() { return {2, 3, {{"node", {"0", Numbered(0, 10), {}}}}, {}}; }
  static Change Push(std::vector<std::string> targets, const std::string& job = "node") {
    Change change;
    change.source = "k8s";
    change.scope = Change::Scope::kJobs;
    change.jobs = {job};
    change.groups = {{job, {"0", std::move(targets), {}}}};
    return change;
  }
  static Change Remove(const std::string& key, const std::string& job = "node") {
    Change change;
    change.source = "k8s";
    change.remove = {{job, key}};
    return change;
  }
  static std::shared_ptr<const JobFilter> Only(const std::string& job) {
    return std::make_shared<const JobFilter>(
        [job](std::string_view asked) { return asked == job; });
  }
  ApplyResult PushNumbered(int from, int to, const std::string& job = "node") {
    return world_.Apply(Push(Numbered(from, to), job));
  }
  // Heard each ten seconds, by heartbeats as good as any.
  void HearFor(absl::Duration time) {
    for (absl::Duration step = absl::Seconds(10); time > absl::ZeroDuration(); time -= step) {
      world_.loop.Advance(std::min(step, time));
      world_.discovery->sets().Heard("k8s", world_.discovery->Now());
      world_.discovery->ArmTimers("k8s");
    }
  }
  double HeldMetric() { return world_.metrics.held_targets.Value({"k8s"}); }

  RecordingSyncPeer peer_;
  DiscoveryWorld world_;
};

TEST_F(HeldRemovalsTest, AnEmptyListByMistakeIsAppliedAndItsTargetsAreStillScraped) {
  PushNumbered(0, 100);

  const ApplyResult result = PushNumbered(0, 0);

  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  EXPECT_EQ(result.applied_version, 2u);
  EXPECT_EQ(result.counts.removed, 0u);
  EXPECT_EQ(result.counts.held, 100u);
  EXPECT_EQ(result.counts.targets, 0u);
  ASSERT_THAT(result.issues, SizeIs(1));
  EXPECT_EQ(result.issues[0].code, IssueCode::kRemovalsHeld);
  EXPECT_FALSE(result.issues[0].error);
  EXPECT_THAT(result.issues[0].detail, HasSubstr("100 targets are held"));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  EXPECT_EQ(HeldMetric(), 100);
  EXPECT_EQ(world_.metrics.removals_held_total.Value({"k8s"}), 100);
  const auto groups = world_.discovery->sets().Groups("k8s", "", {}, 10);
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_THAT(groups[0].group->targets, IsEmpty());
  EXPECT_THAT(groups[0].held->targets, SizeIs(100));
}

TEST_F(HeldRemovalsTest, WhatIsHeldStandsBehindWhatIsListedAndIsMarked) {
  const auto held = [this] {
    const OwnedGroups& groups = world_.desired.at("node")->groups;
    return (*groups.begin()).group->held;
  };
  PushNumbered(0, 100);
  EXPECT_EQ(held(), 0u);

  PushNumbered(95, 100);

  EXPECT_EQ(held(), 95u);
  EXPECT_EQ(world_.Targets().front(), "n95");
  PushNumbered(0, 100);
  EXPECT_EQ(held(), 0u);
}

TEST_F(HeldRemovalsTest, WhatIsNoMistakeGoesAtOnce) {
  PushNumbered(0, 100);
  EXPECT_EQ(PushNumbered(0, 50).counts.removed, 50u);  // half is left
  EXPECT_EQ(PushNumbered(0, 50, "db").counts.added, 50u);
  EXPECT_THAT(world_.Targets(), SizeIs(50));

  world_.loop.Advance(absl::Minutes(15));
  PushNumbered(0, 20);
  EXPECT_EQ(HeldMetric(), 30);
}

TEST_F(HeldRemovalsTest, AFewTargetsMayGoAltogether) {
  PushNumbered(0, 20);
  EXPECT_EQ(PushNumbered(0, 0).counts.removed, 20u);
  EXPECT_THAT(world_.Targets(), IsEmpty());
}

TEST_F(HeldRemovalsTest, AJobThatShrinksIsHeldThoughItsSourceIsLarge) {
  PushNumbered(0, 1000);
  PushNumbered(0, 100, "db");

  EXPECT_EQ(PushNumbered(0, 10, "db").counts.held, 90u);

  EXPECT_THAT(world_.Targets("db"), SizeIs(100));
  // The other job's removals are none of it.
  EXPECT_EQ(PushNumbered(0, 950).counts.removed, 50u);
}

TEST_F(HeldRemovalsTest, AJobsSizeIsRememberedAlsoWhenItShrankWithTheWhole) {
  const auto push_both = [this](int node, int db) {
    Change change = Push(Numbered(0, node));
    change.groups.push_back({"db", {"0", Numbered(0, db), {}}});
    return world_.Apply(change);
  };
  push_both(30, 60);
  EXPECT_EQ(push_both(10, 0).counts.held, 80u);

  // The whole grows, and of this job few are left to lose.
  EXPECT_EQ(push_both(0, 100).counts.held, 30u);
}

TEST_F(HeldRemovalsTest, TheNetOfManySmallRemovalsIsHeld) {
  Change first;
  first.source = "k8s";
  for (int i = 0; i < 100; ++i) {
    first.groups.push_back({"node", {absl::StrCat(i), {absl::StrCat("n", i)}, {}}});
  }
  world_.Apply(first);

  for (int i = 0; i < 100; ++i) {
    world_.loop.Advance(absl::Seconds(2));
    world_.Apply(Remove(absl::StrCat(i)));
  }

  EXPECT_THAT(world_.Targets(), SizeIs(50));  // half of them went
  EXPECT_EQ(HeldMetric(), 50);
}

TEST_F(HeldRemovalsTest, TheNetOfManySmallRemovalsIsHeldOverARestart) {
  PushNumbered(0, 100);
  PushNumbered(0, 60);
  world_.LosePowerAndStart();

  EXPECT_EQ(PushNumbered(0, 45).counts.held, 15u);

  world_.LosePowerAndStart();
  EXPECT_THAT(world_.Targets(), SizeIs(60));
  EXPECT_EQ(HeldMetric(), 15);
  EXPECT_EQ(world_.View().counts.targets, 45u);
}

TEST_F(HeldRemovalsTest, AShrinkOfLongAgoIsForgotten) {
  PushNumbered(0, 100);
  PushNumbered(0, 60);
  world_.loop.Advance(absl::Minutes(12));
  EXPECT_EQ(PushNumbered(0, 35).counts.removed, 25u);
}

TEST_F(HeldRemovalsTest, AdditionsAreNeverHeld) {
  PushNumbered(0, 100);
  PushNumbered(200, 210);  // all others
  EXPECT_THAT(world_.Targets(), SizeIs(110));
  EXPECT_THAT(world_.Targets(), Contains("n205"));

  EXPECT_EQ(PushNumbered(200, 400).counts.added, 190u);
  EXPECT_THAT(world_.Targets(), SizeIs(300));
}

TEST_F(HeldRemovalsTest, AHeldTargetIsOrdinaryAgainWhenItsGroupListsIt) {
  PushNumbered(0, 100);
  PushNumbered(0, 0);

  const ApplyResult result = PushNumbered(0, 90);

  EXPECT_EQ(result.counts.added, 90u);
  EXPECT_EQ(result.counts.held, 10u);
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  EXPECT_EQ(PushNumbered(0, 100).counts.held, 0u);
  EXPECT_THAT(world_.Targets(), SizeIs(100));
}

TEST_F(HeldRemovalsTest, HeldTargetsHaveTheirGroupsLabelsAlsoNewOnes) {
  PushNumbered(0, 100);
  world_.Apply(Remove("0"));
  ASSERT_THAT(world_.desired["node"]->groups, SizeIs(1));
  Change labelled = Push({"n0"});
  labelled.groups[0].group.labels = {{"team", "blue"}};

  world_.Apply(labelled);

  ASSERT_THAT(world_.desired["node"]->groups, SizeIs(1));
  EXPECT_EQ(world_.desired["node"]->groups[0].group->labels, (Labels{{"team", "blue"}}));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
}

TEST_F(HeldRemovalsTest, RemovalsThatAreMeantSayItAndTakeTheHeldOnesAlong) {
  PushNumbered(0, 100);
  PushNumbered(0, 30);
  Change meant = Push(Numbered(0, 10));
  meant.allow_shrink = true;

  const ApplyResult result = world_.Apply(meant);

  EXPECT_EQ(result.counts.removed, 90u);
  EXPECT_EQ(result.counts.held, 0u);
  EXPECT_THAT(world_.Targets(), SizeIs(10));
  // The guard measures anew: nothing of the old size is left.
  EXPECT_EQ(PushNumbered(0, 0).counts.removed, 10u);
}

TEST_F(HeldRemovalsTest, ADeltaThatSaysNothingElseConfirmsWhatIsHeld) {
  SayThatMostAreGone();

  world_.Say(1, {6, SyncDelta{3, 4, {}, {}, true}});

  EXPECT_EQ(peer_.Last<SyncAck>()->result.counts.removed, 90u);
  EXPECT_THAT(world_.Targets(), SizeIs(10));
}

TEST_F(HeldRemovalsTest, ADeltaThatIsSaidAgainAsMeantConfirmsWhatIsHeld) {
  SayThatMostAreGone();
  SyncDelta again = MostAreGone();
  world_.Say(1, {6, again});
  EXPECT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kNoop);
  EXPECT_THAT(world_.Targets(), SizeIs(100));

  again.allow_shrink = true;
  world_.Say(1, {7, again});

  EXPECT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kApplied);
  EXPECT_EQ(peer_.Last<SyncAck>()->result.counts.removed, 90u);
  EXPECT_EQ(peer_.Last<SyncAck>()->result.applied_version, 3u);
  EXPECT_THAT(world_.Targets(), SizeIs(10));
  world_.Say(1, {8, again});
  EXPECT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kNoop) << "nothing is held";
}

TEST_F(HeldRemovalsTest, RemovalsOfAPusherThatStandsByThemAreCarriedOut) {
  PushNumbered(0, 100);
  PushNumbered(0, 10);
  EXPECT_EQ(*world_.View().held_for, absl::Minutes(5));

  HearFor(absl::Minutes(5) - absl::Seconds(10));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  EXPECT_EQ(*world_.View().held_for, absl::Seconds(10));
  HearFor(absl::Seconds(10));

  EXPECT_THAT(world_.Targets(), SizeIs(10));
  EXPECT_EQ(HeldMetric(), 0);
  EXPECT_FALSE(world_.View().held_for);
  world_.LosePowerAndStart();
  EXPECT_THAT(world_.Targets(), SizeIs(10));
}

TEST_F(HeldRemovalsTest, TimeInWhichThePusherIsNotHeardDoesNotCount) {
  PushNumbered(0, 100);
  PushNumbered(0, 10);

  world_.loop.Advance(absl::Hours(3));  // it counts as heard for the first minute of these
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  HearFor(absl::Minutes(4));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  HearFor(absl::Seconds(10));
  EXPECT_THAT(world_.Targets(), SizeIs(10));
}

TEST_F(HeldRemovalsTest, EachGroupHasItsOwnTime) {
  Change first = Push(Numbered(0, 100));
  first.groups.push_back({"node", {"1", Numbered(100, 200), {}}});
  world_.Apply(first);
  world_.Apply(Remove("0"));
  ASSERT_EQ(HeldMetric(), 0);  // half is left

  world_.Apply(Remove("1"));
  ASSERT_EQ(HeldMetric(), 100);
  PushNumbered(0, 60);
  HearFor(absl::Minutes(2));
  PushNumbered(0, 1);  // 59 more
  ASSERT_EQ(HeldMetric(), 159);

  HearFor(absl::Minutes(3));
  EXPECT_EQ(HeldMetric(), 59);
  HearFor(absl::Minutes(2));
  EXPECT_EQ(HeldMetric(), 0);
}

TEST_F(HeldRemovalsTest, TheTimeStartsAnewWithARestart) {
  PushNumbered(0, 100);
  PushNumbered(0, 10);
  HearFor(absl::Minutes(4));
  world_.LosePowerAndStart();
  HearFor(absl::Minutes(4));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  HearFor(absl::Minutes(2));
  EXPECT_THAT(world_.Targets(), SizeIs(10));
}

TEST_F(HeldRemovalsTest, AFullDiskHoldsThemLonger) {
  PushNumbered(0, 100);
  PushNumbered(0, 10);
  world_.files.SetCapacity(0);
  HearFor(absl::Minutes(6));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  world_.files.SetCapacity(1 << 20);
  HearFor(absl::Seconds(10));
  EXPECT_THAT(world_.Targets(), SizeIs(10));
}

TEST_F(HeldRemovalsTest, AnOperatorMayCarryThemOut) {
  PushNumbered(0, 100);
  PushNumbered(0, 100, "db");
  PushNumbered(0, 0);
  PushNumbered(0, 0, "db");
  ASSERT_EQ(HeldMetric(), 200);

  EXPECT_EQ(world_.Accept("k8s", What::kRemovals, {"db"}, true)->counts.removed, 100u);
  EXPECT_EQ(HeldMetric(), 200);
  EXPECT_EQ(world_.Accept("k8s", What::kRemovals, {"db"})->counts.removed, 100u);
  EXPECT_THAT(world_.Targets("db"), IsEmpty());
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  EXPECT_EQ(world_.Accept("k8s", What::kRemovals)->counts.held, 0u);
  EXPECT_THAT(world_.Targets(), IsEmpty());
  world_.LosePowerAndStart();
  EXPECT_THAT(world_.Targets(), IsEmpty());
}

TEST_F(HeldRemovalsTest, AnOperatorMayKeepTheTargetsUntilTheyAreRemovedAgain) {
  PushNumbered(0, 100);
  PushNumbered(0, 0);

  ASSERT_THAT(world_.Accept("k8s", What::kDiscardRemovals), IsOk());
  HearFor(absl::Minutes(20));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  world_.LosePowerAndStart();
  HearFor(absl::Minutes(20));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  EXPECT_FALSE(world_.View().held_for);

  // It says so again, and is held again: the guard measures what is kept, too.
  PushNumbered(0, 1);
  EXPECT_EQ(HeldMetric(), 99);
  EXPECT_EQ(*world_.View().held_for, absl::Minutes(5));
  HearFor(absl::Minutes(5));
  EXPECT_THAT(world_.Targets(), ElementsAre("n0"));
}

TEST_F(HeldRemovalsTest, AnOperatorsDecisionNeedsASourceAndAWord) {
  EXPECT_THAT(world_.Accept("nobody", What::kRemovals), StatusIs(absl::StatusCode::kNotFound));
  PushNumbered(0, 1);
  EXPECT_THAT(world_.Accept("k8s", What::kUnspecified),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(world_.Accept("k8s", What::kRestored, {"node"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(HeldRemovalsTest, AnOperatorsDecisionThatCanNotBeKeptChangesNothing) {
  PushNumbered(0, 100);
  PushNumbered(0, 0);
  world_.files.SetCapacity(0);
  EXPECT_THAT(world_.Accept("k8s", What::kRemovals), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(world_.Targets(), SizeIs(100));
}

TEST_F(HeldRemovalsTest, APusherThatDividesItsSourceIsMeasuredByTheWhole) {
  Change all = Push(Numbered(0, 100));
  all.source_targets = 100;
  world_.Apply(all);
  Change share = Push(Numbered(0, 30));  // another trawld has the others now
  share.source_targets = 100;
  EXPECT_EQ(world_.Apply(share).counts.removed, 70u);

  share.groups[0].group.targets = Numbered(0, 20);
  share.source_targets = 30;
  EXPECT_EQ(world_.Apply(share).counts.held, 10u);
  share.groups[0].group.targets = Numbered(0, 10);
  EXPECT_EQ(world_.Apply(share).counts.held, 20u) << "the same shrink, in its next update";
}

TEST_F(HeldRemovalsTest, ASizeThatWasStatedIsForgottenWithTheTargets) {
  for (const bool expires : {true, false}) {
    Change all = Push(Numbered(0, 100));
    all.source_targets = 100;
    all.lease = LeasePolicy{absl::Seconds(90), expires};
    all.fencing_token = 1;
    world_.Apply(all);
    if (expires) {
      world_.loop.Advance(absl::Seconds(91));
    } else {
      ASSERT_THAT(world_.Release("k8s", {.fencing_token = 1, .remove_targets = true}), IsOk());
    }
    ASSERT_THAT(world_.Targets(), IsEmpty());

    for (const int left : {5, 3}) {
      Change few = Push(Numbered(0, left));
      few.fencing_token = 1;
      EXPECT_EQ(world_.Apply(few).counts.held, 0u) << left << (expires ? ", expired" : "");
    }
  }
}

TEST_F(HeldRemovalsTest, AClientOfOneJobDoesNotStateTheSizeOfTheWhole) {
  PushNumbered(0, 100);
  Change other = Push(Numbered(0, 1), "db");
  other.may_write = Only("db");
  other.source_targets = 1;
  ASSERT_EQ(world_.Apply(other).status, ApplyStatus::kApplied);
  world_.loop.Advance(absl::Minutes(11));
  EXPECT_EQ(PushNumbered(0, 0).counts.held, 100u);
}

TEST_F(HeldRemovalsTest, AClientOfOneJobIsMeasuredByWhatIsHereAndLeavesTheStatedSize) {
  Change share = Push(Numbered(0, 100));
  share.source_targets = 1000;
  world_.Apply(share);
  Change other = Push(Numbered(0, 1), "db");
  other.may_write = Only("db");
  world_.Apply(other);
  other.groups[0].group.targets.clear();
  EXPECT_EQ(world_.Apply(other).counts.removed, 1u);

  share.groups[0].group.targets = Numbered(0, 90);
  share.source_targets = 60;
  EXPECT_EQ(world_.Apply(share).counts.held, 10u);
}

TEST_F(HeldRemovalsTest, AnUpdateThatStatesNoSizeIsMeasuredByItsJobsToo) {
  PushNumbered(0, 100, "db");
  Change all = Push(Numbered(0, 100));
  all.source_targets = 200;
  world_.Apply(all);
  EXPECT_EQ(PushNumbered(0, 0).counts.held, 100u);
}

TEST_F(HeldRemovalsTest, ReleaseAndExpiryTakeHeldTargetsAlong) {
  PushNumbered(0, 100);
  PushNumbered(0, 10);
  EXPECT_EQ(world_.Release("k8s", {.fencing_token = {}, .remove_targets = true})->counts.removed,
            100u);
  EXPECT_THAT(world_.Targets(), IsEmpty());

  Change leased = Push(Numbered(0, 100));
  leased.lease = LeasePolicy{absl::Seconds(90), true};
  world_.Apply(leased);
  PushNumbered(0, 10);
  EXPECT_THAT(world_.Targets(), SizeIs(100));
  world_.loop.Advance(absl::Seconds(91));
  EXPECT_THAT(world_.Targets(), IsEmpty());
}

TEST_F(HeldRemovalsTest, AClientOfOneJobDoesNotSetAnewWhatTheWholeIsMeasuredBy) {
  for (const char* job : {"node", "db"}) PushNumbered(0, 30, job);
  EXPECT_EQ(PushNumbered(0, 10, "db").counts.held, 0u);
  Change confirms;
  confirms.source = "k8s";
  confirms.allow_shrink = true;
  confirms.may_write = Only("node");
  ASSERT_EQ(world_.Apply(confirms).status, ApplyStatus::kApplied);
  EXPECT_EQ(PushNumbered(0, 10, "node").counts.held, 20u);
}

TEST_F(HeldRemovalsTest, AClientConfirmsWhatIsHeldInItsOwnJobsAlone) {
  for (const char* job : {"node", "db"}) {
    PushNumbered(0, 100, job);
    PushNumbered(0, 10, job);
  }
  Change confirms;
  confirms.source = "k8s";
  confirms.allow_shrink = true;
  confirms.may_write = Only("node");
  const ApplyResult result = world_.Apply(confirms);

  EXPECT_EQ(result.counts.removed, 90u);
  EXPECT_EQ(result.counts.held, 90u);
  EXPECT_THAT(world_.Targets("node"), SizeIs(10));
  EXPECT_THAT(world_.Targets("db"), SizeIs(100));
  PushNumbered(0, 9, "db");
  EXPECT_THAT(world_.Targets("db"), SizeIs(100)) << "its peak was not forgotten";
}

TEST_F(HeldRemovalsTest, ADryRunTellsWhatWouldBeHeld) {
  PushNumbered(0, 100);
  Change dry = Push({});
  dry.dry_run = true;
  EXPECT_EQ(world_.Apply(dry).counts.held, 100u);
  EXPECT_EQ(world_.View().counts.targets, 100u);
  EXPECT_EQ(HeldMetric(), 0);
}

TEST_F(HeldRemovalsTest, MoreThanTheLimitIsNotHeldAndNotCarriedOut) {
  Discovery::Options options;
  options.sets.plan.max_targets = 100;
  DiscoveryWorld small(options);
  small.Apply(Push(Numbered(0, 100)));
  small.Apply(Push(Numbered(100, 130)));
  small.Apply(Push(Numbered(100, 200)));

  const ApplyResult refused = small.Apply(Push({}));

  EXPECT_EQ(refused.status, ApplyStatus::kRejected);
  ASSERT_THAT(refused.issues, SizeIs(1));
  EXPECT_EQ(refused.issues[0].code, IssueCode::kLimit);
  EXPECT_THAT(refused.issues[0].detail, HasSubstr("at most 100"));
  EXPECT_THAT(small.Targets(), SizeIs(200));
  EXPECT_EQ(small.metrics.limit_hits_total.Value({"held"}), 1);
}

TEST_F(HeldRemovalsTest, AGuardWithoutTimeIsOff) {
  Discovery::Options options;
  options.sets.plan.guard.hold = absl::ZeroDuration();
  DiscoveryWorld off(options);
  off.Apply(Push(Numbered(0, 100)));
  EXPECT_EQ(off.Apply(Push({})).counts.removed, 100u);
}

// --- the memory of sizes

TEST(PeaksTest, TheLargestSizesOfTheWindowAreKept) {
  Peaks peaks = ObservePeak({}, 1000, 100, 10);
  peaks = ObservePeak(peaks, 900, 100, 10);
  EXPECT_THAT(peaks, ElementsAre(Peak{100, 1000}));
  peaks = ObservePeak(peaks, 800, 105, 10);
  EXPECT_THAT(peaks, ElementsAre(Peak{100, 1000}, Peak{105, 800}));
  peaks = ObservePeak(peaks, 850, 106, 10);
  EXPECT_THAT(peaks, ElementsAre(Peak{100, 1000}, Peak{106, 850}));
  peaks = ObservePeak(peaks, 10, 111, 10);
  EXPECT_THAT(peaks, ElementsAre(Peak{106, 850}, Peak{111, 10}));
}

TEST(PeaksTest, AClockThatGoesBackKeepsNoPeakForEver) {
  Peaks peaks = ObservePeak({}, 1000, 500, 10);
  peaks = ObservePeak(peaks, 900, 100, 10);
  EXPECT_THAT(peaks, ElementsAre(Peak{100, 1000}));
  EXPECT_THAT(ObservePeak(peaks, 5, 111, 10), ElementsAre(Peak{111, 5}));
}

TEST(PeaksTest, ThereAreNoMoreThanMinutes) {
  Peaks peaks;
  for (int i = 0; i < 10'000; ++i) {
    peaks = ObservePeak(peaks, 1'000'000 - i, i / 100, 10);
    ASSERT_LE(peaks.size(), 11u);
  }
}

}  // namespace
}  // namespace trawl
