#!/usr/bin/env bash
# Installs what the tests need, builds, and runs the whole suite in its CI size. As root on Debian 12.
#   tests/run.sh            build dev, every test
#   tests/run.sh --asan     with AddressSanitizer and UndefinedBehaviorSanitizer
#   tests/run.sh --tsan     core/ with ThreadSanitizer
#   tests/run.sh --tidy     clang-tidy over every source (builds, runs no tests)
#   tests/run.sh --tidy=COMMIT  over those that changed since then, and those of the headers that did
#   tests/run.sh --long     the long sizes of property, fault and end-to-end tests, optimised
# Further arguments go to ctest (-R NAME, ...). The closing lines are ctest's.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
kind=dev
arguments=()
targets=()
# The sources that changed since a commit; a header stands for its source, or else for the first
# that includes it. Ninja's name of what is made of a source is the source's with a ^ behind.
changed_since() {
  local file
  git -C "$top" diff --name-only --diff-filter=d "$1" -- '*.cc' '*.h' | while read -r file; do
    [ -f "$top/${file%.h}.cc" ] && file=${file%.h}.cc
    case "$file" in
      *.h) { git -C "$top" grep -lF "#include \"$file\"" -- '*.cc' || true; } | sed -n 1p ;;
      *) echo "$file" ;;
    esac
  done | sort -u | sed "s|.*|$top/&^|"
}
for argument in "$@"; do
  case "$argument" in
    --asan) kind=asan ;;
    --tsan) kind=tsan ;;
    --tidy) kind=tidy ;;
    --tidy=*)
      kind=tidy
      changed=$(changed_since "${argument#*=}")
      [ -n "$changed" ] || { echo "no source changed since ${argument#*=}"; exit 0; }
      mapfile -t targets <<<"$changed" ;;
    --long) kind=long; export TRAWL_TEST_SIZE=long ;;
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done
mkdir -p "$top/build"
# What listens before anything of ours is installed: a test compares it with what listens after.
awk 'FNR > 1 && $4 == "0A" {n = split($2, part, ":"); print part[n]}' /proc/net/tcp /proc/net/tcp6 |
  while read -r port; do printf '%d\n' "0x$port"; done | sort -nu >"$top/build/listening-before.txt"
"$top/deploy/install-deps.sh" build test
"$top/deploy/build.sh" "$kind" ${targets[@]+"${targets[@]}"}
[ "$kind" = tidy ] && exit 0
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
exec ctest --test-dir "$top/build/$kind" --output-on-failure -j 2 ${arguments[@]+"${arguments[@]}"}
