#!/usr/bin/env bash
# Configures and builds one kind of trawl: deploy/build.sh [release|dev|asan|tsan|long|tidy] [TARGET ...]
#   release  optimised, into build/release (the default); programs in build/release/bin
#   dev      unoptimised, with the tests
#   asan     AddressSanitizer and UndefinedBehaviorSanitizer, with the tests
#   tsan     ThreadSanitizer, core/ only: the distribution's libgrpc is not instrumented
#   long     release's flags, with the tests: for their long sizes
#   tidy     clang-tidy and clang's warnings (-Wthread-safety) over every source; makes no programs
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
kind=${1:-release}
[ $# -gt 0 ] && shift
options=(-DTRAWL_TESTS=ON)
case "$kind" in
  release) options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" -DTRAWL_TESTS=OFF) ;;
  long)    options+=(-DTRAWL_TEST_TIMEOUT=3600 -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG") ;;
  dev)     options+=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -g1") ;;
  asan)    options+=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" -DTRAWL_SANITIZE=address,undefined) ;;
  tsan)    options+=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" -DTRAWL_SANITIZE=thread -DTRAWL_WITH_GRPC=OFF) ;;
  tidy)    options+=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=" -DTRAWL_CLANG_TIDY=ON -DCMAKE_CXX_COMPILER=clang++-14) ;;
  *) echo "build.sh: unknown kind '$kind': want release, dev, asan, tsan, long or tidy" >&2; exit 2 ;;
esac
out=$top/build/$kind
mkdir -p "$out"
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1
# One build at a time in a checkout: two in one directory would corrupt each other, and two
# beside each other only take each other's cores.
exec 9>"$top/build/.lock"
flock 9
# Folders take part once they have a CMakeLists.txt, which ninja cannot see: compare their list.
inputs=$(printf '%s\n' "${options[@]}"; find "$top" -path "$top/build" -prune -o -path "$top/.git" -prune -o -name CMakeLists.txt -print | sort)
if [ ! -f "$out/build.ninja" ] || [ "$inputs" != "$(cat "$out/configured-from" 2>/dev/null)" ]; then
  cmake -S "$top" -B "$out" -G Ninja "${options[@]}" >"$out/configure.log" 2>&1 || { cat "$out/configure.log" >&2; exit 1; }
  printf '%s\n' "$inputs" >"$out/configured-from"
fi
exec ninja -C "$out" "$@"
