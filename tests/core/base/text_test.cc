#include "core/base/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

TEST(TextTest, Utf8IsToldFromOtherBytes) {
  for (const std::string text :
       {"", "plain", "größe", "日本", "\xf0\x9f\x90\x9f", "\xef\xbf\xbf"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
  }
  for (const std::string text : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                 "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "a\xe6\x97"}) {
    EXPECT_FALSE(IsValidUtf8(text)) << GoQuote(text);
  }
}

TEST(TextTest, QuotesAsGoDoes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", R"("")"},
      {"plain", R"("plain")"},
      {"a\"b\\c", R"("a\"b\\c")"},
      {"\a\b\f\n\r\t\v", R"("\a\b\f\n\r\t\v")"},
      {std::string("\0\x1f\x7f", 3), R"("\x00\x1f\x7f")"},
      {"größe 日本 ☺", R"("größe 日本 ☺")"},
      {"\xff\xc3(", R"("\xff\xc3(")"},
      {"\u00a0\u200b\u2028\ufeff", R"("\u00a0\u200b\u2028\ufeff")"},
      {"\U0010ffff", R"("\U0010ffff")"},
      {"\U0001f41f", "\"\U0001f41f\""},
      {"\ufffd", "\"\ufffd\""},
  };
  for (const auto& [text, want] : cases) EXPECT_EQ(GoQuote(text), want);
}

TEST(TextTest, JsonStringsEscapeWhatDoesNotShow) {
  EXPECT_EQ(JsonQuote("a\"\\\n\x7f\xff\u2028 größe"), R"("a\"\\\u000a\u007f\ufffd\u2028 größe")");
}

TEST(TextTest, FloatsPrintAsGoDoes) {
  const std::vector<std::pair<double, std::string>> cases = {
      {0, "0"},
      {-0.0, "-0"},
      {1, "1"},
      {0.1, "0.1"},
      {100000, "100000"},
      {1e6, "1e+06"},
      {1234567, "1.234567e+06"},
      {123456.7, "123456.7"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {1e100, "1e+100"},
      {-1.5, "-1.5"},
      {5e-324, "5e-324"},
      {std::numeric_limits<double>::infinity(), "+Inf"},
      {-std::numeric_limits<double>::infinity(), "-Inf"},
      {std::nan(""), "NaN"},
  };
  for (const auto& [value, want] : cases) EXPECT_EQ(FormatGoFloat(value), want);
}

TEST(TextTest, ByteSizesAreCountedIn1024) {
  const std::vector<std::pair<std::string, uint64_t>> cases = {
      {"0", 0},
      {"0B", 0},
      {"100B", 100},
      {"1KB", 1024},
      {"1KiB", 1024},
      {"100MB", 100ull << 20},
      {"1.5MiB", 3ull << 19},
      {".5KB", 512},
      {"2GiB", 2ull << 30},
      {"1TB", 1ull << 40},
      {"3PB", 3ull << 50},
      {"1EiB", 1ull << 60},
      {"1MB512KB", (1ull << 20) + (512ull << 10)},
      {"+1KB", 1024},
      {"-1KB", 0},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(ParseByteSize(text), IsOkAndHolds(want)) << text;
  }
}

TEST(TextTest, PresentableTextIsUtf8AndShort) {
  EXPECT_EQ(PresentableText("größe\x01", 64), "größe\x01");
  EXPECT_EQ(PresentableText("a\xff\xc3", 64), "a\ufffd\ufffd");

  const std::string cut = PresentableText(std::string(1000, 'a') + std::string(1000, 'b'), 64);
  EXPECT_EQ(cut, std::string(45, 'a') + "..." + std::string(16, 'b'));
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ü";
  EXPECT_TRUE(IsValidUtf8(PresentableText(umlauts, 65)));
}

TEST(TextTest, WrongByteSizesGivePrometheusErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "units: invalid "},
      {"-", "units: invalid -"},
      {"MB", "units: invalid MB"},
      {".MB", "units: invalid .MB"},
      {"100", "units: unknown unit  in 100"},
      {"100 MB", "units: unknown unit  MB in 100 MB"},
      {"1kb", "units: unknown unit kb in 1kb"},
      {"1kB", "units: unknown unit kB in 1kB"},
      {"1KB1KiB", "units: unknown unit KiB in 1KB1KiB"},
      {"16EB", "units: overflow parsing unit"},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(ParseByteSize(text), StatusIs(absl::StatusCode::kInvalidArgument, want)) << text;
  }
}

}  // namespace
}  // namespace trawl
