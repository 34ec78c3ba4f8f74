# Debian builds abseil for C++14: its absl::string_view is a class of its own, and a
# std::string_view converts to it nowhere. Where that is so, two of abseil's headers are copied into
# the build directory with the missing conversions added (inline constructors and an operator: no
# layout, no symbol and no call of the library changes), and found before the originals.
# With an abseil whose string_view is std's, nothing is done.
function(trawl_bridge_string_view target)
  get_target_property(include_dirs absl::strings INTERFACE_INCLUDE_DIRECTORIES)
  find_path(absl_dir absl/base/options.h HINTS ${include_dirs} NO_CACHE REQUIRED)
  file(READ ${absl_dir}/absl/base/options.h options)
  if(NOT options MATCHES "#define ABSL_OPTION_USE_STD_STRING_VIEW 0")
    return()
  endif()

  file(READ ${absl_dir}/absl/strings/string_view.h text)
  set(anchor "  constexpr string_view() noexcept : ptr_(nullptr), length_(0) {}\n")
  string(REPLACE "${anchor}" "${anchor}\
  constexpr string_view(std::string_view s) noexcept : ptr_(s.data()), length_(s.size()) {}\n\
  constexpr operator std::string_view() const noexcept { return {ptr_, length_}; }\n" patched "${text}")
  string(REPLACE "#include <string>\n" "#include <string>\n#include <string_view>\n" patched "${patched}")
  string(FIND "${patched}" "operator std::string_view" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${absl_dir}/absl/strings/string_view.h is not the one this bridge was written for")
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/abseil_bridge/absl/strings/string_view.h CONTENT "${patched}" @ONLY)

  file(READ ${absl_dir}/absl/strings/str_cat.h text)
  set(anchor "  AlphaNum(absl::string_view pc) : piece_(pc) {}  // NOLINT(runtime/explicit)\n")
  string(REPLACE "${anchor}" "${anchor}  AlphaNum(std::string_view pc) : piece_(pc) {}\n" patched "${text}")
  string(FIND "${patched}" "AlphaNum(std::string_view" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${absl_dir}/absl/strings/str_cat.h is not the one this bridge was written for")
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/abseil_bridge/absl/strings/str_cat.h CONTENT "${patched}" @ONLY)

  target_include_directories(${target} BEFORE INTERFACE ${CMAKE_BINARY_DIR}/abseil_bridge)
endfunction()
