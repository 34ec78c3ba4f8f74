// What a change does to the groups of a source, and what it is answered.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/core/discovery/target_sets_fixture.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST_F(TargetSetsTest, ADryRunTellsThatARefusedGroupWouldBeMended) {
  Apply(Push("a", {Group("node", "0", {"n1"})}));
  Change bad = Push("a", {Group("node", "0", {"a/b"})});
  bad.allow_partial = true;
  ASSERT_EQ(Apply(bad).status, ApplyStatus::kAppliedPartly);
  const Change mends = Push("a", {Group("node", "0", {"n1"})});
  Change dry = mends;
  dry.dry_run = true;

  EXPECT_EQ(Apply(dry).status, ApplyStatus::kApplied);
  EXPECT_THAT(sets_.Sources({})[0].refused, SizeIs(1));
  Apply(mends);
  EXPECT_EQ(Apply(dry).status, ApplyStatus::kNoop);
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

TEST_F(TargetSetsTest, UnchangedGroupsKeepTheirObject) {
  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n2"})}));
  auto before = sets_.Desired("node");

  Apply(Push("a", {Group("node", "0", {"n1"}), Group("node", "1", {"n3"})}));

  auto after = sets_.Desired("node");
  EXPECT_EQ(before->groups[0].group, after->groups[0].group);
  EXPECT_NE(before->groups[1].group, after->groups[1].group);
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
