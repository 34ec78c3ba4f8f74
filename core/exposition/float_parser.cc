#include "core/exposition/float_parser.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/charconv.h"
#include "absl/strings/match.h"
#include "core/model/value.h"

namespace trawl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t SkipDigits(std::string_view text, size_t at) {
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at;
}

// Go's readFloat without hexadecimal: digits, a point among or around them, an exponent.
bool IsDecimal(std::string_view unsigned_text) {
  const size_t point = SkipDigits(unsigned_text, 0);
  size_t at = point;
  size_t digits = point;
  if (at < unsigned_text.size() && unsigned_text[at] == '.') {
    at = SkipDigits(unsigned_text, point + 1);
    digits += at - point - 1;
  }
  if (digits == 0) return false;
  if (at == unsigned_text.size()) return true;
  if (unsigned_text[at] != 'e' && unsigned_text[at] != 'E') return false;
  ++at;
  if (at < unsigned_text.size() && (unsigned_text[at] == '+' || unsigned_text[at] == '-')) ++at;
  const size_t end = SkipDigits(unsigned_text, at);
  return end > at && end == unsigned_text.size();
}

// Inf and NaN in Go's spellings; only Inf may have a sign.
std::optional<double> ParseSpecial(std::string_view text) {
  if (absl::EqualsIgnoreCase(text, "nan")) return NormalNaN();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (!absl::EqualsIgnoreCase(text, "inf") && !absl::EqualsIgnoreCase(text, "infinity")) {
    return std::nullopt;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  return negative ? -infinity : infinity;
}

// `text` is a decimal without a plus sign.
ParsedFloat ConvertDecimal(std::string_view text) {
  ParsedFloat result;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, result.value).ec == std::errc()) return result;
  // Too large or too small: which one, std::from_chars does not say.
  absl::from_chars(text.data(), end, result.value);
  if (std::abs(result.value) > 1) {
    result.value = std::copysign(std::numeric_limits<double>::infinity(), result.value);
    result.error = FloatError::kRange;
  }
  return result;
}

}  // namespace

ParsedFloat ParseGoFloat(std::string_view text) {
  if (text.find_first_of("pP_") != std::string_view::npos) return {0, FloatError::kUnsupported};
  if (const auto special = ParseSpecial(text)) return {*special, FloatError::kNone};
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return {0, FloatError::kSyntax};
  }
  const std::string_view magnitude = text.starts_with('-') ? text.substr(1) : text;
  if (!IsDecimal(magnitude)) return {0, FloatError::kSyntax};
  return ConvertDecimal(text);
}

bool ParseShortDecimal(std::string_view text, ShortDecimal* decimal) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() || whole.size() + fraction.size() > 19) return false;
  uint64_t mantissa = 0;
  for (const std::string_view part : {whole, fraction}) {
    for (const char c : part) {
      if (!IsDigit(c)) return false;
      mantissa = mantissa * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  if (mantissa > kMaxExactMantissa || (negative && mantissa == 0)) return false;
  decimal->mantissa = negative ? -static_cast<int64_t>(mantissa) : static_cast<int64_t>(mantissa);
  decimal->scale = static_cast<int>(fraction.size());
  return true;
}

}  // namespace trawl
