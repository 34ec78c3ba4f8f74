#include "core/base/file_system.h"

#include <gtest/gtest.h>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

TEST(CreateLastDirectoryTest, MakesNoTree) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("/data"));

  EXPECT_OK(CreateLastDirectory(files, "/data/new"));
  EXPECT_OK(CreateLastDirectory(files, "/data/new")) << "it is there";
  EXPECT_THAT(CreateLastDirectory(files, "/daat/new"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(files.List("/daat"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(DirectoryOfTest, IsWhatStandsBeforeTheLastSlash) {
  EXPECT_EQ(DirectoryOf("a/b/c"), "a/b");
  EXPECT_EQ(DirectoryOf("/a"), "/");
  EXPECT_EQ(DirectoryOf("a"), ".");
}

// Each as Go's filepath.Join has it.
TEST(JoinPathTest, GivesTheShortestForm) {
  EXPECT_EQ(JoinPath(".", "targets/web.json"), "targets/web.json");
  EXPECT_EQ(JoinPath("conf", "targets/*.json"), "conf/targets/*.json");
  EXPECT_EQ(JoinPath("/etc/trawl", "../x.yml"), "/etc/x.yml");
  EXPECT_EQ(JoinPath("a/", "./b//c"), "a/b/c");
  EXPECT_EQ(JoinPath("a", "b/"), "a/b");
  EXPECT_EQ(JoinPath(".", "../x"), "../x");
  EXPECT_EQ(JoinPath(".", "x/.."), ".");
  EXPECT_EQ(JoinPath("/", "../x"), "/x");
  EXPECT_EQ(JoinPath("/", ".."), "/");
}

}  // namespace
}  // namespace trawl
