#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "client/store/sqlite/json_text.h"
#include "client/store/sqlite/sample_reader.h"
#include "core/model/value.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using Op = LabelMatcher::Op;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SelectorTest, ReadsAMetricAndMatchers) {
  EXPECT_THAT(ParseSelector("up"),
              IsOkAndHolds(ElementsAre(LabelMatcher{"__name__", Op::kEqual, "up"})));
  EXPECT_THAT(
      ParseSelector(R"( up { job = "a b" , i!='x\'y', r=~"a.*", n!~`\d` , } )"),
      IsOkAndHolds(ElementsAre(
          LabelMatcher{"__name__", Op::kEqual, "up"}, LabelMatcher{"job", Op::kEqual, "a b"},
          LabelMatcher{"i", Op::kNotEqual, "x'y"}, LabelMatcher{"r", Op::kMatches, "a.*"},
          LabelMatcher{"n", Op::kNotMatches, "\\d"})));
  EXPECT_THAT(ParseSelector(R"({"a.b"="c"})"),
              IsOkAndHolds(ElementsAre(LabelMatcher{"a.b", Op::kEqual, "c"})));
}

TEST(SelectorTest, NamesTheColumnOfAMistake) {
  EXPECT_THAT(ParseSelector(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSelector("up{job}"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("column 7")));
  EXPECT_THAT(ParseSelector("up{job=\"a\""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSelector("up{job=\"a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSelector("up x"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(JsonTextTest, WritesTheShortestDecimalThatReadsBack) {
  const auto text = [](double value) {
    std::string out;
    AppendJsonValue(value, out);
    return out;
  };
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(-0.0), "-0.0");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(-42), "-42");
  EXPECT_EQ(text(9007199254740991.0), "9007199254740991");
  EXPECT_EQ(text(1e21), "1e+21");
  EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "\"+Inf\"");
  EXPECT_EQ(text(NormalNaN()), "\"NaN\"");
  EXPECT_EQ(text(StaleMarker()), "\"stale\"");
}

TEST(JsonTextTest, LabelsReadBack) {
  const Labels labels{{"a", "x\"y\\z"}, {"b", "\n\x01 ü"}, {"c", "d"}};
  LabelsBuilder builder;

  EXPECT_TRUE(ParseJsonLabels(JsonLabels(labels), builder));

  EXPECT_EQ(std::move(builder).Build(), labels);
  LabelsBuilder other;
  EXPECT_TRUE(ParseJsonLabels("{}", other));
  EXPECT_FALSE(ParseJsonLabels("{\"a\":", other));
  EXPECT_FALSE(ParseJsonLabels("", other));
}

}  // namespace
}  // namespace trawl
