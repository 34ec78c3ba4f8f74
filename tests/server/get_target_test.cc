#include "server/get_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/status_conversions.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;
using ::testing::HasSubstr;

PoolsSnapshot TwoPools() {
  PoolsSnapshot pools;
  pools.pools = {
      MakePool("api", {MakeTarget("api", "a:1")}),
      WithDropped(MakePool("node", {MakeTarget("node", "a:1"), MakeTarget("node", "b:1")}), "ops",
                  {"d:1"})};
  return pools;
}

pb::GetTargetRequest Request(const std::string& job, const std::string& id,
                             const std::string& url) {
  pb::GetTargetRequest request;
  request.mutable_target()->set_job(job);
  request.mutable_target()->set_id(id);
  request.mutable_target()->set_scrape_url(url);
  return request;
}

TEST(GetTargetTest, FindsByUrlOrByIdInOneJobOrAny) {
  ASSERT_OK_AND_ASSIGN(const auto by_url,
                       GetTarget(TwoPools(), Request("", "", "http://b:1/metrics")));
  EXPECT_EQ(by_url.target().job(), "node");
  ASSERT_OK_AND_ASSIGN(const auto by_id,
                       GetTarget(TwoPools(), Request("", by_url.target().id(), "")));
  EXPECT_EQ(by_id.target().scrape_url(), "http://b:1/metrics");
  ASSERT_OK_AND_ASSIGN(const auto in_job,
                       GetTarget(TwoPools(), Request("api", "", "http://a:1/metrics")));
  EXPECT_EQ(in_job.target().job(), "api");
}

TEST(GetTargetTest, SeveralAreToldApart) {
  const auto several = GetTarget(TwoPools(), Request("", "", "http://a:1/metrics"));

  EXPECT_THAT(several, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(several.status().message()), HasSubstr("fits 2 targets: id "));
}

TEST(GetTargetTest, WhatIsNotThereIsNotFoundAndWhatNamesNothingIsAnError) {
  EXPECT_THAT(GetTarget(TwoPools(), Request("node", "", "http://c:1/metrics")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(GetTarget(TwoPools(), Request("", "0123456789abcdef", "")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(GetTarget(TwoPools(), Request("node", "", "")),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(GetTargetTest, ADroppedTargetIsFoundByItsId) {
  const PoolsSnapshot pools = TwoPools();
  const std::string id = TargetId(ListDropped(*pools.pools[1]).front().hash);

  ASSERT_OK_AND_ASSIGN(const auto found, GetTarget(pools, Request("", id, "")));

  EXPECT_EQ(found.target().state(), pb::Target::DROPPED);
  EXPECT_EQ(found.history_size(), 0);
}

TEST(GetTargetTest, TheHistoryIsTheNewestFirstWithWhatWasReached) {
  auto target = MakeTarget("node", "a:1");
  auto status = std::make_shared<TargetStatus>();
  ScrapeRecord record;
  record.start = absl::FromUnixSeconds(1000);
  record.phases.first_byte = absl::Milliseconds(3);
  record.http_status = 200;
  record.content_type = "text/plain";
  record.connection_reused = true;
  status->Set({.health = TargetHealth::kUp}, record);
  record = ScrapeRecord();
  record.start = absl::FromUnixSeconds(1010);
  record.reason = FailureReason::kTimeoutConnect;
  record.error = "context deadline exceeded";
  record.phases.connect = absl::Seconds(10);
  status->Set({.health = TargetHealth::kDown}, record);
  target->status = status;
  PoolsSnapshot pools;
  pools.pools = {MakePool("node", {target})};

  ASSERT_OK_AND_ASSIGN(const auto found, GetTarget(pools, Request("", "", "http://a:1/metrics")));

  ASSERT_EQ(found.history_size(), 2);
  const pb::Scrape& bad = found.history(0);
  EXPECT_EQ(bad.health(), pb::Target::DOWN);
  EXPECT_EQ(bad.failure_reason(), pb::Failure::CONNECT_TIMEOUT);
  EXPECT_EQ(bad.phases().connect().seconds(), 10);
  EXPECT_FALSE(bad.phases().has_first_byte());
  const pb::Scrape& good = found.history(1);
  EXPECT_EQ(good.health(), pb::Target::UP);
  EXPECT_EQ(good.start().seconds(), 1000);
  EXPECT_EQ(good.http_status(), 200u);
  EXPECT_TRUE(good.connection_reused());
}

}  // namespace
}  // namespace trawl
