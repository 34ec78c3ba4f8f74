// Versions, histories and snapshots: in which order changes are taken.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/core/discovery/target_sets_fixture.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace trawl
