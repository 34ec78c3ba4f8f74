#include "core/config/glob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

struct Case {
  std::string_view pattern;
  std::string_view name;
  bool matches;
};

// A part of the table in Go's path/match_test.go.
TEST(MatchGlobTest, MatchesAsGoDoes) {
  const std::vector<Case> cases = {
      {"abc", "abc", true},
      {"*", "abc", true},
      {"*c", "abc", true},
      {"a*", "a", true},
      {"a*", "abc", true},
      {"a*b*c*d*e*", "axbxcxdxe", true},
      {"a*b?c*x", "abxbbxdbxebxczzx", true},
      {"a*b?c*x", "abxbbxdbxebxczzy", false},
      {"ab[c]", "abc", true},
      {"ab[b-d]", "abc", true},
      {"ab[e-g]", "abc", false},
      {"ab[^c]", "abc", false},
      {"ab[^e-g]", "abc", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "ab", false},
      {"a?b", "acb", true},
      {"a?b", "ab", false},
      {"*x", "xxx", true},
      {"a[", "a", false},
      {"a[", "ab", false},
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(MatchGlob(test.pattern, test.name), test.matches) << test.pattern << " " << test.name;
  }
}

TEST(IsLastElementGlobTest, RefusesAStarBeforeTheLastElement) {
  EXPECT_TRUE(IsLastElementGlob("a/b.yml"));
  EXPECT_TRUE(IsLastElementGlob("a/*.yml"));
  EXPECT_TRUE(IsLastElementGlob("a/x*-*.yml"));
  EXPECT_FALSE(IsLastElementGlob("*/b.yml"));
  EXPECT_FALSE(IsLastElementGlob("a/*/*.yml"));
}

class ExpandGlobTest : public testing::Test {
 protected:
  ExpandGlobTest() {
    files_.Put("/etc/trawl/b.yml", "");
    files_.Put("/etc/trawl/a.yml", "");
    files_.Put("/etc/trawl/c.json", "");
  }

  std::vector<std::string> Expand(const std::string& path) {
    absl::StatusOr<std::vector<std::string>> found = ExpandGlob(files_, path);
    EXPECT_OK(found);
    return found.ok() ? *std::move(found) : std::vector<std::string>();
  }

  MemFileSystem files_;
};

TEST_F(ExpandGlobTest, GivesTheMatchingFilesSorted) {
  EXPECT_THAT(Expand("/etc/trawl/*.yml"),
              testing::ElementsAre("/etc/trawl/a.yml", "/etc/trawl/b.yml"));
  EXPECT_THAT(Expand("/etc/./trawl//*.yml"),
              testing::ElementsAre("/etc/trawl/a.yml", "/etc/trawl/b.yml"));
}

TEST_F(ExpandGlobTest, APlainPathIsItselfIfItExists) {
  EXPECT_THAT(Expand("/etc/trawl/c.json"), testing::ElementsAre("/etc/trawl/c.json"));
  EXPECT_THAT(Expand("/etc//trawl/c.json"), testing::ElementsAre("/etc//trawl/c.json"));
  EXPECT_THAT(Expand("/etc/trawl/d.json"), testing::IsEmpty());
}

TEST_F(ExpandGlobTest, ADirectoryThatIsNotThereHoldsNothing) {
  EXPECT_THAT(Expand("/none/*.yml"), testing::IsEmpty());
}

TEST_F(ExpandGlobTest, AHiddenFileIsAFileAsAnyOther) {
  files_.Put("/etc/trawl/.h.yml", "");

  EXPECT_THAT(Expand("/etc/trawl/*.yml"),
              testing::ElementsAre("/etc/trawl/.h.yml", "/etc/trawl/a.yml", "/etc/trawl/b.yml"));
}

TEST_F(ExpandGlobTest, ADirectoryThatCannotBeReadIsAnError) {
  files_.FailAfter(0, absl::PermissionDeniedError("list /etc/trawl: Permission denied"));

  EXPECT_THAT(ExpandGlob(files_, "/etc/trawl/*.yml"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace trawl
