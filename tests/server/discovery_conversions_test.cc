#include "server/discovery_conversions.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

pb::TargetGroup Group(const std::string& job, const std::string& key, const std::string& target) {
  pb::TargetGroup group;
  group.set_job(job);
  group.set_key(key);
  group.add_targets(target);
  return group;
}

Issue BadAddress(const std::string& field) {
  Issue issue;
  issue.code = IssueCode::kBadAddress;
  issue.group = {"node", "0"};
  issue.target_index = 0;
  issue.field = field;
  issue.detail = "\"a/b\" is not a valid hostname";
  return issue;
}

TEST(DiscoveryConversionsTest, AGroupSurvivesTheWayThereAndBack) {
  pb::TargetGroup group = Group("node", "rack7", "a:9100");
  group.add_targets("b:9100");
  (*group.mutable_labels())["env"] = "prod";
  (*group.mutable_labels())["__metrics_path__"] = "/m";

  const JobGroup core = ToJobGroup(group);

  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(ToProto(core.job, core.group), group));
}

// What else a target needs (files, credentials, proxies, headers) is the configuration's to say.
TEST(DiscoveryConversionsTest, AGroupHasRoomForAddressesAndLabelsOnly) {
  std::vector<std::string> fields;
  const google::protobuf::Descriptor& group = *pb::TargetGroup::descriptor();
  for (int i = 0; i < group.field_count(); ++i) fields.push_back(group.field(i)->name());

  EXPECT_THAT(fields, ElementsAre("job", "key", "targets", "labels"));
}

TEST(DiscoveryConversionsTest, ALeaseThatIsNoDurationIsBelowEveryLimit) {
  const auto ttl = [](int64_t seconds, int32_t nanos) {
    pb::UpdateRequest request;
    request.mutable_lease()->mutable_ttl()->set_seconds(seconds);
    request.mutable_lease()->mutable_ttl()->set_nanos(nanos);
    return *ToChange(request, "").lease->ttl;
  };
  EXPECT_EQ(ttl(3, 500'000'000), absl::Milliseconds(3500));
  EXPECT_EQ(ttl(-3, 0), absl::Seconds(-3));
  EXPECT_EQ(ttl(315'576'000'000, 0), absl::Seconds(315'576'000'000));
  EXPECT_EQ(ttl(315'576'000'001, 0), -absl::InfiniteDuration());
  EXPECT_EQ(ttl(5, -1), -absl::InfiniteDuration());
  EXPECT_EQ(ttl(5, 1'000'000'000), -absl::InfiniteDuration());
  EXPECT_EQ(ttl(std::numeric_limits<int64_t>::min(), 0), -absl::InfiniteDuration());
}

TEST(DiscoveryConversionsTest, EmptyLabelValuesAreAsIfAbsent) {
  pb::TargetGroup group = Group("node", "k", "a:1");
  (*group.mutable_labels())["gone"] = "";

  EXPECT_TRUE(ToJobGroup(group).group.labels.empty());
}

TEST(DiscoveryConversionsTest, KeylessGroupsOfAPushAreNumberedByJob) {
  pb::PushRequest request;
  *request.add_groups() = Group("node", "", "a:1");
  *request.add_groups() = Group("blackbox", "", "b:1");
  *request.add_groups() = Group("node", "", "c:1");

  const Change change = ToChange(request, "peer");

  EXPECT_EQ(change.scope, Change::Scope::kJobs);
  EXPECT_EQ(change.groups[0].group.key, "0");
  EXPECT_EQ(change.groups[1].group.key, "0");
  EXPECT_EQ(change.groups[2].group.key, "1");
}

TEST(DiscoveryConversionsTest, AKeyThatIsMissingBesideOthersStaysMissing) {
  pb::PushRequest request;
  *request.add_groups() = Group("node", "k", "a:1");
  *request.add_groups() = Group("node", "", "b:1");

  EXPECT_EQ(ToChange(request, "").groups[1].group.key, "");
}

TEST(DiscoveryConversionsTest, AbsentNumbersStayAbsent) {
  pb::UpdateRequest request;
  EXPECT_FALSE(ToChange(request, "").version);
  EXPECT_FALSE(ToChange(request, "").base_version);
  EXPECT_FALSE(ToChange(request, "").fencing_token);
  EXPECT_FALSE(ToChange(request, "").lease);

  request.set_version(0);
  request.set_base_version(0);
  request.set_fencing_token(0);
  request.mutable_lease()->set_on_expiry(pb::LeasePolicy::REMOVE);
  const Change change = ToChange(request, "");
  EXPECT_EQ(change.version, 0u);
  EXPECT_EQ(change.base_version, 0u);
  EXPECT_EQ(change.fencing_token, 0u);
  EXPECT_TRUE(change.lease->remove_on_expiry);
}

TEST(DiscoveryConversionsTest, AMessageOfNoKindIsAMonostate) {
  pb::SyncRequest request;
  request.set_id(7);

  const SyncInput input = ToSyncInput(request, "");

  EXPECT_EQ(input.id, 7u);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(input.message));
}

TEST(DiscoveryConversionsTest, AnAckOfAStagedPartHasNoCounts) {
  SyncAck ack;
  ack.id = 3;
  ack.staged = true;
  ack.result.applied_version = 40;

  const pb::Ack out = ToProto(ack);

  EXPECT_EQ(out.status(), pb::Ack::STAGED);
  EXPECT_EQ(out.applied_version(), 40u);
  EXPECT_FALSE(out.has_counts());
}

TEST(DiscoveryConversionsTest, IssuesOfRefusedGroupsAreRelativeToTheGroup) {
  EXPECT_EQ(RefusedToProto(BadAddress("groups[3].targets[0]")).field(), "targets[0]");
  EXPECT_EQ(RefusedToProto(BadAddress("groups[3]")).field(), "");
}

TEST(RejectionStatusTest, NamesEachWrongFieldByPath) {
  ApplyResult result;
  result.status = ApplyStatus::kRejected;
  result.issues = {BadAddress("groups[3].targets[0]"), BadAddress("groups[4].targets[1]")};
  result.issue_count = 2;

  EXPECT_THAT(RejectionStatus(result),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "groups[3].targets[0]: \"a/b\" is not a valid hostname; "
                       "groups[4].targets[1]: \"a/b\" is not a valid hostname"));
}

TEST(RejectionStatusTest, SaysHowManyMoreThereAreAndFitsIntoTheTrailers) {
  ApplyResult result;
  result.status = ApplyStatus::kRejected;
  for (int i = 0; i < 100; ++i) result.issues.push_back(BadAddress("groups[3].targets[0]"));
  result.issues[0].detail = std::string(100'000, 'x');
  result.issue_count = 5000;

  const absl::Status status = RejectionStatus(result);

  EXPECT_LT(status.message().size(), 5000u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("; and 4999 more"));
}

TEST(RejectionStatusTest, WarningsAreNotCounted) {
  ApplyResult result;
  result.status = ApplyStatus::kRejected;
  result.issues = {BadAddress("groups[3].targets[0]"), BadAddress("")};
  result.issues[1].error = false;
  result.issue_count = 2;

  EXPECT_EQ(RejectionStatus(result).message(),
            "groups[3].targets[0]: \"a/b\" is not a valid hostname");
}

TEST(RejectionStatusTest, CodesFollowTheCause) {
  ApplyResult result;
  result.status = ApplyStatus::kRejected;
  result.issues = {BadAddress("")};
  result.issues[0].code = IssueCode::kLimit;
  EXPECT_THAT(RejectionStatus(result), StatusIs(absl::StatusCode::kResourceExhausted));
  result.issues[0].code = IssueCode::kNotPersisted;
  EXPECT_THAT(RejectionStatus(result), StatusIs(absl::StatusCode::kUnavailable));
  result.issues[0].code = IssueCode::kHeldByOther;
  result.precondition = true;
  EXPECT_THAT(RejectionStatus(result), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(RejectionStatusTest, WarningsAreLeftOut) {
  ApplyResult result;
  result.status = ApplyStatus::kRejected;
  result.issues = {BadAddress("groups[0].targets[0]"), BadAddress("groups[1]")};
  result.issues[1].error = false;
  result.issue_count = 2;

  EXPECT_THAT(std::string(RejectionStatus(result).message()), Not(HasSubstr("groups[1]:")));
}

TEST(SourceConversionTest, StandingsAndTimesAreThoseOfTheProtocol) {
  SourceView view;
  view.name = "ops";
  const SourceClock clock{absl::FromUnixSeconds(1000), absl::Minutes(1)};
  EXPECT_EQ(ToProto(view, clock).state(), pb::Source::LIVE);
  EXPECT_FALSE(ToProto(view, clock).has_held_until());
  EXPECT_FALSE(ToProto(view, clock).has_last_heard());

  view.standing = SourceView::Standing::kRestored;
  EXPECT_EQ(ToProto(view, clock).state(), pb::Source::RESTORED);
  view.standing = SourceView::Standing::kHeld;
  EXPECT_EQ(ToProto(view, clock).state(), pb::Source::HELD);
  view.standing = SourceView::Standing::kOrphaned;
  EXPECT_EQ(ToProto(view, clock).state(), pb::Source::ORPHANED);

  view.counts.held = 3;
  view.held_for = absl::Seconds(7);
  EXPECT_EQ(ToProto(view, clock).held_until().seconds(), 1007);
  EXPECT_EQ(ToProto(view, clock).counts().held(), 3u);
}

}  // namespace
}  // namespace trawl
