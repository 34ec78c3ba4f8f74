#!/usr/bin/env bash
# Discovery at scale on loopback, and what it costs: tests/bench/discovery_scale.sh [--targets 100000]
#   1. 100,000 targets in 2,000 groups, which answer nobody: the snapshot, the memory that a target
#      takes before its first scrape, changes of one group, a restart after SIGKILL.
#   2. 10,000 live exporters under first_scrape: immediate: single new targets until they are told and
#      until they are scraped; 10,000 new ones at once.
# Prints a line a figure: what, figure, bound, ok or FAILED; fails if one does. Builds the release kind
# if needed.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
targets=100000 live=10000 interval=30
while [ $# -gt 0 ]; do
  case "$1" in
    --targets) targets=$2 ;;
    --live) live=$2 ;;
    *) echo "discovery_scale.sh: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift 2
done
bin=${TRAWL_BIN:-$top/build/release/bin}
"$top/deploy/build.sh" release trawld trawl-store exporter_farm discovery_scale >/dev/null
work=$top/build/bench/discovery_scale
rm -rf "$work"
mkdir -p "$work/bodies"
tar --zstd -xf "$top/tests/data/exposition-captures.tar.zst" -C "$work/bodies"

pids=()
stop() { for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT
result=0
grpc=127.0.0.1:8749 web=8750
measure() { "$bin/discovery_scale" --grpc "$grpc" --web "$web" "$@" || result=1; }
start() { # config, data
  "$bin/trawld" --config.file="$1" --trawl.config="$work/trawl.yml" --data-dir="$2" --storage.address=127.0.0.1:8751 \
    --grpc.listen-address="$grpc" --web.listen-address="127.0.0.1:$web" >>"$work/trawld.log" 2>&1 &
  trawld=$!
  pids+=("$trawld")
}
ready() { until curl -fsS -m 1 "http://127.0.0.1:$web/-/ready" >/dev/null 2>&1; do sleep 0.05; done; }

"$bin/trawl-store" --grpc.listen-address=127.0.0.1:8751 --data-dir="$work/store" --discard >"$work/store.log" 2>&1 &
pids+=("$!")
echo 'global: {first_scrape: immediate}' >"$work/trawl.yml"
# So long an interval that scraping is no part of the figures.
cat >"$work/scale.yml" <<'YML'
scrape_configs: [{job_name: scale, scrape_interval: 10h}]
YML
start "$work/scale.yml" "$work/data"
ready
measure --pid "$trawld" --targets "$targets" load
measure --targets "$targets" --count 1000 deltas
kill -KILL "$trawld" && wait "$trawld" 2>/dev/null || true
since=$(date +%s.%N)
start "$work/scale.yml" "$work/data"
measure --targets "$targets" --since "$since" loops
kill -KILL "$trawld" && wait "$trawld" 2>/dev/null || true

cat >"$work/live.yml" <<YML
scrape_configs:
  - {job_name: farm, scrape_interval: ${interval}s, file_sd_configs: [{files: [farm.json]}]}
  - {job_name: live, scrape_interval: ${interval}s}
YML
"$bin/exporter_farm" --bodies "$work/bodies/node_exporter" --targets "$live" --write-port 0 --file-sd "$work/farm.json" >"$work/farm.log" &
pids+=("$!")
sleep 2
start "$work/live.yml" "$work/live-data"
ready
echo "$live live targets every ${interval} s; first an interval to warm up"
sleep $((interval + 5))
measure --interval "$interval" --count 500 arrivals
measure --interval "$interval" --targets 10000 herd
exit $result
