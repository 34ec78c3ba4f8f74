#include "core/config/target_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/model/labels.h"
#include "core/model/target_group.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ParseTargetGroupsTest, ReadsYaml) {
  EXPECT_THAT(
      ParseTargetGroups("- targets: ['a:1', b:2]\n  labels: {x: y, n: 1}\n- targets: [c]\n",
                        "sd/t.yml"),
      IsOkAndHolds(ElementsAre(TargetGroup{"sd/t.yml:0", {"a:1", "b:2"}, {{"n", "1"}, {"x", "y"}}},
                               TargetGroup{"sd/t.yml:1", {"c"}, {}})));
}

TEST(ParseTargetGroupsTest, ReadsJson) {
  EXPECT_THAT(ParseTargetGroups(
                  "[\n\t{\"targets\": [\"a:1\"],\n\t \"labels\": {\"x\": \"y\"}}\n]\n", "t.json"),
              IsOkAndHolds(ElementsAre(TargetGroup{"t.json:0", {"a:1"}, {{"x", "y"}}})));
}

TEST(ParseTargetGroupsTest, ReadsTheEscapesOfJson) {
  EXPECT_THAT(
      ParseTargetGroups(
          R"([{"targets": [], "labels": {"a": "\u00e9\/\t", "b": "\ud83d\ude00", "c": "\\ud83d"}}])",
          "t.json"),
      IsOkAndHolds(
          ElementsAre(TargetGroup{"t.json:0", {}, {{"a", "é/\t"}, {"b", "😀"}, {"c", "\\ud83d"}}})));
}

TEST(ParseTargetGroupsTest, HalfASurrogatePairIsAnError) {
  EXPECT_THAT(ParseTargetGroups(R"([{"targets": ["\ud83d"]}])", "t.json"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ParseTargetGroupsTest, EmptyTextHoldsNoGroup) {
  EXPECT_THAT(ParseTargetGroups("", "t.yml"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(ParseTargetGroups("[]", "t.json"), IsOkAndHolds(IsEmpty()));
}

// As Prometheus 3.16: `: > sd/x.json` keeps the targets.
TEST(ParseTargetGroupsTest, AJsonFileThatIsBeingWrittenIsAnError) {
  const std::string whole = R"([{"targets": ["a:1"]}, {"targets": ["b:1"]}])";
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(ParseTargetGroups(whole.substr(0, size), "t.json"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("t.json: line 1, column ")))
        << size;
  }
  EXPECT_THAT(
      ParseTargetGroups("[\n  {\"targets\" 1}]", "t.JSON"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 2, column 14: not JSON: ")));
  EXPECT_THAT(ParseTargetGroups("- targets: [a]\n", "t.json"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ParseTargetGroupsTest, ReportsEveryProblemWithItsPlace) {
  std::vector<ConfigProblem> problems;
  const auto groups = ParseTargetGroups(
      "- targets: [a]\n  label: {x: y}\n- targets: b\n-\n- {targets: [c], labels: {\"\": v, a: "
      "[1]}}\n",
      "t.yml", &problems);

  EXPECT_THAT(groups, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(groups.status().message(),
            "t.yml: line 2, column 3: field label not found in type targetgroup.Group\n"
            "t.yml: line 3, column 12: cannot unmarshal !!str `b` into []string\n"
            "t.yml: line 4, column 1: nil target group item found\n"
            "t.yml: line 5, column 27: \"\" is not a valid label name\n"
            "t.yml: line 5, column 37: cannot unmarshal !!seq into string");
  EXPECT_EQ(problems.size(), 5u);
}

TEST(ParseTargetGroupsTest, AMapIsNoListOfGroups) {
  EXPECT_THAT(ParseTargetGroups("targets: [a]\n", "t.yml"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("cannot unmarshal !!map into []*targetgroup.Group")));
}

TEST(ParseTargetGroupsTest, VeryManyProblemsAreCut) {
  std::string text;
  for (int i = 0; i < 150; ++i) text += "- {targets: x}\n";
  std::vector<ConfigProblem> problems;

  const auto groups = ParseTargetGroups(text, "t.yml", &problems);

  EXPECT_EQ(problems.size(), 150u);
  EXPECT_TRUE(std::string(groups.status().message()).ends_with("\nand 50 more"));
}

}  // namespace
}  // namespace trawl
