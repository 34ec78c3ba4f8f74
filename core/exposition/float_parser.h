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

// The plain decimals that make up nearly all samples: `-?[0-9]+(\.[0-9]*)?` with at most 19
// digits. Reads from `p` on; something that is no digit must stand before the memory's end.
// Returns the first byte behind the number, or null when this is none of the plain ones or it
// takes more than one exact operation: then ParseGoFloat decides.
const char* ParsePlainFloat(const char* p, double* value);

// A decimal as it is printed: value = mantissa / 10^scale, exactly rounded.
struct ShortDecimal {
  int64_t mantissa = 0;  // at most 2^53 either way
  int scale = 0;         // 0 to 22
};
// False when `text` is not a plain decimal of that size (or is a negative zero).
bool ParseShortDecimal(std::string_view text, ShortDecimal* decimal);

}  // namespace trawl

#include "core/exposition/float_parser_inline.h"
