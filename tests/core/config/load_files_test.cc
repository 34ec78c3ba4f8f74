#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/config/load.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

class LoadConfigFileTest : public testing::Test {
 protected:
  absl::StatusOr<LoadResult> Load(const std::string& text) {
    files_.Put("/etc/p/main.yml", text);
    return LoadConfigFile(files_, "/etc/p/main.yml", {});
  }

  std::vector<std::string> JobNames(const Config& config) {
    std::vector<std::string> names;
    for (const ScrapeConfig& job : config.scrape_configs) names.push_back(job.job_name);
    return names;
  }

  MemFileSystem files_;
};

TEST_F(LoadConfigFileTest, AMissingFileIsNotFound) {
  EXPECT_THAT(LoadConfigFile(files_, "/none.yml", {}), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(LoadConfigFileTest, PathsAreRelativeToTheFile) {
  ASSERT_OK_AND_ASSIGN(
      const LoadResult result,
      Load("scrape_configs:\n- {job_name: a, file_sd_configs: [{files: [t.json]}]}\n"));

  EXPECT_THAT(result.config.scrape_configs[0].file_sd_configs[0].files,
              testing::ElementsAre("/etc/p/t.json"));
}

TEST_F(LoadConfigFileTest, ARelativeFilesPathsAreInTheirShortestForm) {
  files_.Put("p.yml",
             "scrape_configs:\n- {job_name: a, file_sd_configs: [{files: [targets/*.json, "
             "./../x.yml]}]}\n");

  ASSERT_OK_AND_ASSIGN(const LoadResult result, LoadConfigFile(files_, "p.yml", {}));

  EXPECT_THAT(result.config.scrape_configs[0].file_sd_configs[0].files,
              testing::ElementsAre("targets/*.json", "../x.yml"));
}

TEST_F(LoadConfigFileTest, ProblemsNameTheFile) {
  EXPECT_THAT(Load("x: 1\n"), StatusIs(absl::StatusCode::kInvalidArgument,
                                       "/etc/p/main.yml: line 1, column 1: field x not found in "
                                       "type config.Config"));
}

TEST_F(LoadConfigFileTest, JobsComeFromOtherFilesToo) {
  files_.Put("/etc/p/jobs/b.yml",
             "scrape_configs:\n- {job_name: b, authorization: {credentials_file: s}}\n");
  files_.Put("/etc/p/jobs/a.yml", "scrape_configs: [{job_name: a}]\n");
  files_.Put("/etc/p/jobs/c.json", "not read");

  ASSERT_OK_AND_ASSIGN(const LoadResult result,
                       Load("global: {scrape_interval: 7s}\nscrape_config_files: ['jobs/*.yml']\n"
                            "scrape_configs: [{job_name: main}]\n"));

  EXPECT_THAT(JobNames(result.config), testing::ElementsAre("main", "a", "b"));
  EXPECT_EQ(result.config.FindJob("b")->scrape_interval, absl::Seconds(7));
  EXPECT_EQ(result.config.FindJob("b")->http.authorization->credentials.file, "/etc/p/jobs/s");
}

TEST_F(LoadConfigFileTest, ProblemsOfOtherFilesNameThem) {
  files_.Put("/etc/p/a.yml", "scrape_configs:\n- {job_name: main}\n- {job_name: a}\nglobal: {}\n");
  files_.Put("/etc/p/b.yml", "scrape_configs:\n- {job_name: a}\n");

  EXPECT_THAT(
      Load("scrape_config_files: [a.yml, b.yml]\nscrape_configs: [{job_name: main}]\n"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "/etc/p/a.yml: line 2, column 3: found multiple scrape configs with job name "
               "\"main\", first found in main config file\n"
               "/etc/p/a.yml: line 4, column 1: field global not found in type "
               "config.ScrapeConfigs\n"
               "/etc/p/b.yml: line 2, column 3: found multiple scrape configs with job name "
               "\"a\", first found in \"/etc/p/a.yml\""));
}

TEST_F(LoadConfigFileTest, AStarBeforeTheLastElementIsRefused) {
  EXPECT_THAT(Load("scrape_config_files: ['*/a.yml']\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::HasSubstr("invalid scrape config file path \"*/a.yml\"")));
}

}  // namespace
}  // namespace trawl
