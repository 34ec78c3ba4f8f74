#include "core/relabel/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace trawl {
namespace {

AnchoredRegex Compile(std::string_view pattern) {
  absl::StatusOr<AnchoredRegex> regex = AnchoredRegex::Compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.status();
  return *std::move(regex);
}

TEST(AnchoredRegexTest, MatchesWholeTextsOnly) {
  EXPECT_TRUE(Compile("fo+").Matches("foo"));
  EXPECT_FALSE(Compile("fo+").Matches("foot"));
  EXPECT_FALSE(Compile("f|o").Matches("foo"));
  EXPECT_FALSE(Compile("foo").Matches("foo\n"));
}

TEST(AnchoredRegexTest, AcceptsWhatIsOnlyValidBetweenTheAnchors) {
  EXPECT_TRUE(Compile("a)|(?:b").Matches("b"));
}

TEST(AnchoredRegexTest, CapturesOnlyTheGroupsAskedFor) {
  std::vector<std::string_view> captures;

  EXPECT_TRUE(Compile("(a)(b)?(c)").Match("ac", 2, captures));

  EXPECT_THAT(captures, testing::ElementsAre("ac", "a", ""));
}

TEST(AnchoredRegexTest, TheDefaultRegexCapturesEverything) {
  std::vector<std::string_view> captures;

  EXPECT_TRUE(Compile("(.*)").Match("a\nb", 1, captures));

  EXPECT_THAT(captures, testing::ElementsAre("a\nb", "a\nb"));
}

TEST(AnchoredRegexTest, ReadsGroupNamesWithAndWithoutP) {
  const AnchoredRegex regex = Compile("(?<first>a)(?P<second>b)");

  EXPECT_EQ(regex.groups().count, 2);
  EXPECT_EQ(regex.groups().names.at("first"), 1);
  EXPECT_EQ(regex.groups().names.at("second"), 2);
}

TEST(AnchoredRegexTest, LeavesEscapesAndClassesAlone) {
  EXPECT_TRUE(Compile(R"(\(?<x>)").Matches("(<x>"));
  EXPECT_TRUE(Compile(R"([(?<a]+)").Matches("(?<a"));
  EXPECT_TRUE(Compile(R"([]a(?<b]+)").Matches("](?<b"));
  EXPECT_TRUE(Compile(R"(\Q(?<x>\E)").Matches("(?<x>"));
}

TEST(AnchoredRegexTest, SaysWhatIsWrongWithAPattern) {
  const absl::Status status = AnchoredRegex::Compile("(a").status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string_view(status.message()),
              testing::HasSubstr("error parsing regexp \"(a\": missing"));
}

TEST(AnchoredRegexTest, RefusesPatternsThatWouldEatTheMemory) {
  EXPECT_FALSE(AnchoredRegex::Compile("((a{100}){100}){100}").ok());
}

TEST(AnchoredRegexTest, RefusesLookaround) {
  EXPECT_FALSE(AnchoredRegex::Compile("(?<=a)b").ok());
  EXPECT_FALSE(AnchoredRegex::Compile("(?!a)b").ok());
}

}  // namespace
}  // namespace trawl
