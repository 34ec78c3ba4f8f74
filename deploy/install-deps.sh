#!/usr/bin/env bash
# Installs what trawl needs from Debian 12: deploy/install-deps.sh [build] [run] [test]
#   build  compiler, CMake, and the libraries' headers
#   run    the shared libraries that the programs link (build brings them too)
#   test   what the tests need besides: linters, sqlite3, Python's gRPC, a browser, Go's compiler if
#          there is none; and the peers (Prometheus, VictoriaMetrics, node exporter, grpcurl), which are
#          unpacked under build/peers and not installed, so that no service is started or enabled
# Without a group: build. As root. What is there already is left alone.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

build=(ca-certificates g++ cmake ninja-build pkg-config ccache mold git
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev
  libcurl4-openssl-dev libssl-dev libc-ares-dev libyaml-cpp-dev libre2-dev libutf8proc-dev
  libisal-dev libdeflate-dev libzstd-dev libsnappy-dev libxxhash-dev zlib1g-dev
  libsqlite3-dev libspdlog-dev prometheus-cpp-dev libcpp-httplib-dev libcli11-dev
  nlohmann-json3-dev libcrypt-dev)
run=(ca-certificates libgrpc++1.51 libprotobuf32 libcurl4 libssl3 libc-ares2 libyaml-cpp0.7 libre2-9
  libutf8proc2 libisal2 libdeflate0 libzstd1 libsnappy1v5 libxxhash0 libsqlite3-0 libspdlog1.10
  libprometheus-cpp-core1.0 libcpp-httplib0.11 libcrypt1)
test=(libgtest-dev libgmock-dev libbenchmark-dev clang-14 clang-tidy-14 clang-format-14
  sqlite3 zstd curl jq openssl procps iproute2 nftables python3 python3-grpcio python3-protobuf
  python3-zstandard chromium chromium-driver)

groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(build)
packages=()
for group in "${groups[@]}"; do
  case "$group" in
    build) packages+=("${build[@]}") ;;
    run) packages+=("${run[@]}") ;;
    test) packages+=("${test[@]}") ;;
    *) echo "install-deps.sh: unknown group '$group': want build, run or test" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
case " ${groups[*]} " in
  *" test "*) command -v go >/dev/null || missing+=(golang-go) ;;
esac
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "install-deps.sh: not root, and these packages are missing: ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
case " ${groups[*]} " in
  *" test "*) "$top/deploy/fetch-peers.sh" prometheus victoria-metrics node-exporter grpcurl ;;
esac
