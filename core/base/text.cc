#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

struct Rune {
  uint32_t code = 0;
  size_t length = 0;  // in bytes; 0: what stands here is not UTF-8
};

// The first character of `text`, which is not empty. Refuses overlong forms, surrogates and
// what is above U+10FFFF.
Rune DecodeRune(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
  uint32_t code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF) return {};
  if (code >= 0xD800 && code <= 0xDFFF) return {};
  return {code, length};
}

// What Go's unicode.IsPrint refuses: controls, spaces but U+0020, format characters, private
// use, noncharacters. Characters that Unicode has not assigned count as printable here.
constexpr std::array<std::pair<uint32_t, uint32_t>, 32> kNotPrintable = {{
    {0x0000, 0x001F},   {0x007F, 0x00A0},   {0x00AD, 0x00AD},   {0x0600, 0x0605},
    {0x061C, 0x061C},   {0x06DD, 0x06DD},   {0x070F, 0x070F},   {0x0890, 0x0891},
    {0x08E2, 0x08E2},   {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},   {0xD800, 0xF8FF},
    {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},
    {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0x1FFFE, 0x1FFFF}, {0x2FFFE, 0x2FFFF}, {0x3FFFE, 0x3FFFF},
    {0x40000, 0xE00FF}, {0xE01F0, 0xEFFFF}, {0xF0000, 0xFFFFF}, {0x100000, 0x10FFFF},
}};

bool IsPrintable(uint32_t code) {
  const auto range = std::upper_bound(
      kNotPrintable.begin(), kNotPrintable.end(), code,
      [](uint32_t value, const std::pair<uint32_t, uint32_t>& r) { return value < r.first; });
  return range == kNotPrintable.begin() || code > std::prev(range)->second;
}

std::optional<char> ShortEscape(uint32_t code) {
  switch (code) {
    case '\a':
      return 'a';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\v':
      return 'v';
    case '\\':
    case '"':
      return static_cast<char>(code);
    default:
      return std::nullopt;
  }
}

void AppendQuotedRune(std::string& out, Rune rune, std::string_view bytes) {
  if (rune.length == 0) {
    absl::StrAppendFormat(&out, "\\x%02x", static_cast<uint8_t>(bytes[0]));
  } else if (const std::optional<char> escape = ShortEscape(rune.code)) {
    out += '\\';
    out += *escape;
  } else if (IsPrintable(rune.code)) {
    out.append(bytes.substr(0, rune.length));
  } else if (rune.code < 0x80) {
    absl::StrAppendFormat(&out, "\\x%02x", rune.code);
  } else if (rune.code < 0x10000) {
    absl::StrAppendFormat(&out, "\\u%04x", rune.code);
  } else {
    absl::StrAppendFormat(&out, "\\U%08x", rune.code);
  }
}

// The decimal exponent of a number in to_chars' scientific form.
int DecimalExponent(std::string_view scientific) {
  int exponent = 0;
  const size_t e = scientific.find('e');
  if (e == std::string_view::npos) return 0;
  std::string_view digits = scientific.substr(e + 1);
  if (digits[0] == '+') digits.remove_prefix(1);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  return exponent;
}

std::string ToChars(double value, std::chars_format format) {
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  return std::string(buffer.data(), result.ptr);
}

absl::Status InvalidSize(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("units: invalid ", text));
}

// Takes a decimal number, with a fraction or not, from the front. nullopt: there is none.
std::optional<double> TakeDecimal(std::string_view& text) {
  size_t end = 0;
  size_t digits = 0;
  bool point = false;
  for (; end < text.size(); ++end) {
    const bool is_point = text[end] == '.';
    if (is_point ? point : !absl::ascii_isdigit(text[end])) break;
    if (is_point) point = true;
    if (!is_point) ++digits;
  }
  double value = 0;
  if (digits == 0 || !absl::SimpleAtod(text.substr(0, end), &value)) return std::nullopt;
  text.remove_prefix(end);
  return value;
}

std::string_view TakeUnit(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && text[end] != '.' && !absl::ascii_isdigit(text[end])) ++end;
  const std::string_view unit = text.substr(0, end);
  text.remove_prefix(end);
  return unit;
}

// "B", and "KB" to "EB" with the suffix "B".
std::optional<double> UnitBytes(std::string_view unit, std::string_view suffix) {
  if (unit == "B") return 1;
  constexpr std::string_view kPrefixes = "KMGTPE";
  const size_t prefix = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]);
  if (prefix == std::string_view::npos || unit.substr(1) != suffix) return std::nullopt;
  return std::ldexp(1.0, 10 * (static_cast<int>(prefix) + 1));
}

absl::StatusOr<uint64_t> ParseSizeWithSuffix(std::string_view text, std::string_view suffix) {
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return InvalidSize(text);
  double total = 0;
  while (!rest.empty()) {
    const std::optional<double> number = TakeDecimal(rest);
    if (!number) return InvalidSize(text);
    const std::string_view unit = TakeUnit(rest);
    const std::optional<double> bytes = UnitBytes(unit, suffix);
    if (!bytes) {
      return absl::InvalidArgumentError(absl::StrCat("units: unknown unit ", unit, " in ", text));
    }
    total += *number * *bytes;
  }
  if (total >= std::ldexp(1.0, 63)) {
    return absl::InvalidArgumentError("units: overflow parsing unit");
  }
  return negative ? 0 : static_cast<uint64_t>(total);
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (rune.length == 0) return false;
    text.remove_prefix(rune.length);
  }
  return true;
}

std::string PresentableText(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    constexpr std::string_view kLeftOut = "...";
    const size_t tail = max_bytes / 4;
    const size_t head = max_bytes - tail - kLeftOut.size();
    const std::string_view begin = text.substr(0, head);
    const std::string_view end = text.substr(text.size() - tail);
    return absl::StrCat(PresentableText(begin, begin.size()), kLeftOut,
                        PresentableText(end, end.size()));
  }
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    out.append(rune.length == 0 ? std::string_view("\ufffd") : text.substr(0, rune.length));
    text.remove_prefix(std::max<size_t>(1, rune.length));
  }
  return out;
}

bool IsPrintableText(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (rune.length == 0 || !IsPrintable(rune.code)) return false;
    text.remove_prefix(rune.length);
  }
  return true;
}

std::string GoQuote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    AppendQuotedRune(out, rune, text);
    text.remove_prefix(std::max<size_t>(1, rune.length));
  }
  out += '"';
  return out;
}

std::string JsonQuote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (rune.length == 0) {
      out += "\\ufffd";
    } else if (rune.code == '"' || rune.code == '\\') {
      out += '\\';
      out += static_cast<char>(rune.code);
    } else if (rune.code >= 0x10000 || IsPrintable(rune.code)) {
      out.append(text.substr(0, rune.length));
    } else {
      absl::StrAppendFormat(&out, "\\u%04x", rune.code);
    }
    text.remove_prefix(std::max<size_t>(1, rune.length));
  }
  out += '"';
  return out;
}

std::string FormatGoFloat(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::string scientific = ToChars(value, std::chars_format::scientific);
  const int exponent = DecimalExponent(scientific);
  if (exponent < -4 || exponent >= 6) return scientific;
  return ToChars(value, std::chars_format::fixed);
}

absl::StatusOr<uint64_t> ParseByteSize(std::string_view text) {
  // The two sets of units do not mix; the error is that of the second, as Prometheus gives it.
  absl::StatusOr<uint64_t> size = ParseSizeWithSuffix(text, "iB");
  return size.ok() ? size : ParseSizeWithSuffix(text, "B");
}

}  // namespace trawl
