"""A page to a store, value by value; a store that stops for a while loses and repeats nothing."""
import json
import math
import signal
import time
import unittest

from harness import EndToEndTest, PEERS, get, free_port, samples, wait_for

PAGE = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a"} 1027
http_requests_total{code="500",path="with \\"quotes\\" and \\\\ and \\n"} 3
# TYPE temperature gauge
temperature 21.375
temperature{room="k\u00fcche"} -0.1
small 5e-324
large 1.7976931348623157e+308
third 0.3333333333333333
plus +Inf
minus -Inf
none NaN
# TYPE latency histogram
latency_bucket{le="0.5"} 3
latency_bucket{le="1"} 4
latency_bucket{le="+Inf"} 5
latency_sum 2.5
latency_count 5
"""


def config(targets, interval="1s"):
    return f"""
global: {{scrape_interval: {interval}, external_labels: {{cluster: test}}}}
scrape_configs:
  - job_name: page
    static_configs: [{{targets: {json.dumps(targets)}}}]
"""


class StorageTest(EndToEndTest):
    def test_a_page_arrives_in_sqlite_value_by_value(self):
        exporter = self.exporter(lambda path, n: PAGE)
        store = self.store()
        trawld = self.trawld(config([exporter.address]), f"--storage.address={store.grpc}")
        trawld.wait_ready().wait_up(1)

        rows = wait_for("samples", lambda: samples(store.path, "metric = 'latency_count'") and
                        samples(store.path))
        got = {(m, tuple(sorted(l.items()))): v for m, l, t, v in rows}
        base = {"cluster": "test", "job": "page", "instance": exporter.address}

        def value(metric, **labels):
            return got[(metric, tuple(sorted({**base, **labels}.items())))]
        self.assertEqual(value("http_requests_total", code="200", path="/a"), 1027)
        self.assertEqual(value("http_requests_total", code="500",
                               path='with "quotes" and \\ and \n'), 3)
        self.assertEqual(value("temperature"), 21.375)
        self.assertEqual(value("temperature", room="k\u00fcche"), -0.1)
        self.assertEqual(value("small"), 5e-324)
        self.assertEqual(value("large"), 1.7976931348623157e308)
        self.assertEqual(value("third"), 0.3333333333333333)
        self.assertEqual(value("plus"), math.inf)
        self.assertEqual(value("minus"), -math.inf)
        self.assertIsNone(value("none"), "NaN reads as NULL")
        self.assertEqual(value("latency_bucket", le="1.0"), 4)
        self.assertEqual(value("latency_bucket", le="+Inf"), 5)
        self.assertEqual(value("up"), 1)
        self.assertEqual(value("scrape_samples_scraped"), 15)
        self.assertEqual(trawld.stop(), 0)
        self.assertEqual(store.stop(), 0)

    def test_a_node_exporter_is_scraped_into_sqlite(self):
        address = f"127.0.0.1:{free_port()}"
        self.program("node-exporter", PEERS / "prometheus-node-exporter",
                     f"--web.listen-address={address}")
        wait_for("the node exporter", lambda: get(f"http://{address}/metrics"))
        store = self.store()
        trawld = self.trawld(config([address]), f"--storage.address={store.grpc}")
        trawld.wait_ready().wait_up(1)

        rows = wait_for("samples", lambda: samples(
            store.path, "metric = 'node_exporter_build_info'"))
        self.assertEqual(rows[0][3], 1)
        self.assertEqual(rows[0][1]["instance"], address)
        stored = {row[0] for row in samples(store.path)}
        page = {line.split("{")[0].split(" ")[0]
                for line in get(f"http://{address}/metrics").splitlines()
                if line and not line.startswith("#")}
        self.assertEqual(page - stored, set())

    def test_embedded_storage_is_the_default_and_survives_a_restart(self):
        exporter = self.exporter(lambda path, n: f"scrape_number {n}\n")
        path = self.directory / "embedded.db"
        flag = f"--storage.embedded-path={path}"
        for _ in range(2):
            before = exporter.scrapes
            trawld = self.trawld(config([exporter.address]), flag)
            trawld.wait_ready().wait_up(1)
            wait_for("three scrapes", lambda: exporter.scrapes >= before + 3)
            self.assertEqual(trawld.stop(), 0)
        numbers = [int(v) for _, _, _, v in samples(path, "metric = 'scrape_number'")]
        self.assertEqual(sorted(numbers), sorted(set(numbers)), "none twice")
        self.assertGreaterEqual(len(numbers), 6)

    def test_a_store_that_is_stopped_for_a_while_loses_and_repeats_nothing(self):
        exporters = [self.exporter(lambda path, n: f"scrape_number {n}\n") for _ in range(5)]
        store = self.store()
        trawld = self.trawld(config([e.address for e in exporters], "200ms"),
                             f"--storage.address={store.grpc}")
        trawld.wait_ready().wait_up(5)
        wait_for("first samples", lambda: samples(store.path, "metric = 'scrape_number'"))
        store.signal(signal.SIGSTOP)
        seen = exporters[0].scrapes
        wait_for("scrapes during the stop", lambda: exporters[0].scrapes > seen + 10)
        store.signal(signal.SIGCONT)
        seen = exporters[0].scrapes
        wait_for("scrapes after it", lambda: exporters[0].scrapes > seen + 5)
        self.assertEqual(trawld.stop(), 0)
        self.check_numbers(store, exporters)

    def test_a_killed_store_that_comes_back_has_each_sample_once(self):
        exporters = [self.exporter(lambda path, n: f"scrape_number {n}\n") for _ in range(3)]
        store = self.store()
        trawld = self.trawld(config([e.address for e in exporters], "200ms"),
                             f"--storage.address={store.grpc}")
        trawld.wait_ready().wait_up(3)
        wait_for("first samples", lambda: samples(store.path, "metric = 'scrape_number'"))
        for _ in range(3):
            seen = exporters[0].scrapes
            store.signal(signal.SIGKILL)
            store.process.wait()
            wait_for("scrapes without a store", lambda: exporters[0].scrapes > seen + 3)
            address = store.grpc
            store = self.started(self.restart_store(store, address)).wait_ready()
            seen = exporters[0].scrapes
            wait_for("scrapes with a store", lambda: exporters[0].scrapes > seen + 3)
        self.assertEqual(trawld.stop(), 0)
        self.check_numbers(store, exporters)

    def restart_store(self, store, address):
        from harness import BIN, Program
        program = Program("trawl-store", [
            BIN / "trawl-store", f"--grpc.listen-address={address}",
            f"--data-dir={self.directory}/store-data", f"--sqlite.path={store.path}"],
            self.directory)
        program.grpc, program.path = address, store.path
        program.wait_ready = lambda: (wait_for("trawl-store", lambda: "time=" in program.log()),
                                      program)[1]
        return program

    def check_numbers(self, store, exporters):
        by_instance = {}
        for _, labels, _, value in samples(store.path, "metric = 'scrape_number'"):
            by_instance.setdefault(labels["instance"], []).append(int(value))
        for exporter in exporters:
            numbers = sorted(by_instance[exporter.address])
            # The scrape that the stop of trawld cut off may be missing: it was not committed.
            self.assertIn(numbers, ([*range(1, exporter.scrapes + 1)],
                                    [*range(1, exporter.scrapes)]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
