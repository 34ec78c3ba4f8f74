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

// The plain decimals that make up nearly all samples: `-?[0-9]+(\.[0-9]*)?` with at most 19
// digits. Reads from `p` on; something that is no digit must stand before the memory's end.
// Returns the first byte behind the number, or null when this is none of the plain ones or takes
// more than one rounding: then ParseGoFloat decides.
inline const char* ParsePlainFloat(const char* p, double* value) {
  const bool negative = *p == '-';
  p += negative ? 1 : 0;
  uint64_t mantissa = 0;  // may wrap; then there are too many digits, and it is not used
  const auto digits = [&] {
    const char* const begin = p;
    for (; static_cast<uint8_t>(*p - '0') < 10; ++p) {
      mantissa = mantissa * 10 + static_cast<uint8_t>(*p - '0');
    }
    return p - begin;
  };
  const auto whole = digits();
  if (whole == 0 || whole > 18) return nullptr;
  double result;
  if (*p == '.') {
    ++p;
    const auto scale = digits();
    if (whole + scale > 19 || mantissa > kMaxExactMantissa) return nullptr;
    result = static_cast<double>(static_cast<int64_t>(mantissa)) / kExactPowersOf10[scale];
  } else {
    result = static_cast<double>(static_cast<int64_t>(mantissa));
  }
  *value = negative ? -result : result;
  return p;
}

}  // namespace trawl
