#pragma once

#include <cstdint>
#include <optional>

namespace trawl {

// A short decimal that stands for a double: mantissa / 10^scale, rounded once. With
// |mantissa| <= kMaxDecimalMantissa and 0 <= scale <= kMaxDecimalScale both are exact doubles, so
// one division gives the correctly rounded value, on every machine that rounds as IEEE 754 says.
// Negative zero, infinities and NaNs are no decimals.
struct Decimal {
  int64_t mantissa = 0;
  int scale = 0;
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

inline constexpr int64_t kMaxDecimalMantissa = int64_t{1} << 53;
inline constexpr int kMaxDecimalScale = 22;
inline constexpr double kDecimalPowers[kMaxDecimalScale + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

inline double DecimalValue(int64_t mantissa, int scale) {
  return static_cast<double>(mantissa) / kDecimalPowers[scale];
}

// A mantissa with which `value` is a decimal of this scale, to the bit; false if none is found.
// The product is off by less than one of 2^52: beyond that some are missed.
bool FindMantissa(double value, int scale, int64_t& mantissa);

// The decimal with the smallest scale that is `value` to the bit: what the shortest text that
// reads as `value` says, as long as it has no more than 15 digits. With 16 digits some are missed.
std::optional<Decimal> FindDecimal(double value);

}  // namespace trawl
