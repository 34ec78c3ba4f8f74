#include "client/trawlctl/file_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FileGroupsTest, EachPatternSaysItsJobUnlessOneIsGivenForAll) {
  MemFileSystem files;
  files.Put("sd/a.json", R"([{"targets": ["a:1"], "labels": {"x": "y"}}])");
  files.Put("sd/b.json", R"([{"targets": ["b:1"]}])");

  auto pairs = FileGroups::Make({"node=sd/a.json", "mysql=sd/b.json"}, "");
  ASSERT_OK(pairs.status());
  EXPECT_THAT(pairs->Refresh(files), IsEmpty());
  ASSERT_EQ(pairs->Groups().size(), 2u);
  EXPECT_EQ(pairs->Groups()[0].job(), "mysql");
  EXPECT_EQ(pairs->Groups()[1].job(), "node");
  EXPECT_EQ(pairs->Groups()[1].key(), "sd/a.json:0");
  EXPECT_EQ(pairs->Groups()[1].labels().at("x"), "y");

  auto all = FileGroups::Make({"sd/*.json"}, "node");
  ASSERT_OK(all.status());
  all->Refresh(files);
  for (const auto& group : all->Groups()) EXPECT_EQ(group.job(), "node");
  EXPECT_THAT(all->Directories(), ElementsAre("sd"));
}

TEST(FileGroupsTest, APatternWithoutAJobIsRefused) {
  for (const char* pattern : {"sd/*.json", "=sd/*.json", "node="}) {
    EXPECT_THAT(FileGroups::Make({pattern}, "").status(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(pattern), HasSubstr("JOB=GLOB"))));
  }
}

TEST(FileGroupsTest, APatternThatMatchesNoFileIsFound) {
  MemFileSystem files;
  files.Put("sd/a.json", "[]");

  EXPECT_OK(FileGroups::Make({"node=sd/*.json"}, "")->CheckPatterns(files));
  EXPECT_THAT(FileGroups::Make({"node=sd/*.json", "node=sd/*.yml"}, "")->CheckPatterns(files),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no file matches \"sd/*.yml\"")));
}

TEST(FileGroupsTest, ALargeGroupIsDividedAndLosesNothing) {
  MemFileSystem files;
  std::string text = R"([{"labels": {"x": "y"}, "targets": ["h0:1")";
  for (int i = 1; i < 60'000; ++i) absl::StrAppend(&text, ", \"some-host-", i, ":9100\"");
  files.Put("sd/a.json", text + "]}]");
  auto groups = FileGroups::Make({"sd/a.json"}, "node");
  ASSERT_THAT(groups->Refresh(files), IsEmpty());

  std::set<std::string> keys;
  std::set<std::string> targets;
  for (const auto& group : groups->Groups()) {
    EXPECT_LT(group.ByteSizeLong(), size_t{300} << 10);
    EXPECT_EQ(group.labels().at("x"), "y");
    EXPECT_TRUE(keys.insert(group.key()).second);
    targets.insert(group.targets().begin(), group.targets().end());
  }
  EXPECT_GT(keys.size(), 1u);
  EXPECT_TRUE(keys.contains("sd/a.json:0"));
  EXPECT_TRUE(keys.contains("sd/a.json:0#2"));
  EXPECT_EQ(targets.size(), 60'000u);
}

}  // namespace
}  // namespace trawl
