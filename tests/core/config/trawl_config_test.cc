#include "core/config/trawl_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

TEST(LoadTrawlConfigTest, AnEmptyFileHasTheDefaults) {
  ASSERT_OK_AND_ASSIGN(const TrawlConfig config, LoadTrawlConfig(""));

  EXPECT_EQ(config, TrawlConfig());
  EXPECT_EQ(config.ForJob("any").first_scrape, FirstScrape::kOffset);
}

TEST(LoadTrawlConfigTest, JobsInheritFromGlobal) {
  ASSERT_OK_AND_ASSIGN(
      const TrawlConfig config,
      LoadTrawlConfig(
          "jobs:\n  a: {}\n  b: {first_scrape: offset}\nglobal: {first_scrape: immediate}\n"));

  EXPECT_EQ(config.ForJob("a").first_scrape, FirstScrape::kImmediate);
  EXPECT_EQ(config.ForJob("b").first_scrape, FirstScrape::kOffset);
  EXPECT_EQ(config.ForJob("not named").first_scrape, FirstScrape::kImmediate);
}

TEST(LoadTrawlConfigTest, ReportsEveryProblemWithItsPlace) {
  std::vector<ConfigProblem> problems;
  const auto config = LoadTrawlConfig(
      "globals: {}\njobs:\n  a: {first_scrape: now}\n  b: {scrape: 1}\n  a: {}\n  c: [1]\n",
      "t.yml", &problems);

  EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(config.status().message(),
            "t.yml: line 1, column 1: field globals not found in type trawl.Config\n"
            "t.yml: line 3, column 7: first_scrape must be 'offset' or 'immediate', got \"now\"\n"
            "t.yml: line 4, column 7: field scrape not found in type trawl.JobConfig\n"
            "t.yml: line 5, column 3: field a already set in type trawl.Jobs\n"
            "t.yml: line 6, column 6: cannot unmarshal !!seq into trawl.JobConfig");
  EXPECT_EQ(problems.size(), 5u);
}

TEST(LoadTrawlConfigTest, AFileIsNamedInItsProblems) {
  MemFileSystem files;
  files.Put("/t.yml", "x: 1\n");

  EXPECT_THAT(LoadTrawlConfigFile(files, "/t.yml"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("/t.yml: line 1")));
  EXPECT_THAT(LoadTrawlConfigFile(files, "/none.yml"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace trawl
