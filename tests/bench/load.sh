#!/usr/bin/env bash
# Load on loopback, and what it costs: tests/bench/load.sh trawld|vmagent|prometheus [options]
#   --targets 2000   exporters, each serving real node exporter pages of some 530 series, gzipped
#   --interval 10s   scrape interval
#   --for 60         seconds to measure, after --warm-up 20
#   --storage sqlite|discard   where trawl-store puts trawld's samples
#   --spool disk|memory   where trawld keeps what trawl-store doesn't have yet
#   --stop-store N   after the warm-up stop trawl-store (SIGSTOP) for N seconds, then let it go on
# Prints CPU a sample, bytes a sample sent on and written to disk (what the kernel was given to write
# back, and of trawld what it wrote into the spool), resident memory, and how many targets are up; for trawld
# into SQLite also what the file holds in the end: as many scrapes as the exporters answered (but for
# those that the end cut off), none twice, and no gap between two scrapes of a target.
# Builds the release kind if needed; vmagent and Prometheus come from deploy/fetch-peers.sh.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
subject=${1:?trawld, vmagent or prometheus}
shift
targets=2000 interval=10s measure=60 warm=20 storage=sqlite spool=disk stop_store=0
while [ $# -gt 0 ]; do
  case "$1" in
    --targets) targets=$2 ;;
    --interval) interval=$2 ;;
    --for) measure=$2 ;;
    --warm-up) warm=$2 ;;
    --storage) storage=$2 ;;
    --spool) spool=$2 ;;
    --stop-store) stop_store=$2 ;;
    *) echo "load.sh: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift 2
done
bin=${TRAWL_BIN:-$top/build/release/bin}
"$top/deploy/build.sh" release trawld trawl-store exporter_farm >/dev/null
work=$top/build/bench/$subject
rm -rf "$work"
mkdir -p "$work/bodies"
tar --zstd -xf "$top/tests/data/exposition-captures.tar.zst" -C "$work/bodies"

pids=()
stop() { for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null || true; kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT

"$bin/exporter_farm" --bodies "$work/bodies/node_exporter" --targets "$targets" --file-sd "$work/targets.json" >"$work/farm.log" &
pids+=($!)
sed "s/INTERVAL/$interval/" >"$work/prometheus.yml" <<'YML'
global: {scrape_interval: INTERVAL}
scrape_configs:
  - job_name: node
    file_sd_configs: [{files: [targets.json]}]
YML
sleep 1
case "$subject" in
  trawld)
    store_flag=--sqlite.path=$work/samples.db
    [ "$storage" = discard ] && store_flag=--discard
    spool_flags=()
    [ "$spool" = memory ] && spool_flags=(--spool.in-memory)
    "$bin/trawl-store" --grpc.listen-address=127.0.0.1:8741 --data-dir="$work/store" "$store_flag" >"$work/store.log" 2>&1 &
    store=$!
    pids+=("$store")
    "$bin/trawld" --config.file="$work/prometheus.yml" --data-dir="$work/data" --storage.address=127.0.0.1:8741 \
      --grpc.listen-address=127.0.0.1:8739 --web.listen-address=127.0.0.1:8740 \
      ${spool_flags[@]+"${spool_flags[@]}"} >"$work/trawld.log" 2>&1 & ;;
  vmagent)
    "$top/build/peers/bin/vmagent" -promscrape.config="$work/prometheus.yml" -remoteWrite.url=http://127.0.0.1:9201/api/v1/write \
      -remoteWrite.tmpDataPath="$work/vmagent-data" -httpListenAddr=127.0.0.1:8740 >"$work/vmagent.log" 2>&1 & ;;
  prometheus)
    printf 'remote_write: [{url: "http://127.0.0.1:9201/api/v1/write"}]\n' >>"$work/prometheus.yml"
    "$top/build/peers/bin/prometheus" --enable-feature=agent --config.file="$work/prometheus.yml" --storage.agent.path="$work/agent" \
      --web.listen-address=127.0.0.1:8740 >"$work/prometheus.log" 2>&1 & ;;
  *) echo "load.sh: unknown subject '$subject'" >&2; exit 2 ;;
esac
pid=$!
pids+=("$pid")

ticks=$(getconf CLK_TCK)
cpu() { awk -v t="$ticks" '{print ($14 + $15) / t}' "/proc/$1/stat"; }
rss() { awk '/^VmRSS/ {printf "%d", $2 / 1024}' "/proc/$1/status"; }
metric() { curl -fsS -m 5 http://127.0.0.1:8740/metrics | awk -v name="$1" 'index($1, name) == 1 {n += $NF} END {printf "%.0f", n}'; }
scrapes() { tail -1 "$work/farm.log" | awk '{print $2}'; }
write_bytes() { tail -1 "$work/farm.log" | awk '{print $8}'; }
samples() { # scraped so far
  case "$subject" in
    trawld) metric trawl_append_samples_total ;;
    vmagent) metric vm_promscrape_scraped_samples_sum ;;
    prometheus) metric prometheus_remote_storage_samples_in_total ;;
  esac
}
disk() { awk '/^write_bytes/ {print $2}' "/proc/$1/io"; }
spooled() { case "$subject" in trawld) metric trawl_spool_written_bytes_total ;; *) echo 0 ;; esac; }
sent() { case "$subject" in trawld) metric trawl_sink_bytes_sent_total ;; *) write_bytes ;; esac; }

sleep "$warm"
if [ "$stop_store" -gt 0 ]; then
  kill -STOP "$store"
  echo "trawl-store stopped for ${stop_store}s"
  sleep "$stop_store"
  kill -CONT "$store"
fi
cpu0=$(cpu "$pid") samples0=$(samples) sent0=$(sent) disk0=$(disk "$pid") spooled0=$(spooled)
[ "$subject" = trawld ] && store0=$(cpu "$store")
sleep "$measure"
cpu1=$(cpu "$pid") samples1=$(samples) sent1=$(sent) disk1=$(disk "$pid") spooled1=$(spooled)
up=$(curl -fsS -m 20 'http://127.0.0.1:8740/api/v1/targets?state=active' | grep -o '"health":"[a-z]*"' | sort | uniq -c | tr '\n' ' ')
awk -v s="$subject" -v c0="$cpu0" -v c1="$cpu1" -v n0="$samples0" -v n1="$samples1" -v b0="$sent0" -v b1="$sent1" -v m="$measure" -v rss="$(rss "$pid")" -v up="$up" 'BEGIN {
  n = n1 - n0
  printf "%s: %.0f samples/s, CPU %.3f us a sample (%.1f %% of a core), %.2f bytes a sample sent, RSS %d MiB, health: %s\n", s, n / m, (c1 - c0) * 1e6 / n, (c1 - c0) * 100 / m, (b1 - b0) / n, rss, up }'
awk -v s="$subject" -v n="$((samples1 - samples0))" -v d="$((disk1 - disk0))" -v w="$((spooled1 - spooled0))" 'BEGIN {
  printf "%s: %.2f bytes a sample written to disk", s, d / n
  if (s == "trawld") printf ", %.2f into the spool", w / n
  print "" }'
if [ "$subject" = trawld ]; then
  awk -v c0="$store0" -v c1="$(cpu "$store")" -v n0="$samples0" -v n1="$samples1" -v rss="$(rss "$store")" 'BEGIN {printf "trawl-store: CPU %.3f us a sample, RSS %d MiB\n", (c1 - c0) * 1e6 / (n1 - n0), rss}'
fi
if [ "$subject" = trawld ] && [ "$storage" = sqlite ]; then
  kill "$pid" && wait "$pid" || true
  kill "$store" && wait "$store" || true
  kill "${pids[0]}" && wait "${pids[0]}" || true
  echo "exporters answered $(scrapes) scrapes; stored, distinct, largest gap between two of a target in ms:"
  sqlite3 "$work/samples.db" "select count(*), count(distinct target || ' ' || time_ms), max(gap) from (
    select target, time_ms, time_ms - lag(time_ms) over (partition by target order by time_ms) as gap from scrapes)"
fi
echo "farm: $(tail -1 "$work/farm.log")"
