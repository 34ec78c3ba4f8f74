#!/usr/bin/python3
"""How fast what waited for storage is brought to it, while scraping goes on.

    tests/bench/backlog.py [--sink store|sqlite|remote-write] [--targets 400] [--interval 5]
                           [--outage 60]

Starts exporters (exporter_farm: real node exporter pages) and trawld, and its storage only when the
outage is over: trawl-store (without a database, or SQLite) on the storage protocol, or an endpoint that
takes remote writes. In process (remote write), what is there of the lane's stream is always
connected. Prints the samples a second that were brought until all was there that had waited, and how
many times the live rate that is, from the store's start and from the first stream on. Wants a release
build (deploy/build.sh release trawld trawl-store exporter_farm)."""
import argparse
import pathlib
import time

from rig import RELEASE, Rig, free_port, metric


def run(args, rig):
    farm_port, web, grpc, sink = (free_port() for _ in range(4))
    rig.farm("exporters", args.targets, farm_port)
    remote = f"remote_write: [{{url: 'http://127.0.0.1:{sink}/api/v1/write', name: sink}}]\n"
    (rig.work / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {args.interval}s}}\n"
        "scrape_configs: [{job_name: node, file_sd_configs: [{files: [exporters.json]}]}]\n"
        + (remote if args.sink == "remote-write" else ""))
    storage = [] if args.sink == "remote-write" else [f"--storage.address=127.0.0.1:{sink}"]
    time.sleep(1)
    rig.start("trawld", "trawld", f"--config.file={rig.work}/prometheus.yml",
              f"--data-dir={rig.work}/data", f"--grpc.listen-address=127.0.0.1:{grpc}",
              f"--web.listen-address=127.0.0.1:{web}", *storage)
    time.sleep(args.interval + 2)
    before, since = metric(web, "trawl_append_samples_total"), time.monotonic()
    time.sleep(args.outage)
    waiting, records = (metric(web, f"trawl_append_{what}_total") for what in ("samples", "records"))
    begin = time.monotonic()
    live = (waiting - before) / (begin - since)
    if args.sink == "remote-write":
        rig.farm("sink", 1, free_port(), write_port=sink)
    else:
        kind = "--discard" if args.sink == "store" else f"--sqlite.path={rig.work}/samples.db"
        rig.start("sink", "trawl-store", f"--grpc.listen-address=127.0.0.1:{sink}",
                  f"--data-dir={rig.work}/store", kind)
    while metric(web, "trawl_sink_connected") == 0:
        time.sleep(0.02)
    connected = time.monotonic()
    while metric(web, "trawl_sink_durable_number") < records:
        time.sleep(0.1)
    end = time.monotonic()
    scraped = metric(web, "trawl_append_samples_total") - waiting
    # Lanes are looked at twice a second: so exact is the time, at best.
    took = max(end - connected, 0.5)
    print(f"{args.sink}: {waiting:.0f} samples waited; connected {connected - begin:.1f} s after the "
          f"store was started, all there {took:.1f} s later: {waiting / took:.0f} samples/s, "
          f"{waiting / took / live:.0f} times the live {live:.0f} ({waiting / (end - begin) / live:.0f} "
          f"times from the start on); scraped meanwhile at "
          f"{scraped / (end - begin) / live * 100:.0f} % of it; lost "
          f"{metric(web, 'trawl_sink_lost_samples_total'):.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sink", choices=["store", "sqlite", "remote-write"], default="store")
    parser.add_argument("--targets", type=int, default=400)
    parser.add_argument("--interval", type=int, default=5)
    parser.add_argument("--outage", type=int, default=60)
    parser.add_argument("--bin", type=pathlib.Path, default=RELEASE)
    args = parser.parse_args()
    with Rig("backlog", args.bin) as rig:
        run(args, rig)


if __name__ == "__main__":
    main()
