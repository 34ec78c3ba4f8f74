"""trawld is killed at every named point at which a crash leaves something different behind: before,
in the middle of and after each write, sync, rename, removal and creation of its files. Whatever the
point, the next run comes up by itself, nothing that was scraped is lost or stored twice, and what
was pushed and acked is still scraped."""
import json
import os
import pathlib
import random
import signal
import subprocess
import unittest

from harness import BIN, EndToEndTest, Trawld, samples, wait_for

# Small segments (spool / 16), so that they are rolled and removed every second or so.
FLAGS = ["--shards=1", "--spool.max-bytes=1MiB", "--spool.sync-interval=100ms"]
AT_LEAST = 30
SERIES = 150


class KillPoint(Trawld):
    """trawld as tests/killpoints makes it."""

    def __init__(self, directory, config, *flags, environment, data):
        self.environment = environment
        super().__init__(directory, config, *flags, data=data)

    def popen(self, command, **options):
        command[0] = str(BIN / "trawld_kill_points")
        return subprocess.Popen(command, env={**os.environ, **self.environment}, **options)


class KillPointsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.noise = random.Random(1)
        self.exporters = [self.exporter(self.page) for _ in range(2)]
        self.pushed = self.exporter(lambda path, n: f"pushed_number {n}\n")
        self.store_ = self.store()
        self.kills = 0
        self.config = json.dumps({
            "global": {"scrape_interval": "50ms", "scrape_timeout": "50ms"},
            "scrape_configs": [
                {"job_name": "numbers", "static_configs": [{"targets": [e.address for e in self.exporters]}]},
                {"job_name": "pushed"}]})

    def page(self, path, n):
        lines = [f"scrape_number {n}"]
        lines += [f'noise{{n="{i}"}} {self.noise.random()}' for i in range(SERIES)]
        return "\n".join(lines) + "\n"

    def run_once(self, environment):
        data = self.directory / "data"
        return self.started(KillPoint(self.directory, self.config, f"--storage.address={self.store_.grpc}",
                                      *FLAGS, environment=environment, data=data))

    def push(self, trawld):
        """A push with a change in it, of a process that may die at any moment; True if it was acked."""
        self.pushes = getattr(self, "pushes", 0) + 1
        file = self.directory / "push.json"
        file.write_text(json.dumps([{"targets": [self.pushed.address], "labels": {"push": str(self.pushes)}}]))
        return trawld.trawlctl("push", file, "--job", "pushed", check=False).returncode == 0

    def live(self, trawld, until):
        """Pushes now and then until the process is dead, or `until()`; whether any push was acked."""
        acked = False

        def over():
            nonlocal acked
            acked = self.push(trawld) or acked
            return not trawld.running() or until()
        wait_for("the end of a run", over, 20)
        return acked

    def points(self):
        """Every point that two runs come to: the second one finds what the first left."""
        log = self.directory / "points"
        for _ in range(2):
            trawld = self.run_once({"TRAWL_KILL_LOG": str(log)}).wait_ready()
            self.live(trawld, lambda: "after remove segment" in log.read_text())
            trawld.process.send_signal(signal.SIGKILL)
            trawld.process.wait()
            self.kills += 1
        return list(dict.fromkeys(log.read_text().splitlines()))

    def numbers(self, exporter):
        return [int(v) for _, labels, _, v in samples(self.store_.path, "metric = 'scrape_number'")
                if labels["instance"] == exporter.address]

    def check_pushed(self, trawld):
        wait_for("the pushed target to be scraped again", lambda: any(
            t["scrapePool"] == "pushed" and t["health"] == "up" for t in trawld.targets()))

    def test_a_kill_at_any_point_loses_nothing_and_needs_nobody(self):
        points = self.points()
        self.assertGreaterEqual(len(points), AT_LEAST, points)
        acked = True
        for point in points:
            with self.subTest(point=point):
                # Once at the first time, in start-up often, and once when things are running.
                for at in (1, 2):
                    trawld = self.run_once({"TRAWL_KILL_POINT": point, "TRAWL_KILL_AT": str(at)})
                    try:
                        acked = self.live(trawld, lambda: False) or acked
                        self.assertEqual(trawld.process.wait(), -signal.SIGKILL, trawld.log()[-2000:])
                    finally:
                        trawld.process.kill()
                        trawld.process.wait()
                        self.kills += 1
        survivor = self.run_once({}).wait_ready()
        self.assertTrue(acked)
        self.check_pushed(survivor)
        last = [e.scrapes for e in self.exporters]
        wait_for("what came last to be stored", lambda: all(
            max(self.numbers(e)) >= n for e, n in zip(self.exporters, last)))
        self.assertEqual(survivor.stop(), 0)
        for exporter in self.exporters:
            numbers = self.numbers(exporter)
            self.assertEqual(len(numbers), len(set(numbers)), "stored twice")
            missing = set(range(1, exporter.scrapes + 1)) - set(numbers)
            # At most the scrape in progress a kill, and the one that the orderly end cut off.
            self.assertLessEqual(len(missing), self.kills + 1)
        print(f"\n{len(points)} kill points, {self.kills} kills")


if __name__ == "__main__":
    unittest.main()
