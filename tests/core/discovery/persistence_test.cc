// Discovery over its logs on a disk that forgets, fills up, and is cut off.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/core/discovery/discovery_world.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PersistenceTest : public ::testing::Test, protected DiscoveryWorld {
 protected:
  ApplyResult Push(const std::string& source, std::vector<std::string> targets) {
    Change change;
    change.source = source;
    change.scope = Change::Scope::kJobs;
    change.jobs = {"node"};
    change.groups = {{"node", {"0", std::move(targets), {}}}};
    return Apply(std::move(change));
  }
  void SayHello(uint64_t stream, RecordingSyncPeer& peer, uint64_t version,
                std::optional<uint64_t> token = {}, const std::string& instance = "r1") {
    StreamHello hello;
    hello.source = "k8s";
    hello.instance = instance;
    hello.fencing_token = token;
    hello.history_id = "h";
    hello.version = version;
    hello.lease = lease_;
    DiscoveryWorld::SayHello(stream, peer, hello);
  }
  void SaySnapshot(uint64_t stream, uint64_t version, std::vector<std::string> targets) {
    Say(stream, {2, SyncBegin{version, 1, 100}});
    Say(stream, {3, SyncPart{{{"node", {"0", std::move(targets), {}}}}, 50}});
    Say(stream, {4, SyncEnd{}});
  }

  ~PersistenceTest() override { Stop(); }  // before the peers

  std::optional<LeasePolicy> lease_;
  RecordingSyncPeer peer_;
  RecordingSyncPeer other_;
};

TEST_F(PersistenceTest, WhatWasAppliedIsScrapedAfterAPowerLossBeforeAnyPusherComes) {
  ASSERT_EQ(Push("a", {"n1"}).status, ApplyStatus::kApplied);
  ASSERT_EQ(Push("b", {"n2"}).status, ApplyStatus::kApplied);

  LosePowerAndStart();

  EXPECT_THAT(Targets(), ElementsAre("n1", "n2"));
  EXPECT_EQ(View().standing, SourceView::Standing::kRestored);
  EXPECT_EQ(View().counts.targets, 1u);
  EXPECT_EQ(metrics.targets.Value({"a"}), 1);

  EXPECT_EQ(Push("a", {"n3"}).counts.removed, 1u);
  EXPECT_EQ(View(0).standing, SourceView::Standing::kLive);
  EXPECT_EQ(View(1).standing, SourceView::Standing::kRestored);
}

TEST_F(PersistenceTest, AStreamNeedsNothingOrADeltaAfterARestart) {
  SayHello(1, peer_, 0);
  SaySnapshot(1, 5, {"n1"});
  ASSERT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kApplied);

  LosePowerAndStart();
  SayHello(2, other_, 5);
  EXPECT_EQ(other_.Last<SyncWelcome>()->hello.need, SyncNeed::kNothing);
  EXPECT_EQ(View().standing, SourceView::Standing::kLive);

  LosePowerAndStart();
  SayHello(3, other_, 6);
  EXPECT_EQ(other_.Last<SyncWelcome>()->hello.need, SyncNeed::kDelta);
  EXPECT_EQ(other_.Last<SyncWelcome>()->hello.applied_version, 5u);
  Say(3, {2, SyncDelta{5, 6, {{"node", {"1", {"n2"}, {}}}}, {{"node", "0"}}}});
  LosePowerAndStart();
  EXPECT_THAT(Targets(), ElementsAre("n2"));
}

TEST_F(PersistenceTest, ARepeatedChangeIsANoopAlsoAfterARestart) {
  Change change;
  change.source = "a";
  change.scope = Change::Scope::kJobs;
  change.groups = {{"node", {"0", {"n1"}, {}}}};
  change.history_id = "h";
  change.version = 3;
  ASSERT_EQ(Apply(change).status, ApplyStatus::kApplied);
  LosePowerAndStart();
  EXPECT_EQ(Apply(change).status, ApplyStatus::kNoop);
}

TEST_F(PersistenceTest, ARefusedGroupIsStillListedInWelcomeAfterARestart) {
  SayHello(1, peer_, 0);
  SaySnapshot(1, 5, {"a/b"});
  ASSERT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kAppliedPartly);
  LosePowerAndStart();
  SayHello(2, other_, 5);
  const HelloResult hello = other_.Last<SyncWelcome>()->hello;
  ASSERT_THAT(hello.refused, SizeIs(1));
  EXPECT_EQ(hello.refused[0].code, IssueCode::kBadAddress);
}

TEST_F(PersistenceTest, AFullDiskRefusesChangesAndTakesNoTargetAway) {
  ASSERT_EQ(Push("a", {"n1"}).status, ApplyStatus::kApplied);
  files.SetCapacity(0);

  const ApplyResult refused = Push("a", {"n2", "n3"});

  EXPECT_EQ(refused.status, ApplyStatus::kRejected);
  ASSERT_THAT(refused.issues, SizeIs(1));
  EXPECT_EQ(refused.issues[0].code, IssueCode::kNotPersisted);
  EXPECT_EQ(refused.counts.targets, 1u);
  EXPECT_EQ(refused.applied_version, 1u);
  EXPECT_THAT(Targets(), ElementsAre("n1"));
  EXPECT_EQ(metrics.state_write_failures_total.Value(), 1);
  EXPECT_EQ(Push("stranger", {"n9"}).status, ApplyStatus::kRejected);
  EXPECT_THAT(discovery->sets().Sources(discovery->Now()), SizeIs(1));

  files.SetCapacity(1 << 20);
  EXPECT_EQ(Push("a", {"n2"}).status, ApplyStatus::kApplied);
  LosePowerAndStart();
  EXPECT_THAT(Targets(), ElementsAre("n2"));
}

TEST_F(PersistenceTest, WhatSomebodyRemovedIsWrittenAnewWithinAMinute) {
  Push("a", {"n1"});
  Push("b", {"n2"});
  const std::vector<std::string> names = files.List("data/discovery").value();
  for (const std::string& name : names) {
    ASSERT_THAT(files.Remove("data/discovery/" + name), IsOk());
  }
  ASSERT_THAT(files.Remove("data/discovery"), IsOk());
  Push("b", {"n3"});

  loop.Advance(absl::Minutes(1));

  LosePowerAndStart();
  EXPECT_THAT(Targets(), ElementsAre("n1", "n3"));
}

TEST_F(PersistenceTest, AFullDiskTellsAStreamToTryAgainLater) {
  SayHello(1, peer_, 0);
  files.SetCapacity(0);
  SaySnapshot(1, 5, {"n1"});
  SyncAck ack = *peer_.Last<SyncAck>();
  EXPECT_EQ(ack.result.status, ApplyStatus::kRejected);
  EXPECT_EQ(ack.result.issues.at(0).code, IssueCode::kNotPersisted);
  EXPECT_TRUE(ack.retry_after);
  Say(1, {5, SyncHeartbeat{}});
  EXPECT_EQ(peer_.Last<SyncAck>()->id, 5u);

  files.SetCapacity(1 << 20);
  SaySnapshot(1, 5, {"n1"});
  EXPECT_EQ(peer_.Last<SyncAck>()->result.status, ApplyStatus::kApplied);
}

TEST_F(PersistenceTest, TheHigherFencingTokenWinsAlsoOverRestarts) {
  SayHello(1, peer_, 0, 5);
  ASSERT_TRUE(peer_.Last<SyncWelcome>());
  LosePowerAndStart();
  SayHello(2, other_, 0, 4);
  EXPECT_TRUE(other_.Last<SyncGoaway>()->fenced);
  EXPECT_EQ(Push("k8s", {"n1"}).issues.at(0).code, IssueCode::kFenced);
}

TEST_F(PersistenceTest, AFencingTokenThatCanNotBeKeptDisplacesNobody) {
  SayHello(1, peer_, 0, 5);
  files.SetCapacity(0);
  SayHello(2, other_, 0, 6, "r2");
  EXPECT_FALSE(other_.Last<SyncWelcome>());
  EXPECT_THAT(other_.status.value_or(absl::OkStatus()),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_FALSE(peer_.status);
  EXPECT_EQ(discovery->sets().Holder("k8s"), 1u);
}

TEST_F(PersistenceTest, AReleasedSourceDoesNotComeBackUnlessItsTargetsAreKept) {
  Push("gone", {"n1"});
  Push("kept", {"n2"});
  absl::StatusOr<ApplyResult> gone;
  absl::StatusOr<ApplyResult> kept;
  discovery->ReleaseAsync("gone", {.fencing_token = {}, .remove_targets = true},
                          [&](absl::StatusOr<ApplyResult> result) { gone = result; });
  discovery->ReleaseAsync("kept", {}, [&](absl::StatusOr<ApplyResult> result) { kept = result; });
  loop.RunUntilIdle();
  ASSERT_THAT(gone, IsOk());
  ASSERT_THAT(kept, IsOk());
  LosePowerAndStart();
  EXPECT_THAT(Targets(), ElementsAre("n2"));
  EXPECT_THAT(discovery->sets().Sources(discovery->Now()), SizeIs(1));
}

TEST_F(PersistenceTest, AReleasedSourceIsForgottenInJobsThatItHadLeftBefore) {
  Push("a", {"n1"});
  Change move;
  move.source = "a";
  move.groups = {{"db", {"0", {"n1"}, {}}}};
  move.remove = {{"node", "0"}};
  Apply(move);
  discovery->ReleaseAsync("a", {.fencing_token = {}, .remove_targets = true},
                          [](const absl::StatusOr<ApplyResult>&) {});
  loop.RunUntilIdle();
  EXPECT_THAT(discovery->sets().Desired("node")->groups, IsEmpty());
  EXPECT_EQ(discovery->sets().PendingGroups(), 0u);
}

TEST_F(PersistenceTest, AReleaseThatCanNotBeKeptChangesNothing) {
  Push("a", {"n1"});
  files.FailAfter(0, absl::InternalError("ordered"));
  absl::StatusOr<ApplyResult> released;
  discovery->ReleaseAsync("a", {.fencing_token = {}, .remove_targets = true},
                          [&](absl::StatusOr<ApplyResult> result) { released = result; });
  loop.RunUntilIdle();
  EXPECT_THAT(released, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Targets(), ElementsAre("n1"));
}

TEST_F(PersistenceTest, ALeaseStartsAnewInFullAtTheStartAndThenRemoves) {
  lease_ = LeasePolicy{absl::Seconds(30), true};
  SayHello(1, peer_, 0);
  SaySnapshot(1, 5, {"n1"});
  loop.Advance(absl::Seconds(29));
  LosePowerAndStart();
  loop.Advance(absl::Seconds(29));
  EXPECT_THAT(Targets(), ElementsAre("n1"));
  loop.Advance(absl::Seconds(2));
  EXPECT_THAT(Targets(), IsEmpty());
  LosePowerAndStart();
  EXPECT_THAT(Targets(), IsEmpty());
}

TEST_F(PersistenceTest, WhatIsEmptyIsNeitherKeptNorRemembered) {
  lease_ = LeasePolicy{absl::Seconds(30), true};
  SayHello(1, peer_, 0);
  EXPECT_THAT(files.List("data/discovery").value(), ElementsAre("running"));
  SaySnapshot(1, 5, {"n1"});
  EXPECT_THAT(files.List("data/discovery").value(), SizeIs(2));

  loop.Advance(absl::Seconds(31));  // the stream was silent, and so was its lease

  EXPECT_EQ(discovery->sets().source_count(), 0u);
  EXPECT_EQ(metrics.sources.Value(), 0);
  EXPECT_THAT(files.List("data/discovery").value(), ElementsAre("running"));
}

TEST_F(PersistenceTest, AFenceOutlivesAllElse) {
  StreamHello hello;
  hello.source = "k8s";
  hello.history_id = "h";
  hello.fencing_token = 7;
  DiscoveryWorld::SayHello(1, peer_, hello);
  CloseStream(1);
  LosePowerAndStart();
  EXPECT_EQ(View().fencing_token, 7u);
}

TEST_F(PersistenceTest, TheConfigurationsOwnSourcesAreNotKept) {
  discovery->SetConfigured("static", SourceView::Kind::kStatic, "node", {{"0", {"n1"}, {}}}, {});
  loop.RunUntilIdle();
  LosePowerAndStart();
  EXPECT_THAT(discovery->sets().Sources(discovery->Now()), IsEmpty());
}

// --- the sets after a restart are the sets before it

std::string Describe(const TargetSets& sets) {
  std::string text;
  for (const SourceView& source : sets.Sources({})) {
    // An empty call made it, and nothing of it is worth keeping.
    if (source.applied_version == 0 && !source.fencing_token && source.lease == LeasePolicy{}) {
      continue;
    }
    absl::StrAppend(&text, source.name, " v", source.applied_version, " ", source.history_id, " t",
                    source.fencing_token.value_or(0), " ", source.lease.remove_on_expiry, " ",
                    source.counts.groups, "/", source.counts.targets, " refused");
    for (const Issue& issue : source.refused) absl::StrAppend(&text, " ", DescribeIssue(issue));
    text += "\n";
  }
  for (const TargetSets::GroupView& view : sets.Groups("", "", {}, 1000)) {
    absl::StrAppend(&text, view.source, " ", view.name.job, " ", view.name.key, " ",
                    absl::StrJoin(view.group->targets, ","), " ", view.group->labels.ToString(),
                    "\n");
  }
  return text;
}

class RandomPusher {
 public:
  explicit RandomPusher(uint64_t seed) : random_(seed) {}

  Change Next() {
    Change change;
    change.source = Random(2) == 0 ? "a" : "b";
    change.scope = static_cast<Change::Scope>(Random(3));
    for (uint64_t i = Random(4); i > 0; --i) change.groups.push_back(Group());
    if (change.scope == Change::Scope::kGroups && Random(2) == 0) {
      change.remove.push_back({Random(2) == 0 ? "node" : "db", absl::StrCat(Random(4))});
    }
    if (change.scope == Change::Scope::kJobs && Random(2) == 0) change.jobs = {"node"};
    if (Random(2) == 0) {
      change.history_id = Random(9) == 0 ? "other" : "h";
      change.version = version_ += Random(3);
    }
    if (Random(6) == 0) change.fencing_token = Random(5);
    if (Random(6) == 0) change.lease = LeasePolicy{absl::Seconds(1 + Random(9)), Random(2) == 0};
    change.allow_partial = Random(2) == 0;
    change.dry_run = Random(9) == 0;
    return change;
  }
  uint64_t Random(uint64_t below) { return random_() % below; }

 private:
  JobGroup Group() {
    JobGroup group{Random(2) == 0 ? "node" : "db", {absl::StrCat(Random(4)), {}, {}}};
    for (uint64_t i = Random(3); i > 0; --i) {
      group.group.targets.push_back(Random(9) == 0 ? "a/b" : absl::StrCat("n", Random(9)));
    }
    if (Random(3) == 0) group.group.labels = Labels{{"x", absl::StrCat(Random(3))}};
    return group;
  }

  std::mt19937_64 random_;
  uint64_t version_ = 0;
};

TEST_F(PersistenceTest, AfterRandomChangesEveryRestartFindsWhatWasThere) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  RandomPusher pusher(seed);
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    files.SetCapacity(pusher.Random(20) == 0 ? 0 : 1 << 20);
    if (pusher.Random(15) == 0) {
      discovery->ReleaseAsync("a",
                              {.fencing_token = {},
                               .remove_targets = pusher.Random(2) == 0,
                               .force = pusher.Random(2) == 0},
                              [](const absl::StatusOr<ApplyResult>&) {});
    }
    Apply(pusher.Next());
    if (pusher.Random(5) != 0) continue;
    const std::string before = Describe(discovery->sets());
    files.SetCapacity(1 << 20);
    LosePowerAndStart();
    EXPECT_EQ(Describe(discovery->sets()), before) << i;
  }
}

}  // namespace
}  // namespace trawl
