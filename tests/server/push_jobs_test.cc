#include "server/push_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/config/load.h"
#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config ConfigOf(const std::string& text) {
  absl::StatusOr<LoadResult> loaded = LoadConfig(text, {});
  EXPECT_OK(loaded);
  return std::move(loaded->config);
}

class PushJobsTest : public ::testing::Test {
 protected:
  PushJobsTest() {
    discovery_.SetKnownJobsAsync({"pods", "nodes", "static"}, [] {});
  }

  void Push(const std::string& job) {
    Change change;
    change.source = "pusher";
    change.groups.push_back({job, TargetGroup{"group", {"host:1"}, {}}});
    ApplyResult result;
    discovery_.ApplyAsync(std::move(change), [&result](ApplyResult r) { result = std::move(r); });
    loop_.RunUntilIdle();
    EXPECT_EQ(result.status, ApplyStatus::kApplied);
  }
  std::string Gauges() {
    loop_.RunUntilIdle();
    return metrics_.Serialize();
  }

  FakeEventLoop loop_;
  Metrics metrics_;
  Discovery discovery_{{},
                       {loop_, [](auto, absl::AnyInvocable<void()> done) { done(); },
                        metrics_.discovery(), nullptr}};
  PushJobs push_jobs_{{discovery_, metrics_.discovery()}};
};

TEST_F(PushJobsTest, AJobThatNobodyPushesIsTold) {
  push_jobs_.Set(ConfigOf(R"(
scrape_configs:
  - {job_name: pods, kubernetes_sd_configs: [{role: pod}]}
  - {job_name: static, static_configs: [{targets: [a]}]}
)"));

  EXPECT_THAT(Gauges(), HasSubstr("\ntrawl_job_without_source{job=\"pods\"} 1\n"));
  EXPECT_THAT(Gauges(), Not(HasSubstr("trawl_job_without_source{job=\"static\"}")));
}

TEST_F(PushJobsTest, OneThatIsPushedHasItsSourceFromTheNextCountOn) {
  push_jobs_.Set(
      ConfigOf("scrape_configs: [{job_name: pods, kubernetes_sd_configs: [{role: pod}]}]"));
  Push("pods");

  push_jobs_.Count();

  EXPECT_THAT(Gauges(), HasSubstr("\ntrawl_job_without_source{job=\"pods\"} 0\n"));
}

TEST_F(PushJobsTest, AJobThatTheConfigurationNoLongerHasEnds) {
  push_jobs_.Set(
      ConfigOf("scrape_configs: [{job_name: pods, kubernetes_sd_configs: [{role: pod}]}]"));
  loop_.RunUntilIdle();

  push_jobs_.Set(
      ConfigOf("scrape_configs: [{job_name: nodes, kubernetes_sd_configs: [{role: node}]}]"));

  EXPECT_THAT(Gauges(), Not(HasSubstr("job=\"pods\"")));
  EXPECT_THAT(Gauges(), HasSubstr("\ntrawl_job_without_source{job=\"nodes\"} 1\n"));
}

}  // namespace
}  // namespace trawl
