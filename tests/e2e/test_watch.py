"""A target's last scrapes, and watches of all targets: grpcurl and trawlctl against a real trawld."""
import json
import queue
import signal
import subprocess
import threading
import unittest

from grpc_client import Client, message
from harness import BIN, EndToEndTest, free_port, wait_for

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
  - job_name: other
  - {job_name: bulk, scrape_interval: 1h}
"""
DISCOVERY = "trawl.discovery.v1.DiscoveryService"
STATUS = "trawl.status.v1.StatusService"


STALLED_TARGETS = 2000


class Watch:
    """`trawlctl targets --watch`: its lines, and with --json the targets that a client knows."""

    def __init__(self, server, *arguments):
        self.process = subprocess.Popen(
            [BIN / "trawlctl", "--address", server.grpc, "targets", "--watch", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.known = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def wait_line(self, what):
        while True:
            line = self.lines.get(timeout=30)
            if what in line:
                return line

    def take(self):
        """Takes the messages that have come; the targets known then, by id."""
        while not self.lines.empty():
            message = json.loads(self.lines.get())
            if "reset" in message:
                self.known.clear()
            for target in (message.get("snapshotPart", {}).get("targets", [])
                           + message.get("changes", {}).get("changed", [])):
                self.known[target["id"]] = target
            for target in message.get("changes", {}).get("removed", []):
                del self.known[target["id"]]
        return self.known

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class WatchTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.broken = False
        self.exporter_ = self.exporter(
            lambda path, n: (500, "text/plain", "") if self.broken else f"scrape_number {n}\n")
        self.server = self.trawld(CONFIG, "--log.level=debug").wait_ready()

    def push(self, *targets, job="node"):
        self.server.grpcurl(f"{DISCOVERY}/Push", {
            "source": "test", "jobs": [job], "groups": [{"job": job, "targets": list(targets)}]})

    def watch(self, *arguments):
        watch = Watch(self.server, *arguments)
        self.addCleanup(watch.end)
        return watch

    def listed(self):
        return self.server.grpcurl(f"{STATUS}/ListTargets").get("targets", [])

    def test_a_target_tells_its_last_scrapes_with_their_phases(self):
        self.push(self.exporter_.address)
        self.server.wait_up(1)
        url = f"http://{self.exporter_.address}/metrics"

        def history():
            answer = self.server.grpcurl(f"{STATUS}/GetTarget", {"target": {"scrape_url": url}})
            return answer["history"] if len(answer["history"]) > 1 else None
        newest, *_, oldest = wait_for("two scrapes", history)

        self.assertEqual((newest["health"], newest["http_status"]), ("UP", 200))
        self.assertEqual(newest["samples"]["scraped"], "1")
        self.assertIn("text/plain", newest["content_type"])
        self.assertTrue(newest["connection_reused"])
        self.assertNotIn("connect", newest["phases"])
        self.assertIn("first_byte", newest["phases"])
        self.assertIn("parse", newest["phases"])
        self.assertIn("connect", oldest["phases"])
        self.assertEqual(oldest["samples"]["series_added"], "1")
        self.assertIn("next_scrape", self.listed()[0])

    def test_trawlctl_names_a_target_by_url_id_or_job_and_instance(self):
        address = self.exporter_.address
        self.push(address)
        self.push(address, job="other")
        self.server.wait_up(2)
        target = self.listed()[0]
        for arguments in ((target["id"],), (f"node/{address}",),
                          (target["scrape_url"], "--job", "node")):
            answer = json.loads(self.server.trawlctl("target", *arguments, "--json").stdout)[0]
            self.assertEqual(answer["target"]["id"], target["id"])
        table = self.server.trawlctl("target", target["id"]).stdout
        self.assertIn(target["scrape_url"], table)
        self.assertIn("FIRST BYTE", table)

        ambiguous = self.server.trawlctl("target", target["scrape_url"], check=False)
        self.assertEqual(ambiguous.returncode, 1)
        self.assertIn("fits 2 targets", ambiguous.stderr)
        unknown = self.server.trawlctl("target", "nobody", check=False)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("job/instance", unknown.stderr)

    def test_a_watcher_converges_to_what_is_listed(self):
        self.push(self.exporter_.address)
        watch = self.watch("--json")
        wait_for("the state", lambda: len(watch.take()) == 1)
        self.push(self.exporter_.address, f"127.0.0.1:{free_port()}")
        wait_for("the other's failure", lambda: sorted(
            t["health"] for t in watch.take().values()) == ["DOWN", "UP"])
        down = next(t for t in watch.known.values() if t["health"] == "DOWN")
        self.assertEqual(down["failureReason"], "CONNECT_REFUSED")
        self.push(job="node")
        wait_for("both to go", lambda: not watch.take())
        self.assertEqual(self.listed(), [])

    def test_a_person_who_watches_sees_what_comes_fails_and_goes(self):
        watch = self.watch()
        watch.wait_line("JOB")
        self.push(self.exporter_.address)
        self.assertIn(self.exporter_.address, watch.wait_line("UP"))
        self.broken = True
        self.assertIn(self.exporter_.address, watch.wait_line("DOWN"))
        self.push(job="node")
        watch.wait_line("GONE")

    def test_the_end_of_trawld_ends_a_watch_at_once(self):
        watch = self.watch("--json")
        watch.wait_line("snapshotDone")
        self.server.signal(signal.SIGTERM)
        self.assertEqual(watch.process.wait(20), 3)
        self.assertEqual(self.server.process.wait(20), 0)

    def push_bulk(self, rounds):
        """All targets of `bulk` change with each push, and trawld has as many as before."""
        client = Client(self.server.grpc)
        self.addCleanup(client.close)
        for n in rounds:
            request = message("trawl.discovery.v1.PushRequest")(source="bulk")
            group = request.groups.add(job="bulk", targets=[
                f"127.0.{i // 200}.{i % 200}:1" for i in range(STALLED_TARGETS)])
            group.labels.update({"round": str(n), "filler": "x" * 200})
            client.unary(f"{DISCOVERY}/Push")(request, timeout=60)

    def test_a_reader_that_stalls_costs_bounded_memory_and_is_told_what_it_missed(self):
        self.push(self.exporter_.address)
        self.push_bulk(range(8))
        # The client's library answers pings, and takes as little as it may.
        client = Client(self.server.grpc, options=[("grpc.http2.bdp_probe", 0),
                                                   ("grpc.http2.lookahead_bytes", 65536)])
        self.addCleanup(client.close)
        stream = client.server_stream(f"{STATUS}/WatchTargets")(
            message("trawl.status.v1.WatchTargetsRequest")(), timeout=240)
        known = {}
        for event in stream:
            known.update((t.id, t) for t in event.snapshot_part.targets)
            if event.HasField("snapshot_done"):
                break
        self.assertEqual(len(known), STALLED_TARGETS + 1)
        before, scraped = self.server.resident(), self.exporter_.scrapes

        # A queue of what the reader does not take would have 40 times 2,000 targets of some 1.5 KB.
        self.push_bulk(range(8, 48))
        wait_for("some scrapes", lambda: self.exporter_.scrapes > scraped + 5)
        self.assert_memory_below(self.server.resident() - before, 30 << 20)

        merged = 0
        for event in stream:
            known.update((t.id, t) for t in event.changes.changed)
            for gone in event.changes.removed:
                del known[gone.id]
            merged += event.changes.merged
            rounds = {t.labels["round"] for t in known.values() if t.job == "bulk"}
            if rounds == {"47"} and len(known) == STALLED_TARGETS + 1:
                break
        stream.cancel()
        self.assertGreaterEqual(merged, 3)

    def test_the_reason_of_a_failure_is_the_same_word_everywhere(self):
        self.push(f"127.0.0.1:{free_port()}")
        failed = wait_for("a failure", lambda: [t for t in self.listed() if "failure_reason" in t])
        self.assertEqual(failed[0]["failure_reason"], "CONNECT_REFUSED")
        self.assertGreater(self.server.metric(
            'trawl_scrape_failures_total{job="node",reason="connect_refused"}'), 0)
        self.assertIn("reason=connect_refused", self.server.log())
        self.assertIn("connect_refused: ", self.server.trawlctl(
            "target", failed[0]["id"]).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
