"""The store in Python that ships as an example: samples once each, over a kill and a fence."""
import contextlib
import json
import pathlib
import signal
import sqlite3
import subprocess
import unittest

from harness import EndToEndTest, Program, TOP, free_port, wait_for

STORE = TOP / "client" / "store" / "examples" / "store.py"


def page(path, n):
    # The value is the number of the scrape: every loss and every duplicate shows.
    return f'n {n}\nfraction{{of="n"}} {n / 8}\n' + ("odd 1\n" if n % 2 else "even NaN\n")


class ExampleStoreTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        generated = self.directory / "generated"
        generated.mkdir()
        plugin = subprocess.run(["which", "grpc_python_plugin"], capture_output=True, text=True,
                                check=True).stdout.strip()
        subprocess.run(["protoc", "-I", TOP / "proto", f"--python_out={generated}",
                        f"--grpc_python_out={generated}", f"--plugin=protoc-gen-grpc_python={plugin}",
                        TOP / "proto/trawl/storage/v1/storage.proto"], check=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.path = self.directory / "samples.db"

    def example(self):
        return self.started(Program("store.py", [
            "/usr/bin/env", f"PYTHONPATH={self.directory / 'generated'}", "/usr/bin/python3", STORE,
            self.address, self.path], self.directory))

    def rows(self, name):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT labels, time_ms, value FROM samples").fetchall()
        return [(json.loads(labels), time_ms, value) for labels, time_ms, value in rows
                if json.loads(labels)["__name__"] == name]

    def test_it_is_short(self):
        self.assertLessEqual(len(STORE.read_text().splitlines()), 100)

    def test_every_sample_is_there_once_although_the_store_is_killed(self):
        exporter = self.exporter(page)
        store = self.example()
        trawld = self.trawld(f"""
global: {{scrape_interval: 1s, external_labels: {{cluster: test}}}}
scrape_configs:
  - {{job_name: page, static_configs: [{{targets: ['{exporter.address}']}}]}}
""", f"--storage.address={self.address}")
        trawld.wait_ready().wait_up(1)
        wait_for("some scrapes", lambda: len(self.rows("n")) >= 3)
        store.signal(signal.SIGKILL)
        store.process.wait()
        before = exporter.scrapes
        wait_for("scrapes without a store", lambda: exporter.scrapes >= before + 2)
        self.example()
        wait_for("what came meanwhile", lambda: len(self.rows("n")) >= before + 2)
        self.assertEqual(trawld.stop(), 0)

        rows = self.rows("n")
        numbers = [value for _, _, value in rows]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        times = [time_ms for _, time_ms, _ in rows]
        self.assertEqual(times, sorted(set(times)))
        self.assertEqual(rows[0][0], {"__name__": "n", "cluster": "test", "job": "page",
                                      "instance": exporter.address})
        self.assertEqual([value for _, _, value in self.rows("fraction")],
                         [n / 8 for n in range(1, len(numbers) + 1)])
        # A series that is there in every other scrape: its value, then its end.
        odd = [value for _, _, value in self.rows("odd")]
        self.assertEqual(odd[:4], [1, None, 1, None][:len(odd[:4])])
        self.assertTrue(all(value is None for _, _, value in self.rows("even")))
        self.assertGreaterEqual(len(odd), 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
