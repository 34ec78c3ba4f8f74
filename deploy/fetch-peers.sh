#!/usr/bin/env bash
# Unpacks peers under build/peers, without installing them (their packages would start services):
# deploy/fetch-peers.sh [prometheus] [victoria-metrics] [node-exporter] [grpcurl]
# Debian's packages, and grpcurl through Go's module proxy. Programs end up in build/peers/bin.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
peers=$top/build/peers
# 1.8.7 builds with Debian's Go 1.19 and with newer ones.
grpcurl_version=v1.8.7
mkdir -p "$peers/bin"

debian() { # package program...
  local package=$1
  shift
  local program missing=
  for program in "$@"; do [ -x "$peers/bin/$program" ] || missing=yes; done
  [ -n "$missing" ] || return 0
  local work
  work=$(mktemp -d)
  (
    cd "$work"
    chmod 755 .
    apt-get download -qq "$package" 2>/dev/null || { apt-get update -qq && apt-get download -qq "$package"; }
    dpkg -x ./*.deb root
    for program in "$@"; do install -m 755 "root/usr/bin/$program" "$peers/bin/$program"; done
  )
  rm -rf "$work"
}

for peer in "$@"; do
  case "$peer" in
    prometheus) debian prometheus prometheus promtool ;;
    victoria-metrics)
      debian victoria-metrics victoria-metrics vmagent ;;
    node-exporter) debian prometheus-node-exporter prometheus-node-exporter ;;
    grpcurl)
      [ -x "$peers/bin/grpcurl" ] ||
        GOBIN=$peers/bin GOFLAGS=-mod=mod go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl_version" ;;
    *) echo "fetch-peers.sh: unknown peer '$peer'" >&2; exit 2 ;;
  esac
done
