#!/usr/bin/env python3
"""Kills a scraper again and again, and counts what was lost and what was stored twice.

Exporters whose only sample is the number of the scrape make every loss and every duplicate visible.
A scrape whose answer was in the kernel more than --in-progress (20 ms) before the kill must be stored
in the end, once; what was in progress may be missing, and what timed out and is stored as such. The
20 ms are the scraper's: time in which a thread of it that scrapes could have run and had no core, in
the quarter of a second before the kill, comes on top (longest_wait_ms tells the most that did). Each
run of the scraper asks with a number of its own, so that it is known which kill a scrape belongs to.

  kill_rig.py [--subject trawld|vmagent|prometheus] [--storage up|down|slow] [--kills 50]
              [--targets 10] [--interval 200ms] [--run 0.6] [--signal KILL|TERM] [--seed N]
              [--kill-store N] [--in-progress 0.02] [--flag=--spool.in-memory]

--storage says how storage is while the scraper is killed: there, killed (it comes back for the last
run), or stopped and continued all the while. --kill-store kills trawl-store as well, at a random moment
of each Nth run of trawld. --flag is for trawld. One kill in five comes while the scraper starts.
vmagent and the Prometheus agent write to VictoriaMetrics, which is asked for every raw sample in the
end.

If anything is lost or stored twice the directory stays: evidence.json (what each exporter answered
when, the kills, what is missing), the programs' logs, the database, and in kills/ what trawld's spool
held after each kill. Needs TRAWL_BIN (a build's bin/) and TRAWL_TOP (the checkout).
"""
import argparse
import collections
import contextlib
import dataclasses
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.parse

from harness import Exporter, wait_for
from kill_subjects import Peer, Trawl

WATCHED = 0.25  # seconds before a kill, in which it is known how long the scraper waited for a core


@dataclasses.dataclass
class Scrape:
    """One answer of an exporter; monotonic seconds, but for `wall_ms`."""
    run: int
    wall_ms: float  # the request was read
    begun: float  # likewise
    answered: float = float("inf")  # the answer was in the kernel


class CountingExporter:
    """Says how often it was scraped, and remembers when it had said so."""

    def __init__(self):
        self.scrapes = {}  # number → Scrape
        self.exporter = Exporter(self.page, answered=self.note_answered)
        self.address = self.exporter.address
        self.close = self.exporter.close

    def page(self, path, n):
        run = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["run"][0]
        self.scrapes[n] = Scrape(int(run), 1000 * time.time(), time.monotonic())
        return f"scrape_number {n}\n"

    def note_answered(self, n):
        self.scrapes[n].answered = time.monotonic()


class Rig:
    def __init__(self, options, directory):
        self.options, self.directory = options, pathlib.Path(directory)
        self.random = random.Random(options.seed)
        self.exporters = [CountingExporter() for _ in range(options.targets)]
        self.config = self.directory / "prometheus.yml"
        self.system = (Trawl(self.directory, self.config, options.flag) if options.subject == "trawld" else
                       Peer(self.directory, self.config, options.subject))
        self.kills = []  # of each run: when it was killed; of the last: when all before had to be stored
        self.waits = []  # of each run: how long at most a thread waited for a core before the kill
        self.noted = {}  # what the threads of the running one had waited, WATCHED before its kill
        self.stops = []  # seconds that an end took
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
        self.wait_ready()
        if self.options.storage == "down":
            self.system.store.end(signal.SIGKILL)
        if self.options.storage == "slow":
            threading.Thread(target=self.slow_down, daemon=True).start()
        for number in range(1, self.options.kills + 1):
            self.live()
            self.kill_scraper()
            self.system.keep_evidence(f"{number:04}")
            self.start_scraper()
        self.stopping.set()
        if not self.system.store.running():
            self.system.store.start()
        self.system.store.process.send_signal(signal.SIGCONT)
        self.finish()

    def start_scraper(self):
        self.config.write_text(
            f"global: {{scrape_interval: {self.options.interval}, scrape_timeout: {self.options.interval}}}\n"
            f'scrape_configs:\n  - job_name: n\n    params: {{run: ["{len(self.kills)}"]}}\n'
            f"    static_configs: [{{targets: {json.dumps([e.address for e in self.exporters])}}}]\n"
            f"{self.system.more_config}")
        self.system.scraper.start()

    def wait_ready(self):
        wait_for(f"{self.system.scraper.name} to be ready", self.system.ready)

    def live(self):
        """Until the next kill."""
        early = self.random.random() < 0.2
        lifetime = self.random.uniform(0, 0.2)
        if not early:
            self.wait_ready()
            lifetime = self.options.run * self.random.uniform(0.5, 1.5)
        events = [(max(lifetime - WATCHED, 0), self.note_waits), (lifetime, lambda: None)]
        if not early and self.options.kill_store and len(self.kills) % self.options.kill_store == 0:
            events.append((lifetime * self.random.random(), self.restart_store))
        begin = time.monotonic()
        for at, event in sorted(events, key=lambda event: event[0]):
            time.sleep(max(begin + at - time.monotonic(), 0))
            event()

    def note_waits(self):
        self.noted = self.system.scraper.waits(self.system.threads)

    def waited(self):
        """Since then, of the thread that waited the longest; one that is new waited from its start."""
        waits = self.system.scraper.waits(self.system.threads)
        return max((wait - self.noted.get(thread, 0) for thread, wait in waits.items()), default=0)

    def restart_store(self):
        """Under a scraper that streams to it."""
        if self.system.store.running():
            self.system.store.end(signal.SIGKILL)
            self.system.store.start()

    def kill_scraper(self):
        # The time just before: what ends between it and the kill counts as in progress.
        self.kills.append(time.monotonic())
        if self.options.signal == "KILL":
            self.system.scraper.freeze(self.system.threads)
        self.waits.append(self.waited())
        self.stops.append(self.system.scraper.end(getattr(signal, "SIG" + self.options.signal)))

    def slow_down(self):
        while not self.stopping.is_set():
            with contextlib.suppress(ProcessLookupError):
                self.system.store.process.send_signal(signal.SIGSTOP)
                time.sleep(self.random.uniform(0.1, 1))
                self.system.store.process.send_signal(signal.SIGCONT)
                time.sleep(self.random.uniform(0.02, 0.2))

    def finish(self):
        """The last run ends in order, when all that was scraped is stored."""
        self.wait_ready()
        time.sleep(2)
        wait_for("the backlog to be drained", self.system.drained, 300)
        self.kills.append(time.monotonic())
        self.waits.append(0)
        self.system.settle()
        self.system.scraper.end(signal.SIGTERM)
        time.sleep(0.5)

    def judge(self):
        """Counts: what was scraped, in progress at a kill, lost, stored twice."""
        stored = collections.defaultdict(list)  # instance → (timestamp, number)
        for instance, at, value in self.system.rows("scrape_number"):
            stored[instance].append((at, int(value)))
        failed = collections.defaultdict(list)  # instance → timestamps of scrapes that failed
        for instance, at, value in self.system.rows("up"):
            if value == 0:
                failed[instance].append(at)
        result = collections.Counter(scraped=0, in_progress=0, lost=0, twice=0)
        missing = []
        for exporter in self.exporters:
            result += judge_stored(exporter, sorted(stored[exporter.address]))
            missing += self.judge_missing(exporter, stored[exporter.address], failed[exporter.address])
        result.update(scrape["fate"] for scrape in missing)
        pending = [scrape for scrape in missing if scrape["fate"] == "in_progress"]
        worst = collections.Counter((scrape["target"], scrape["run"]) for scrape in pending)
        out = {name: result[name] for name in ("scraped", "in_progress", "lost", "twice", "invented",
                                               "out_of_order", "timed_out")}
        out["most_in_progress_a_target_and_kill"] = max(worst.values(), default=0)
        # Below 0: answered when the scraper was dead already.
        out["oldest_in_progress_ms"] = max((scrape["ms_before"] for scrape in pending), default=None)
        out["longest_wait_ms"] = round(1000 * max(self.waits), 1)
        self.write_evidence(missing)
        return out

    def judge_missing(self, exporter, stored, failed):
        """What was answered and is not stored, and why that is so."""
        have = {number for _, number in stored}
        timeout_ms = float(self.options.interval.removesuffix("ms"))
        for number, scrape in sorted(exporter.scrapes.items()):
            before = self.kills[scrape.run] - scrape.answered
            in_progress = before < self.options.in_progress + self.waits[scrape.run]
            if number in have or (scrape.run == len(self.kills) - 1 and in_progress):
                continue
            # A scrape that timed out is stored, under the time at which it began, as one that failed.
            times = [at for at in failed if -5 < scrape.wall_ms - at < timeout_ms + 50]
            fate = "lost"
            if in_progress:
                fate = "in_progress"
            elif times:
                failed.remove(times[0])
                fate = "timed_out"
            yield {"target": exporter.address, "number": number, "run": scrape.run, "fate": fate,
                   "ms_before": round(1000 * before, 1),
                   "ms_answering": round(1000 * (scrape.answered - scrape.begun), 1)}

    def write_evidence(self, missing):
        (self.directory / "evidence.json").write_text(json.dumps({
            "options": vars(self.options), "missing": missing, "kills": self.kills, "waits": self.waits,
            "scrapes": {exporter.address: {n: dataclasses.astuple(s) for n, s in exporter.scrapes.items()}
                        for exporter in self.exporters}}, indent=1))


def judge_stored(exporter, rows):
    """What is stored of an exporter must have been said by it, once, in order."""
    numbers = [number for _, number in rows]
    result = collections.Counter(scraped=len(exporter.scrapes))
    result["twice"] = len(numbers) - len(set(numbers))
    result["invented"] = len(set(numbers) - set(exporter.scrapes))
    result["out_of_order"] = sum(after < before for before, after in zip(numbers, numbers[1:]))
    return result


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", default="trawld", choices=["trawld", "vmagent", "prometheus"])
    parser.add_argument("--storage", default="up", choices=["up", "down", "slow"])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--interval", default="200ms", help="in ms")
    parser.add_argument("--run", type=float, default=0.6, help="seconds between two kills, on average")
    parser.add_argument("--in-progress", type=float, default=0.02, help="seconds before a kill")
    parser.add_argument("--signal", default="KILL", choices=["KILL", "TERM"])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kill-store", type=int, default=0)
    parser.add_argument("--flag", action="append", default=[])
    return parser.parse_args(words)


def faults(result):
    return sum(result[name] for name in ("lost", "twice", "invented", "out_of_order"))


def measure(options):
    """The counts; where something is wrong, or it fails, the directory with the evidence stays."""
    directory = tempfile.mkdtemp(prefix="trawl-kills-")
    rig = Rig(options, directory)
    try:
        rig.run()
        result = rig.judge()
        result["slowest_end_ms"] = int(1000 * max(rig.stops, default=0))
    except BaseException:
        print(f"evidence is kept in {directory}", file=sys.stderr)
        raise
    finally:
        rig.close()
    if faults(result):
        print(f"evidence is kept in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    return result


def main():
    options = arguments()
    result = measure(options)
    print(f"{options.subject} storage={options.storage} signal={options.signal} kills={options.kills} "
          f"seed={options.seed}: " + ", ".join(f"{k} {v}" for k, v in result.items()))
    return 1 if faults(result) else 0


if __name__ == "__main__":
    sys.exit(main())
