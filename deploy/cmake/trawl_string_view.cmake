# Debian builds abseil for C++14: its absl::string_view is a class of its own, and a
# std::string_view converts to it nowhere. Where that is so, three of abseil's headers are copied
# into the build directory with the missing conversions added (inline constructors and an operator:
# no layout, no symbol and no call of the library changes), and found before the originals.
# With an abseil whose string_view is std's, nothing is done.

# Copies an abseil header with `addition` behind the line `anchor`.
function(trawl_bridge_header absl_dir header anchor addition)
  file(READ ${absl_dir}/${header} text)
  string(FIND "${text}" "${anchor}\n" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${absl_dir}/${header} is not the one this bridge was written for")
  endif()
  string(REPLACE "${anchor}\n" "${anchor}\n${addition}\n" text "${text}")
  string(REPLACE "#include <string>\n" "#include <string>\n#include <string_view>\n" text "${text}")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/abseil_bridge/${header} CONTENT "${text}" @ONLY)
endfunction()

function(trawl_bridge_string_view target)
  get_target_property(include_dirs absl::strings INTERFACE_INCLUDE_DIRECTORIES)
  find_path(absl_dir absl/base/options.h HINTS ${include_dirs} NO_CACHE REQUIRED)
  file(READ ${absl_dir}/absl/base/options.h options)
  if(NOT options MATCHES "#define ABSL_OPTION_USE_STD_STRING_VIEW 0")
    return()
  endif()
  trawl_bridge_header(${absl_dir} absl/strings/string_view.h
    "  constexpr string_view() noexcept : ptr_(nullptr), length_(0) {}"
    "  constexpr string_view(std::string_view s) noexcept : ptr_(s.data()), length_(s.size()) {}
  constexpr operator std::string_view() const noexcept { return {ptr_, length_}; }
  template <typename S>
    requires std::is_same_v<S, std::string_view>
  friend constexpr bool operator==(string_view a, S b) noexcept {
    return std::string_view(a) == b;
  }")
  trawl_bridge_header(${absl_dir} absl/strings/str_cat.h
    "  AlphaNum(absl::string_view pc) : piece_(pc) {}  // NOLINT(runtime/explicit)"
    "  AlphaNum(std::string_view pc) : piece_(pc) {}")
  trawl_bridge_header(${absl_dir} absl/strings/internal/str_split_internal.h
    "  ConvertibleToStringView(char* s) : value_(s) {}  // NOLINT(runtime/explicit)"
    "  ConvertibleToStringView(std::string_view s) : value_(s) {}")
  target_include_directories(${target} BEFORE INTERFACE ${CMAKE_BINARY_DIR}/abseil_bridge)
endfunction()
