#include "core/relabel/unicode.h"

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trawl {
namespace {

constexpr int32_t kReplacement = 0xFFFD;

template <typename Map>
std::string MapRunes(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const DecodedRune rune = DecodeRune(text);
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(map(rune.code), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    text.remove_prefix(rune.size);
  }
  return out;
}

int32_t ToUpperRune(int32_t code) {
  // utf8proc makes a capital sharp s of it, Unicode's simple mapping (and Go) leaves it alone.
  if (code == 0xDF) return code;
  return utf8proc_toupper(code);
}

}  // namespace

DecodedRune DecodeRune(std::string_view text) {
  utf8proc_int32_t code = 0;
  const utf8proc_ssize_t size =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (size <= 0) return {kReplacement, 1};
  return {code, static_cast<size_t>(size)};
}

bool IsLetterOrDigit(int32_t code) {
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
      return true;
    default:
      return false;
  }
}

std::string ToLowerUtf8(std::string_view text) { return MapRunes(text, utf8proc_tolower); }
std::string ToUpperUtf8(std::string_view text) { return MapRunes(text, ToUpperRune); }

}  // namespace trawl
