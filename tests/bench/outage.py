#!/usr/bin/python3
"""A long outage of storage, with a SIGKILL and a SIGTERM of trawld inside: what is lost, what is stored
twice, how long trawld takes to stop, and how fast storage has all again.

    tests/bench/outage.py [--targets 1000] [--interval 10] [--outage 600] [--warm-up 30]
                          [--in-progress 20]

Exporters (exporter_farm: real node exporter pages of some 530 series), trawld, and trawl-store with
SQLite, which is killed and started again --outage seconds later. trawld is killed after a third of
that and stopped after two thirds, and started again at once both times. What was scraped is taken from
the exporters' own list of answers, what was stored from SQLite. An answer without a scrape stored for
it is lost, unless it was in progress: less than --in-progress ms old when trawld was killed or stopped,
or younger.
How long it takes until storage has all is counted from the moment at which it can be connected to, and
again from its first ack. Fails if anything is lost or stored twice, if the stop took 10 s, or if the
backlog was gone at less than 20 times the live rate, counted from the return. Wants a release build
(deploy/build.sh release trawld trawl-store trawlctl exporter_farm)."""
import argparse
import bisect
import collections
import contextlib
import json
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error

from rig import RELEASE, Rig, free_port, metric

MAX_STOP_SECONDS = 10
MIN_RATIO = 20


class Outage:
    def __init__(self, args, rig):
        self.args, self.rig = args, rig
        self.farm_port, self.web, self.grpc, self.storage = (free_port() for _ in range(4))
        self.answers = rig.work / "answers.txt"
        self.database = rig.work / "samples.db"
        self.ends = []  # Unix times in ms: trawld was killed or told to stop, and gone

    def start_store(self):
        return self.rig.start("store", "trawl-store", f"--grpc.listen-address=127.0.0.1:{self.storage}",
                              f"--data-dir={self.rig.work}/store", f"--sqlite.path={self.database}")

    def start_trawld(self):
        return self.rig.start("trawld", "trawld", f"--config.file={self.rig.work}/prometheus.yml",
                              f"--data-dir={self.rig.work}/data",
                              f"--grpc.listen-address=127.0.0.1:{self.grpc}",
                              f"--web.listen-address=127.0.0.1:{self.web}",
                              f"--storage.address=127.0.0.1:{self.storage}")

    def end_trawld(self, process, number):
        """How long it took."""
        told, begin = time.time(), time.monotonic()
        process.send_signal(number)
        process.wait(90)
        self.ends.append((told * 1000, time.time() * 1000))
        return time.monotonic() - begin

    def wait_ready(self):
        begin = time.monotonic()
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                metric(self.web, "trawl_append_samples_total")
                return time.monotonic() - begin
            time.sleep(0.02)

    def lanes(self):
        """(epoch, lane) → (last record made, last one that storage has)."""
        out = subprocess.run([self.rig.bin / "trawlctl", "--address", f"127.0.0.1:{self.grpc}", "--json",
                              "sinks"], capture_output=True, text=True, check=True, timeout=30).stdout
        return {(lane["epoch"], lane.get("lane", 0)):
                (int(lane.get("nextNumber", 1)) - 1, int(lane.get("durable", 0)))
                for sink in json.loads(out) for lane in sink["lanes"]}

    def wait_for_storage(self):
        while True:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.storage), 1).close()
            time.sleep(0.005)

    def wait_for_backlog(self, waited):
        """Seconds until the first ack, and until all is there that waited (lanes)."""
        begin = time.monotonic()
        first = None
        while True:
            time.sleep(0.1)
            now = self.lanes()
            if first is None and any(now.get(lane, (0, made))[1] > durable
                                     for lane, (made, durable) in waited.items()):
                first = time.monotonic() - begin
            # A lane of an earlier run goes when storage has all of it.
            if all(lane not in now or now[lane][1] >= made for lane, (made, _) in waited.items()):
                return first, time.monotonic() - begin

    def run(self):
        """Whether all was as promised."""
        farm = self.rig.farm("exporters", self.args.targets, self.farm_port, "--answers", self.answers)
        (self.rig.work / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {self.args.interval}s}}\n"
            "scrape_configs: [{job_name: node, file_sd_configs: [{files: [exporters.json]}]}]\n")
        time.sleep(1)
        store, trawld = self.start_store(), self.start_trawld()
        self.wait_ready()
        time.sleep(self.args.warm_up)
        store.kill()
        store.wait()
        gone, gone_ms = time.monotonic(), time.time() * 1000
        trawld, stop = self.be_away(gone, trawld)

        waiting_lanes = self.lanes()
        store = self.start_store()
        self.wait_for_storage()
        away, back_ms = time.monotonic() - gone, time.time() * 1000
        first, drained = self.wait_for_backlog(waiting_lanes)
        time.sleep(self.args.interval + 2)
        gaps = metric(self.web, "trawl_sink_lost_samples_total")
        for process in (trawld, store, farm):
            process.terminate()
            process.wait(60)
        self.ends.append((time.time() * 1000, float("inf")))

        ratio = self.report_backlog(gone_ms, back_ms, away, first, drained)
        lost, twice = self.report_scrapes()
        print(f"samples declared lost: {gaps:.0f}")
        return not (lost or twice or gaps or stop >= MAX_STOP_SECONDS or ratio < MIN_RATIO)

    def be_away(self, gone, trawld):
        """The outage; gives the trawld that runs at its end, and how long it took to stop the one before."""
        third = self.args.outage / 3
        for number in (signal.SIGKILL, signal.SIGTERM):
            time.sleep(max(0, gone + len(self.ends) * third + third - time.monotonic()))
            since = time.monotonic() - gone
            took = self.end_trawld(trawld, number)
            trawld = self.start_trawld()
            print(f"{number.name} {since:.0f} s into the outage: ended in {took:.2f} s, ready again in "
                  f"{self.wait_ready():.1f} s", flush=True)
        time.sleep(max(0, gone + self.args.outage - time.monotonic()))
        return trawld, took

    def query(self, sql, *arguments):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return db.execute(sql, arguments).fetchall()

    def report_backlog(self, gone_ms, back_ms, away, first, drained):
        """How many times the live rate it was."""
        (waited,), = self.query("select sum(json_array_length(vals)) from scrapes "
                                "where time_ms between ? and ?", gone_ms, back_ms)
        live = waited / away
        print(f"storage was away for {away:.1f} s, from SIGKILL to listening, at {live:.0f} samples/s; "
              f"{waited} samples waited, of {len(self.ends)} runs")
        print(f"first ack {first:.1f} s after its return, all there after {drained:.1f} s: "
              f"{waited / drained:.0f} samples/s, {waited / drained / live:.0f} times the live rate; from the "
              f"first ack on {waited / max(drained - first, 0.1) / live:.0f} times")
        return waited / drained / live

    def report_scrapes(self):
        """How many are lost, and how many there twice."""
        lost, in_progress, twice, answers, stored = self.compare()
        (failed,), = self.query("select count(*) from samples where metric = 'up' and value = 0")
        print(f"exporters answered {answers} scrapes, {stored} are stored ({failed} of them failed): lost "
              f"{lost}, in progress when trawld ended {in_progress}, twice {twice}")
        return lost, twice

    def compare(self):
        """Answers lost, in progress and stored twice; answers and stored scrapes in all."""
        stored = collections.defaultdict(list)
        for instance, time_ms in self.query(
                "select json_extract(labels, '$.instance'), time_ms from scrapes join targets "
                "on targets.id = target order by time_ms"):
            stored[instance].append(time_ms)
        answered = collections.defaultdict(list)
        for line in self.answers.read_text().splitlines():
            instance, time_ms = line.split()
            answered[instance].append(int(time_ms))
        twice = sum(len(times) - len(set(times)) for times in stored.values())
        lost = in_progress = 0
        for instance, times in answered.items():
            for answer in unmatched(times, stored[instance], self.args.interval * 1000):
                if any(told - self.args.in_progress <= answer <= gone + 1000 for told, gone in self.ends):
                    in_progress += 1
                else:
                    lost += 1
                    before = min((told - answer for told, _ in self.ends if told > answer), default=0)
                    print(f"lost: what {instance} answered at {answer}, {before:.0f} ms before trawld ended")
        return (lost, in_progress, twice, sum(map(len, answered.values())), sum(map(len, stored.values())))


def unmatched(answers, scrapes, timeout_ms):
    """The answers for which there is no scrape of their own, begun within the timeout before them."""
    left = list(scrapes)
    for answer in answers:
        at = bisect.bisect_right(left, answer + 1)
        if at == 0 or left[at - 1] < answer - timeout_ms:
            yield answer
        else:
            del left[at - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--outage", type=int, default=600)
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--in-progress", type=int, default=20)
    parser.add_argument("--bin", type=pathlib.Path, default=RELEASE)
    args = parser.parse_args()
    with Rig("outage", args.bin) as rig:
        if not Outage(args, rig).run():
            sys.exit("outage.py: not as promised")


if __name__ == "__main__":
    main()
