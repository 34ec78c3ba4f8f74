"""Explaining, scraping out of turn and showing the configuration, by trawlctl and grpcurl."""
import base64
import json
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import EndToEndTest, get_json, wait_for

STATUS = "trawl.status.v1.StatusService"
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: app
    basic_auth: {{username: me, password: s3cret-1}}
    static_configs:
      - targets: ["{address}", "127.0.0.1:1"]
        labels: {{team: db}}
    relabel_configs:
      - {{source_labels: [team], target_label: owner, replacement: "$1-team"}}
      - {{source_labels: [__address__], regex: "127.0.0.1:1", action: drop}}
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: secret_.*, action: drop}}
remote_write:
  - url: http://user:s3cret-2@127.0.0.1:9/write
"""
PAGE = "kept 1\nsecret_metric 2\nkept 3\n"


class ExplainTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.exporter_ = self.exporter(lambda path, n: PAGE, credentials="me:s3cret-1")
        self.server = self.trawld(CONFIG.format(address=self.exporter_.address)).wait_ready()
        self.url = f"http://{self.exporter_.address}/metrics"

    def test_a_target_is_explained_rule_by_rule(self):
        explained = json.loads(self.server.trawlctl("--json", "explain", self.url).stdout)[0]
        listed = self.server.grpcurl(f"{STATUS}/ListTargets", {"state": "ACTIVE"})["targets"][0]

        rules = [s for s in explained["steps"] if s["kind"] == "RELABEL"]
        self.assertEqual([r.get("ruleIndex", 0) for r in rules], [0, 1])
        self.assertNotIn("owner", rules[0]["before"])
        self.assertEqual(rules[0]["after"]["owner"], "db-team")
        self.assertEqual(explained["result"]["id"], listed["id"])
        self.assertEqual(explained["result"]["labels"], listed["labels"])

        by_id = self.server.trawlctl("explain", listed["id"], "--job", "app").stdout
        self.assertIn('+ owner="db-team"', by_id)
        self.assertIn(self.url, by_id)

    def test_a_dropped_target_and_one_that_is_not_there_are_explained(self):
        dropped = self.server.grpcurl(f"{STATUS}/ListTargets", {"state": "DROPPED"})["targets"][0]
        text = self.server.trawlctl("explain", dropped["id"]).stdout
        self.assertIn("RELABEL[1]", text)
        self.assertIn("dropped by relabel_configs[1] (drop)", text)

        text = self.server.trawlctl("explain", "--job", "app", "--label", "__address__=new:1",
                                    "--label", "team=web").stdout
        self.assertIn('owner="web-team"', text)
        missing = self.server.trawlctl("explain", "0123456789abcdef", check=False)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("no target has the id", missing.stderr)

    def test_a_scrape_out_of_turn_tells_each_samples_fate_and_stores_nothing(self):
        self.server.wait_up(1)
        def scrapes():
            return int(self.server.grpcurl(
                f"{STATUS}/ListTargets", {"state": "ACTIVE"})["targets"][0]["scrapes"])
        before = scrapes()
        answer = json.loads(self.server.trawlctl("--json", "scrape", self.url).stdout)[0]

        self.assertEqual(answer["statusLine"], "HTTP/1.1 200 OK")
        self.assertEqual(base64.b64decode(answer["body"]).decode(), PAGE)
        self.assertEqual([s["fate"] for s in answer["samples"]], ["KEPT", "DROPPED", "DUPLICATE"])
        self.assertEqual(answer["samples"][0]["labels"]["owner"], "db-team")
        self.assertEqual(answer["scrape"]["health"], "UP")
        self.assertIn("Content-Type", [h["name"] for h in answer["headers"]])

        self.assertIn("metric_relabel_configs[0]", self.server.trawlctl("scrape", self.url).stdout)
        self.assertEqual(self.server.trawlctl("scrape", self.url, "--body").stdout, PAGE)
        # What the loop does is not held up: it goes on scraping.
        wait_for("the next scrape", lambda: scrapes() > before)
        self.assertEqual(self.server.metric("trawl_scrape_now_total"), 3)

    def test_a_scrape_that_fails_is_an_answer_and_an_exit_code(self):
        self.exporter_.close()
        failed = self.server.trawlctl("scrape", self.url, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("connection refused", failed.stderr)
        self.assertIn("DOWN", failed.stdout)

    def test_the_running_configuration_is_shown_without_secrets(self):
        text = self.server.trawlctl("config").stdout
        over_http = get_json(f"http://{self.server.http}/api/v1/status/config")["data"]["yaml"]
        self.assertEqual(over_http, text)
        self.assertIn("password: \"<secret>\"", text)
        self.assertIn("user:<secret>@127.0.0.1:9", text)

        one_job = self.server.trawlctl("config", "--job", "app").stdout
        self.assertTrue(one_job.startswith("scrape_configs:\n  - job_name: app\n"), one_job)
        self.assertIn("job \"x\" is not in",
                      self.server.trawlctl("config", "--job", "x", check=False).stderr)

    def test_no_answer_holds_a_secret(self):
        self.server.wait_up(1)
        self.server.config.write_text(self.server.config.read_text().replace(
            "http://user:", "ftp://user:"))
        answers = [
            self.server.trawlctl("reload", check=False).stderr,
            self.server.trawlctl("--json", "config").stdout,
            self.server.trawlctl("--json", "sinks").stdout,
            self.server.trawlctl("--json", "targets", "--state", "any").stdout,
            self.server.trawlctl("--json", "explain", self.url).stdout,
            self.server.trawlctl("--json", "scrape", self.url).stdout,
        ]
        self.assertIn("ftp://user:<secret>@", answers[0])
        for answer in answers:
            self.assertGreater(len(answer), 20)
            self.assertNotIn("s3cret", answer)

    def test_targets_are_explained_and_scraped_over_http(self):
        server = self.trawld(CONFIG.format(address=self.exporter_.address),
                             "--web.enable-admin-api", data=self.directory / "data2").wait_ready()
        query = urllib.parse.urlencode({"scrapeUrl": self.url, "scrapePool": "app"})
        explained = get_json(f"http://{server.http}/api/v1/targets/explain?{query}")
        self.assertEqual(explained["data"]["result"]["labels"]["owner"], "db-team")

        scrape = f"http://{server.http}/api/v1/targets/scrape?{query}"
        code, answer = post(scrape)
        self.assertEqual(code, 200)
        self.assertEqual(answer["data"]["statusLine"], "HTTP/1.1 200 OK")
        self.assertEqual(post(scrape, {"Origin": "http://evil.example"})[0], 403)
        self.assertEqual(post(scrape, {"Origin": f"http://{server.http}"})[0], 200)
        self.assertEqual(post(scrape + "x")[0], 404)
        # Off unless it is asked for.
        code, answer = post(f"http://{self.server.http}/api/v1/targets/scrape?{query}")
        self.assertEqual((code, answer["error"]), (403, "admin APIs disabled"))


class PlanTest(EndToEndTest):
    CONFIG = """
global: {scrape_interval: 60s}
scrape_configs:
  - job_name: a
    static_configs: [{targets: ["127.0.0.1:1", "127.0.0.1:2"]}]
  - job_name: b
    file_sd_configs: [{files: [sd.json]}]
"""

    def setUp(self):
        super().setUp()
        (self.directory / "sd.json").write_text('[{"targets": ["127.0.0.1:3"]}]')
        self.server = self.trawld(self.CONFIG).wait_ready()

    def plan(self, text, *flags):
        result = self.server.trawlctl("--json", "plan", "-", *flags, stdin=text, check=False)
        self.assertIn(result.returncode, (0, 4), result.stderr)
        return result.returncode, json.loads(result.stdout)[0]

    def ids(self):
        targets = self.server.grpcurl(f"{STATUS}/ListTargets").get("targets", [])
        return {(t["job"], t["id"]): t["scrape_url"] for t in targets}

    def test_a_plan_says_what_the_reload_then_does(self):
        code, plan = self.plan(self.CONFIG)
        self.assertEqual(code, 0)
        self.assertEqual({j["change"] for j in plan["jobs"]}, {"UNCHANGED"})

        for text in [
                self.CONFIG.replace('"127.0.0.1:2"', '"127.0.0.1:4", "127.0.0.1:5"'),
                self.CONFIG.replace("job_name: b", "job_name: c"),
                self.CONFIG.replace("60s", "30s"),
                self.CONFIG.replace("job_name: a", "job_name: a\n    honor_labels: true"),
                self.CONFIG]:
            before = self.ids()
            code, plan = self.plan(text)
            self.assertEqual(code, 4)
            self.assertEqual(self.ids(), before, "a plan changes nothing")
            self.server.config.write_text(text)
            reloaded = json.loads(self.server.trawlctl("--json", "reload").stdout)[0]
            after = self.ids()

            numbers = [{k: v for k, v in job.items() if k != "targets"} for job in plan["jobs"]]
            self.assertEqual(reloaded["jobs"], numbers)
            changes = {"ADDED": set(), "REMOVED": set(), "RESTARTED": set()}
            for job in plan["jobs"]:
                for target in job.get("targets", []):
                    changes[target["change"]].add((job["job"], target["target"]["id"]))
            self.assertEqual(changes["REMOVED"] - after.keys(), changes["REMOVED"])
            self.assertEqual(after.keys() - before.keys() - changes["RESTARTED"], changes["ADDED"])

    def test_a_text_with_errors_is_refused_with_all_of_them(self):
        result = self.server.trawlctl("plan", "-", stdin="scrape_configs: [{x: 1}]", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("line 1, column 19: field x not found", result.stderr)
        self.assertIn("job_name is empty", result.stderr)

    def test_the_tables_say_what_and_why(self):
        text = self.CONFIG.replace("60s", "30s").replace('"127.0.0.1:2"', '"127.0.0.1:4"')
        result = self.server.trawlctl("plan", "-", stdin=text, check=False)
        self.assertEqual(result.returncode, 4)
        self.assertRegex(result.stdout, r"a +CHANGED +1 +1 +1 +0 +scrape_interval,scrape_timeout|"
                                        r"a +CHANGED +1 +1 +1 +0 +scrape_interval,static_configs")
        self.assertRegex(result.stdout, r"RESTARTED +a +http://127.0.0.1:1/metrics .*keeps its series")


def post(url, headers=None):
    """Status and decoded answer of a POST."""
    request = urllib.request.Request(url, data=b"", headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        body = error.read().decode()
        return error.code, json.loads(body) if body.startswith("{") else body


if __name__ == "__main__":
    unittest.main()
