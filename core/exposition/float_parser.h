#pragma once

#include <cstdint>
#include <string_view>

namespace trawl {

enum class FloatError : uint8_t {
  kNone,
  kSyntax,       // `invalid syntax`
  kRange,        // `value out of range`
  kUnsupported,  // `unsupported character in float`: p, P or _
};

struct ParsedFloat {
  double value = 0;
  FloatError error = FloatError::kNone;
};

// A number as text expositions have it: the grammar of Go's strconv.ParseFloat without p, P
// and _, which also rules out hexadecimal (spec 5.0). Correctly rounded. Any NaN is NormalNaN().
ParsedFloat ParseGoFloat(std::string_view text);

// A decimal as it is printed: value = mantissa / 10^scale, exactly rounded.
struct ShortDecimal {
  int64_t mantissa = 0;  // at most 2^53 either way
  int scale = 0;         // 0 to 22
};
// False when `text` is not a plain decimal of that size (or is a negative zero).
bool ParseShortDecimal(std::string_view text, ShortDecimal* decimal);

// Powers of ten that a double holds exactly.
inline constexpr double kExactPowersOf10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
inline constexpr uint64_t kMaxExactMantissa = uint64_t{1} << 53;

// The decimals that make up nearly all samples: `-?[0-9]+(\.[0-9]*)?(e[+-]?[0-9]{1,2})?` with at
// most 19 digits, and of a value that takes one exact operation. Reads from `p` on; something
// that is no digit must stand before the memory's end. Returns the first byte behind the number,
// or null when it is none of these: then ParseGoFloat decides.
inline const char* ParsePlainFloat(const char* p, double* value) {
  const auto digit = [&p] { return static_cast<uint8_t>(*p - '0'); };
  const bool negative = *p == '-';
  p += negative ? 1 : 0;
  const char* const begin = p;
  uint64_t mantissa = 0;  // may wrap; then there are too many digits, and it is not used
  for (; digit() < 10; ++p) mantissa = mantissa * 10 + digit();
  const auto whole = p - begin;
  if (whole == 0 || whole > 18) return nullptr;
  int exponent = 0;
  if (*p == '.') {
    const char* const point = p++;
    for (; digit() < 10; ++p) mantissa = mantissa * 10 + digit();
    const auto scale = p - point - 1;
    if (whole + scale > 19) return nullptr;
    exponent = -static_cast<int>(scale);
  }
  if (*p == 'e') {
    ++p;
    const bool minus = *p == '-';
    p += minus || *p == '+' ? 1 : 0;
    if (digit() >= 10) return nullptr;
    int tens = digit();
    if (++p; digit() < 10) tens = tens * 10 + digit(), ++p;
    if (digit() < 10) return nullptr;
    exponent += minus ? -tens : tens;
  }
  double result = static_cast<double>(static_cast<int64_t>(mantissa));
  if (exponent != 0) {
    if (mantissa > kMaxExactMantissa || exponent > 22 || exponent < -22) return nullptr;
    result =
        exponent < 0 ? result / kExactPowersOf10[-exponent] : result * kExactPowersOf10[exponent];
  }
  *value = negative ? -result : result;
  return p;
}

}  // namespace trawl
