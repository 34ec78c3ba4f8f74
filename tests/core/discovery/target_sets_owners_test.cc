// Who may change a source: fencing tokens, streams, leases, release, and rights to its jobs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/core/discovery/target_sets_fixture.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

// A source, "a", whose lease removes and was set by who may write job "node" alone.
class LimitedLeaseTest : public TargetSetsTest {
 protected:
  static std::shared_ptr<const JobFilter> Only(const std::string& job) {
    return std::make_shared<const JobFilter>(
        [job](std::string_view asked) { return asked == job; });
  }
  void Lease(std::shared_ptr<const JobFilter> may_write) {
    Change leased = Update("a", {Group("node", "0", {"n1"})});
    leased.may_write = std::move(may_write);
    leased.lease = LeasePolicy{absl::Seconds(3), true};
    ASSERT_EQ(Apply(leased).status, ApplyStatus::kApplied);
  }
  ApplyResult Bring(const std::string& job, std::shared_ptr<const JobFilter> may_write) {
    Change change = Update("a", {Group(job, "1", {"d1"})});
    change.may_write = std::move(may_write);
    return Apply(change);
  }
  void Restart() {
    RestoredSource restored{"a", {}};
    restored.state.lease = LeasePolicy{absl::Seconds(3), true};
    restored.state.groups[{"node", "0"}] =
        std::make_shared<const TargetGroup>(TargetGroup{"0", {"n1"}, {}});
    sets_.Restore(std::move(restored), false, {});
  }
  bool Removes() { return sets_.Lease("a")->remove_on_expiry; }
};

TEST_F(LimitedLeaseTest, ItKeepsFromWhenAJobComesThatItsSetterMayNotWrite) {
  Lease(Only("node"));
  const ApplyResult result = Bring("db", Only("db"));
  EXPECT_EQ(result.status, ApplyStatus::kApplied);
  ASSERT_THAT(result.issues, SizeIs(1));
  EXPECT_EQ(result.issues[0].code, IssueCode::kNotOwner);
  EXPECT_EQ(result.issues[0].field, "lease.on_expiry");
  EXPECT_FALSE(result.issues[0].error);
  EXPECT_FALSE(Removes());
}

TEST_F(LimitedLeaseTest, ItKeepsAlsoWhatComesOfAClientOfAllJobs) {
  Lease(Only("node"));
  Bring("node", nullptr);
  EXPECT_TRUE(Removes());
  Bring("db", nullptr);
  EXPECT_FALSE(Removes());
}

TEST_F(LimitedLeaseTest, OneOfAClientOfAllJobsGoesOnToRemove) {
  Lease(nullptr);
  EXPECT_THAT(Bring("db", Only("db")).issues, IsEmpty());
  EXPECT_TRUE(Removes());
}

TEST_F(LimitedLeaseTest, AfterARestartItKeepsFromWhenTwoShareTheSource) {
  Restart();
  Bring("node", Only("node"));
  EXPECT_TRUE(Removes());
  Bring("db", Only("db"));
  EXPECT_FALSE(Removes());
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

}  // namespace
}  // namespace trawl
