"""An agent's prometheus.yml, unchanged: static and file_sd targets, basic auth, relabeling, external
labels, remote_write to a real Prometheus and a real VictoriaMetrics, whose APIs give the scraped
values back."""
import http.server
import json
import signal
import subprocess
import threading
import time
import unittest
import urllib.parse

from harness import EndToEndTest, PEERS, free_port, get, get_json, wait_for

PAGE = """# TYPE requests_total counter
requests_total{code="200"} 1027
requests_total{code="500"} 3
# TYPE temperature gauge
temperature{room="kitchen"} 21.375
temperature{room="cellar"} -7.25
third 0.333333333333
big 123456789012
dropped_by_rule 1
"""
WANTED = {
    ("requests_total", "200"): 1027, ("requests_total", "500"): 3,
    ("temperature", "kitchen"): 21.375, ("temperature", "cellar"): -7.25,
    ("third", None): 0.333333333333, ("big", None): 123456789012,
}

CONFIG = """
global:
  scrape_interval: 1s
  external_labels: {{cluster: test, replica: "1"}}
scrape_configs:
  - job_name: secured
    basic_auth: {{username: user, password_file: password}}
    static_configs:
      - targets: [{secured}]
        labels: {{tier: front}}
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: dropped_.*, action: drop}}
  - job_name: files
    file_sd_configs: [{{files: ["targets/*.json"]}}]
    relabel_configs:
      - {{source_labels: [__meta_filepath], regex: .*/(.*).json, target_label: file}}
      - {{source_labels: [skip], regex: "yes", action: drop}}
remote_write:
  - url: {url}
    name: receiver
"""


class Receiver:
    """A remote-write endpoint that answers everything with one status."""

    def __init__(self, status):
        self.status = status
        self.authorizations = []  # of all requests
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.authorizations.append(self.headers["Authorization"])
                self.send_response(receiver.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"no")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class RemoteWriteTest(EndToEndTest):
    def start(self, url):
        secured = self.exporter(lambda path, n: PAGE, credentials="user:secret")
        plain = self.exporter(lambda path, n: PAGE)
        (self.directory / "password").write_text("secret\n")
        (self.directory / "targets").mkdir()
        (self.directory / "targets" / "web.json").write_text(json.dumps([
            {"targets": [plain.address], "labels": {"team": "blue"}},
            {"targets": ["127.0.0.1:1"], "labels": {"skip": "yes"}}]))
        trawld = self.trawld(CONFIG.format(secured=json.dumps(secured.address), url=url))
        trawld.wait_ready().wait_up(2)
        return trawld, secured, plain

    def check(self, query, trawld, secured, plain):
        """query(selector) gives [(labels, value)] of a backend."""
        common = {"cluster": "test", "replica": "1"}
        for labels in ({**common, "job": "secured", "instance": secured.address, "tier": "front"},
                       {**common, "job": "files", "instance": plain.address, "team": "blue",
                        "file": "web"}):
            for (metric, extra), value in WANTED.items():
                selector = f'{metric}{{job="{labels["job"]}"}}'
                found = wait_for(selector, lambda: query(selector))
                name = "code" if metric == "requests_total" else "room"
                wanted = {"__name__": metric, **labels, **({name: extra} if extra else {})}
                self.assertIn((wanted, value), found)
        self.assertTrue(wait_for("up", lambda: query('up{job="secured"}')))
        self.assertEqual(query('dropped_by_rule{job="secured"}'), [])
        self.assertEqual(len(trawld.targets("dropped")), 1)
        self.assertEqual(trawld.stop(), 0)

    def prometheus(self):
        """A receiver: its address, and query(selector)."""
        address = f"127.0.0.1:{free_port()}"
        (self.directory / "receiver.yml").write_text("global: {}\n")
        self.program("prometheus", PEERS / "prometheus", "--web.enable-remote-write-receiver",
                     f"--config.file={self.directory}/receiver.yml",
                     f"--storage.tsdb.path={self.directory}/tsdb",
                     f"--web.listen-address={address}")
        wait_for("prometheus", lambda: get(f"http://{address}/-/ready"))

        def query(selector):
            data = get_json(f"http://{address}/api/v1/query?query=" +
                            urllib.parse.quote(selector))["data"]["result"]
            return [(r["metric"], float(r["value"][1])) for r in data]
        return address, query

    def test_prometheus_answers_queries_for_what_was_scraped(self):
        address, query = self.prometheus()
        self.check(query, *self.start(f"http://{address}/api/v1/write"))

    def test_a_sample_that_prometheus_refuses_takes_no_other_with_it(self):
        # From the fourth scrape on samples all over the page come with a time of two days ago: out of
        # bounds for a TSDB, which answers 400 and keeps nothing of the request.
        goods, bads = 240, 12

        def page(path, n):
            lines = [f"good{i} {n}" for i in range(goods)]
            if n >= 4:
                at = int((time.time() - 172800 + n) * 1000)
                for i in range(bads):
                    lines.insert(i * 21 + 5, f"old{i} 1 {at}")
            return "\n".join(lines) + "\n"
        address, query = self.prometheus()
        exporter = self.exporter(page)
        trawld = self.trawld(f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{exporter.address}']}}]}}]
remote_write: [{{url: 'http://{address}/api/v1/write', name: peer}}]
""")
        trawld.wait_ready().wait_up(1)
        wait_for("refused samples", lambda: trawld.metric("trawl_sink_rejected_samples_total") >= 2)
        seen = exporter.scrapes
        for i in range(0, goods, 7):
            wait_for(f"good{i} of a scrape with a bad sample", lambda: any(
                value >= seen for _, value in query(f"good{i}")))
        self.assertEqual(trawld.metric("trawl_sink_lost_samples_total"), 0)
        # Nothing but the bad ones; a scrape's are told together.
        self.assertEqual(trawld.metric("trawl_sink_rejected_samples_total") % bads, 0)
        self.assertEqual(trawld.metric("trawl_sink_undivided_samples_total"), 0)

        # It is told where it belongs: on the target.
        url = f"http://{exporter.address}/metrics"
        [rejected] = trawld.grpcurl("trawl.status.v1.StatusService/GetTarget",
                                    {"target": {"scrape_url": url}})["target"]["rejected"]
        self.assertEqual(rejected["sink"], "peer")
        self.assertGreaterEqual(int(rejected["samples"]), 2)
        listed = trawld.grpcurl("trawl.status.v1.StatusService/ListTargets")["targets"]
        self.assertEqual([r["sink"] for t in listed for r in t["rejected"]], ["peer"])
        self.assertRegex(trawld.trawlctl("target", url).stdout, r"rejected +\d+ samples by peer: ")
        self.assertEqual(trawld.stop(), 0)

    def test_what_is_wrong_with_an_endpoint_is_told(self):
        exporter = self.exporter(lambda path, n: PAGE)
        receiver = Receiver(401)
        self.addCleanup(receiver.close)
        trawld = self.trawld(f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{exporter.address}']}}]}}]
remote_write: [{{url: 'http://{receiver.address}/write', name: peer}}]
""", "--shards=1")
        trawld.wait_ready().wait_up(1)

        def sink():
            return trawld.grpcurl("trawl.status.v1.StatusService/ListSinks")["sinks"][0]
        failing = wait_for("a sink that fails", lambda: sink().get("degraded") and sink())
        self.assertEqual(failing["endpoint_error"], "401 Unauthorized: no")
        self.assertIn("endpoint_error_time", failing)
        self.assertEqual(trawld.metric("trawl_sink_degraded"), 1)
        # Its lane is published within half a second.
        row = wait_for("its row", lambda: trawld.trawlctl("sinks").stdout.splitlines()[1:])[0]
        self.assertRegex(row, r"peer .* degraded .* ago: 401 Unauth")

        # The longest step of the back-off is 5 s: a new lane's stream tries at once.
        receiver.status = 400
        trawld.config.write_text(trawld.config.read_text().replace("name: peer", "name: other"))
        trawld.signal(signal.SIGHUP)
        wait_for("refused samples", lambda: trawld.metric("trawl_sink_rejected_samples_total"))
        wait_for("a sink that takes records", lambda: not sink().get("degraded"))
        row = trawld.trawlctl("sinks").stdout.splitlines()[-1]
        self.assertRegex(row, r"other .* connected .* ago: 400 Bad Request")
        lane = sink()["lanes"][0]
        self.assertIn("REFUSED", json.dumps(lane["rejected"]))
        self.assertIn("durable_time", lane)
        self.assertIn("last_ack", lane)
        self.assertGreater(int(lane["window_bytes"]), 0)

    def test_a_reload_that_one_endpoint_cannot_take_changes_none(self):
        exporter = self.exporter(lambda path, n: PAGE)
        receivers = [Receiver(204), Receiver(204)]
        for receiver in receivers:
            self.addCleanup(receiver.close)

        def config(token, ca):
            return json.dumps({
                "global": {"scrape_interval": "200ms"},
                "scrape_configs": [{"job_name": "j", "static_configs": [
                    {"targets": [exporter.address]}]}],
                "remote_write": [
                    {"url": f"http://{receiver.address}/write", "name": name,
                     "authorization": {"credentials": token},
                     **({"tls_config": {"ca_file": ca}} if ca and name == "two" else {})}
                    for name, receiver in zip(("one", "two"), receivers)]})

        def wait_for_more(token):
            seen = [len(receiver.authorizations) for receiver in receivers]
            wait_for(f"requests with {token}", lambda: all(
                f"Bearer {token}" in receiver.authorizations[n:]
                for receiver, n in zip(receivers, seen)))
        trawld = self.trawld(config("old", ""), "--shards=1")
        trawld.wait_ready().wait_up(1)
        wait_for_more("old")

        trawld.config.write_text(config("new", "/nowhere/ca.pem"))
        reload = trawld.trawlctl("reload", check=False)

        self.assertEqual(reload.returncode, 1)
        self.assertIn("/nowhere/ca.pem", reload.stderr)
        wait_for_more("old")
        self.assertEqual({a for r in receivers for a in r.authorizations}, {"Bearer old"})
        trawld.config.write_text(config("new", ""))
        trawld.trawlctl("reload")
        wait_for_more("new")
        self.assertEqual(trawld.metric("trawl_sink_lost_samples_total"), 0)
        self.assertEqual(trawld.stop(), 0)

    def test_an_endpoint_that_moved_gets_what_the_old_one_did_not_take(self):
        address = self.victoria_metrics("-dedup.minScrapeInterval=0")
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        away = Receiver(503)
        self.addCleanup(away.close)

        def config(url):
            return f"""
global: {{scrape_interval: 200ms}}
scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{exporter.address}']}}]}}]
remote_write: [{{url: '{url}', name: vm}}]
"""
        trawld = self.trawld(config(f"http://{away.address}/write"), "--shards=1").wait_ready()
        wait_for("scrapes", lambda: exporter.scrapes >= 10)
        trawld.config.write_text(config(f"http://{address}/api/v1/write"))
        trawld.trawlctl("reload")

        def stored():
            get(f"http://{address}/internal/force_flush")
            return [value for line in get(f"http://{address}/api/v1/export?match[]=n").splitlines()
                    for value in json.loads(line)["values"]]
        wait_for("what waited", lambda: len(stored()) >= 15)
        self.assertEqual(trawld.metric("trawl_sink_lost_samples_total"), 0)
        self.assertEqual(trawld.stop(), 0)
        numbers = stored()
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def victoria_metrics(self, *flags):
        address = f"127.0.0.1:{free_port()}"
        self.program("victoria-metrics", PEERS / "victoria-metrics",
                     f"-storageDataPath={self.directory}/vm", f"-httpListenAddr={address}", *flags)
        wait_for("victoria-metrics", lambda: get(f"http://{address}/health"))
        return address

    def test_a_wrong_password_loses_nothing_when_it_is_mended(self):
        address = self.victoria_metrics("-httpAuth.username=user", "-httpAuth.password=right",
                                        "-dedup.minScrapeInterval=0")
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        password = self.directory / "password"
        password.write_text("wrong")
        trawld = self.trawld(f"""
global: {{scrape_interval: 200ms}}
scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{exporter.address}']}}]}}]
remote_write:
  - url: 'http://{address}/api/v1/write'
    name: vm
    basic_auth: {{username: user, password_file: password}}
""").wait_ready()
        wait_for("a sink that fails", lambda: trawld.metric("trawl_sink_degraded") == 1)
        wait_for("scrapes all the same", lambda: exporter.scrapes >= 10)
        password.write_text("right")

        def get_vm(path):
            return subprocess.run(["curl", "-fsS", "-u", "user:right", f"http://{address}{path}"],
                                  capture_output=True, text=True, check=True).stdout

        def stored():
            get_vm("/internal/force_flush")
            return [value for line in get_vm("/api/v1/export?match[]=n").splitlines()
                    for value in json.loads(line)["values"]]
        wait_for("what waited", lambda: len(stored()) >= 15)
        self.assertEqual(trawld.metric("trawl_sink_rejected_samples_total"), 0)
        wait_for("a sink that is well", lambda: trawld.metric("trawl_sink_degraded") == 0)
        self.assertEqual(trawld.stop(), 0)
        numbers = stored()
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_victoria_metrics_exports_what_was_scraped(self):
        address = self.victoria_metrics()

        def query(selector):
            get(f"http://{address}/internal/force_flush")
            lines = get(f"http://{address}/api/v1/export?match[]=" +
                        urllib.parse.quote(selector)).splitlines()
            return [(r["metric"], r["values"][-1]) for r in map(json.loads, lines)]
        self.check(query, *self.start(f"http://{address}/api/v1/write"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
