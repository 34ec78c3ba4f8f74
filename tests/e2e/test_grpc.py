"""The real grpcurl, and trawlctl, against every service."""
import json
import signal
import unittest

from harness import EndToEndTest, wait_for

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
  - job_name: other
"""
SERVICES = ["trawl.discovery.v1.DiscoveryService", "trawl.status.v1.StatusService",
            "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
DISCOVERY, STATUS = SERVICES[:2]


class GrpcTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.exporter_ = self.exporter(lambda path, n: f"scrape_number {n}\n")
        self.server = self.trawld(CONFIG).wait_ready()

    def push(self, groups, **more):
        return self.server.grpcurl(f"{DISCOVERY}/Push",
                                   {"source": "test", "groups": groups, **more})

    def test_every_service_is_listed_and_described(self):
        listed = self.server.grpcurl("list").split()
        for service in SERVICES:
            self.assertIn(service, listed)
            self.assertIn("rpc ", self.server.grpcurl(f"describe {service}"))
        self.assertIn("message PushRequest", self.server.grpcurl(
            "describe trawl.discovery.v1.PushRequest"))

    def test_health_is_serving(self):
        for service in ("", "trawl.discovery.v1.DiscoveryService", "trawl.status.v1.StatusService"):
            answer = self.server.grpcurl("grpc.health.v1.Health/Check", {"service": service})
            self.assertEqual(answer, {"status": "SERVING"}, service)

    def test_a_pushed_target_is_listed_when_push_returns_and_scraped_in_its_interval(self):
        answer = self.push([{"job": "node", "targets": [self.exporter_.address],
                             "labels": {"team": "blue"}}])
        listed = self.server.grpcurl(f"{STATUS}/ListTargets", {"job": "node"})

        self.assertEqual(answer["result"]["status"], "APPLIED")
        self.assertEqual(answer["result"]["counts"]["added"], "1")
        self.assertEqual(listed["targets"][0]["labels"],
                         {"job": "node", "instance": self.exporter_.address, "team": "blue"})
        self.server.wait_up(1)
        listed = self.server.grpcurl(f"{STATUS}/ListTargets", {"job": "node"})
        self.assertEqual(listed["targets"][0]["health"], "UP")
        self.assertEqual(listed["targets"][0]["owners"][0]["source"], "test")

    def test_update_and_release_take_targets_away(self):
        self.push([{"job": "node", "key": "a", "targets": [self.exporter_.address]}])
        self.server.grpcurl(f"{DISCOVERY}/Update", {
            "source": "test", "remove": [{"job": "node", "key": "a"}],
            "upsert": [{"job": "other", "key": "b", "targets": [self.exporter_.address]}]})
        jobs = [t["job"] for t in self.server.grpcurl(f"{STATUS}/ListTargets")["targets"]]
        self.assertEqual(jobs, ["other"])

        self.server.grpcurl(f"{DISCOVERY}/Release", {"source": "test", "remove_targets": True})
        self.assertEqual(self.server.grpcurl(f"{STATUS}/ListTargets").get("targets", []), [])

    def test_an_update_leaves_the_connection_of_an_unchanged_target_alone(self):
        other = self.exporter(lambda path, n: f"scrape_number {n}\n")
        for n in range(4):
            self.push([{"job": "node", "key": "k", "labels": {"a": "b"}, "targets": [
                self.exporter_.address, f"127.0.0.1:{n + 1}"]},
                {"job": "node", "key": "l", "labels": {"round": str(n)}, "targets": [other.address]}])
            seen = self.exporter_.scrapes, other.scrapes
            wait_for("both to be scraped again", lambda: self.exporter_.scrapes > seen[0] + 1
                     and other.scrapes > seen[1] + 1)
        self.assertEqual(len(self.exporter_.connections), 1)

    def test_a_bad_push_names_each_wrong_field_and_changes_nothing(self):
        result = self.server.grpcurl(f"{DISCOVERY}/Push", None, check=False)
        result = self.server_error({"source": "test", "groups": [
            {"job": "node", "targets": ["ok:1"]},
            {"job": "node", "targets": ["a/b"], "labels": {"__address__": "x"}}]})
        self.assertIn("InvalidArgument", result)
        self.assertIn('groups[1].targets[0]: "a/b" is not a valid hostname', result)
        self.assertIn("groups[1].labels", result)
        self.assertEqual(self.server.grpcurl(f"{STATUS}/ListTargets").get("targets", []), [])

    def server_error(self, request):
        import subprocess
        from harness import PEERS
        result = subprocess.run(
            [PEERS / "grpcurl", "-plaintext", "-d", json.dumps(request), self.server.grpc,
             f"{DISCOVERY}/Push"], capture_output=True, text=True, timeout=30)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr.replace('\\"', '"')

    def test_an_unknown_job_is_held_as_pending_with_a_warning(self):
        answer = self.push([{"job": "nodes", "targets": ["a:1"]}])
        issue = answer["result"]["issues"][0]
        self.assertEqual(issue["code"], "UNKNOWN_JOB")
        self.assertIn("node, other", issue["detail"])
        sources = self.server.grpcurl(f"{DISCOVERY}/ListSources", {"source": "test"})["sources"]
        self.assertEqual(sources[0]["pending_jobs"], ["nodes"])

    def test_every_status_call_answers(self):
        self.push([{"job": "node", "targets": [self.exporter_.address]}])
        self.server.wait_up(1)
        pools = self.server.grpcurl(f"{STATUS}/ListPools")["pools"]
        self.assertEqual([p["job"] for p in pools if int(p.get("active", 0))], ["node"])
        self.assertIn("version", self.server.grpcurl(f"{STATUS}/GetBuildInfo"))
        self.server.grpcurl(f"{STATUS}/ReloadConfig", {})
        groups = self.server.grpcurl(f"{DISCOVERY}/ListGroups", {})["groups"]
        self.assertEqual(groups[0]["group"]["targets"], [self.exporter_.address])
        self.assertIn("job_name: node", self.server.grpcurl(f"{STATUS}/GetConfig")["config"])
        target = {"target": {"job": "node", "scrape_url": f"http://{self.exporter_.address}/metrics"}}
        self.assertIn("steps", self.server.grpcurl(f"{STATUS}/ExplainTarget", target))
        scraped = self.server.grpcurl(f"{STATUS}/ScrapeNow", target)
        self.assertEqual(scraped["samples"][0]["fate"], "KEPT")
        plan = self.server.grpcurl(f"{STATUS}/PlanConfig", {"config": CONFIG})
        self.assertEqual([j["change"] for j in plan["jobs"]], ["UNCHANGED", "UNCHANGED"])
        found = self.server.grpcurl(f"{STATUS}/GetTarget", target)
        self.assertEqual(found["target"]["health"], "UP")

    def test_a_sync_stream_drives_targets(self):
        import subprocess
        from harness import PEERS
        messages = [
            {"id": 1, "hello": {"source": "stream", "instance": "i", "history_id": "h", "version": 1}},
            {"id": 2, "snapshot_begin": {"version": 1, "groups": 1, "bytes": 1000}},
            {"id": 3, "snapshot_part": {"groups": [
                {"job": "node", "key": "0", "targets": [self.exporter_.address]}]}},
            {"id": 4, "snapshot_end": {}}]
        result = subprocess.run(
            [PEERS / "grpcurl", "-plaintext", "-d", "\n".join(map(json.dumps, messages)),
             self.server.grpc, f"{DISCOVERY}/Sync"], capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn('"SNAPSHOT"', result.stdout)
        self.assertIn('"APPLIED"', result.stdout)
        self.server.wait_up(1)

    def test_a_killed_trawld_scrapes_what_was_pushed_before_any_pusher_comes(self):
        self.push([{"job": "node", "targets": [self.exporter_.address], "labels": {"a": "b"}}])
        self.server.signal(signal.SIGKILL)
        self.server.process.wait(10)
        self.server = self.trawld(CONFIG).wait_ready()

        self.server.wait_up(1)
        self.assertEqual(self.server.targets()[0]["labels"]["a"], "b")
        source = self.server.grpcurl(f"{DISCOVERY}/ListSources", {"source": "test"})["sources"][0]
        self.assertEqual((source["state"], source["applied_version"]), ("RESTORED", "1"))
        self.assertEqual(self.server.metric("trawl_discovery_state_damaged_files_total"), 0)
        self.push([{"job": "node", "targets": [self.exporter_.address]}])
        source = self.server.grpcurl(f"{DISCOVERY}/ListSources", {"source": "test"})["sources"][0]
        self.assertEqual(source["state"], "LIVE")

    def test_trawlctl_speaks_every_command(self):
        file = self.directory / "targets.json"
        file.write_text(json.dumps([{"targets": [self.exporter_.address], "labels": {"a": "b"}}]))
        pushed = self.server.trawlctl("push", file, "--job", "node")
        self.assertIn("1 added", pushed.stdout)
        self.server.wait_up(1)
        table = self.server.trawlctl("targets").stdout.splitlines()
        self.assertTrue(table[0].startswith("JOB"))
        self.assertIn(self.exporter_.address, table[1])
        self.assertEqual(json.loads(self.server.trawlctl("targets", "--json").stdout)[0]["health"],
                         "UP")
        self.assertEqual(json.loads(self.server.trawlctl("--json", "pools").stdout)[0]["job"],
                         "node")
        self.assertIn("trawlctl", self.server.trawlctl("sources").stdout)
        self.assertIn("node", self.server.trawlctl("groups").stdout)
        self.server.trawlctl("sinks")
        self.server.trawlctl("reload")
        self.server.trawlctl("version")
        self.server.trawlctl("check", "config", self.server.config)
        path = self.server.data / "samples.db"
        wait_for("samples", lambda: "scrape_number" in self.server.trawlctl(
            "samples", "scrape_number", "--sqlite.path", path).stdout)
        self.assertRegex(
            self.server.trawlctl("samples", "--summary", "--sqlite.path", path).stdout,
            r"^stored \d+ samples of \d+ series from 1 targets in .*samples.db\n$")
        self.server.trawlctl("release", "trawlctl", "--remove-targets")
        self.assertEqual(self.server.targets(), [])

    def test_trawlctl_tells_failures_apart(self):
        self.assertEqual(self.server.trawlctl("push", "/nonexistent", "--job", "node",
                                              check=False).returncode, 1)
        self.assertEqual(self.server.trawlctl("nonsense", check=False).returncode, 2)
        for usage in (["update", "x:1"], ["update", "--key", "k", "x:1"], ["update", "--remove", "k"],
                      ["update", "--job", "node", "--key", "k", "x:1", "--label", "team"],
                      ["explain", "--job", "node", "--label", "foo"], ["--address", "", "targets"],
                      ["--address", "", "sinks"], ["--address", "", "sync", "--file-sd", "node=x"],
                      ["--address", "127.0.0.1:1,127.0.0.1:2", "sinks"],
                      ["sync", "--file-sd", "*.json"], ["--tls-key-file", "x", "targets"],
                      ["explain"], ["explain", "--label", "a=b"], ["explain", "--job", "node"],
                      ["targets", "job==node"], ["targets", "--watch", "{job='node'}"],
                      ["samples", "up{job"], ["scrape", "x", "--samples", "0"],
                      ["sync", "--file-sd", "node=x", "--replicas", "2"]):
            with self.subTest(usage=usage):
                wrong = self.server.trawlctl(*usage, check=False)
                self.assertEqual(wrong.returncode, 2, wrong.stderr)
        unreachable = self.server.trawlctl("--address", "127.0.0.1:1", "targets", check=False)
        self.assertEqual(unreachable.returncode, 3)
        self.assertIn("127.0.0.1:1", unreachable.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
