#!/usr/bin/env python3
"""Kills a scraper again and again, and counts what was lost and what was stored twice.

Exporters whose only sample is the number of the scrape make every loss and every duplicate visible.
A scrape that was answered more than --in-progress (20 ms) before the kill must be stored in the
end, once; what was in progress may be missing, and what timed out and was stored as such.

  kill_rig.py [--subject trawld|vmagent|prometheus] [--storage up|down|slow] [--kills 50]
              [--targets 10] [--interval 200ms] [--run 0.6] [--signal KILL|TERM] [--seed N]
              [--kill-store N] [--in-progress 0.02]

--storage says how storage is while the scraper is killed: there, killed (it comes back for the last
run), or stopped and continued all the while. --kill-store kills trawl-store as well, after each Nth
kill of trawld. vmagent and the Prometheus agent write to VictoriaMetrics, which is asked for every
raw sample in the end. Needs TRAWL_BIN (a build's bin/) and TRAWL_TOP (the checkout).
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import BIN, PEERS, Exporter, free_port, get, wait_for


class CountingExporter:
    """Says how often it was scraped, and remembers when it had said so."""

    def __init__(self):
        self.ended = {}  # number → monotonic time at which the answer was made
        self.exporter = Exporter(self.page)
        self.address = self.exporter.address
        self.close = self.exporter.close

    def page(self, path, n):
        self.ended[n] = time.monotonic()
        return f"scrape_number {n}\n"


class Child:
    """A program that is started, killed, stopped and continued."""

    def __init__(self, name, command, directory):
        self.name, self.command, self.directory = name, [str(c) for c in command], directory
        self.process = None

    def start(self):
        log = open(pathlib.Path(self.directory) / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.directory)
        log.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, number, seconds=90):
        """Sends a signal and waits; how long that took."""
        begin = time.monotonic()
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(seconds)
        return time.monotonic() - begin


class Trawl:
    """trawld, streaming to trawl-store with SQLite."""

    settle = 0  # seconds that what was scraped may take to be stored, once the backlog is drained

    def __init__(self, directory, config, flags=()):
        grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.grpc = f"127.0.0.1:{free_port()}"
        self.path = pathlib.Path(directory) / "store.db"
        self.store = Child("trawl-store", [
            BIN / "trawl-store", f"--grpc.listen-address={grpc}", f"--sqlite.path={self.path}",
            f"--data-dir={directory}/store"], directory)
        self.scraper = Child("trawld", [
            BIN / "trawld", f"--config.file={config}", f"--data-dir={directory}/data",
            f"--storage.address={grpc}", f"--grpc.listen-address={self.grpc}",
            f"--web.listen-address={self.http}", *flags], directory)

    def ready(self):
        return get(f"http://{self.http}/-/ready")

    def drained(self):
        """Nothing waits for storage any more: earlier runs' lanes are gone, the running one's are durable."""
        sinks = subprocess.run([BIN / "trawlctl", "--address", self.grpc, "--json", "sinks"],
                               capture_output=True, text=True, timeout=30)
        lanes = [lane for sink in json.loads(sinks.stdout) for lane in sink["lanes"]]
        behind = [int(lane["nextNumber"]) - 1 - int(lane.get("durable", 0)) for lane in lanes]
        return lanes and len({lane["epoch"] for lane in lanes}) == 1 and max(behind) < 50

    def stored(self):
        """instance → Counter of scrape numbers."""
        found = collections.defaultdict(collections.Counter)
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as db:
            for labels, value in db.execute("select labels, value from samples where metric = "
                                            "'scrape_number' and not stale"):
                found[json.loads(labels)["instance"]][int(value)] += 1
        return found

    def failed(self):
        """instance → how many scrapes failed."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as db:
            return collections.Counter(json.loads(labels)["instance"] for labels, in db.execute(
                "select labels from samples where metric = 'up' and not stale and value = 0"))


class Peer:
    """vmagent or the Prometheus agent, writing to VictoriaMetrics."""

    settle = 10

    def __init__(self, directory, config, name):
        store = self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        url = f"http://{store}/api/v1/write"
        self.store = Child("victoria-metrics", [
            PEERS / "victoria-metrics", f"-storageDataPath={directory}/vm", f"-httpListenAddr={store}",
            "-retentionPeriod=1d", "-dedup.minScrapeInterval=0"], directory)
        if name == "vmagent":
            command = [PEERS / "vmagent", f"-promscrape.config={config}", f"-remoteWrite.url={url}",
                       f"-remoteWrite.tmpDataPath={directory}/queue", f"-httpListenAddr={self.http}"]
        else:
            with open(config, "a") as file:
                file.write(f'\nremote_write: [{{url: "{url}"}}]\n')
            command = [PEERS / "prometheus", "--enable-feature=agent", f"--config.file={config}",
                       f"--storage.agent.path={directory}/agent", f"--web.listen-address={self.http}"]
        self.scraper = Child(name, command, directory)

    def ready(self):
        return get(f"http://{self.http}/-/ready") if self.scraper.name == "prometheus" else get(
            f"http://{self.http}/health")

    def drained(self):
        """What was scraped just now is stored: the peers send in order, and say it in no number."""
        newest = [max(series["timestamps"]) for series in self.export()]
        return newest and min(newest) > 1000 * (time.time() - 3)

    def export(self, metric="scrape_number"):
        get(f"http://{self.address}/internal/force_flush", timeout=30)
        query = urllib.parse.urlencode({"match[]": metric})
        text = get(f"http://{self.address}/api/v1/export?{query}", timeout=60)
        return [json.loads(line) for line in text.splitlines()]

    def stored(self):
        found = collections.defaultdict(collections.Counter)
        for series in self.export():
            # The same sample sent twice is stored once by VictoriaMetrics or not; by time it is one.
            for _, value in set(zip(series["timestamps"], series["values"])):
                found[series["metric"]["instance"]][int(value)] += 1
        return found

    def failed(self):
        return collections.Counter({series["metric"]["instance"]: series["values"].count(0)
                                    for series in self.export("up")})


class Rig:
    def __init__(self, options, directory):
        self.options, self.directory = options, pathlib.Path(directory)
        self.random = random.Random(options.seed)
        self.exporters = [CountingExporter() for _ in range(options.targets)]
        config = self.directory / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {options.interval}, scrape_timeout: {options.interval}}}\n"
            "scrape_configs:\n  - job_name: n\n    static_configs: [{targets: "
            f"{json.dumps([e.address for e in self.exporters])}}}]\n")
        make = Trawl if options.subject == "trawld" else Peer
        self.system = make(self.directory, config, *([] if options.subject == "trawld" else [options.subject]))
        self.kills = []  # (begin, end) of each, monotonic
        self.stops = []  # seconds that an end took
        self.judged_until = 0  # monotonic; what was scraped later is on its way
        self.stopping = threading.Event()

    def close(self):
        self.stopping.set()
        for child in (self.system.scraper, self.system.store):
            child.end(signal.SIGKILL)
        for exporter in self.exporters:
            exporter.close()

    def run(self):
        self.system.store.start()
        self.start_scraper()
        if self.options.storage == "down":
            self.system.store.end(signal.SIGKILL)
        if self.options.storage == "slow":
            threading.Thread(target=self.slow_down, daemon=True).start()
        for number in range(1, self.options.kills + 1):
            time.sleep(self.options.run * self.random.uniform(0.5, 1.5))
            self.kill_scraper()
            if self.options.kill_store and number % self.options.kill_store == 0:
                self.system.store.end(signal.SIGKILL)
                self.system.store.start()
            self.start_scraper()
        self.stopping.set()
        if not self.system.store.running():
            self.system.store.start()
        self.system.store.process.send_signal(signal.SIGCONT)
        self.finish()

    def start_scraper(self):
        self.system.scraper.start()
        wait_for(f"{self.system.scraper.name} to be ready", self.system.ready)

    def kill_scraper(self):
        # The time just before: what ends between it and the kill counts as in progress.
        begin = time.monotonic()
        self.stops.append(self.system.scraper.end(getattr(signal, "SIG" + self.options.signal)))
        self.kills.append((begin, time.monotonic()))

    def slow_down(self):
        while not self.stopping.is_set():
            with contextlib.suppress(ProcessLookupError):
                self.system.store.process.send_signal(signal.SIGSTOP)
                time.sleep(self.random.uniform(0.1, 1))
                self.system.store.process.send_signal(signal.SIGCONT)
                time.sleep(self.random.uniform(0.02, 0.2))

    def finish(self):
        """The last run ends in order, when all that was scraped is stored."""
        time.sleep(2)
        wait_for("the backlog to be drained", self.system.drained, 300)
        self.judged_until = time.monotonic()
        time.sleep(self.system.settle)
        self.system.scraper.end(signal.SIGTERM)
        time.sleep(0.5)

    def judge(self):
        """Counts: what was scraped, in progress at a kill, lost, stored twice."""
        stored = self.system.stored()
        failed = self.system.failed()
        result = collections.Counter(scraped=0, in_progress=0, lost=0, twice=0)
        worst = 0
        for exporter in self.exporters:
            have = stored.get(exporter.address, {})
            in_progress, outside = collections.Counter(), []
            for number, ended in exporter.ended.items():
                result["scraped"] += 1
                result["twice"] += max(0, have.get(number, 0) - 1)
                if have.get(number, 0) or ended > self.judged_until - self.options.in_progress:
                    continue
                kill = min(self.kills, key=lambda kill: abs(ended - kill[0]))
                # After it: a request that the dead process had sent, answered late.
                if kill[0] - self.options.in_progress < ended <= kill[1] + self.options.in_progress:
                    in_progress[kill] += 1
                    result["in_progress"] += 1
                else:
                    outside.append(f"{number} {1000 * (kill[0] - ended):.0f} ms before a kill")
            # What timed out is stored as up = 0, and not lost.
            timed_out = min(len(outside), failed[exporter.address])
            result["timed_out"] += timed_out
            result["lost"] += len(outside) - timed_out
            if outside:
                print(f"{exporter.address}: missing {outside[:5]}, {timed_out} timed out", file=sys.stderr)
            worst = max([worst, *in_progress.values()])
        result["most_in_progress_a_target_and_kill"] = worst
        return result


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", default="trawld", choices=["trawld", "vmagent", "prometheus"])
    parser.add_argument("--storage", default="up", choices=["up", "down", "slow"])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--interval", default="200ms")
    parser.add_argument("--run", type=float, default=0.6, help="seconds between two kills, on average")
    parser.add_argument("--in-progress", type=float, default=0.02, help="seconds before a kill")
    parser.add_argument("--signal", default="KILL", choices=["KILL", "TERM"])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kill-store", type=int, default=0)
    return parser.parse_args(words)


def measure(options, directory):
    rig = Rig(options, directory)
    try:
        rig.run()
        result = rig.judge()
        result["slowest_end_ms"] = int(1000 * max(rig.stops, default=0))
        return result
    finally:
        rig.close()


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="trawl-kills-") as directory:
        result = measure(options, directory)
    print(f"{options.subject} storage={options.storage} signal={options.signal} kills={options.kills} "
          f"seed={options.seed}: " + ", ".join(f"{k} {v}" for k, v in result.items()))
    return 1 if result["lost"] or result["twice"] else 0


if __name__ == "__main__":
    sys.exit(main())
