#include "server/config_reloads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/fake_fetcher.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

namespace pb = status::v1;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Answer = absl::StatusOr<pb::ReloadConfigResponse>;
using Planned = absl::StatusOr<pb::PlanConfigResponse>;

// What is applied is only written down, and can be told to fail.
class ConfigReloadsTest : public ::testing::Test {
 protected:
  ConfigReloadsTest() {
    EXPECT_OK(files_.CreateDirectory("/etc"));
    Write("scrape_configs: [{job_name: first}]\n");
    absl::StatusOr<LoadedConfig> first = LoadConfigFiles(files_, {kFile, ""}, {});
    EXPECT_OK(first);
    EXPECT_OK(reloads_.Start(*first));
  }

  void Write(const std::string& text) { EXPECT_OK(WriteFileDurably(files_, kFile, text)); }

  void Reload() {
    reloads_.Reload([this](Answer answer) { answers_.push_back(std::move(answer)); });
  }
  Answer ReloadNow() {
    Reload();
    loop_.RunUntilIdle();
    EXPECT_FALSE(answers_.empty());
    return answers_.back();
  }
  pb::GetConfigResponse Shown() {
    absl::StatusOr<pb::GetConfigResponse> shown = reloads_.Show({});
    EXPECT_OK(shown);
    return *std::move(shown);
  }
  bool LastReloadFailed() {
    return metrics_.Serialize().find("\nprometheus_config_last_reload_successful 0\n") !=
           std::string::npos;
  }

  void Plan() {
    pb::PlanConfigRequest request;
    request.set_config("scrape_configs: [{job_name: second}]\n");
    reloads_.Plan(
        request, [this](Planned plan) { plans_.push_back(std::move(plan)); },
        [this] { return callers_gone_; });
  }

  static constexpr char kFile[] = "/etc/prometheus.yml";

  FakeEventLoop loop_;
  FakeEventLoop plan_loop_;
  MemFileSystem files_;
  FakeHttpClientFactory clients_;
  Metrics metrics_;
  absl::Status next_accept_;
  absl::Status next_apply_;
  std::vector<std::string> applied_;  // the first job of each
  std::vector<Answer> answers_;
  std::vector<Planned> plans_;
  bool callers_gone_ = false;
  ConfigReloads reloads_{
      {.planner = {.config_file = kFile,
                   .env = [](std::string_view) { return std::optional<std::string>(); }},
       .max_plans = 2},
      {.loop = loop_,
       .plan_loop = plan_loop_,
       .clock = loop_,
       .files = files_,
       .clients = clients_,
       .pools = [] { return std::make_shared<const PoolsSnapshot>(); },
       .accept = [this](const Config&) { return std::exchange(next_accept_, absl::OkStatus()); },
       .apply =
           [this](const LoadedConfig& next) {
             applied_.push_back(next.config->scrape_configs[0].job_name);
             return std::exchange(next_apply_, absl::OkStatus());
           },
       .metrics = metrics_.server()}};
};

TEST_F(ConfigReloadsTest, TheFirstConfigurationIsAppliedAndShown) {
  EXPECT_THAT(applied_, ElementsAre("first"));
  EXPECT_THAT(Shown().config(), HasSubstr("job_name: first"));
  EXPECT_THAT(Shown().last_reload_error(), IsEmpty());
  EXPECT_FALSE(LastReloadFailed());
}

TEST_F(ConfigReloadsTest, AReloadSaysWhatItDoesAndIsShown) {
  Write("scrape_configs: [{job_name: second}]\n");

  ASSERT_OK_AND_ASSIGN(const pb::ReloadConfigResponse response, ReloadNow());

  EXPECT_THAT(response.jobs(), SizeIs(2));
  EXPECT_THAT(applied_, ElementsAre("first", "second"));
  EXPECT_THAT(Shown().config(), HasSubstr("job_name: second"));
}

TEST_F(ConfigReloadsTest, WhoAsksBeforeAReloadHasBegunSharesIt) {
  Reload();
  Reload();
  loop_.RunUntilIdle();

  EXPECT_THAT(applied_, ElementsAre("first", "first"));
  EXPECT_THAT(answers_, SizeIs(2));
}

TEST_F(ConfigReloadsTest, WrongFilesAreRefusedAndWhatRanIsShownWithTheErrorUntilOneSucceeds) {
  Write("scrape_configs: [{job_name: first}, {job_name: first}]\n");
  EXPECT_THAT(ReloadNow(), StatusIs(absl::StatusCode::kFailedPrecondition));

  EXPECT_THAT(applied_, ElementsAre("first"));
  EXPECT_THAT(Shown().config(), HasSubstr("job_name: first"));
  EXPECT_THAT(Shown().last_reload_error(), Not(IsEmpty()));
  EXPECT_TRUE(LastReloadFailed());

  Write("scrape_configs: [{job_name: first}]\n");
  EXPECT_OK(ReloadNow());
  EXPECT_THAT(Shown().last_reload_error(), IsEmpty());
  EXPECT_FALSE(LastReloadFailed());
}

TEST_F(ConfigReloadsTest, WhatIsNotAcceptedIsNotApplied) {
  Write("scrape_configs: [{job_name: second}]\n");
  next_accept_ = absl::InternalError("no such certificate");

  EXPECT_THAT(ReloadNow(), StatusIs(absl::StatusCode::kInternal));

  EXPECT_THAT(applied_, ElementsAre("first"));
  EXPECT_THAT(Shown().config(), HasSubstr("job_name: first"));
  EXPECT_EQ(Shown().last_reload_error(), "no such certificate");
}

TEST_F(ConfigReloadsTest, WhatWasAcceptedRunsAlthoughAJobCouldNotTakeIt) {
  Write("scrape_configs: [{job_name: second}]\n");
  next_apply_ = absl::InternalError("failed to apply the new configuration");

  EXPECT_THAT(ReloadNow(), StatusIs(absl::StatusCode::kInternal));

  EXPECT_THAT(Shown().config(), HasSubstr("job_name: second"));
  EXPECT_EQ(Shown().last_reload_error(), "failed to apply the new configuration");
  EXPECT_TRUE(LastReloadFailed());
}

TEST_F(ConfigReloadsTest, APlanComparesWithWhatRunsAppliesNothingAndHoldsUpNothing) {
  Plan();
  Reload();
  loop_.RunUntilIdle();
  EXPECT_THAT(plans_, IsEmpty());
  EXPECT_THAT(answers_, SizeIs(1));
  plan_loop_.RunUntilIdle();

  ASSERT_THAT(plans_, SizeIs(1));
  ASSERT_OK(plans_[0]);
  EXPECT_THAT(plans_[0]->jobs(), SizeIs(2));
  EXPECT_THAT(applied_, ElementsAre("first", "first"));
}

TEST_F(ConfigReloadsTest, OneMorePlanThanMayWaitIsRefusedAtOnceAndCounted) {
  for (int i = 0; i < 3; ++i) Plan();

  ASSERT_THAT(plans_, SizeIs(1));
  EXPECT_THAT(plans_[0], StatusIs(absl::StatusCode::kResourceExhausted,
                                  HasSubstr("2 plans are waiting already: --status.max-plans")));
  EXPECT_EQ(metrics_.server().plans_refused_total.Value(), 1);

  plan_loop_.RunUntilIdle();
  Plan();
  plan_loop_.RunUntilIdle();
  EXPECT_THAT(plans_, SizeIs(4));
  for (size_t i = 1; i < plans_.size(); ++i) EXPECT_OK(plans_[i]);
}

TEST_F(ConfigReloadsTest, NothingIsPlannedForACallerThatIsGone) {
  Plan();
  callers_gone_ = true;
  plan_loop_.RunUntilIdle();

  EXPECT_THAT(plans_, ElementsAre(StatusIs(absl::StatusCode::kCancelled)));
}

TEST_F(ConfigReloadsTest, AfterCloseWhoWaitsAndWhoComesLaterIsToldThatItIsTooLate) {
  Reload();
  reloads_.Close();
  Reload();
  loop_.RunUntilIdle();

  EXPECT_THAT(answers_, ElementsAre(StatusIs(absl::StatusCode::kUnavailable),
                                    StatusIs(absl::StatusCode::kUnavailable)));
  EXPECT_THAT(applied_, ElementsAre("first"));
}

}  // namespace
}  // namespace trawl
