"""The disk that the spool is on fills up, and is freed again: scraping is never paused, what is not on
disk is counted and streamed all the same, and health returns by itself. Needs leave to mount a tmpfs."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

from harness import EndToEndTest, samples, wait_for

SIZE = 64 << 20
INTERVAL = "200ms"
SERIES = 300


class FullDiskTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", self.disk],
                               capture_output=True, text=True)
        if mount.returncode != 0:
            self.fail(f"the tests run as root and may mount: {mount.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.noise = random.Random(1)
        self.times = []  # of the scrapes, monotonic
        self.exporter_ = self.exporter(self.page)
        self.store_ = self.store()

    def page(self, path, n):
        self.times.append(time.monotonic())
        lines = [f"scrape_number {n}"]
        lines += [f'noise{{n="{i}"}} {self.noise.random()}' for i in range(SERIES)]
        return "\n".join(lines) + "\n"

    def fill(self):
        """Takes every byte that is left."""
        with open(self.disk / "filler", "ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass

    def start(self, *flags, storage=True):
        config = {"global": {"scrape_interval": INTERVAL},
                  "scrape_configs": [{"job_name": "n",
                                      "static_configs": [{"targets": [self.exporter_.address]}]}]}
        sink = [f"--storage.address={self.store_.grpc}"] if storage else []
        return self.trawld(json.dumps(config), *sink, *flags,
                           data=self.disk / "data").wait_ready()

    def scrapes(self, count):
        before = self.exporter_.scrapes
        wait_for(f"{count} scrapes", lambda: self.exporter_.scrapes >= before + count)

    def test_a_disk_that_is_full_pauses_nothing_and_health_returns_when_it_is_freed(self):
        trawld = self.start()
        self.scrapes(3)
        self.store_.process.send_signal(signal.SIGSTOP)
        self.fill()
        wait_for("the spool to be degraded", lambda: trawld.metric("trawl_spool_degraded_lanes") > 0)
        self.scrapes(10)
        self.assertGreater(trawld.metric("trawl_spool_unspooled_samples_total"), 0)
        (self.directory / "sd.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
        push = trawld.trawlctl("push", self.directory / "sd.json", "--job", "n", check=False)
        # It is there, and says what it can't do: not "unreachable", which is 3.
        self.assertEqual(push.returncode, 1, push.stderr)
        self.assertIn("no space left", push.stderr.lower())
        sync = trawld.trawlctl("--timeout", "2", "sync", "--once", "--job", "n", "--file-sd",
                               self.directory / "sd.json", check=False)
        self.assertEqual(sync.returncode, 1, sync.stderr)
        self.assertIn("no space left", sync.stderr.lower())
        os.remove(self.disk / "filler")
        wait_for("health to return", lambda: trawld.metric("trawl_spool_degraded_lanes") == 0, 10)
        self.scrapes(3)
        self.store_.process.send_signal(signal.SIGCONT)
        last = self.exporter_.scrapes
        wait_for("what came last to be stored", lambda: max(self.numbers(), default=0) >= last)
        numbers = self.numbers()
        self.assertEqual(sorted(numbers), list(range(1, len(numbers) + 1)), "once each, from memory too")
        pauses = [after - before for before, after in zip(self.times, self.times[1:])]
        print(f"\n{len(self.times)} scrapes, at most {max(pauses):.3f} s between two")
        self.assertEqual(trawld.stop(), 0)

    def test_a_full_disk_and_a_pipe_in_the_spool_stop_no_start_and_the_backlog_is_drained(self):
        trawld = self.start("--shards=1")
        self.scrapes(3)
        self.store_.process.send_signal(signal.SIGSTOP)
        self.scrapes(10)
        trawld.process.kill()
        trawld.process.wait()
        last = self.exporter_.scrapes - 1  # the last may have been in progress
        [lane] = (self.disk / "data" / "spool").glob("*/0")
        os.mkfifo(lane / "x.fifo")
        os.mkfifo(lane / f"{10 ** 6:020}.segment")
        self.fill()
        self.store_.process.send_signal(signal.SIGCONT)

        again = self.start("--shards=1")
        wait_for("the backlog", lambda: set(range(1, last + 1)) <= set(self.numbers()))
        self.scrapes(3)
        newest = self.exporter_.scrapes - 1
        wait_for("what came after", lambda: newest in self.numbers())
        numbers = self.numbers()
        self.assertEqual(len(numbers), len(set(numbers)), "once each")
        self.assertEqual(again.stop(), 0)

    def test_a_start_on_a_full_disk_scrapes_from_memory_and_the_spool_returns_when_it_is_freed(self):
        trawld = self.start("--shards=1")
        self.scrapes(3)
        self.assertEqual(trawld.stop(), 0)  # with nothing left in the spool
        self.fill()

        again = self.start("--shards=1")
        first = self.exporter_.scrapes + 1
        self.scrapes(10)
        self.assertEqual(again.metric("trawl_spool_degraded_lanes"), 1)
        os.remove(self.disk / "filler")
        wait_for("the spool to be healthy", lambda: again.metric("trawl_spool_degraded_lanes") == 0, 20)
        wait_for("its limit to rise", lambda: again.metric("trawl_spool_limit_bytes") > 1 << 20, 20)
        last = self.exporter_.scrapes
        wait_for("all to be stored", lambda: set(range(first, last + 1)) <= set(self.numbers()))
        self.assertEqual(again.stop(), 0)

    def test_an_embedded_store_that_has_no_room_at_the_start_is_opened_when_there_is_some(self):
        trawld = self.start("--shards=1", storage=False)
        self.scrapes(3)
        self.assertEqual(trawld.stop(), 0)
        self.fill()

        again = self.start("--shards=1", storage=False)
        first = self.exporter_.scrapes + 1
        self.scrapes(10)
        [sink] = json.loads(again.trawlctl("--json", "sinks").stdout)
        [lane] = sink["lanes"]
        self.assertRegex(lane["lastError"], "disk .*samples.db.*sink embedded")
        self.assertFalse(lane.get("connected", False))
        os.remove(self.disk / "filler")
        database = self.disk / "data" / "samples.db"
        last = self.exporter_.scrapes
        wait_for("all to be stored",
                 lambda: set(range(first, last + 1)) <= set(self.numbers(database)), 20)
        numbers = self.numbers(database)
        self.assertEqual(len(numbers), len(set(numbers)), "once each")
        self.assertEqual(again.metric("trawl_sink_lost_samples_total"), 0)
        self.assertEqual(again.stop(), 0)

    def test_a_trawld_whose_embedded_store_waits_for_room_ends_cleanly(self):
        trawld = self.start("--shards=1", storage=False)
        self.assertEqual(trawld.stop(), 0)
        self.fill()
        again = self.start("--shards=1", storage=False)
        self.scrapes(3)
        self.assertEqual(again.stop(), 0)

    def numbers(self, path=None):
        return [int(v) for _, _, _, v in samples(path or self.store_.path, "metric = 'scrape_number'")]


if __name__ == "__main__":
    unittest.main()
