# The project's functions. A library's DEPS are the architecture: review them.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(TRAWL_CCACHE ccache)
if(TRAWL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TRAWL_CCACHE})
endif()

# Flags reach a target by linking trawl_options PRIVATE, and never leak to its users.
add_library(trawl_options INTERFACE)
target_include_directories(trawl_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(trawl_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
  -fno-omit-frame-pointer
  -pthread) # everywhere: a precompiled header is good for those alone that are built alike
target_compile_definitions(trawl_options INTERFACE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache and precompiled headers work together with this; the include check is not needed.
  target_compile_options(trawl_options INTERFACE -fpch-preprocess)
  # g++ 12 reports these falsely inside libstdc++ when it inlines.
  target_compile_options(trawl_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overread
    -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(trawl_options INTERFACE -Wthread-safety)
endif()
if(TRAWL_SANITIZE)
  add_compile_options(-fsanitize=${TRAWL_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRAWL_SANITIZE})
endif()
find_program(TRAWL_MOLD mold)
if(TRAWL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
if(TRAWL_CLANG_TIDY)
  find_program(TRAWL_CLANG_TIDY_EXE NAMES clang-tidy-14 clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${TRAWL_CLANG_TIDY_EXE} --quiet)
  # The check is all that is wanted: each source is parsed once more for its dependencies, and
  # empty files stand for objects, libraries and programs.
  set(CMAKE_CXX_COMPILER_LAUNCHER "")
  set(CMAKE_CXX_COMPILE_OBJECT
    "<CMAKE_CXX_COMPILER> <DEFINES> <INCLUDES> <FLAGS> -fsyntax-only <SOURCE>" "${CMAKE_COMMAND} -E touch <OBJECT>")
  set(CMAKE_CXX_CREATE_STATIC_LIBRARY "${CMAKE_COMMAND} -E touch <TARGET>")
  set(CMAKE_CXX_LINK_EXECUTABLE "${CMAKE_COMMAND} -E touch <TARGET>")
endif()

# Two precompiled headers, shared: one of the standard library and abseil, one that adds
# protobuf and gRPC. They are speed only: every source includes what it uses.
option(TRAWL_PCH "use precompiled headers" ON)

function(trawl_precompile target grpc)
  if(NOT TRAWL_PCH OR TRAWL_CLANG_TIDY)
    return()
  endif()
  if(grpc)
    target_precompile_headers(${target} REUSE_FROM trawl_pch_grpc)
  else()
    target_precompile_headers(${target} REUSE_FROM trawl_pch)
  endif()
endfunction()

function(trawl_make_precompiled name)
  if(NOT TRAWL_PCH OR TRAWL_CLANG_TIDY)
    return()
  endif()
  file(WRITE ${CMAKE_BINARY_DIR}/${name}.cc "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE trawl_options)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()

# trawl_library(NAME [GRPC] [SOURCES ...] [DEPS ...] [PRIVATE_DEPS ...])
# makes trawl_NAME and trawl::NAME. Without SOURCES it is header-only: a seam.
function(trawl_library name)
  cmake_parse_arguments(ARG "GRPC" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(trawl_${name} STATIC ${ARG_SOURCES})
    target_include_directories(trawl_${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(trawl_${name} PUBLIC ${ARG_DEPS} PRIVATE trawl_options ${ARG_PRIVATE_DEPS})
    trawl_precompile(trawl_${name} ${ARG_GRPC})
  else()
    add_library(trawl_${name} INTERFACE)
    target_include_directories(trawl_${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(trawl_${name} INTERFACE ${ARG_DEPS})
  endif()
  add_library(trawl::${name} ALIAS trawl_${name})
endfunction()

# trawl_executable(NAME [GRPC] SOURCES ... DEPS ...): a program in bin/.
function(trawl_executable name)
  cmake_parse_arguments(ARG "GRPC" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE trawl_options ${ARG_DEPS})
  trawl_precompile(${name} ${ARG_GRPC})
endfunction()

set(TRAWL_TEST_TIMEOUT 120 CACHE STRING "seconds that a test may take")

# trawl_test(NAME [GRPC] SOURCES ... DEPS ...): one executable a library, each TEST a ctest entry.
function(trawl_test name)
  cmake_parse_arguments(ARG "GRPC" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE trawl_options ${ARG_DEPS} GTest::gmock_main GTest::gtest)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  trawl_precompile(${name} ${ARG_GRPC})
  if(NOT TRAWL_CLANG_TIDY) # discovery runs the program
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${TRAWL_TEST_TIMEOUT})
  endif()
endfunction()
include(GoogleTest)

trawl_make_precompiled(trawl_pch
  <algorithm> <atomic> <cstdint> <functional> <map> <memory> <optional> <set> <span> <string> <string_view>
  <thread> <unordered_map> <utility> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/functional/any_invocable.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/strings/str_join.h> <absl/strings/str_split.h>
  <absl/time/time.h>)
if(TRAWL_WITH_GRPC)
  trawl_make_precompiled(trawl_pch_grpc
    <algorithm> <atomic> <cstdint> <functional> <map> <memory> <optional> <string> <string_view> <utility> <vector>
    <absl/container/flat_hash_map.h> <absl/functional/any_invocable.h> <absl/status/statusor.h>
    <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/time/time.h>
    <grpcpp/grpcpp.h> <google/protobuf/message.h> <google/protobuf/util/json_util.h>)
endif()
