"""trawld and trawl-store are killed at every named point at which a crash leaves something different
behind. trawld: before, in the middle of and after each write, sync, rename, removal and creation of its
files, where a segment is rolled, and before and after it sends a message to storage or takes one from
it, acks among them. trawl-store: before and after each SQL statement that changes something, commits
among them, and each message, acks among them. Whatever the point, the next run comes up by itself,
nothing that was scraped is lost or stored twice, and what was pushed and acked is still scraped."""
import collections
import json
import os
import random
import signal
import subprocess
import time
import unittest

from harness import BIN, SANITIZED, EndToEndTest, Store, Trawld, free_port, samples, wait_for

# Small segments (spool / 16), so that they are rolled and removed every second or three.
FLAGS = ["--shards=1", "--spool.max-bytes=1MiB", "--spool.sync-interval=100ms"]
AT_LEAST = 30
SERIES = 300
# Characters of a push: every few of them the source's log is replaced by a fresh snapshot; and half of
# one is a tear that a disk can make, at a sector's end (inside of one is damage: FORMAT.md).
PUSH_SIZE = 30_000
# Seconds after which a run that does not come to its point is killed from outside.
PATIENCE = 20 if SANITIZED else 5
# What goes on while things are running: these points are also hit for a third time.
RECURRING = ("append segment", "sync segment", "update gaps", "sync gaps", "update discovery-log",
             "sync discovery-log", "roll", "send records", "take ack")
STORE_RECURRING = ("take records", "INSERT INTO scrapes", "UPDATE lanes", "COMMIT", "send ack")


def around(*operations):
    return {f"{moment} {operation}" for operation in operations for moment in ("before", "after")}


class KillPoints:
    """A program as tests/killpoints makes it."""

    def __init__(self, *arguments, environment, **options):
        self.environment = environment
        super().__init__(*arguments, **options)

    def popen(self, command, **options):
        command[0] = str(BIN / self.program)
        return subprocess.Popen(command, env={**os.environ, **self.environment}, **options)


class KillPointTrawld(KillPoints, Trawld):
    program = "trawld_kill_points"


class KillPointStore(KillPoints, Store):
    program = "trawl_store_kill_points"


class NumbersTest(EndToEndTest):
    """Exporters that say how often they were scraped, and what a store has of that."""

    def setUp(self):
        super().setUp()
        self.noise = random.Random(1)
        self.exporters = [self.exporter(self.page) for _ in range(2)]
        self.config = json.dumps({
            "global": {"scrape_interval": "100ms", "scrape_timeout": "100ms"},
            "scrape_configs": [
                {"job_name": "numbers", "static_configs": [{"targets": [e.address for e in self.exporters]}]},
                {"job_name": "pushed"}]})

    def page(self, path, n):
        lines = [f"scrape_number {n}"]
        lines += [f'noise{{n="{i}"}} {self.noise.random()}' for i in range(SERIES)]
        return "\n".join(lines) + "\n"

    def scrapes(self):
        return [e.scrapes for e in self.exporters]

    @staticmethod
    def numbers(exporter, path):
        return [int(v) for _, labels, _, v in samples(path, "metric = 'scrape_number'")
                if labels["instance"] == exporter.address]

    @staticmethod
    def failed(exporter, path):
        """Scrapes that did not come to an end in time: what they were told is not stored."""
        return sum(v == 0 for _, labels, _, v in samples(path, "metric = 'up'")
                   if labels["instance"] == exporter.address)

    def wait_stored(self, path):
        """Until all is stored that has been scraped by now."""
        before = self.scrapes()
        wait_for("what came last to be stored", lambda: all(
            max(self.numbers(e, path), default=0) > n for e, n in zip(self.exporters, before)))

    def check_stored(self, path, begin, ends):
        """Of each exporter's scrapes from `begin` on, and over all `ends` of trawld since."""
        for exporter, before, lasts in zip(self.exporters, begin, zip(*ends)):
            numbers = self.numbers(exporter, path)
            self.assertEqual(len(numbers), len(set(numbers)), "stored twice")
            missing = set(range(before + 1, exporter.scrapes + 1)) - set(numbers)
            # In progress at an end: the last one, or the one whose request came too late to be counted.
            for last in lasts:
                missing -= {last} if last in missing else {last + 1}
            self.assertLessEqual(len(missing), self.failed(exporter, path), f"lost: {sorted(missing)}")


class KillPointsTest(NumbersTest):
    def setUp(self):
        super().setUp()
        self.pushed = self.exporter(lambda path, n: f"pushed_number {n}\n")
        self.store_ = self.store()
        self.data = self.directory / "data"
        self.pushes = 0
        self.acked = collections.Counter()  # the last push that was acked, by data directory
        self.ends = []  # of each run: how often each exporter had been scraped

    def run_once(self, data, **environment):
        return self.started(KillPointTrawld(
            self.directory, self.config, f"--storage.address={self.store_.grpc}", *FLAGS,
            environment=environment, data=data))

    def push(self, trawld):
        """A push with a change in it, of a process that may die at any moment."""
        self.pushes += 1
        file = self.directory / "push.json"
        file.write_text(json.dumps([{"targets": [self.pushed.address], "labels": {
            "push": str(self.pushes), "__meta_size": "x" * PUSH_SIZE}}]))
        push = trawld.trawlctl("push", file, "--job", "pushed", check=False)
        if push.returncode == 0:
            self.acked[trawld.data] = self.pushes

    def check_acked(self, trawld):
        """What was acked is there, or what came after it."""
        groups = json.loads(trawld.trawlctl("groups", "--source", "trawlctl", "--json").stdout)
        pushed = max((int(group["group"]["labels"]["push"]) for group in groups), default=0)
        self.assertGreaterEqual(pushed, self.acked[trawld.data])

    def end(self, trawld, number=signal.SIGKILL):
        """Ends a run; its exit code."""
        if trawld.running():
            trawld.process.send_signal(number)
        code = trawld.process.wait(15)
        self.ends.append(self.scrapes())
        return code

    def live(self, trawld, over=lambda: False):
        """Pushes now and then until the process is dead, `over()`, or nobody waits any longer."""
        deadline = time.monotonic() + PATIENCE
        while trawld.running() and not over() and time.monotonic() < deadline:
            self.push(trawld)
            time.sleep(0.05)

    def points(self):
        """Every point that a first run comes to, and every one that the next run over its data does."""
        found = []
        for number in range(2):
            log = self.directory / f"points-{number}"
            trawld = self.run_once(self.data, TRAWL_KILL_LOG=str(log)).wait_ready()
            self.live(trawld, lambda: "after remove segment" in log.read_text())
            self.end(trawld)
            found.append(log.read_text().splitlines())
        return found

    def hit(self, point, at, data):
        """One run, killed at the point if it comes to it, else from outside; whether it came to it."""
        trawld = self.run_once(data, TRAWL_KILL_POINT=point, TRAWL_KILL_AT=str(at))
        self.live(trawld)
        itself = not trawld.running()
        self.assertEqual(self.end(trawld), -signal.SIGKILL, trawld.log()[-2000:])
        if point.endswith("discovery-log"):  # at once: later pushes would replace what is lost
            after = self.run_once(data).wait_ready()
            self.check_acked(after)
            self.end(after)
        return itself

    def hit_first_run(self, number, point):
        """A point that only a run over an empty directory comes to; what it leaves is used again."""
        data = self.directory / f"data-{number}"
        self.assertTrue(self.hit(point, 1, data))
        self.let_all_be_stored(data)

    def let_all_be_stored(self, data):
        trawld = self.run_once(data).wait_ready()
        self.wait_stored(self.store_.path)
        self.check_acked(trawld)
        if data == self.data:
            wait_for("the pushed target to be scraped again", lambda: any(
                t["scrapePool"] == "pushed" and t["health"] == "up" and
                int(t["labels"]["push"]) >= self.acked[data] for t in trawld.targets()))
        self.assertEqual(self.end(trawld, signal.SIGTERM), 0, trawld.log()[-2000:])

    def test_a_kill_at_any_point_loses_nothing_and_needs_nobody(self):
        first, second = self.points()
        named = list(dict.fromkeys(first + second))
        self.assertGreaterEqual(len(named), AT_LEAST, named)
        self.assertLessEqual(around("append segment", "sync segment", "rename discovery-log", "remove segment",
                                    "update gaps", "roll", "send records", "take ack"), set(named))
        # There it is replaced while something acked is in it.
        self.assertLessEqual({"half append discovery-log", "before rename discovery-log",
                              "after rename discovery-log"}, set(second))
        for number, point in enumerate(named):
            with self.subTest(point=point):
                if point not in second:
                    self.hit_first_run(number, point)
                else:  # removals want something that an earlier run left
                    self.assertTrue(any(self.hit(point, 1, self.data) for _ in range(3)))
        recurring = [point for point in named if point.endswith(RECURRING)]
        again = sum(self.hit(point, 3, self.data) for point in recurring)
        self.assertGreater(self.acked[self.data], 0)
        self.let_all_be_stored(self.data)
        self.check_stored(self.store_.path, [0, 0], self.ends)
        print(f"\n{len(named)} kill points of trawld, {again} of {len(recurring)} for a third time, "
              f"{len(self.ends)} runs")


class StoreKillPointsTest(NumbersTest):
    def setUp(self):
        super().setUp()
        self.address = f"127.0.0.1:{free_port()}"
        self.lives = 0

    def begin_life(self):
        """A trawld, and a file that is new."""
        self.lives += 1
        self.path = self.directory / f"store-{self.lives}.db"
        self.begin = self.scrapes()
        self.trawld_ = self.trawld(self.config, f"--storage.address={self.address}", *FLAGS,
                                   data=self.directory / f"data-{self.lives}")

    def end_life(self):
        """With a store that lives: it has each scrape, once."""
        store = self.store(path=self.path, address=self.address)
        self.wait_stored(self.path)
        self.assertEqual(self.trawld_.stop(), 0, self.trawld_.log()[-2000:])
        self.assertEqual(store.stop(), 0, store.log()[-2000:])
        self.check_stored(self.path, self.begin, [self.scrapes()])
        self.assertNotIn("Store went back", self.trawld_.log(), "acked and not there")

    def run_store(self, **environment):
        return self.started(KillPointStore(self.directory, path=self.path, address=self.address,
                                           environment=environment))

    def points(self):
        """Every point that a store comes to over a new file, and every one over a file that it made."""
        found = []
        for number in range(2):
            log = self.directory / f"points-{number}"
            store = self.run_store(TRAWL_KILL_LOG=str(log))
            self.wait_stored(self.path)
            wait_for("an ack", lambda: "after send ack" in log.read_text())
            store.signal(signal.SIGKILL)
            store.process.wait()
            found.append(log.read_text().splitlines())
        return found

    def hit(self, point, at=1):
        store = self.run_store(TRAWL_KILL_POINT=point, TRAWL_KILL_AT=str(at))
        wait_for(f"the store to come to {point}", lambda: not store.running(), PATIENCE)
        self.assertEqual(store.process.wait(), -signal.SIGKILL, store.log()[-2000:])

    def test_a_store_that_is_killed_at_any_point_has_each_scrape_once(self):
        self.begin_life()
        first, second = self.points()
        self.assertLessEqual(around("COMMIT", "send welcome", "send ack"), set(second))
        again = [point for point in second if point.endswith(STORE_RECURRING)]
        for point, at in [(point, 1) for point in second] + [(point, 3) for point in again]:
            self.hit(point, at)
            self.hit("after send ack")  # in between something is stored: what waits stays small
        self.end_life()
        fresh = [point for point in first if point not in second]
        for point in fresh:
            with self.subTest(point=point):
                self.begin_life()
                self.hit(point)
                self.end_life()
        print(f"\n{len(fresh) + len(second)} kill points of trawl-store, {len(again)} for a third time")


if __name__ == "__main__":
    unittest.main()
