#include "server/page_token.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trawl {

std::string MakePageToken(std::initializer_list<std::string_view> key) {
  std::string text;
  for (std::string_view field : key) absl::StrAppend(&text, absl::BytesToHexString(field), ".");
  text.pop_back();
  return text;
}

std::optional<std::vector<std::string>> ParsePageToken(std::string_view token, size_t fields) {
  std::vector<std::string> key = absl::StrSplit(token, '.');
  if (key.size() != fields) return std::nullopt;
  for (std::string& field : key) {
    const bool hex = std::all_of(field.begin(), field.end(),
                                 [](unsigned char c) { return absl::ascii_isxdigit(c); });
    if (!hex || field.size() % 2 != 0) return std::nullopt;
    field = absl::HexStringToBytes(field);
  }
  return key;
}

size_t PageSize(int32_t requested) {
  constexpr int32_t kDefault = 1000;
  constexpr int32_t kMax = 10'000;
  if (requested <= 0) return kDefault;
  return std::min(requested, kMax);
}

}  // namespace trawl
