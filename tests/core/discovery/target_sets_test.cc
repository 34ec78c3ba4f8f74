#include "core/discovery/target_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

JobGroup Group(std::string job, std::string key, std::vector<std::string> targets,
               Labels labels = {}) {
  return {std::move(job), {std::move(key), std::move(targets), std::move(labels)}};
}

Change Push(std::string source, std::vector<JobGroup> groups) {
  Change change;
  change.source = std::move(source);
  change.scope = Change::Scope::kJobs;
  change.groups = std::move(groups);
  return change;
}

Change Update(std::string source, std::vector<JobGroup> upsert,
              std::vector<GroupName> remove = {}) {
  Change change;
  change.source = std::move(source);
  change.scope = Change::Scope::kGroups;
  change.groups = std::move(upsert);
  change.remove = std::move(remove);
  return change;
}

Change Versioned(Change change, std::string history, uint64_t version) {
  change.history_id = std::move(history);
  change.version = version;
  return change;
}

class TargetSetsTest : public ::testing::Test {
 protected:
  TargetSetsTest() { sets_.SetKnownJobs({"node", "db"}); }

  ApplyResult Apply(const Change& change) {
    return sets_.Apply(change, {absl::UnixEpoch(), absl::ZeroDuration()});
  }
  std::vector<std::string> Addresses(const std::string& job) {
    std::vector<std::string> all;
    const std::shared_ptr<const DesiredTargets> desired = sets_.Desired(job);
    for (const OwnedGroup& group : desired->groups) {
      all.insert(all.end(), group.group->targets.begin(), group.group->targets.end());
    }
    return all;
  }
  static StreamHello HelloOf(std::string source) {
    StreamHello hello;
    hello.source = std::move(source);
    hello.history_id = "h";
    hello.stream_id = 1;
    return hello;
  }
  HelloResult Hello(uint64_t stream, std::string instance, std::optional<uint64_t> token = {},
                    std::string history = "h", uint64_t version = 0) {
    StreamHello hello = HelloOf("k8s");
    hello.instance = std::move(instance);
    hello.fencing_token = token;
    hello.history_id = std::move(history);
    hello.version = version;
    hello.stream_id = stream;
    return sets_.Hello(hello, {absl::UnixEpoch(), absl::ZeroDuration()});
  }

  // Of the stream that holds "k8s", which is opened if need be.
  Change Snapshot(uint64_t version, std::vector<JobGroup> groups) {
    Change change = OfStream(Push("k8s", std::move(groups)), version);
    change.scope = Change::Scope::kSource;
    return change;
  }
  Change Delta(uint64_t base, uint64_t version, std::vector<JobGroup> upsert) {
    Change change = OfStream(Update("k8s", std::move(upsert)), version);
    change.base_version = base;
    return change;
  }
  Change OfStream(Change change, uint64_t version) {
    if (sets_.Holder("k8s") == 0) Hello(1, "r1");
    change.stream_id = sets_.Holder("k8s");
    return Versioned(std::move(change), "h", version);
  }

  TargetSets sets_{TargetSets::Options{}};
};

TEST_F(TargetSetsTest, PushReplacesTheGroupsOfTheJobsItNamesAndNoOthers) {
  Apply(Push("a", {Group("node", "0", {"n1", "n2"}), Group("db", "0", {"d1"})}));

  ApplyResult result = Apply(Push("a", {Group("node", "1", {"n2", "n3"})}));

  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  EXPECT_THAT(result.changed_jobs, ElementsAre("node"));
  EXPECT_THAT(Addresses("node"), ElementsAre("n2", "n3"));
  EXPECT_THAT(Addresses("db"), ElementsAre("d1"));
}

TEST_F(TargetSetsTest, PushThatNamesAJobWithoutGroupsEmptiesIt) {
  Apply(Push("a", {Group("node", "0", {"n1"})}));
  Change change = Push("a", {});
  change.jobs = {"node"};

  ApplyResult result = Apply(change);

  EXPECT_EQ(result.counts.removed, 1u);
  EXPECT_THAT(Addresses("node"), IsEmpty());
}

TEST_F(TargetSetsTest, SourcesNeverTouchEachOthersGroups) {
  Apply(Push("a", {Group("node", "0", {"n1"})}));
  Apply(Push("b", {Group("node", "0", {"n2"})}));

  Change empty = Push("b", {});
  empty.jobs = {"node"};
  Apply(empty);

  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
}

TEST_F(TargetSetsTest, CountsWhatWasAddedRemovedAndLeft) {
  Apply(Push("a", {Group("node", "0", {"n1", "n2", "n3"})}));

  ApplyResult result = Apply(Push("a", {Group("node", "0", {"n2", "n3", "n4", "n5"})}));

  EXPECT_EQ(result.counts.groups, 1u);
  EXPECT_EQ(result.counts.targets, 4u);
  EXPECT_EQ(result.counts.added, 2u);
  EXPECT_EQ(result.counts.removed, 1u);
  EXPECT_EQ(result.counts.unchanged, 2u);
}

TEST_F(TargetSetsTest, BadUnaryPushNamesEveryWrongFieldAndAppliesNothing) {
  ApplyResult result = Apply(Push("a", {Group("node", "0", {"ok:1"}),
                                        Group("node", "1", {"a/b", ""}, {{"__address__", "x"}})}));

  EXPECT_EQ(result.status, ApplyStatus::kRejected);
  EXPECT_FALSE(result.precondition);
  EXPECT_EQ(result.issue_count, 3u);
  EXPECT_EQ(DescribeIssue(result.issues[0]),
            R"(groups[1].targets[0]: "a/b" is not a valid hostname)");
  EXPECT_EQ(DescribeIssue(result.issues[1]), "groups[1].targets[1]: no address");
  EXPECT_THAT(DescribeIssue(result.issues[2]), HasSubstr(R"(groups[1].labels["__address__"]: )"));
  EXPECT_THAT(Addresses("node"), IsEmpty());
  EXPECT_THAT(sets_.Sources({}), IsEmpty());
}

TEST_F(TargetSetsTest, PartialPushKeepsTheLastGoodContentOfABadGroup) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n2"})}));
  Change change = Push("a", {Group("node", "0", {"x/y"}), Group("node", "1", {"n3"})});
  change.allow_partial = true;

  ApplyResult result = Apply(change);

  EXPECT_EQ(result.status, ApplyStatus::kAppliedPartly);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1", "n3"));
  EXPECT_THAT(sets_.Sources({})[0].refused, SizeIs(1));
}

TEST_F(TargetSetsTest, AClientThatMayNotWriteAJobChangesNothingOfIt) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("db", "0", {"d1"})}));
  const auto only_node =
      std::make_shared<const JobFilter>([](std::string_view job) { return job == "node"; });
  Change into = Push("a", {Group("node", "0", {"n2"}), Group("db", "0", {"d2"})});
  Change away = Push("a", {});
  away.jobs = {"db"};
  Change removal = Update("a", {}, {{"db", "0"}});
  for (Change* change : {&into, &away, &removal}) {
    change->may_write = only_node;

    const ApplyResult result = Apply(*change);

    EXPECT_EQ(result.status, ApplyStatus::kRejected);
    EXPECT_EQ(result.issues[0].code, IssueCode::kNotOwner);
    EXPECT_THAT(result.issues[0].detail, HasSubstr("may not write job \"db\""));
  }
  EXPECT_THAT(Addresses("db"), ElementsAre("d1"));

  Change whole = Push("a", {Group("node", "0", {"n3"})});
  whole.scope = Change::Scope::kSource;
  whole.may_write = only_node;
  Apply(whole);

  EXPECT_THAT(Addresses("node"), ElementsAre("n3"));
  EXPECT_THAT(Addresses("db"), ElementsAre("d1"));
}

// What changes a source as a whole needs the right to all of its jobs.
TEST_F(TargetSetsTest, AClientThatMayNotWriteAJobNeitherReleasesNorLeasesItAway) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("db", "0", {"d1"})}));
  const auto only_node =
      std::make_shared<const JobFilter>([](std::string_view job) { return job == "node"; });

  const auto released =
      sets_.Release("a", {.fencing_token = {}, .remove_targets = true, .may_write = only_node});
  EXPECT_EQ(released.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(released.status().message()), HasSubstr("may not write job \"db\""));

  Change renewal = Update("a", {});
  renewal.may_write = only_node;
  renewal.lease = LeasePolicy{absl::Seconds(1), true};
  const ApplyResult leased = Apply(renewal);
  EXPECT_EQ(leased.status, ApplyStatus::kRejected);
  EXPECT_EQ(leased.issues.at(0).code, IssueCode::kNotOwner);
  EXPECT_EQ(leased.issues.at(0).field, "lease.on_expiry");
  StreamHello hello = HelloOf("a");
  hello.may_write = only_node;
  hello.lease = renewal.lease;
  EXPECT_EQ(sets_.Hello(hello, {}).status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(sets_.Lease("a"), LeasePolicy{});

  // One that keeps takes nothing away; nor does one that is in force already.
  renewal.lease = LeasePolicy{absl::Seconds(9), false};
  EXPECT_EQ(Apply(renewal).status, ApplyStatus::kNoop);
  Change owner = Update("a", {});
  owner.lease = LeasePolicy{absl::Seconds(9), true};
  Apply(owner);
  renewal.lease = owner.lease;
  EXPECT_EQ(Apply(renewal).status, ApplyStatus::kNoop);

  // Nothing foreign is left.
  Apply(Update("a", {}, {{"db", "0"}}));
  EXPECT_TRUE(sets_.Release("a", {.fencing_token = {}, .may_write = only_node}).ok());
}

TEST_F(TargetSetsTest, ALeaseIsAtLeastASecond) {
  for (const absl::Duration ttl : {absl::Seconds(-5), absl::ZeroDuration(), absl::Milliseconds(999),
                                   -absl::InfiniteDuration()}) {
    for (const bool remove : {false, true}) {
      Change push = Push("k8s", {Group("node", "0", {"n1"})});
      push.lease = LeasePolicy{ttl, remove};
      const ApplyResult result = Apply(push);
      EXPECT_EQ(result.status, ApplyStatus::kRejected) << ttl;
      EXPECT_EQ(result.issues.at(0).code, IssueCode::kOutOfRange);
      EXPECT_EQ(result.issues.at(0).field, "lease.ttl");
      StreamHello hello = HelloOf("k8s");
      hello.lease = push.lease;
      EXPECT_EQ(sets_.Hello(hello, {}).status.code(), absl::StatusCode::kInvalidArgument);
    }
  }
  EXPECT_EQ(sets_.source_count(), 0u);
  Change push = Push("a", {Group("node", "0", {"n1"})});
  push.lease = LeasePolicy{absl::Seconds(1), true};
  EXPECT_EQ(Apply(push).status, ApplyStatus::kApplied);
}

TEST_F(TargetSetsTest, TheLargestVersionLeavesRoomToNumberOn) {
  constexpr uint64_t kLargest = uint64_t{1} << 63;
  const std::vector<JobGroup> groups = {Group("node", "0", {"n1"})};
  for (const uint64_t version : {kLargest + 1, ~uint64_t{0}}) {
    const ApplyResult result = Apply(Versioned(Push("a", groups), "h", version));
    EXPECT_EQ(result.issues.at(0).code, IssueCode::kOutOfRange);
    EXPECT_FALSE(result.precondition);
  }
  EXPECT_EQ(Apply(Versioned(Push("a", groups), "h", kLargest)).applied_version, kLargest);
  EXPECT_EQ(Apply(Update("a", {Group("node", "1", {"n2"})})).applied_version, kLargest + 1);
}

TEST_F(TargetSetsTest, DuplicateGroupIsAnError) {
  ApplyResult result = Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "0", {"n2"})}));

  EXPECT_EQ(result.status, ApplyStatus::kRejected);
  EXPECT_EQ(result.issues[0].code, IssueCode::kDuplicateGroup);
}

TEST_F(TargetSetsTest, GroupThatIsPutAndRemovedInOneUpdateIsAnError) {
  Apply(Push("a", {Group("node", "0", {"n1"})}));

  ApplyResult result = Apply(Update("a", {Group("node", "0", {"n2"})}, {{"node", "0"}}));

  EXPECT_EQ(result.status, ApplyStatus::kRejected);
  EXPECT_EQ(DescribeIssue(result.issues[0]),
            R"(remove[0]: group "0" of job "node" stands in the request twice)");
}

TEST_F(TargetSetsTest, GroupThatIsRemovedTwiceInOneUpdateCountsOnce) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n2"})}));

  ApplyResult result = Apply(Update("a", {}, {{"node", "0"}, {"node", "0"}}));

  EXPECT_EQ(result.counts.groups, 1u);
  EXPECT_EQ(result.counts.removed, 1u);
  EXPECT_EQ(result.counts.unchanged, 1u);
}

TEST_F(TargetSetsTest, UnknownJobIsHeldAsPendingWithAWarningThatListsTheKnown) {
  ApplyResult result = Apply(Push("a", {Group("ndoe", "0", {"n1"})}));

  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  EXPECT_EQ(result.issues[0].code, IssueCode::kUnknownJob);
  EXPECT_FALSE(result.issues[0].error);
  EXPECT_THAT(result.issues[0].detail, HasSubstr("known are db, node"));
  EXPECT_THAT(sets_.Sources({})[0].pending_jobs, ElementsAre("ndoe"));
  EXPECT_EQ(sets_.PendingGroups(), 1u);

  EXPECT_THAT(result.newly_pending_jobs, ElementsAre("ndoe"));
  EXPECT_THAT(Apply(Push("a", {Group("ndoe", "0", {"n1", "n2"})})).newly_pending_jobs, IsEmpty())
      << "it was said";
  Apply(Push("a", {Group("ndoe", "0", {"n1"})}));

  sets_.SetKnownJobs({"ndoe"});
  EXPECT_EQ(sets_.PendingGroups(), 0u);
  EXPECT_THAT(Addresses("ndoe"), ElementsAre("n1"));
}

TEST_F(TargetSetsTest, AWarningNamesNoJobThatTheClientMayNotWrite) {
  Change push = Push("a", {Group("nosuch", "0", {"n1"}), Group("secret", "0", {"n1"})});
  push.may_write =
      std::make_shared<const JobFilter>([](std::string_view job) { return job[0] == 'n'; });
  push.allow_partial = true;

  const ApplyResult result = Apply(push);

  ASSERT_THAT(result.issues, SizeIs(2));
  EXPECT_EQ(result.issues[0].code, IssueCode::kNotOwner);
  EXPECT_EQ(result.issues[1].group.job, "nosuch");
  EXPECT_THAT(result.issues[1].detail, ::testing::EndsWith("known are node"));
}

TEST_F(TargetSetsTest, AWarningStaysSmallHoweverManyJobsAreKnown) {
  std::vector<std::string> jobs;
  for (int i = 0; i < 10'000; ++i) jobs.push_back(absl::StrCat("job-", i));
  sets_.SetKnownJobs(jobs);
  std::vector<JobGroup> groups;
  for (int i = 0; i < 1000; ++i) groups.push_back(Group(absl::StrCat("x", i), "0", {"n1"}));

  const ApplyResult result = Apply(Push("a", groups));

  EXPECT_EQ(result.issue_count, 1000u);
  EXPECT_THAT(result.issues, SizeIs(100));
  for (const Issue& issue : result.issues) {
    EXPECT_LT(issue.detail.size(), 1200u);
    EXPECT_THAT(issue.detail, ::testing::EndsWith(", ..."));
  }
}

TEST_F(TargetSetsTest, DryRunCountsAndChangesNothing) {
  Change change = Push("a", {Group("node", "0", {"n1"})});
  change.dry_run = true;

  ApplyResult result = Apply(change);

  EXPECT_EQ(result.counts.added, 1u);
  EXPECT_THAT(result.changed_jobs, IsEmpty());
  EXPECT_THAT(sets_.Sources({}), IsEmpty());
}

TEST_F(TargetSetsTest, DryRunTouchesNeitherTargetsNorVersionLeaseOrToken) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));
  Change change = Versioned(Push("a", {Group("node", "0", {"n2"})}), "h", 8);
  change.dry_run = true;
  change.lease = LeasePolicy{absl::Seconds(30), true};
  change.fencing_token = 9;

  ApplyResult result = sets_.Apply(change, {absl::FromUnixSeconds(9), absl::Seconds(9)});

  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  EXPECT_EQ(result.applied_version, 7u);
  EXPECT_EQ(result.counts.added, 1u);
  EXPECT_EQ(result.counts.removed, 1u);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
  EXPECT_EQ(sets_.AppliedVersion("a"), 7u);
  EXPECT_EQ(sets_.Lease("a"), LeasePolicy{});
  EXPECT_EQ(sets_.Sources({})[0].last_heard, absl::UnixEpoch());
  EXPECT_FALSE(sets_.Sources({})[0].fencing_token);
}

TEST_F(TargetSetsTest, DryRunIsRefusedAsTheCallWouldBe) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));
  Change bad = Versioned(Push("a", {Group("node", "0", {"a/b"})}), "h", 8);
  Change old = Versioned(Push("a", {Group("node", "0", {"n2"})}), "h", 6);
  bad.dry_run = old.dry_run = true;

  EXPECT_EQ(Apply(bad).issues[0].code, IssueCode::kBadAddress);
  EXPECT_EQ(Apply(old).issues[0].code, IssueCode::kStaleVersion);
}

TEST_F(TargetSetsTest, IssuesAreCappedAndCountedInTruth) {
  std::vector<JobGroup> groups;
  for (int i = 0; i < 150; ++i) groups.push_back(Group("node", absl::StrCat(i), {"a/b", ""}));

  ApplyResult result = Apply(Push("a", groups));

  EXPECT_THAT(result.issues, SizeIs(100));
  EXPECT_EQ(result.issue_count, 300u);
  EXPECT_EQ(result.issues[99].group, (GroupName{"node", "49"}));
  EXPECT_EQ(result.issues[99].target_index, 1);
}

TEST_F(TargetSetsTest, AnAddressIsRefusedForASlashOrNothingAlone) {
  ApplyResult result = Apply(Push("a", {Group("node", "0", {"a:91x0", "::1", "a b", "a"})}));

  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  EXPECT_THAT(result.issues, IsEmpty());
}

TEST_F(TargetSetsTest, RepeatedVersionWithEqualContentIsANoop) {
  const Change change = Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7);
  Apply(change);

  ApplyResult result = Apply(change);

  EXPECT_EQ(result.status, ApplyStatus::kNoop);
  EXPECT_EQ(result.applied_version, 7u);
}

TEST_F(TargetSetsTest, RepeatedVersionWithOtherContentIsRejected) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));

  ApplyResult result = Apply(Versioned(Push("a", {Group("node", "0", {"n2"})}), "h", 7));

  EXPECT_EQ(result.status, ApplyStatus::kRejected);
  EXPECT_EQ(result.issues[0].code, IssueCode::kVersionConflict);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
}

TEST_F(TargetSetsTest, OlderVersionIsRejected) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));

  ApplyResult result = Apply(Versioned(Push("a", {Group("node", "0", {"n2"})}), "h", 6));

  EXPECT_EQ(result.issues[0].code, IssueCode::kStaleVersion);
  EXPECT_TRUE(result.precondition);
}

TEST_F(TargetSetsTest, UnaryChangeWithoutAHistoryEndsTheHistory) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));

  ApplyResult result = Apply(Update("a", {Group("node", "1", {"n2"})}));

  EXPECT_EQ(result.applied_version, 8u);
  EXPECT_EQ(sets_.HistoryId("a"), "");
}

TEST_F(TargetSetsTest, EmptyUpdateRenewsTheLeaseAndChangesNoVersion) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));

  ApplyResult result = sets_.Apply(Update("a", {}), {absl::FromUnixSeconds(9), absl::Seconds(9)});

  EXPECT_EQ(result.status, ApplyStatus::kNoop);
  EXPECT_EQ(sets_.AppliedVersion("a"), 7u);
  EXPECT_EQ(sets_.HistoryId("a"), "h");
  EXPECT_EQ(sets_.Sources({})[0].last_heard, absl::FromUnixSeconds(9));
}

TEST_F(TargetSetsTest, UnchangedGroupsKeepTheirObject) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n2"})}));
  auto before = sets_.Desired("node");

  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n3"})}));

  auto after = sets_.Desired("node");
  EXPECT_EQ(before->groups[0].group, after->groups[0].group);
  EXPECT_NE(before->groups[1].group, after->groups[1].group);
}

TEST_F(TargetSetsTest, HelloSaysWhatItNeeds) {
  EXPECT_EQ(Hello(1, "r1", {}, "h", 5).need, SyncNeed::kSnapshot);
  Change snapshot = Versioned(Push("k8s", {Group("node", "0", {"n1"})}), "h", 5);
  snapshot.scope = Change::Scope::kSource;
  snapshot.stream_id = 1;
  Apply(snapshot);

  EXPECT_EQ(Hello(2, "r1", {}, "h", 5).need, SyncNeed::kNothing);
  EXPECT_EQ(Hello(3, "r1", {}, "h", 6).need, SyncNeed::kDelta);
  EXPECT_EQ(Hello(4, "r1", {}, "h", 4).need, SyncNeed::kSnapshot);
  EXPECT_EQ(Hello(5, "r1", {}, "other", 5).need, SyncNeed::kSnapshot);
}

TEST_F(TargetSetsTest, DeltaWhoseBaseIsNotAppliedAsksForAResync) {
  Hello(1, "r1");
  Change delta = Versioned(Update("k8s", {Group("node", "0", {"n1"})}), "h", 5);
  delta.base_version = 4;
  delta.stream_id = 1;

  ApplyResult result = Apply(delta);

  EXPECT_EQ(result.status, ApplyStatus::kRejected);
  EXPECT_TRUE(result.resync);
}

TEST_F(TargetSetsTest, RepeatedDeltaIsANoop) {
  Hello(1, "r1");
  Change snapshot = Versioned(Push("k8s", {}), "h", 1);
  snapshot.scope = Change::Scope::kSource;
  snapshot.stream_id = 1;
  Apply(snapshot);
  Change delta = Versioned(Update("k8s", {Group("node", "0", {"n1"})}), "h", 2);
  delta.base_version = 1;
  delta.stream_id = 1;
  EXPECT_EQ(Apply(delta).status, ApplyStatus::kApplied);

  EXPECT_EQ(Apply(delta).status, ApplyStatus::kNoop);
}

TEST_F(TargetSetsTest, DeltaThatRepeatsAVersionWithOtherContentIsAGap) {
  ASSERT_EQ(Apply(Snapshot(5, {Group("node", "0", {"n1"})})).status, ApplyStatus::kApplied);

  ApplyResult result = Apply(Delta(4, 5, {Group("node", "0", {"n2"})}));

  EXPECT_EQ(result.issues[0].code, IssueCode::kVersionGap);
  EXPECT_TRUE(result.resync);
  EXPECT_EQ(Apply(Delta(5, 4, {Group("node", "0", {"n2"})})).issues[0].code,
            IssueCode::kStaleVersion);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
}

TEST_F(TargetSetsTest, SnapshotAtTheAppliedVersionIsApplied) {
  Apply(Snapshot(5, {Group("node", "0", {"n1"})}));

  EXPECT_EQ(Apply(Snapshot(5, {Group("node", "0", {"n1"})})).status, ApplyStatus::kNoop);
  EXPECT_EQ(Apply(Snapshot(5, {Group("node", "0", {"n2"})})).status, ApplyStatus::kApplied);
  EXPECT_EQ(Apply(Snapshot(4, {})).issues[0].code, IssueCode::kStaleVersion);
  EXPECT_THAT(Addresses("node"), ElementsAre("n2"));
}

TEST_F(TargetSetsTest, DeltaOfTheAppliedVersionMendsRefusedGroupsOnly) {
  Change snapshot = Snapshot(5, {Group("node", "0", {"n1"}), Group("node", "1", {"a/b"})});
  snapshot.allow_partial = true;
  ASSERT_EQ(Apply(snapshot).status, ApplyStatus::kAppliedPartly);

  EXPECT_EQ(Apply(Delta(5, 5, {Group("node", "0", {"n2"})})).issues[0].code,
            IssueCode::kVersionConflict);
  EXPECT_EQ(Apply(Delta(5, 5, {Group("node", "1", {"ab"})})).status, ApplyStatus::kApplied);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1", "ab"));
  EXPECT_THAT(sets_.Sources({})[0].refused, IsEmpty());
}

TEST_F(TargetSetsTest, ADeltaStartsNoHistory) {
  Hello(1, "r1");
  const ApplyResult result = Apply(Delta(0, 1, {Group("node", "0", {"n1"})}));
  ASSERT_THAT(result.issues, SizeIs(1));
  EXPECT_EQ(result.issues[0].code, IssueCode::kVersionGap);
  EXPECT_TRUE(result.resync);
  EXPECT_EQ(Apply(Versioned(Update("a", {Group("node", "0", {"n1"})}), "h", 1)).issues[0].code,
            IssueCode::kVersionGap);

  // Nor where the one before left nothing.
  Change emptied = Versioned(Push("k8s", {}), "older", 10);
  emptied.scope = Change::Scope::kSource;
  emptied.stream_id = 1;
  ASSERT_EQ(Apply(emptied).status, ApplyStatus::kApplied);
  EXPECT_EQ(Apply(Delta(10, 11, {Group("node", "0", {"n1"})})).issues[0].code,
            IssueCode::kVersionGap);
  EXPECT_EQ(sets_.HistoryId("k8s"), "older");
  EXPECT_EQ(Apply(Snapshot(11, {})).status, ApplyStatus::kApplied);
  EXPECT_EQ(Apply(Delta(11, 12, {Group("node", "0", {"n1"})})).status, ApplyStatus::kApplied);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
}

TEST_F(TargetSetsTest, APushStartsAHistoryWhereNothingIsLeftOfTheOneBefore) {
  Change push = Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7);
  ASSERT_EQ(Apply(push).status, ApplyStatus::kApplied);
  Change shrunk = Versioned(Update("a", {}, {{"node", "0"}}), "h", 9);
  ASSERT_EQ(Apply(shrunk).status, ApplyStatus::kApplied);
  push = Versioned(Push("a", {Group("node", "1", {"a/b"})}), "h", 10);
  push.allow_partial = true;
  ASSERT_EQ(Apply(push).status, ApplyStatus::kAppliedPartly);
  const Change other = Versioned(Push("a", {Group("db", "0", {"d1"})}), "other", 11);
  EXPECT_EQ(Apply(other).issues[0].code, IssueCode::kVersionGap) << "a refused group is left";

  Apply(Versioned(Update("a", {}, {{"node", "1"}}), "h", 11));
  EXPECT_EQ(Apply(other).status, ApplyStatus::kApplied);

  // All of it is held.
  std::vector<std::string> many;
  for (int i = 0; i < 50; ++i) many.push_back(absl::StrCat("n", i));
  Apply(Versioned(Push("a", {Group("db", "0", many)}), "other", 12));
  ASSERT_EQ(Apply(Versioned(Update("a", {}, {{"db", "0"}}), "other", 13)).counts.held, 50u);
  EXPECT_EQ(Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "third", 1)).issues[0].code,
            IssueCode::kVersionGap);
}

TEST_F(TargetSetsTest, AnotherHistoryNeedsASnapshot) {
  EXPECT_EQ(Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7)).status,
            ApplyStatus::kApplied)
      << "nothing was there";

  Change push = Versioned(Push("a", {Group("node", "0", {"n2"})}), "other", 8);
  EXPECT_EQ(Apply(push).issues[0].code, IssueCode::kVersionGap);
  push.scope = Change::Scope::kSource;
  push.version = 1;
  EXPECT_EQ(Apply(push).status, ApplyStatus::kApplied);
  EXPECT_EQ(sets_.HistoryId("a"), "other");
  EXPECT_EQ(sets_.AppliedVersion("a"), 1u);
}

TEST_F(TargetSetsTest, DryRunOfAReleaseChangesNothing) {
  Apply(Versioned(Push("a", {Group("node", "0", {"n1"})}), "h", 7));

  auto result = sets_.Release(
      "a", {.fencing_token = {}, .remove_targets = true, .force = false, .dry_run = true});

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->counts.removed, 1u);
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));
  EXPECT_EQ(sets_.HistoryId("a"), "h");
}

TEST_F(TargetSetsTest, HigherFencingTokenWinsAndTheLoserCannotWrite) {
  Hello(1, "r1", 3);

  HelloResult second = Hello(2, "r2", 4);
  EXPECT_TRUE(second.status.ok());
  EXPECT_EQ(second.displaced, 1u);

  HelloResult late = Hello(3, "r1", 3);
  EXPECT_TRUE(late.fenced);
  Change stale = Versioned(Update("k8s", {Group("node", "0", {"n1"})}), "h", 1);
  stale.stream_id = 1;
  EXPECT_EQ(Apply(stale).issues[0].code, IssueCode::kFenced);
}

TEST_F(TargetSetsTest, EqualTokenOfAnotherInstanceIsRefusedWhileTheHolderIsAlive) {
  Hello(1, "r1", 3);

  EXPECT_FALSE(Hello(2, "r2", 3).status.ok());
  sets_.EndStream("k8s", 1);
  EXPECT_TRUE(Hello(3, "r2", 3).status.ok());
}

TEST_F(TargetSetsTest, UnaryChangeIsRefusedWhileAStreamHoldsTheSource) {
  Hello(1, "r1");

  ApplyResult result = Apply(Push("k8s", {Group("node", "0", {"n1"})}));

  EXPECT_EQ(result.issues[0].code, IssueCode::kHeldByOther);
  EXPECT_THAT(result.issues[0].detail, HasSubstr("\"r1\""));
  EXPECT_TRUE(result.precondition);
}

TEST_F(TargetSetsTest, ReleaseWithRemovalForgetsTheSource) {
  Apply(Push("a", {Group("node", "0", {"n1"})}));

  auto result = sets_.Release("a", {.fencing_token = {}, .remove_targets = true});

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->counts.removed, 1u);
  EXPECT_THAT(Addresses("node"), IsEmpty());
  EXPECT_THAT(sets_.Sources({}), IsEmpty());
  EXPECT_EQ(sets_.Release("a", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TargetSetsTest, LimitsNameWhatWasExceeded) {
  TargetSets::Options options;
  options.max_sources = 1;
  options.plan.max_targets = 2;
  TargetSets sets(options);
  const TargetSets::Now now{absl::UnixEpoch(), absl::ZeroDuration()};

  ApplyResult many = sets.Apply(Push("a", {Group("node", "0", {"1", "2", "3"})}), now);
  EXPECT_EQ(many.issues[0].code, IssueCode::kLimit);
  EXPECT_THAT(many.issues[0].detail, HasSubstr("3 targets, at most 2"));
  sets.Apply(Push("a", {Group("node", "0", {"1"})}), now);
  ApplyResult second = sets.Apply(Push("b", {Group("node", "0", {"1"})}), now);
  EXPECT_THAT(second.issues[0].detail, HasSubstr("at most 1"));
}

TEST_F(TargetSetsTest, ConfiguredSourcesFollowTheirFileAndCannotBePushed) {
  EXPECT_TRUE(
      sets_.SetConfigured("static", SourceView::Kind::kStatic, "node", {{"0", {"n1"}, {}}}));
  EXPECT_FALSE(
      sets_.SetConfigured("static", SourceView::Kind::kStatic, "node", {{"0", {"n1"}, {}}}));
  EXPECT_THAT(Addresses("node"), ElementsAre("n1"));

  EXPECT_EQ(Apply(Push("static", {Group("node", "0", {"x"})})).issues[0].code,
            IssueCode::kNotOwner);
  EXPECT_TRUE(sets_.SetConfigured("static", SourceView::Kind::kStatic, "node", {}));
  EXPECT_THAT(Addresses("node"), IsEmpty());
}

TEST_F(TargetSetsTest, GroupsArePagedInOrder) {
  Apply(Push("a", {Group("db", "0", {"d"}), Group("node", "0", {"n"}), Group("node", "1", {"m"})}));
  Apply(Push("b", {Group("node", "0", {"n"})}));

  auto first = sets_.Groups("", "node", {}, 2);
  ASSERT_THAT(first, SizeIs(2));
  auto rest =
      sets_.Groups("", "node", TargetSets::GroupPosition{"a", {"node", first[1].group->key}}, 2);

  EXPECT_EQ(first[0].group->key, "0");
  EXPECT_EQ(first[1].group->key, "1");
  ASSERT_THAT(rest, SizeIs(1));
  EXPECT_EQ(rest[0].source, "b");
}

}  // namespace
}  // namespace trawl
