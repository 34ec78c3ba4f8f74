#include "server/web/targets_overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/target_ref.h"
#include "server/web/page_files.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Json = nlohmann::json;

std::vector<std::string> Urls(const Json& pool) {
  std::vector<std::string> out;
  for (const Json& target : pool["targets"]) out.push_back(target["scrapeUrl"]);
  return out;
}

class TargetsOverviewTest : public ::testing::Test {
 protected:
  TargetsOverviewTest() {
    const auto down =
        WithReport(MakeTarget("node", "b:1"), {.health = TargetHealth::kDown,
                                               .last = {.start = absl::FromUnixMillis(5000),
                                                        .reason = FailureReason::kConnectionRefused,
                                                        .error = "dial tcp: Refused"}});
    const auto labelled = WithLabels(MakeTarget("node", "a:1"), {{"team", "Blue"}});
    pools_.pools = {MakePool("empty", {}), MakePool("node", {labelled, down}),
                    MakePool("web", {MakeTarget("web", "c:1")})};
  }

  Json Ask(const OverviewQuery& query) {
    return Json::parse(
        TargetsOverviewJson(pools_, lanes_, query, absl::FromUnixMillis(6000)))["data"];
  }

  PoolsSnapshot pools_;
  std::vector<std::shared_ptr<const LaneStatus>> lanes_;
};

TEST_F(TargetsOverviewTest, CountsEveryPoolAndListsThoseThatAreOpen) {
  const Json data = Ask({.closed = {"web"}});

  EXPECT_EQ(data["now"], 6000);
  ASSERT_EQ(data["pools"].size(), 3u);
  const Json& node = data["pools"][1];
  EXPECT_EQ(node["job"], "node");
  EXPECT_EQ(node["active"], 2);
  EXPECT_EQ(node["down"], 1);
  EXPECT_EQ(node["unknown"], 1);
  EXPECT_THAT(Urls(node), ElementsAre("http://a:1/metrics", "http://b:1/metrics"));
  EXPECT_FALSE(data["pools"][2].contains("targets"));
}

TEST_F(TargetsOverviewTest, WhatIsHeldAndWhatWasRefusedIsShown) {
  const Json plain = Ask({})["pools"][2]["targets"][0];
  EXPECT_FALSE(plain.contains("held"));
  EXPECT_FALSE(plain.contains("rejected"));
  const auto target = MakeTarget("web", "c:1");
  target->owners.front().held = true;
  pools_.pools[2] = MakePool("web", {target});
  RejectedSamples rejected;
  rejected.NoteRecord(1, target->target->public_hash);
  rejected.Count("mimir", 1, storage::v1::Reject::TOO_OLD, 3);
  auto lane = std::make_shared<LaneStatus>();
  lane->rejected = rejected.Snapshot();
  lanes_ = {lane};

  const Json shown = Ask({})["pools"][2]["targets"][0];

  EXPECT_EQ(shown["held"], true);
  EXPECT_EQ(shown["rejected"],
            Json::parse(R"([{"sink": "mimir", "code": "too_old", "samples": 3}])"));
}

TEST_F(TargetsOverviewTest, ATargetIsShownWithItsFailure) {
  const Json target = Ask({.health = TargetHealth::kDown})["pools"][1]["targets"][0];

  EXPECT_EQ(target["health"], "down");
  EXPECT_EQ(target["lastError"], "dial tcp: Refused");
  EXPECT_EQ(target["reason"], "connect_refused");
  EXPECT_EQ(target["lastScrape"], 5000);
  EXPECT_TRUE(target["history"].is_array());
}

TEST_F(TargetsOverviewTest, EveryWordOfTheSearchMustBeFoundInUrlLabelsOrError) {
  const auto found = [this](const std::string& search) {
    return Urls(Ask({.search = search})["pools"][1]);
  };

  EXPECT_THAT(found("blue"), ElementsAre("http://a:1/metrics"));
  EXPECT_THAT(found("TEAM=\"b"), ElementsAre("http://a:1/metrics"));
  EXPECT_THAT(found("refused b:1"), ElementsAre("http://b:1/metrics"));
  EXPECT_THAT(found("refused a:1"), IsEmpty());
}

TEST_F(TargetsOverviewTest, ALimitCutsTheListAndNotTheCount) {
  const Json node = Ask({.limit = 1})["pools"][1];
  const Json more = Ask({.limit = 1, .limit_of = {{"node", 2}}})["pools"][1];

  EXPECT_EQ(node["matching"], 2);
  EXPECT_EQ(node["targets"].size(), 1u);
  EXPECT_EQ(more["targets"].size(), 2u);
}

TEST_F(TargetsOverviewTest, OfManyTargetsTheFirstPoolsAreOpenUnlessAskedForOthers) {
  const Json few = Ask({.open_up_to = 2})["pools"];
  const Json asked = Ask({.open = {"web"}, .open_up_to = 2})["pools"];

  EXPECT_TRUE(few[1].contains("targets"));
  EXPECT_FALSE(few[2].contains("targets"));
  EXPECT_TRUE(asked[2].contains("targets"));
}

TEST_F(TargetsOverviewTest, BytesThatAreNoUtf8DoNotBreakTheAnswer) {
  pools_.pools = {MakePool("x", {WithLabels(MakeTarget("x", "a:1"), {{"l", "\xff<script>"}})})};

  EXPECT_EQ(Ask({})["pools"][0]["targets"][0]["labels"]["l"], "\xef\xbf\xbd<script>");
}

TEST_F(TargetsOverviewTest, AJobThatIsNotConfiguredIsListedWithWhatWaitsForIt) {
  auto desired = std::make_shared<DesiredTargets>();
  desired->job = "nod";
  desired->groups = OwnedGroups(
      {{"me", std::make_shared<const TargetGroup>(TargetGroup{"g", {"x:1", "y:1"}, {}})}});
  pools_.pending = {desired};

  const Json pools = Ask({})["pools"];
  const Json shown = Ask({.dropped = {"nod"}})["pools"][1];
  const Json closed = Ask({.closed = {"nod"}, .dropped = {"nod"}})["pools"][1];

  ASSERT_EQ(pools.size(), 4u);
  EXPECT_EQ(pools[1]["job"], "nod");
  EXPECT_EQ(pools[2]["job"], "node");
  EXPECT_EQ(pools[1]["pending"], true);
  EXPECT_FALSE(pools[2].contains("pending"));
  EXPECT_EQ(pools[1]["failed"], 2);
  EXPECT_EQ(pools[1]["active"], 0);
  EXPECT_FALSE(pools[1].contains("droppedTargets"));
  ASSERT_EQ(shown["droppedTargets"].size(), 2u);
  EXPECT_EQ(shown["droppedTargets"][0]["discoveredLabels"]["__address__"], "x:1");
  EXPECT_EQ(shown["droppedTargets"][0]["reason"], "job nod is not in the running configuration");
  EXPECT_FALSE(closed.contains("droppedTargets"));
}

TEST_F(TargetsOverviewTest, ADroppedTargetHasTheIdByWhichItIsFound) {
  pools_.pools = {WithDropped(MakePool("node", {}), "ops", {"d:1"})};

  const Json dropped = Ask({.dropped = {"node"}})["pools"][0]["droppedTargets"][0];

  status::v1::TargetRef ref;
  ref.set_job("node");
  ref.set_id(dropped["id"].get<std::string>());
  const absl::StatusOr<FoundTarget> found = FindTarget(pools_, ref);
  ASSERT_OK(found);
  EXPECT_EQ(found->dropped->address, "d:1");
}

TEST(PageFilesTest, ThePageAsksForNothingFromElsewhere) {
  ASSERT_EQ(PageFiles().size(), 3u);
  for (const EmbeddedFile& file : PageFiles()) {
    EXPECT_FALSE(file.content.empty());
    const std::string text(file.content);
    for (const char* outside : {"src=\"http", "href=\"http", "url(", "@import", "src=\"//"}) {
      EXPECT_EQ(text.find(outside), std::string::npos) << file.name << ": " << outside;
    }
    EXPECT_EQ(text.find("innerHTML"), std::string::npos) << file.name;
  }
}

}  // namespace
}  // namespace trawl
