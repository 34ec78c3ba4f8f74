"""trawld beside a Prometheus with the same configuration: what both say of their targets is the same."""
import json
import unittest

from harness import PEERS, EndToEndTest, free_port, get, get_json, wait_for

CONFIG = """
global: {scrape_interval: 1s, external_labels: {cluster: both}}
scrape_configs:
  - job_name: plain
    static_configs:
      - {targets: ['EXPORTER', 'localhost:1'], labels: {team: blue, empty: ''}}
  - job_name: built
    scheme: https
    metrics_path: /m/é
    scrape_interval: 7s
    scrape_timeout: 3s
    params: {module: [a b, c], x: ['&']}
    file_sd_configs: [{files: ['*.targets.json']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: host, regex: '([^:]+):?.*', replacement: 'h-$1'}
      - {source_labels: [kind], regex: secret, action: drop}
      - {source_labels: [__meta_filepath], target_label: from, regex: '.*/([^/]+)'}
      - {regex: '__meta_x_(.+)', action: labelmap}
      - {source_labels: [host], modulus: 7, target_label: shard, action: hashmod}
      - {source_labels: [port], target_label: __param_module}
      - {target_label: __scrape_interval__, source_labels: [every], regex: (.+)}
      - {source_labels: [host], target_label: upper, action: uppercase}
  - job_name: dropped
    static_configs: [{targets: ['a:1', 'b:1']}]
    relabel_configs: [{source_labels: [__address__], regex: 'a:.*', action: keep}]
  - job_name: portless
    scrape_interval: 1h
    static_configs: [{targets: ['localhost', 'seven', '[::1]']}]
"""
GROUPS = [
    {"targets": ["one", "two:9100", "[::1]:80"], "labels": {"__meta_x_zone": "z", "port": "9"}},
    {"targets": ["three:1"], "labels": {"kind": "secret"}},
    {"targets": ["four:4430", "five:80"], "labels": {"every": "11s", "utf8": "Ünï\"\\\n"}},
    {"targets": ["two:9100"], "labels": {"__meta_x_zone": "z", "port": "9"}},
    {"targets": ["six:1"], "labels": {"__scheme__": "http", "__metrics_path__": "/own"}},
]


# What Prometheus 3 adds to the discovered labels, and Debian's does not know.
SINCE_3 = ("__always_scrape_classic_histograms__", "__convert_classic_histograms_to_nhcb__",
           "__scrape_native_histograms__")


# Of a host without a port Prometheus 2 says the error "missing port in address", and leaves it as it is.
PORTLESS = {"http://localhost/metrics", "http://[::1]/metrics"}


def discovered(target):
    return {k: v for k, v in target["discoveredLabels"].items() if k not in SINCE_3}


class BesidePrometheusTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.exporter_ = self.exporter(lambda path, n: f"scrape_number {n}\n")
        (self.directory / "x.targets.json").write_text(json.dumps(GROUPS))
        self.trawl = self.trawld(CONFIG.replace("EXPORTER", self.exporter_.address)).wait_ready()
        address = f"127.0.0.1:{free_port()}"
        self.program("prometheus", PEERS / "prometheus", f"--config.file={self.trawl.config}",
                     f"--storage.tsdb.path={self.directory}/tsdb", f"--web.listen-address={address}",
                     # As in Prometheus 3, but that this flag takes a default port away.
                     "--enable-feature=no-default-scrape-port")
        wait_for("prometheus", lambda: get(f"http://{address}/-/ready"))
        self.prometheus = address

    def targets(self, address):
        """What is said of the targets, but for what comes from scraping them."""
        data = get_json(f"http://{address}/api/v1/targets")["data"]
        active = [{"discovered": discovered(t), **{key: t[key] for key in (
            "labels", "scrapePool", "scrapeUrl", "scrapeInterval", "scrapeTimeout")}}
            for t in data["activeTargets"]]
        dropped = [discovered(t) for t in data["droppedTargets"]]
        return [sorted(some, key=lambda t: json.dumps(t, sort_keys=True)) for some in (active, dropped)]

    def test_targets_have_the_labels_and_urls_that_prometheus_gives_them(self):
        wait_for("prometheus' targets", lambda: len(self.targets(self.prometheus)[0]) >= 12)
        wait_for("trawld's", lambda: len(self.targets(self.trawl.http)[0]) >= 12)
        theirs, ours = self.targets(self.prometheus), self.targets(self.trawl.http)
        self.maxDiff = None
        self.assertEqual(ours[0], theirs[0])
        self.assertEqual(ours[1], theirs[1])

    def test_links_for_people_elsewhere_are_those_of_prometheus(self):
        wait_for("prometheus' targets", lambda: len(self.targets(self.prometheus)[0]) >= 12)
        wait_for("trawld's", lambda: len(self.targets(self.trawl.http)[0]) >= 12)

        def links(address):
            data = get_json(f"http://{address}/api/v1/targets")["data"]
            self.assertFalse([t for t in data["activeTargets"] if "missing port" in t["lastError"]
                              and address == self.trawl.http])
            return {t["scrapeUrl"]: t["globalUrl"] for t in data["activeTargets"]}
        theirs, ours = links(self.prometheus), links(self.trawl.http)
        host = ours["http://localhost:1/metrics"].removesuffix(":1/metrics")
        theirs |= {url: f"{host}/metrics" for url in PORTLESS}  # as Prometheus 3 says
        self.assertNotIn("localhost", host)
        self.assertEqual(ours, theirs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
