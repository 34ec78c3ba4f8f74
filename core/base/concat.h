#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace trawl {

// Debian's abseil has a string_view of its own, which std::string_view does not convert to.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

namespace internal {

template <typename T>
decltype(auto) ForStrCat(const T& value) {
  if constexpr (std::convertible_to<const T&, std::string_view>) {
    return ToAbsl(value);
  } else {
    return (value);
  }
}

}  // namespace internal

// absl::StrCat that takes std::string_view too.
template <typename... Args>
std::string Concat(const Args&... args) {
  return absl::StrCat(internal::ForStrCat(args)...);
}

}  // namespace trawl
