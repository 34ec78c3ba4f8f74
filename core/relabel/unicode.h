#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trawl {

// One code point at the start of a text. A byte that is not UTF-8 reads as U+FFFD of size 1.
struct DecodedRune {
  int32_t code = 0;
  size_t size = 0;
};

// `text` must not be empty.
DecodedRune DecodeRune(std::string_view text);

// Unicode's letters (L*) and decimal digits (Nd).
bool IsLetterOrDigit(int32_t code);

// Code point by code point, as Go's strings.ToLower and ToUpper: no locale, no special casing.
// A byte that is not UTF-8 becomes U+FFFD.
std::string ToLowerUtf8(std::string_view text);
std::string ToUpperUtf8(std::string_view text);

}  // namespace trawl
