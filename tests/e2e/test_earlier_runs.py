"""What runs of trawld left that were killed: brought to each sink that was there, in order, once."""
import contextlib
import signal
import sqlite3
import unittest

from harness import EndToEndTest, free_port, samples, wait_for


def numbers(path):
    """The exporter's value, which is the number of the scrape, in the order in which it was stored."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        rows = db.execute("select timestamp_ms, value from samples where metric = 'n' and not stale "
                          "order by timestamp_ms").fetchall()
        stored = [row[0] for row in db.execute("select time_ms from scrapes order by id")]
    return [value for _, value in rows], stored


class EarlierRunsTest(EndToEndTest):
    def config(self, exporter):
        return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: n, static_configs: [{{targets: ['{exporter.address}']}}]}}
"""

    def run_and_kill(self, exporter, *flags, scrapes=4):
        """A run whose storage is away."""
        before = exporter.scrapes
        trawld = self.trawld(self.config(exporter), *flags)
        trawld.wait_ready()
        wait_for("scrapes", lambda: trawld.metric("trawl_append_samples_total") > 0 and
                 exporter.scrapes >= before + scrapes)
        # A scrape that is under way at the kill is not committed: wait until none is.
        wait_for("the last one to be committed",
                 lambda: trawld.metric("trawl_append_records_total") >= scrapes + 1)
        trawld.signal(signal.SIGKILL)
        trawld.process.wait()

    def test_runs_that_were_killed_in_an_outage_arrive_in_order_and_once(self):
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        address = f"127.0.0.1:{free_port()}"
        for _ in range(2):
            self.run_and_kill(exporter, f"--storage.address={address}")
        before = exporter.scrapes
        store = self.store(address=address)
        trawld = self.trawld(self.config(exporter), f"--storage.address={address}")
        trawld.wait_ready()
        wait_for("what waited, and more", lambda: len(numbers(store.path)[0]) >= before)
        wait_for("the earlier runs to be gone", lambda: not [
            lane for sink in trawld.grpcurl("trawl.status.v1.StatusService/ListSinks")["sinks"]
            for lane in sink["lanes"] if lane["epoch"] != str(self.epoch(trawld))])
        self.assertEqual(trawld.stop(), 0)

        values, stored = numbers(store.path)
        self.assertEqual(len(values), len(set(values)), "a scrape is there twice")
        lost = set(range(1, int(max(values)) + 1)) - {int(value) for value in values}
        self.assertLessEqual(len(lost), 2, f"more than the scrape under way at each kill: {lost}")
        self.assertEqual(stored, sorted(stored), "not in order")
        epochs = [path.name for path in (trawld.data / "spool").iterdir() if any(path.iterdir())]
        self.assertLessEqual(len(epochs), 1, "directories of earlier runs are left")

    def epoch(self, trawld):
        return trawld.grpcurl("trawl.status.v1.StatusService/GetBuildInfo")["epoch"]

    def test_a_store_that_moved_gets_what_waited_for_it(self):
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        self.run_and_kill(exporter, f"--storage.address=127.0.0.1:{free_port()}")
        before = exporter.scrapes
        store = self.store()
        trawld = self.trawld(self.config(exporter), f"--storage.address={store.grpc}")
        trawld.wait_ready()
        wait_for("what waited, and more", lambda: len(numbers(store.path)[0]) >= before)
        self.assertEqual(trawld.metric("trawl_sink_lost_samples_total"), 0)
        self.assertEqual(trawld.stop(), 0)

        values, _ = numbers(store.path)
        lost = set(range(1, int(max(values)) + 1)) - {int(value) for value in values}
        self.assertLessEqual(len(lost), 1, f"more than the scrape under way at the kill: {lost}")
        self.assertEqual(len(values), len(set(values)), "a scrape is there twice")

    def test_a_sink_that_is_new_gets_nothing_of_earlier_runs(self):
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        self.run_and_kill(exporter, f"--storage.address=127.0.0.1:{free_port()}")
        before = exporter.scrapes
        embedded = self.directory / "embedded.db"
        trawld = self.trawld(self.config(exporter), f"--storage.embedded-path={embedded}")
        trawld.wait_ready()
        rows = wait_for("samples of this run", lambda: samples(embedded, "metric = 'n'"))
        self.assertEqual(trawld.stop(), 0)

        self.assertGreater(min(value for _, _, _, value in rows), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
