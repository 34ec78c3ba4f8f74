"""Explaining, scraping out of turn and showing the configuration, by trawlctl and grpcurl."""
import base64
import json
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import EndToEndTest, get_json, samples, wait_for

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
        for command in ("target", "explain", "scrape"):
            by_name = self.server.trawlctl("--json", command, f"app/{self.exporter_.address}").stdout
            self.assertIn('"team":"db"', by_name, command)

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

    def test_a_scrape_out_of_turn_tells_each_samples_fate_and_holds_up_no_loop(self):
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

    def test_a_scrape_out_of_turn_is_not_stored(self):
        numbered = self.exporter(lambda path, n: f"scrape_number {n}\n")
        server = self.trawld(
            "global: {scrape_interval: 300ms, scrape_timeout: 300ms}\nscrape_configs:\n"
            f"  - {{job_name: n, static_configs: [{{targets: ['{numbered.address}']}}]}}\n",
            data=self.directory / "numbered").wait_ready()
        server.wait_up(1)

        bodies = [server.trawlctl("scrape", f"http://{numbered.address}/metrics", "--body").stdout
                  for _ in range(3)]
        mine = [int(body.split()[1]) for body in bodies]
        path = server.data / "samples.db"
        stored = wait_for("later scrapes to be stored", lambda: (
            lambda numbers: numbers if max(numbers) > max(mine) + 2 else None)(
                [int(value) for _, _, _, value in samples(path, "metric = 'scrape_number'")]))

        self.assertEqual(sorted(stored), [n for n in range(1, max(stored) + 1) if n not in mine])

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
global: {scrape_interval: 400ms, scrape_timeout: 300ms}
scrape_configs:
  - job_name: a
    static_configs: [{targets: ["{1}", "{2}"]}]
  - job_name: b
    file_sd_configs: [{files: [sd.json]}]
"""
    # Ten edits, each of the text above, so that one reload after the other undoes one and makes the next.
    EDITS = {
        "two targets for one": ('"{2}"', '"{4}", "{5}"'),
        "another name": ("job_name: b", "job_name: c"),
        "an interval that all inherit": ("400ms", "500ms"),
        "labels honored": ("job_name: a", "job_name: a\n    honor_labels: true"),
        "a target dropped by a rule": ("job_name: a", """job_name: a
    relabel_configs: [{source_labels: [__address__], regex: "{1}", action: drop}]"""),
        "a label on all targets": ('"{2}"]', '"{2}"], labels: {team: x}'),
        "another path": ("job_name: b", "job_name: b\n    metrics_path: /other"),
        "a job of its own": ("  - job_name: b", """  - job_name: d
    static_configs: [{targets: ["{6}", "{7}"]}]
  - job_name: b"""),
        "rules for samples": ("job_name: a", """job_name: a
    metric_relabel_configs: [{regex: x, action: labeldrop}]"""),
        "no job a": ("""  - job_name: a
    static_configs: [{targets: ["{1}", "{2}"]}]
""", ""),
        "back": ("", ""),
    }

    def setUp(self):
        super().setUp()
        self.exporters = [self.exporter(lambda path, n: "a 1\nb 2\n") for _ in range(8)]
        (self.directory / "sd.json").write_text(self.text('[{"targets": ["{3}"]}]'))
        self.config = self.text(self.CONFIG)
        self.server = self.trawld(self.config).wait_ready()

    def text(self, template):
        for n, exporter in enumerate(self.exporters):
            template = template.replace(f"{{{n}}}", exporter.address)
        return template

    def plan(self, text, *flags):
        result = self.server.trawlctl("--json", "plan", "-", *flags, stdin=text, check=False)
        self.assertIn(result.returncode, (0, 4), result.stderr)
        return result.returncode, json.loads(result.stdout)[0]

    @staticmethod
    def key(target):
        """What a target is for a plan: its job, its labels without the __ ones, and its URL."""
        return target["job"], target.get("scrape_url") or target["scrapeUrl"], str(sorted(target["labels"].items()))

    def active(self):
        """Ids by key."""
        listed = self.server.grpcurl(f"{STATUS}/ListTargets", {"state": "ACTIVE"})
        return {self.key(target): target["id"] for target in listed.get("targets", [])}

    def scrapes(self, targets):
        """By key: start and new series of the target's last scrapes, the newest first."""
        def history(key, id_):
            answer = self.server.grpcurl(f"{STATUS}/GetTarget", {"target": {"id": id_, "job": key[0]}})
            return [(scrape["start"].rstrip("Z"), int(scrape["samples"].get("series_added", 0)))
                    for scrape in answer.get("history", [])]
        return {key: history(key, id_) for key, id_ in targets.items()}

    def wait_scrapes(self, targets, since, count):
        """Scrapes of each target, from when there are `count` of them behind `since`."""
        def scraped():
            found = {key: [s for s in scrapes if s[0] > since] for key, scrapes in self.scrapes(targets).items()}
            return found if all(len(scrapes) >= count for scrapes in found.values()) else None
        return wait_for("scrapes of each target", scraped) if targets else {}

    def reload(self, text):
        """The reload's answer, and what it did, as seen from outside: keys by the change. What starts
        anew has another id, or its series are new to it once more."""
        before = self.active()
        last = max(scrapes[0][0] for scrapes in self.wait_scrapes(before, "", 2).values())
        self.server.config.write_text(text)
        answer = json.loads(self.server.trawlctl("--json", "reload").stdout)[0]
        after = self.active()
        stayed = {key: id_ for key, id_ in after.items() if key in before}
        scrapes = self.wait_scrapes(stayed, last, 3)  # the first may be older than the reload
        anew = {key for key, id_ in stayed.items()
                if id_ != before[key] or any(added for _, added in scrapes[key])}
        return answer, {"ADDED": after.keys() - before.keys(), "REMOVED": before.keys() - after.keys(),
                        "RESTARTED": anew, "UNCHANGED": stayed.keys() - anew}

    def test_a_plan_says_what_the_reload_then_does(self):
        code, plan = self.plan(self.config)
        self.assertEqual(code, 0)
        self.assertEqual({j["change"] for j in plan["jobs"]}, {"UNCHANGED"})

        seen = {change: 0 for change in ("ADDED", "REMOVED", "RESTARTED", "UNCHANGED")}
        for name, (old, new) in self.EDITS.items():
            with self.subTest(edit=name):
                before = self.active()
                text = self.text(self.CONFIG.replace(old, new) if old else self.CONFIG)
                code, plan = self.plan(text, "--targets", "100")
                self.assertEqual(code, 4)
                self.assertEqual(self.active(), before, "a plan changes nothing")
                answer, done = self.reload(text)

                planned = {change: set() for change in ("ADDED", "REMOVED", "RESTARTED")}
                for job in plan["jobs"]:
                    for target in job.get("targets", []):
                        planned[target["change"]].add(self.key(target["target"]))
                    for change in seen:
                        self.assertEqual(int(job.get(change.lower(), 0)),
                                         sum(key[0] == job["job"] for key in done[change]), (job, change))
                self.assertEqual(planned, {change: done[change] for change in planned})
                # The reload itself answers with the numbers.
                self.assertEqual(answer["jobs"], [{k: v for k, v in job.items() if k != "targets"}
                                                  for job in plan["jobs"]])
                for change in seen:
                    seen[change] += len(done[change])
        self.assertTrue(all(seen.values()), seen)

    def test_a_file_that_the_running_configuration_does_not_name_is_not_read_for_a_plan(self):
        text = self.config.replace("sd.json", "other.json")
        (self.directory / "other.json").write_text('[{"targets": ["127.0.0.1:9"]}]')
        _, plan = self.plan(text)
        self.assertIn("other.json", json.dumps(plan["warnings"]))
        self.assertNotIn("127.0.0.1:9", json.dumps(plan["jobs"]))
        notes = {job["job"]: job.get("filesNotRead", []) for job in plan["jobs"]}
        self.assertEqual(notes, {"a": [], "b": [str(self.directory / "other.json")]})
        table = self.server.trawlctl("plan", "-", stdin=text, check=False).stdout
        self.assertRegex(table, r"a +UNCHANGED +0 +0 +0 +2\b")
        self.assertRegex(table, r"b +CHANGED +>=0 +<=1 +~0 +>=0 +file_sd_configs")
        answer, done = self.reload(text)
        self.assertEqual((len(done["ADDED"]), len(done["REMOVED"])), (1, 1))
        self.assertNotIn("filesNotRead", json.dumps(answer))

    def test_a_text_with_errors_is_refused_with_all_of_them(self):
        result = self.server.trawlctl("plan", "-", stdin="scrape_configs: [{x: 1}]", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("line 1, column 19: field x not found", result.stderr)
        self.assertIn("job_name is empty", result.stderr)

    def test_the_tables_say_what_and_why(self):
        text = self.text(self.CONFIG.replace("400ms", "500ms").replace('"{2}"', '"{4}"'))
        result = self.server.trawlctl("plan", "-", stdin=text, check=False)
        self.assertEqual(result.returncode, 4)
        self.assertRegex(result.stdout, r"a +CHANGED +1 +1 +1 +0 +scrape_interval,scrape_timeout|"
                                        r"a +CHANGED +1 +1 +1 +0 +scrape_interval,static_configs")
        self.assertRegex(result.stdout, rf"RESTARTED +a +http://{self.exporters[1].address}/metrics .*keeps its series")


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
