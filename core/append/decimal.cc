#include "core/append/decimal.h"

#include <bit>
#include <cmath>

namespace trawl {
namespace {

// Up to here at most one mantissa of a scale gives a certain double, and the product with the
// power of ten, being off by less than a half, rounds to it.
constexpr double kMaxPlainMantissa = static_cast<double>(int64_t{1} << 50);

constexpr double kFirstWholeDouble = static_cast<double>(int64_t{1} << 52);

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// The largest scale, or one less, at which a mantissa of `value` is below 2^50.
int LargestScale(double value) {
  const auto biased = static_cast<int>(std::bit_cast<uint64_t>(value) >> 52 & 0x7ff);
  const int bits = 50 - (biased - 1022);  // value < 2^(biased - 1022)
  const int scale = bits * 1233 >> 12;    // log10(2), a little less
  return scale < 0 ? 0 : scale > kMaxDecimalScale ? kMaxDecimalScale : scale;
}

void StripZeros(Decimal& decimal) {
  constexpr struct {
    int64_t power;
    int zeros;
  } kSteps[] = {{100'000'000, 8}, {10'000, 4}, {100, 2}, {10, 1}, {10, 1}};
  for (const auto& step : kSteps) {
    while (decimal.scale >= step.zeros && decimal.mantissa % step.power == 0) {
      decimal.mantissa /= step.power;
      decimal.scale -= step.zeros;
    }
  }
}

}  // namespace

bool FindMantissa(double value, int scale, int64_t& mantissa) {
  const double product = value * kDecimalPowers[scale];
  if (!(std::fabs(product) <= static_cast<double>(kMaxDecimalMantissa))) return false;
  // From 2^52 on doubles are integers, and the sum would round.
  const double half = std::fabs(product) < kFirstWholeDouble ? std::copysign(0.5, product) : 0.0;
  mantissa = static_cast<int64_t>(product + half);
  return SameBits(DecimalValue(mantissa, scale), value);
}

std::optional<Decimal> FindDecimal(double value) {
  Decimal decimal;
  if (FindMantissa(value, 0, decimal.mantissa)) return decimal;
  decimal.scale = LargestScale(value);
  if (decimal.scale < kMaxDecimalScale &&
      std::fabs(value) * kDecimalPowers[decimal.scale + 1] <= kMaxPlainMantissa) {
    ++decimal.scale;
  }
  if (FindMantissa(value, decimal.scale, decimal.mantissa)) {
    StripZeros(decimal);
    return decimal;
  }
  // Sixteen digits.
  if (++decimal.scale <= kMaxDecimalScale && FindMantissa(value, decimal.scale, decimal.mantissa)) {
    return decimal;
  }
  return std::nullopt;
}

}  // namespace trawl
