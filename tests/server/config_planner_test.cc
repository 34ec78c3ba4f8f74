#include "server/config_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/fake_fetcher.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kRunning = R"yaml(
scrape_configs:
  - job_name: files
    file_sd_configs: [{files: [sd/*.json]}]
  - job_name: node
    static_configs: [{targets: [a, b]}]
  - job_name: push
)yaml";

class ConfigPlannerTest : public ::testing::Test {
 protected:
  ConfigPlannerTest() {
    EXPECT_OK(files_.CreateDirectory("/etc/sd"));
    EXPECT_OK(WriteFileDurably(files_, "/etc/sd/x.json", R"([{"targets": ["f1", "f2"]}])"));
    EXPECT_OK(WriteFileDurably(files_, "/etc/prometheus.yml", std::string(kRunning)));
    absl::StatusOr<LoadedConfig> running = LoadConfigFiles(files_, {"/etc/prometheus.yml", ""}, {});
    EXPECT_OK(running);
    running_ = *running;
    // What a manager has after that config was loaded.
    AddJob("files", {{"file", "/etc/sd/x.json:0"}}, {"f1", "f2"});
    AddJob("node", {{"static", "0"}}, {"a", "b"});
    AddJob("push", {{"pusher", "g"}}, {"p"});
  }

  void AddJob(const std::string& job, std::vector<std::pair<std::string, std::string>> groups,
              std::vector<std::string> targets) {
    std::vector<std::shared_ptr<const ActiveTarget>> active;
    for (const std::string& target : targets) active.push_back(MakeTarget(job, target));
    auto pool = MakePool(job, active);
    pool->config = {running_.config, running_.config->FindJob(job)};
    Labels labels;
    if (job == "files") labels = Labels({{"__meta_filepath", "/etc/sd/x.json"}});
    std::vector<std::shared_ptr<const PoolGroup>> pool_groups;
    for (const auto& [source, key] : groups) {
      auto group = std::make_shared<PoolGroup>();
      group->origin = std::make_shared<const GroupOrigin>(GroupOrigin{source, key, labels});
      group->group = std::make_shared<const TargetGroup>(TargetGroup{key, targets, labels});
      pool_groups.push_back(std::move(group));
    }
    pool->groups = pool_groups;
    pools_.pools.push_back(std::move(pool));
  }

  absl::StatusOr<pb::PlanConfigResponse> Plan(const std::string& text, uint32_t max_targets = 10) {
    pb::PlanConfigRequest request;
    request.set_config(text);
    request.set_max_targets(max_targets);
    return planner_.Plan(request, running_, pools_);
  }

  static std::string Edited(const std::string& from, const std::string& to) {
    std::string text(kRunning);
    return text.replace(text.find(from), from.size(), to);
  }

  MemFileSystem files_;
  FakeHttpClientFactory clients_;
  LoadedConfig running_;
  PoolsSnapshot pools_;
  ConfigPlanner planner_{{.config_file = "/etc/prometheus.yml",
                          .env = [](std::string_view) { return std::optional<std::string>(); }},
                         {files_, clients_}};
};

TEST_F(ConfigPlannerTest, TheRunningTextChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan, Plan(std::string(kRunning)));

  ASSERT_THAT(plan.jobs(), SizeIs(3));
  for (const pb::JobPlan& job : plan.jobs()) {
    EXPECT_EQ(job.change(), pb::JobPlan::UNCHANGED);
    EXPECT_EQ(job.added() + job.removed() + job.restarted(), 0);
  }
  EXPECT_EQ(plan.jobs(0).unchanged(), 2);
  EXPECT_THAT(plan.sink_changes(), IsEmpty());
  EXPECT_THAT(plan.warnings(), IsEmpty());
}

TEST_F(ConfigPlannerTest, TargetsAreListedWithWhatHappensToThem) {
  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan, Plan(Edited("[a, b]", "[b, c]")));

  const pb::JobPlan& node = plan.jobs(1);
  EXPECT_EQ(node.change(), pb::JobPlan::CHANGED);
  EXPECT_THAT(node.fields(), ElementsAre("static_configs"));
  EXPECT_EQ(node.unchanged(), 1);
  ASSERT_THAT(node.targets(), SizeIs(2));
  EXPECT_EQ(node.targets(0).change(), pb::TargetPlan::ADDED);
  EXPECT_EQ(node.targets(0).target().scrape_url(), "http://c/metrics");
  EXPECT_EQ(node.targets(0).target().id().size(), 16);
  EXPECT_EQ(node.targets(1).change(), pb::TargetPlan::REMOVED);
  EXPECT_EQ(node.targets(1).target().labels().at("instance"), "a");

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse numbers, Plan(Edited("[a, b]", "[b, c]"), 0));
  EXPECT_EQ(numbers.jobs(1).added(), 1);
  EXPECT_THAT(numbers.jobs(1).targets(), IsEmpty());
}

TEST_F(ConfigPlannerTest, JobsComeAndGoAndPushedTargetsStay) {
  ASSERT_OK_AND_ASSIGN(
      const pb::PlanConfigResponse plan,
      Plan(Edited("job_name: node", "job_name: renamed") + "    scrape_interval: 5s\n"));

  ASSERT_THAT(plan.jobs(), SizeIs(4));
  EXPECT_EQ(plan.jobs(1).change(), pb::JobPlan::REMOVED);
  EXPECT_EQ(plan.jobs(1).removed(), 2);
  EXPECT_EQ(plan.jobs(2).job(), "push");
  EXPECT_EQ(plan.jobs(2).restarted(), 1);
  EXPECT_TRUE(plan.jobs(2).targets(0).keeps_cache());
  EXPECT_EQ(plan.jobs(3).change(), pb::JobPlan::ADDED);
  EXPECT_EQ(plan.jobs(3).added(), 2);
}

TEST_F(ConfigPlannerTest, FilesThatRunAreReadAndOthersAreNot) {
  EXPECT_OK(WriteFileDurably(files_, "/etc/sd/x.json", R"([{"targets": ["f2", "f3"]}])"));
  EXPECT_OK(files_.CreateDirectory("/etc/other"));
  EXPECT_OK(WriteFileDurably(files_, "/etc/other/y.json", R"([{"targets": ["g1"]}])"));

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan,
                       Plan(Edited("[sd/*.json]", "[sd/*.json, other/*.json]")));

  EXPECT_EQ(plan.jobs(0).added(), 1);
  EXPECT_EQ(plan.jobs(0).removed(), 1);
  EXPECT_THAT(plan.jobs(0).files_not_read(), ElementsAre("/etc/other/*.json"));
  EXPECT_THAT(plan.jobs(1).files_not_read(), IsEmpty());
  ASSERT_THAT(plan.warnings(), SizeIs(1));
  EXPECT_THAT(plan.warnings(0).message(), HasSubstr("\"/etc/other/*.json\" are not counted"));

  // The reload itself may read what its own text names.
  absl::StatusOr<LoadedConfig> next =
      LoadConfigTexts(files_,
                      {.config = Edited("[sd/*.json]", "[sd/*.json, other/*.json]"),
                       .config_file = "/etc/prometheus.yml"},
                      {});
  ASSERT_OK(next);
  const pb::JobPlan reload = planner_.PlanReload(running_, *next, pools_)[0];
  EXPECT_EQ(reload.added(), 2);
  EXPECT_THAT(reload.files_not_read(), IsEmpty());
}

TEST_F(ConfigPlannerTest, WhatIsNotReadMakesBoundsOfTheNumbers) {
  EXPECT_OK(files_.CreateDirectory("/etc/other"));
  EXPECT_OK(WriteFileDurably(files_, "/etc/other/y.json", R"([{"targets": ["f1", "g1"]}])"));
  const std::string text = Edited("[sd/*.json]", "[other/y.json, other/y.json]");

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse response, Plan(text));
  const pb::JobPlan& plan = response.jobs(0);
  absl::StatusOr<LoadedConfig> next =
      LoadConfigTexts(files_, {.config = text, .config_file = "/etc/prometheus.yml"}, {});
  ASSERT_OK(next);
  const pb::JobPlan done = planner_.PlanReload(running_, *next, pools_)[0];

  EXPECT_THAT(plan.files_not_read(), ElementsAre("/etc/other/y.json"));
  EXPECT_EQ(plan.added(), 0);
  EXPECT_EQ(done.added(), 1);
  EXPECT_EQ(plan.removed(), 2);
  EXPECT_EQ(done.removed(), 1);
  EXPECT_EQ(plan.unchanged(), 0);
  EXPECT_EQ(done.unchanged(), 1);
}

TEST_F(ConfigPlannerTest, AFileThatRunsIsReadUnderAnotherPatternToo) {
  EXPECT_OK(WriteFileDurably(files_, "/etc/sd/y.json", R"([{"targets": ["g1"]}])"));

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan,
                       Plan(Edited("[sd/*.json]", "[sd/x*.json]")));

  EXPECT_EQ(plan.jobs(0).removed(), 0);
  EXPECT_EQ(plan.jobs(0).unchanged(), 2);
  EXPECT_EQ(plan.jobs(0).added(), 0);
  EXPECT_THAT(plan.jobs(0).files_not_read(), ElementsAre("/etc/sd/x*.json"));
  ASSERT_THAT(plan.warnings(), SizeIs(1));
  EXPECT_THAT(plan.warnings(0).message(), HasSubstr("\"/etc/sd/x*.json\" are not counted"));
}

TEST_F(ConfigPlannerTest, AFileThatCantBeReadKeepsItsTargets) {
  EXPECT_OK(WriteFileDurably(files_, "/etc/sd/x.json", "no json"));

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan, Plan(std::string(kRunning)));

  EXPECT_EQ(plan.jobs(0).unchanged(), 2);
}

TEST_F(ConfigPlannerTest, WhileAPatternCantBeLookedUpNoFileCountsAsGone) {
  files_.FailAfter(0, absl::PermissionDeniedError("sd"), 100);

  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan, Plan(std::string(kRunning)));

  EXPECT_EQ(plan.jobs(0).removed(), 0);
  EXPECT_EQ(plan.jobs(0).unchanged(), 2);
}

TEST_F(ConfigPlannerTest, WhatTheReloadWouldRefuseIsRefused) {
  const absl::Status wrong = Plan("scrape_configs: [{job_name: a, x: 1}, {}]").status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(wrong.message(), HasSubstr("line 1, column 32: field x"));
  EXPECT_THAT(wrong.message(), HasSubstr("job_name is empty"));

  EXPECT_THAT(Plan("scrape_config_files: [other/*.yml]").status().message(),
              HasSubstr("the running configuration does not name them"));

  clients_.FailNext(absl::InvalidArgumentError("no such certificate"));
  EXPECT_THAT(Plan(std::string(kRunning)).status().message(),
              HasSubstr("no such certificate; job files"));

  running_.trawl_config = std::make_shared<const TrawlConfig>(TrawlConfig{{}, {{"node", {}}}});
  EXPECT_THAT(Plan("scrape_configs: [{job_name: other}]").status().message(),
              HasSubstr("job \"node\" is not in the configuration file"));
}

TEST_F(ConfigPlannerTest, FilesOfTlsThatDoNotRunAreNotRead) {
  clients_.FailNext(absl::InvalidArgumentError("it was read"));
  ASSERT_OK_AND_ASSIGN(
      const pb::PlanConfigResponse plan,
      Plan("scrape_configs: [{job_name: push, tls_config: {ca_file: /x/ca.pem}}]"));

  ASSERT_THAT(plan.warnings(), SizeIs(1));
  EXPECT_THAT(plan.warnings(0).message(), HasSubstr("does not name \"/x/ca.pem\""));
}

TEST_F(ConfigPlannerTest, FilesOfTlsThatRemoteWriteNamesAreLookedAtAsJobsAre) {
  ASSERT_OK_AND_ASSIGN(
      const pb::PlanConfigResponse plan,
      Plan("remote_write: [{name: far, url: 'https://far/w', tls_config: {ca_file: /x/ca.pem}}]"));
  ASSERT_EQ(plan.warnings_size(), 1);
  EXPECT_EQ(plan.warnings(0).message(),
            "remote_write far: tls_config is not checked: the running configuration does not name "
            "\"/x/ca.pem\"");
}

TEST_F(ConfigPlannerTest, StorageAndExternalLabelsAreCompared) {
  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan,
                       Plan(absl::StrCat("global: {external_labels: {a: b}}\n", kRunning,
                                         "remote_write: [{url: 'http://x', name: mimir}]\n")));

  EXPECT_TRUE(plan.external_labels_changed());
  EXPECT_THAT(plan.sink_changes(), testing::Contains("remote_write mimir: added"));
}

TEST_F(ConfigPlannerTest, ATargetLimitThatIsExceededIsAWarning) {
  ASSERT_OK_AND_ASSIGN(const pb::PlanConfigResponse plan,
                       Plan(absl::StrCat("global: {target_limit: 1}\n", kRunning)));

  ASSERT_THAT(plan.warnings(), SizeIs(2));
  EXPECT_THAT(plan.warnings(0).message(),
              HasSubstr("job files: target_limit exceeded (number of targets: 2, limit: 1)"));
}

}  // namespace
}  // namespace trawl
