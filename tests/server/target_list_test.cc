#include "server/target_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/status_conversions.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::shared_ptr<PoolStatus> NodePool() {
  return MakePool("node", {MakeTarget("node", "a:1"), WithReport(MakeTarget("node", "b:1", "ops"),
                                                                 {.health = TargetHealth::kUp})});
}

PoolsSnapshot TwoPools() {
  PoolsSnapshot pools;
  pools.pools = {MakePool("api", {MakeTarget("api", "c:1")}),
                 WithDropped(NodePool(), "ops2", {"d:1"})};
  return pools;
}

std::vector<std::string> Hosts(const pb::ListTargetsResponse& list) {
  std::vector<std::string> hosts;
  for (const pb::Target& target : list.targets()) {
    hosts.push_back(target.discovered_labels().at("__address__"));
  }
  return hosts;
}

std::vector<std::string> List(const pb::ListTargetsRequest& request) {
  const auto list = ListTargets(TwoPools(), request);
  EXPECT_OK(list);
  return Hosts(list.value_or(pb::ListTargetsResponse()));
}

TEST(TargetListTest, OrdersByJobAndUrl) {
  EXPECT_THAT(List({}), ElementsAre("c:1", "d:1", "a:1", "b:1"));
}

TEST(TargetListTest, FiltersByJobSourceStateAndHealth) {
  pb::ListTargetsRequest job;
  job.set_job("api");
  EXPECT_THAT(List(job), ElementsAre("c:1"));

  pb::ListTargetsRequest source;
  source.set_source("ops");
  EXPECT_THAT(List(source), ElementsAre("b:1"));
  source.set_source("ops2");
  EXPECT_THAT(List(source), ElementsAre("d:1"));

  pb::ListTargetsRequest state;
  state.set_state(pb::Target::DROPPED);
  EXPECT_THAT(List(state), ElementsAre("d:1"));

  pb::ListTargetsRequest health;
  health.set_health(pb::Target::UP);
  EXPECT_THAT(List(health), ElementsAre("b:1"));
  health.set_health(pb::Target::DOWN);
  EXPECT_THAT(List(health), IsEmpty());
}

TEST(TargetListTest, MatchersLookAtFinalLabelsAndHiddenOnesAtTheDiscovered) {
  pb::ListTargetsRequest request;
  request.add_matchers("instance=~\"[ab]:1\"");
  EXPECT_THAT(List(request), ElementsAre("a:1", "b:1"));
  request.add_matchers("__address__!=a:1");
  EXPECT_THAT(List(request), ElementsAre("b:1"));
}

TEST(TargetListTest, AMatchersValueTakesEitherQuotesOrNone) {
  for (const char* text : {"instance=a:1", "instance=\"a:1\"", "instance='a:1'", "instance = 'a:1'",
                           "instance=\"\\x61:1\""}) {
    pb::ListTargetsRequest request;
    request.set_state(pb::Target::ACTIVE);
    request.add_matchers(text);
    EXPECT_THAT(List(request), ElementsAre("a:1")) << text;
  }
}

TEST(TargetListTest, AMatcherThatCantBeReadIsAnError) {
  for (const char* text : {"", "=x", " =\"x\"", "name", "a=~(", "a!b", "a=\"x", "a='x", "a='x\"",
                           "a==x", "a!==x", "a=~~x", "{a=\"x\"}", "a b=x", "\"a\"=x"}) {
    pb::ListTargetsRequest request;
    request.add_matchers(text);
    EXPECT_THAT(ListTargets(TwoPools(), request), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(TargetListTest, PagesShowEachTargetOnceAlsoWhenOthersComeAndGo) {
  pb::ListTargetsRequest request;
  request.set_page_size(2);
  ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse first, ListTargets(TwoPools(), request));
  EXPECT_THAT(Hosts(first), ElementsAre("c:1", "d:1"));
  EXPECT_EQ(first.total_size(), 4u);

  // The last one that was shown goes, one before it comes.
  PoolsSnapshot changed = TwoPools();
  changed.pools = {MakePool("api", {MakeTarget("api", "b:1"), MakeTarget("api", "c:1")}),
                   NodePool()};
  request.set_page_token(first.next_page_token());
  ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse second, ListTargets(changed, request));

  EXPECT_THAT(Hosts(second), ElementsAre("a:1", "b:1"));
  EXPECT_EQ(second.next_page_token(), "");
}

TEST(TargetListTest, EqualDroppedTargetsAreShownOnceEachOverPages) {
  PoolsSnapshot pools;
  pools.pools = {WithDropped(MakePool("node", {}), "ops", {"d:1", "d:1", "d:1"})};
  pb::ListTargetsRequest request;
  request.set_page_size(1);
  size_t shown = 0;
  do {
    ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse page, ListTargets(pools, request));
    shown += static_cast<size_t>(page.targets_size());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && shown < 10);

  EXPECT_EQ(shown, 3u);
}

TEST(TargetListTest, AForeignPageTokenIsAnError) {
  for (const char* token : {"x", "6a.6b", "zz.zz.zz.zz", "6.6.6.6"}) {
    pb::ListTargetsRequest request;
    request.set_page_token(token);
    EXPECT_THAT(ListTargets(TwoPools(), request), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(TargetListTest, TargetsOfPendingJobsAreListedAsDropped) {
  PoolsSnapshot pools = TwoPools();
  const auto group = std::make_shared<const TargetGroup>(TargetGroup{"g", {"e:1"}, {}});
  for (const char* job : {"a-first", "middle", "z-last"}) {
    pools.pending.push_back(
        std::make_shared<const DesiredTargets>(DesiredTargets{job, {{"ops", group}}}));
  }
  ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse list, ListTargets(pools, {}));

  EXPECT_THAT(Hosts(list), ElementsAre("e:1", "c:1", "e:1", "d:1", "a:1", "b:1", "e:1"));
  const pb::Target& pending = list.targets(2);
  EXPECT_EQ(pending.job(), "middle");
  EXPECT_EQ(pending.state(), pb::Target::DROPPED);
  EXPECT_EQ(pending.drop().reason(), pb::Drop::PENDING_JOB);
  EXPECT_EQ(pending.drop().detail(), "job middle is not in the running configuration");
  EXPECT_EQ(pending.owners(0).key(), "g");
}

TEST(TargetListTest, TargetsWhoseLabelsAreSharedSaySo) {
  const Labels shared{{"instance", "x"}};
  PoolsSnapshot pools;
  pools.pools = {
      MakePool("node", {WithLabels(MakeTarget("node", "a:1"), shared), MakeTarget("node", "b:1"),
                        WithLabels(MakeTarget("node", "c:1"), shared)})};
  pb::ListTargetsRequest request;
  request.set_page_size(2);  // the other one of the two is not on the page
  ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse list, ListTargets(pools, request));

  EXPECT_TRUE(list.targets(0).labels_shared());
  EXPECT_FALSE(list.targets(1).labels_shared());
}

TEST(StatusConversionsTest, ADroppedTargetSaysWhichRule) {
  const auto pool = WithDropped(MakePool("node", {}), "ops", {"d:1"});
  const pb::Target target = ToProto(ListDropped(*pool)[0]);

  EXPECT_EQ(target.drop().reason(), pb::Drop::RELABEL);
  EXPECT_EQ(target.drop().rule_index(), 2u);
  EXPECT_EQ(target.drop().action(), "keep");
  EXPECT_EQ(target.drop().detail(), "dropped by relabel_configs[2] (keep)");
  EXPECT_EQ(target.id().size(), 16u);
  EXPECT_EQ(target.owners(0).source(), "ops");
  EXPECT_EQ(target.owners(0).key(), "0");
}

TEST(StatusConversionsTest, ATargetIsHeldIfAllWhoNameItHoldIt) {
  auto target = MakeTarget("node", "a:1");
  const auto shown = [&] { return ToProto(*MakePool("node", {target}), *target); };

  EXPECT_FALSE(shown().held());
  target->owners.push_back(
      {std::make_shared<const GroupOrigin>(GroupOrigin{"ops", "0", {}}), "a:1", /*held=*/true});
  EXPECT_FALSE(shown().held());
  target->owners.erase(target->owners.begin());
  EXPECT_TRUE(shown().held());
  target->owners[0].held = false;  // listed, in the same group
  EXPECT_FALSE(shown().held());
}

TEST(StatusConversionsTest, WhatSinksRefusedOfATargetIsAddedUpOverLanes) {
  const auto pool = MakePool("node", {MakeTarget("node", "a:1"), MakeTarget("node", "b:1")});
  const auto lane = [](uint64_t target, int code, uint64_t samples) {
    RejectedSamples rejected;
    rejected.NoteRecord(1, target);
    rejected.Count("mimir", 1, code, samples);
    auto status = std::make_shared<LaneStatus>();
    status->rejected = rejected.Snapshot();
    return status;
  };
  const auto first = *pool->active.begin();
  const uint64_t hash = first->target->public_hash;
  const std::vector<std::shared_ptr<const LaneStatus>> lanes = {
      lane(hash, storage::v1::Reject::TOO_OLD, 3), lane(hash, storage::v1::Reject::TOO_OLD, 4),
      lane(hash, storage::v1::Reject::REFUSED, 1), std::make_shared<LaneStatus>()};

  std::vector<pb::Target> targets;
  for (const auto& active : pool->active) {
    AddRejected(lanes, targets.emplace_back(ToProto(*pool, *active)));
  }

  ASSERT_EQ(targets[0].rejected_size(), 2);
  EXPECT_EQ(targets[0].rejected(0).sink(), "mimir");
  EXPECT_EQ(targets[0].rejected(0).code(), storage::v1::Reject::TOO_OLD);
  EXPECT_EQ(targets[0].rejected(0).samples(), 7u);
  EXPECT_EQ(targets[0].rejected(1).code(), storage::v1::Reject::REFUSED);
  EXPECT_EQ(targets[1].rejected_size(), 0);
}

TEST(StatusConversionsTest, ASinksLaneSaysWhatWaitsWhatIsLostAndWhatItIsStuckAt) {
  PoolsSnapshot pools;
  pools.pools = {MakePool("node", {MakeTarget("node", "a:1"), MakeTarget("node", "b:1")})};
  auto lane = std::make_shared<LaneStatus>();
  SinkStatus& sink = lane->sinks.emplace_back();
  sink.name = "mimir";
  sink.backlog_bytes = 2'000;
  sink.backlog_samples = 30;
  sink.window_bytes = 4'000;
  sink.durable_time = absl::FromUnixSeconds(100);
  sink.last_ack = absl::FromUnixSeconds(101);
  sink.gap_records = {{storage::v1::Gap::SPOOL_CAP, 5}};
  sink.gap_samples = {{storage::v1::Gap::SPOOL_CAP, 50}};
  sink.stuck_number = 7;
  sink.stuck_target = Labels{{"instance", "b:1"}, {"job", "node"}};

  const SinkDescription description{.name = "mimir", .address = "", .endpoint = {}};
  const auto response = ToProto(std::vector{description},
                                std::vector<std::shared_ptr<const LaneStatus>>{lane}, pools, 1);

  const pb::SinkLane& shown = response.sinks(0).lanes(0);
  EXPECT_EQ(shown.queued_bytes(), 2'000u);
  EXPECT_EQ(shown.queued_samples(), 30u);
  EXPECT_EQ(shown.window_bytes(), 4'000u);
  EXPECT_EQ(shown.durable_time().seconds(), 100);
  EXPECT_EQ(shown.last_ack().seconds(), 101);
  EXPECT_FALSE(shown.has_last_error_time());
  ASSERT_EQ(shown.lost_size(), 1);
  EXPECT_EQ(shown.lost(0).records(), 5u);
  EXPECT_EQ(shown.lost(0).samples(), 50u);
  EXPECT_EQ(shown.stuck().number(), 7u);
  EXPECT_EQ(shown.stuck().target().job(), "node");
  EXPECT_EQ(shown.stuck().target().scrape_url(), "http://b:1/metrics");
  EXPECT_EQ(shown.stuck().target_labels(), R"({instance="b:1", job="node"})");
}

TEST(StatusConversionsTest, LabelsThatNoneOrSeveralHaveNameNoTarget) {
  const Labels shared{{"instance", "x"}, {"job", "node"}};
  PoolsSnapshot pools;
  pools.pools = {MakePool("node", {WithLabels(MakeTarget("node", "a:1"), shared),
                                   WithLabels(MakeTarget("node", "b:1"), shared)})};

  EXPECT_EQ(TargetWithLabels(pools, shared).id(), "");
  EXPECT_EQ(TargetWithLabels(pools, Labels{{"instance", "y"}}).id(), "");
  EXPECT_EQ(TargetWithLabels(pools, {}).id(), "");
}

TEST(StatusConversionsTest, ATargetThatWasNeverScrapedHasNoLastScrape) {
  const auto pool = MakePool("node", {MakeTarget("node", "a:1")});
  const pb::Target target = ToProto(*pool, **pool->active.begin());

  EXPECT_EQ(target.health(), pb::Target::UNKNOWN);
  EXPECT_FALSE(target.has_last_scrape());
  EXPECT_FALSE(target.has_last_samples());
  EXPECT_EQ(target.scrape_interval().seconds(), 15);
}

TEST(StatusConversionsTest, ReasonsOnTheWireAreTheWordsOfMetricAndLog) {
  for (int i = 1; i <= static_cast<int>(FailureReason::kAppend); ++i) {
    const auto reason = static_cast<FailureReason>(i);
    EXPECT_EQ(absl::AsciiStrToLower(pb::Failure::Reason_Name(ToProto(reason))),
              FailureReasonName(reason));
  }
}

TEST(StatusConversionsTest, WhatIsInvalidOrADuplicateWasNotDroppedByARule) {
  PoolStatus status(*TwoPools().pools[1]);
  status.dropped_count = 5;
  status.failed_count = 3;
  status.duplicate_count = 2;

  const pb::Pool pool = ToProto(status);

  EXPECT_EQ(pool.dropped(), 5u);
  EXPECT_EQ(pool.invalid(), 3u);
  EXPECT_EQ(pool.duplicates(), 2u);
}

TEST(StatusConversionsTest, APoolCountsItsTargetsByHealth) {
  const pb::Pool pool = ToProto(*TwoPools().pools[1]);

  EXPECT_EQ(pool.active(), 2u);
  EXPECT_EQ(pool.up(), 1u);
  EXPECT_EQ(pool.unknown(), 1u);
  EXPECT_EQ(pool.dropped(), 1u);
  EXPECT_EQ(pool.invalid(), 0u);
  EXPECT_THAT(pool.sources(), ElementsAre("ops", "ops2", "static"));
}

}  // namespace
}  // namespace trawl
