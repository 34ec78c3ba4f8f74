"""A trawld that is killed loses no scrape that was over, and the store gets none twice."""
import json
import signal
import unittest

from harness import BIN, EndToEndTest, Program, samples, wait_for


def config(targets, interval="200ms"):
    return f"""
global: {{scrape_interval: {interval}}}
scrape_configs:
  - job_name: numbers
    static_configs: [{{targets: {json.dumps(targets)}}}]
"""


class SpoolTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.exporters = [self.exporter(lambda path, n: f"scrape_number {n}\n") for _ in range(3)]
        self.store_ = self.store()
        self.address = self.store_.grpc
        self.kills = 0

    def start(self, *flags):
        return self.trawld(config([e.address for e in self.exporters]),
                           f"--storage.address={self.address}", *flags).wait_ready()

    def scrapes(self, count):
        seen = [e.scrapes for e in self.exporters]
        wait_for(f"{count} scrapes of each target",
                 lambda: all(e.scrapes >= s + count for e, s in zip(self.exporters, seen)))

    def kill(self, trawld):
        trawld.process.send_signal(signal.SIGKILL)
        trawld.process.wait()
        self.kills += 1

    @staticmethod
    def epochs(trawld):
        """Runs that have left a lane."""
        return {lane.parent.name for lane in (trawld.data / "spool").glob("*/*")}

    def numbers(self, exporter):
        return sorted(int(value) for _, labels, _, value in
                      samples(self.store_.path, "metric = 'scrape_number'")
                      if labels["instance"] == exporter.address)

    def check(self, trawld):
        """All that was scraped before now arrives, but for one scrape in progress a kill."""
        before = [e.scrapes for e in self.exporters]
        self.scrapes(3)
        wait_for("the newest samples", lambda: all(
            (self.numbers(e) or [0])[-1] > b for e, b in zip(self.exporters, before)))
        self.assertEqual(trawld.stop(), 0)
        for exporter in self.exporters:
            numbers = self.numbers(exporter)
            self.assertEqual(len(numbers), len(set(numbers)), "none twice")
            missing = set(range(1, exporter.scrapes + 1)) - set(numbers)
            # And the one that the last, orderly stop cut off.
            self.assertLessEqual(len(missing), self.kills + 1, missing)

    def test_kills_with_the_store_up_down_and_stopped_lose_and_double_nothing(self):
        for store_state in ("up", "stopped", "down", "down", "up"):
            trawld = self.start()
            self.scrapes(3)
            if store_state == "stopped":
                self.store_.process.send_signal(signal.SIGSTOP)
            if store_state == "down" and self.store_.running():
                self.store_.process.kill()
                self.store_.process.wait()
            self.scrapes(4)
            self.kill(trawld)
            if store_state == "stopped":
                self.store_.process.send_signal(signal.SIGCONT)
            if store_state == "down" and self.kills == 4:
                self.restart_store()
        self.check(self.start())

    def restart_store(self):
        path = self.store_.path
        self.store_ = self.started(Program("trawl-store", [
            BIN / "trawl-store", f"--grpc.listen-address={self.address}",
            f"--data-dir={self.directory}/store-data", f"--sqlite.path={path}"], self.directory))
        self.store_.path = path

    def test_a_stop_without_a_store_leaves_all_to_the_next_start(self):
        trawld = self.start()
        self.scrapes(2)
        self.store_.process.kill()
        self.store_.process.wait()
        self.scrapes(5)
        self.assertEqual(trawld.stop(), 0)
        spool = ["--json", "spool"]
        offline = [f"--data-dir={trawld.data}"]
        lanes = json.loads(trawld.trawlctl(*spool, "ls", *offline).stdout)
        self.assertGreater(sum(int(lane["samples"]) for lane in lanes), 10)
        self.assertEqual(json.loads(trawld.trawlctl(*spool, "verify", *offline).stdout), [])
        dumped = json.loads(trawld.trawlctl(*spool, "dump", *offline).stdout)
        last = str(self.exporters[0].scrapes - 1)
        self.assertTrue([row for row in dumped if "scrape_number" in row["series"] and
                         self.exporters[0].address in row["series"] and row["value"] == last])
        self.restart_store()
        trawld = self.start()
        self.kills = 1
        self.check(trawld)

    def verify(self, trawld):
        """What is missing, and whether trawlctl says that something is."""
        result = trawld.trawlctl("--json", "spool", "verify", f"--data-dir={trawld.data}",
                                 check=False)
        return json.loads(result.stdout), result.returncode

    def kill_in_an_outage(self, trawld):
        self.store_.process.kill()
        self.store_.process.wait()
        self.scrapes(5)
        self.kill(trawld)

    def test_a_newest_segment_that_is_zeroed_is_listed_and_told_to_the_store(self):
        trawld = self.start("--shards=1")
        self.scrapes(2)
        self.kill_in_an_outage(trawld)
        self.assertEqual(self.verify(trawld), ([], 0))
        newest = max((trawld.data / "spool").glob("*/0/*.segment"))
        size = newest.stat().st_size
        newest.write_bytes(bytes(size))
        rows, code = self.verify(trawld)
        self.assertEqual(code, 1)
        self.assertEqual([(row["reason"], row["bytes"]) for row in rows],
                         [("set_aside", str(size)), ("damaged", "")])
        self.restart_store()
        trawld = self.start("--shards=1")
        wait_for("its bytes to be counted",
                 lambda: trawld.metric("trawl_spool_lost_bytes_total") == size)
        self.assertEqual(trawld.metric("trawl_spool_set_aside_files_total"), 1)
        wait_for("one epoch", lambda: len(self.epochs(trawld)) == 1)

    def test_what_the_cap_took_of_a_run_that_was_killed_is_counted_by_the_next(self):
        exporter = self.exporter(lambda path, n: "".join(
            f"m{{i=\"{i}\"}} {n * i * 0.137}\n" for i in range(2000)))
        self.exporters = [exporter]
        trawld = self.start("--shards=1", "--spool.max-bytes=256KiB")
        self.store_.process.kill()
        self.store_.process.wait()
        wait_for("the oldest segment to go", lambda: 1 < min(
            int(path.stem) for path in (trawld.data / "spool").glob("*/0/*.segment")))
        self.kill(trawld)
        rows, code = self.verify(trawld)
        self.assertEqual(code, 1)
        capped = sum(int(row["samples"]) for row in rows if row["reason"] == "spool_cap")
        self.assertGreater(capped, 0)
        self.restart_store()
        trawld = self.start("--shards=1")
        wait_for("one epoch", lambda: len(self.epochs(trawld)) == 1)
        wait_for("the loss", lambda: trawld.metric("trawl_sink_lost_samples_total") == capped)

    def test_commands_on_files_say_where_there_are_none(self):
        trawld = self.start()
        for command in ("ls", "verify", "dump"):
            result = trawld.trawlctl("spool", command, f"--data-dir={self.directory}/nothing",
                                     check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn("nothing/writer-id", result.stderr)

    def test_nothing_is_left_of_runs_that_are_drained(self):
        for _ in range(2):
            trawld = self.start()
            self.scrapes(3)
            self.kill(trawld)
        trawld = self.start()
        wait_for("one epoch", lambda: len(self.epochs(trawld)) == 1)
        self.check(trawld)
        trawld = self.start()
        wait_for("one epoch", lambda: len(self.epochs(trawld)) <= 1)
        self.scrapes(2)
        wait_for("the spool's metrics",
                 lambda: trawld.metric("trawl_spool_written_bytes_total") > 0)
        self.assertEqual(trawld.metric("trawl_spool_degraded_lanes"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
