#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/exposition/float_parser.h"

// The numbers behind a series text, for ScrapeBody's fast path alone: in a header, because its loop
// wants them inline. The text must end with a line feed. What they don't take, the strict parser
// may take still.

namespace trawl {

// A value that is no plain decimal: many digits, NaN, an infinity. Null when it is no number, or
// something other than the line's end follows.
inline const char* ParseOddValue(const char* p, double* value) {
  const char* end = p;
  while (*end != '\n' && *end != ' ' && *end != '\t' && *end != '{') ++end;
  const ParsedFloat number = ParseGoFloat({p, static_cast<size_t>(end - p)});
  *value = number.value;
  return number.error == FloatError::kNone ? end : nullptr;
}

// Behind the value, which is followed by a blank or the line's end; or null.
inline const char* ParseLineValue(const char* p, double* value) {
  const char* end = ParsePlainFloat(p, value);
  if (end != nullptr && (*end == '\n' || *end == ' ')) return end;
  end = ParseOddValue(p, value);
  return end != nullptr && (*end == '\n' || *end == ' ') ? end : nullptr;
}

// A blank, a timestamp of at most 18 digits, and the line's end; where that is, or null.
inline const char* ParseLineTimestamp(const char* p, int64_t* timestamp_ms) {
  const char* const begin = ++p;
  int64_t value = 0;
  for (; *p >= '0' && *p <= '9' && p - begin < 18; ++p) value = value * 10 + (*p - '0');
  *timestamp_ms = value;
  return p > begin && *p == '\n' ? p : nullptr;
}

}  // namespace trawl
