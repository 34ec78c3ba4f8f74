#!/usr/bin/env bash
# trawl at work in one command: deploy/quickstart.sh [--for 30s]
# Installs what it needs, builds, and runs trawld with deploy/quickstart/: it scrapes itself and a
# node exporter (Debian's, started here on loopback if none answers) every 5 s into an SQLite file.
# Runs until Ctrl-C, or for the given time; the last line tells what was stored. As root on Debian 12.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
seconds=
usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case "$1" in
    --for)
      [ $# -ge 2 ] || { echo "quickstart.sh: --for wants a time, as in --for 30s" >&2; exit 2; }
      [[ $2 =~ ^([0-9]{1,6})([sm]?)$ ]] || { echo "quickstart.sh: --for wants a time such as 30s or 2m, got '$2'" >&2; exit 2; }
      seconds=$((10#${BASH_REMATCH[1]}))
      [ "${BASH_REMATCH[2]}" != m ] || seconds=$((seconds * 60))
      shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
run=$top/build/quickstart
data=$run/data
db=$data/samples.db

refuse_if_running() { # whoever runs keeps its data and its ports
  if [ -e "$data/lock" ] && ! flock -n "$data/lock" true; then
    echo "quickstart.sh: ${data#"$top"/} is in use: another quickstart runs; stop it first" >&2
    exit 1
  fi
  for port in 8729 8730; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "quickstart.sh: 127.0.0.1:$port answers already: another trawld? Stop it first" >&2
      exit 1
    fi
  done
}
refuse_if_running
mkdir -p "$run"

step "1/4 installing what the build needs (log: build/quickstart/install.log)"
deploy/install-deps.sh build >"$run/install.log" 2>&1 || { tail -20 "$run/install.log" >&2; exit 1; }
command -v curl >/dev/null || { apt-get install -y -qq --no-install-recommends curl >>"$run/install.log" 2>&1; }

step "2/4 building (the first time takes some minutes)"
deploy/build.sh release

exporter= trawld= stopped=
stop() { # ends what this script started, and nothing else
  [ -z "$stopped" ] || return 0
  stopped=yes
  for pid in $trawld $exporter; do
    kill "$pid" 2>/dev/null || continue
    while kill -0 "$pid" 2>/dev/null; do wait "$pid" 2>/dev/null || true; done # a signal ends a wait
  done
}
trap stop EXIT

step "3/4 a node exporter on 127.0.0.1:9100"
if curl -fsS -m 2 -o /dev/null http://127.0.0.1:9100/metrics 2>/dev/null; then
  say "one answers already"
else
  deploy/fetch-peers.sh node-exporter >>"$run/install.log" 2>&1
  setsid build/peers/bin/prometheus-node-exporter --web.listen-address=127.0.0.1:9100 >"$run/node-exporter.log" 2>&1 &
  exporter=$!
  say "started Debian's (log: build/quickstart/node-exporter.log)"
fi

step "4/4 trawld"
refuse_if_running
rm -rf "$data"
# In a session of its own: a Ctrl-C is the script's alone.
setsid build/release/bin/trawld --config.file=deploy/quickstart/prometheus.yml --data-dir="$data" \
  --storage.embedded-path="$db" >"$run/trawld.log" 2>&1 &
trawld=$!
for _ in $(seq 100); do
  kill -0 "$trawld" 2>/dev/null || { cat "$run/trawld.log" >&2; exit 1; }
  curl -fsS -m 1 -o /dev/null http://127.0.0.1:8730/-/ready 2>/dev/null && break
  sleep 0.1
done
say "runs (log: build/quickstart/trawld.log); gRPC on 127.0.0.1:8729, HTTP on 127.0.0.1:8730"
say "samples go to ${db#"$top"/}"
cat <<TEXT

Try, in another terminal:
  build/release/bin/trawlctl targets
  build/release/bin/trawlctl samples node_load1 --sqlite.path ${db#"$top"/}
  echo '[{"targets": ["127.0.0.1:9100"], "labels": {"team": "me"}}]' >/tmp/t.json
  build/release/bin/trawlctl push /tmp/t.json --job pushed
  curl -s 127.0.0.1:8730/metrics | grep ^trawl_
TEXT
[ -n "$seconds" ] && say "" && say "Stops by itself after ${seconds}s." || say "Stop with Ctrl-C."
trap 'exit_now=yes' INT TERM HUP
exit_now= samples=0 elapsed=0 counted_at=0
count() { curl -fsS -m 2 http://127.0.0.1:8730/metrics 2>/dev/null | awk '/^trawl_append_samples_total/ {n += $NF} END {printf "%d", n}'; }
up() { curl -fsS -m 2 http://127.0.0.1:8730/api/v1/targets 2>/dev/null | grep -o '"health":"[a-z]*"' | sort | uniq -c | awk '{gsub(/.*:"|"/, "", $2); printf "%s%d %s", (NR > 1 ? ", " : ""), $1, $2}'; }
runs() { kill -0 "$trawld" 2>/dev/null; }
while [ -z "$exit_now" ] && runs; do
  [ -n "$seconds" ] && [ "$elapsed" -ge "$seconds" ] && break
  wait_for=5
  [ -n "$seconds" ] && [ $((seconds - elapsed)) -lt 5 ] && wait_for=$((seconds - elapsed))
  sleep "$wait_for" &
  wait $! || kill $! 2>/dev/null || true
  elapsed=$((elapsed + wait_for))
  [ -z "$exit_now" ] && runs || break
  if ! now=$(count); then
    ! runs || say "$(date +%T)  trawld has not answered within 2 s"
    continue
  fi
  say "$(date +%T)  targets: $(up)  samples/s: $(((now - samples) / (elapsed - counted_at)))  total: $now"
  samples=$now counted_at=$elapsed
done

well=yes
if runs; then
  health=$(build/release/bin/trawlctl targets --json 2>&1 || true)
  all=$(printf '%s\n' "$health" | grep -c '"scrapeUrl":' || true)
  good=$(printf '%s\n' "$health" | grep -c '"health":"UP"' || true)
  stop
  say ""
  if [ "$all" = 0 ] || [ "$good" != "$all" ]; then
    well=
    printf '%s\n' "$health" >&2
    say "not every target is up: $good of $all; see build/quickstart/trawld.log" >&2
  fi
else
  well= code=0
  wait "$trawld" 2>/dev/null || code=$?
  stop
  say ""
  tail -5 "$run/trawld.log" >&2
  say "trawld has ended by itself, with $code; see build/quickstart/trawld.log" >&2
fi
line=$(build/release/bin/trawlctl samples --summary --sqlite.path "${db#"$top"/}")
say "$line"
stored=$(printf '%s' "$line" | awk '{print $2}')
[ -n "$well" ] && [ "${stored:-0}" -gt 0 ]
