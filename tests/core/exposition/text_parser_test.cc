#include "core/exposition/text_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trawl {
namespace {

// The recordings in tests/conformance say what the parser makes of a text; here is what is ours.

std::string ErrorOf(std::string_view text) {
  TextParser parser(text);
  while (true) {
    const TextParser::Entry entry = parser.Next();
    if (entry == TextParser::Entry::kError) return std::string(parser.status().message());
    if (entry == TextParser::Entry::kEnd) return "";
  }
}

TEST(TextParserTest, ErrorsSayWhereTheyAre) {
  EXPECT_EQ(ErrorOf("# HELP a b\na{b='c'} 1"),
            "expected label value, got \"'\" (\"INVALID\") while parsing: \"a{b='\"; line 2, "
            "column 5");
  EXPECT_EQ(
      ErrorOf("a"),
      "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"; line 1, "
      "column 2");
}

TEST(TextParserTest, AnErrorStays) {
  TextParser parser("a\nb 1\n");

  EXPECT_EQ(parser.Next(), TextParser::Entry::kError);
  EXPECT_EQ(parser.Next(), TextParser::Entry::kError);
}

TEST(TextParserTest, BlanksBeforeANameAreNoPartOfIt) {
  TextParser parser(" \tfoo 1\n  {\"bar\"} 2\n");
  std::vector<Label> labels;

  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  EXPECT_EQ(parser.series(), "foo");
  parser.ReadLabels(&labels);
  EXPECT_EQ(labels, (std::vector<Label>{{"__name__", "foo"}}));
  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  EXPECT_EQ(parser.series(), "{\"bar\"}");
}

TEST(TextParserTest, ReadingMayStartAtAnyLine) {
  const std::string_view body = "a 1\nb 2\nc 3";
  TextParser parser(body);

  parser.set_position(4);
  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  EXPECT_EQ(parser.series(), "b");
  EXPECT_EQ(parser.position(), 8u);
  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  EXPECT_EQ(parser.position(), body.size());
  EXPECT_EQ(parser.Next(), TextParser::Entry::kEnd);
}

TEST(TextParserTest, TheTypeInForceMayBeSet) {
  TextParser parser("h_bucket{le=\"1\"} 1\n");
  parser.set_type(MetricType::kHistogram);
  std::vector<Label> labels;

  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  parser.ReadLabels(&labels);

  EXPECT_EQ(labels[1], (Label{"le", "1.0"}));
}

TEST(TextParserTest, ABoundOfZeroHasNoSign) {
  TextParser parser("# TYPE h histogram\nh_bucket{le=\"-0\"} 1\n");
  std::vector<Label> labels;

  ASSERT_EQ(parser.Next(), TextParser::Entry::kType);
  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  parser.ReadLabels(&labels);

  EXPECT_EQ(labels[1], (Label{"le", "0.0"}));
}

TEST(TextParserTest, OfAVeryLongLineAnErrorQuotesTheEnds) {
  const std::string body = "a{b=\"" + std::string(1 << 20, '\0') + "\"} ?\n";
  TextParser parser(body);

  ASSERT_EQ(parser.Next(), TextParser::Entry::kError);

  EXPECT_THAT(parser.error(), ::testing::StartsWith(R"(strconv.ParseFloat: parsing "?": invalid )"
                                                    R"(syntax while parsing: "a{b=\"\x00)"));
  EXPECT_THAT(parser.error(), ::testing::EndsWith(R"(\x00\"} ?")"));
  EXPECT_LT(parser.error().size(), 20'000u);
}

TEST(TextParserTest, AVeryLongLabelIsRead) {
  const std::string value(1 << 20, 'x');
  const std::string body = "a{b=\"" + value + "\"} 1\n";
  TextParser parser(body);
  std::vector<Label> labels;

  ASSERT_EQ(parser.Next(), TextParser::Entry::kSeries);
  parser.ReadLabels(&labels);

  EXPECT_EQ(labels[1].value, value);
}

}  // namespace
}  // namespace trawl
