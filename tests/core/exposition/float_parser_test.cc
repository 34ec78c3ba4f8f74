#include "core/exposition/float_parser.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/model/value.h"

namespace trawl {
namespace {

uint64_t BitsOf(double value) { return std::bit_cast<uint64_t>(value); }

TEST(FloatParserTest, ReadsGosSpellings) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const struct {
    std::string_view text;
    double value;
  } cases[] = {{"1", 1},
               {"+5", 5},
               {"-0", -0.0},
               {"5.", 5},
               {".5", 0.5},
               {"1e5", 1e5},
               {"1E-5", 1e-5},
               {"00012", 12},
               {"inf", kInf},
               {"+Inf", kInf},
               {"-INFINITY", -kInf},
               {"Infinity", kInf},
               {"1e-999", 0},
               {"4.9e-324", 5e-324},
               {"1.7976931348623157e308", 1.7976931348623157e308}};
  for (const auto& c : cases) {
    EXPECT_EQ(ParseGoFloat(c.text).error, FloatError::kNone) << c.text;
    EXPECT_EQ(BitsOf(ParseGoFloat(c.text).value), BitsOf(c.value)) << c.text;
  }
  for (const std::string_view nan : {"nan", "NaN", "NAN"}) {
    EXPECT_EQ(BitsOf(ParseGoFloat(nan).value), kNormalNaNBits);
  }
}

TEST(FloatParserTest, RefusesWhatGoRefuses) {
  for (const std::string_view text : {"", "+", "-", ".", "e5", "1e", "1e+", "--1", "+-1", "-+1",
                                      "+NaN", "infin", "0x1", "1 ", "1,5", "1\r", "true", "1f"}) {
    EXPECT_EQ(ParseGoFloat(text).error, FloatError::kSyntax) << text;
  }
  for (const std::string_view text : {"1_2", "0x1p3", "1P", "p"}) {
    EXPECT_EQ(ParseGoFloat(text).error, FloatError::kUnsupported) << text;
  }
  for (const std::string_view text : {"1e999", "-1e309", "1.7976931348623159e308"}) {
    EXPECT_EQ(ParseGoFloat(text).error, FloatError::kRange) << text;
  }
}

// What the plain path takes must be what the strict one gives, bit by bit.
void CheckPlain(const std::string& text) {
  const std::string line = text + "\n";
  double plain = 0;
  const char* const end = ParsePlainFloat(line.data(), &plain);
  if (end == nullptr || *end != '\n') return;
  const ParsedFloat strict = ParseGoFloat(text);
  ASSERT_EQ(strict.error, FloatError::kNone) << text;
  ASSERT_EQ(BitsOf(plain), BitsOf(strict.value)) << text;
  ASSERT_EQ(BitsOf(plain), BitsOf(std::strtod(text.c_str(), nullptr))) << text;
}

TEST(FloatParserTest, PlainNumbersAreReadAsTheStrictParserReadsThem) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    const uint64_t digits = random() >> (random() % 64);
    const auto scale = static_cast<unsigned>(random() % 20);
    std::string text = absl::StrCat(digits);
    if (scale < text.size()) text.insert(text.size() - scale, ".");
    if (random() % 4 == 0) absl::StrAppend(&text, "e", static_cast<int>(random() % 60) - 30);
    if (random() % 4 == 0) text.insert(0, "-");
    CheckPlain(text);
    if (HasFatalFailure()) return;
  }
}

TEST(FloatParserTest, ShortestFormsOfDoublesAreReadBack) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (std::isnan(value) || std::isinf(value)) continue;
    const std::string text = absl::StrFormat("%.17g", value);
    ASSERT_EQ(BitsOf(ParseGoFloat(text).value), BitsOf(value)) << text;
    CheckPlain(text);
  }
}

void CheckExhaustively(std::string& text, size_t length) {
  CheckPlain(text);
  if (length == 0) return;
  for (const char c : std::string_view("019.e+-")) {
    text.push_back(c);
    CheckExhaustively(text, length - 1);
    text.pop_back();
  }
}

TEST(FloatParserTest, EveryShortTextIsReadAlike) {
  std::string text;
  CheckExhaustively(text, 6);
}

TEST(FloatParserTest, ShortDecimalsKeepMantissaAndScale) {
  ShortDecimal decimal;

  ASSERT_TRUE(ParseShortDecimal("8312.45", &decimal));
  EXPECT_EQ(decimal.mantissa, 831245);
  EXPECT_EQ(decimal.scale, 2);
  ASSERT_TRUE(ParseShortDecimal("-17", &decimal));
  EXPECT_EQ(decimal.mantissa, -17);
  EXPECT_EQ(decimal.scale, 0);
  for (const std::string_view text :
       {"-0", "", ".5", "1e5", "NaN", "9007199254740993", "1.2.3", "12345678901234567890"}) {
    EXPECT_FALSE(ParseShortDecimal(text, &decimal)) << text;
  }
}

}  // namespace
}  // namespace trawl
