"""Bad input gets one clear answer, changes nothing and loses nothing."""
import fcntl
import json
import shutil
import signal
import socket
import subprocess
import unittest

from harness import BIN, TOP, EndToEndTest, free_port, get, wait_for

GOOD = "scrape_configs: [{job_name: good}]\n"


class BadInputTest(EndToEndTest):
    def run_trawld(self, config, *flags):
        path = self.directory / "prometheus.yml"
        path.write_text(config)
        return subprocess.run(
            [BIN / "trawld", f"--config.file={path}", f"--data-dir={self.directory}/data",
             f"--grpc.listen-address=127.0.0.1:{free_port()}",
             f"--web.listen-address=127.0.0.1:{free_port()}", *flags],
            capture_output=True, text=True, timeout=30)

    def test_every_problem_of_a_config_is_told_with_line_and_column(self):
        result = self.run_trawld("""global:
  scrape_intervall: 5s
scrape_configs:
  - job_name: a
    scrape_interval: soon
  - job_name: a
    relabel_configs:
      - action: replce
""")
        self.assertEqual(result.returncode, 2)
        for words in ("line 2, column 3", "scrape_intervall", "line 5", "soon", "replce"):
            self.assertIn(words, result.stderr)
        self.assertFalse((self.directory / "data").exists(), "nothing was started")

    def test_a_syntax_error_is_told_with_its_place(self):
        result = self.run_trawld("global: {scrape_interval: 5s\n")
        self.assertEqual(result.returncode, 2)
        self.assertIn("line ", result.stderr)

    def test_a_missing_config_file_is_one_clear_line(self):
        result = subprocess.run([BIN / "trawld", "--config.file=/nonexistent.yml"],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 2)
        self.assertIn("/nonexistent.yml", result.stderr)

        self.assertRegex(result.stderr, r"^trawld: can.t read the configuration: open .*nonexistent.yml")

    def test_fields_that_have_no_effect_are_checked_all_the_same(self):
        result = self.run_trawld("storage: {bogus: 1}\nrule_files: {a: b}\nscrape_configs:\n"
                                 "  - {job_name: a, http_sd_configs: [{url: 'http://x', bogus: 1}]}\n")
        self.assertEqual(result.returncode, 2)
        for words in ("line 1, column 11: field bogus", "line 2, column 13: cannot unmarshal",
                      "line 4, column 55: field bogus"):
            self.assertIn(words, result.stderr)

    def test_flags_of_storage_are_told_what_they_want(self):
        for flag, words in (("--storage.address=", "--storage.address needs a value"),
                            ("--storage.address=foo", "--storage.address=foo: want HOST:PORT"),
                            ("--storage.address=:8731", "want HOST:PORT")):
            result = self.run_trawld(GOOD, flag)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(words, result.stderr)

    def test_a_mistyped_path_of_the_database_makes_no_directories(self):
        path = self.directory / "mistyped" / "deep" / "samples.db"
        result = self.run_trawld(GOOD, f"--storage.embedded-path={path}")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(str(path.parent.parent), result.stderr)
        self.assertFalse(path.parent.parent.exists())

    def test_a_quickstart_that_runs_keeps_its_data(self):
        script = self.directory / "deploy" / "quickstart.sh"
        data = self.directory / "build" / "quickstart" / "data"
        script.parent.mkdir()
        data.mkdir(parents=True)
        shutil.copy(TOP / "deploy" / "quickstart.sh", script)
        (data / "samples.db").write_text("precious")
        with open(data / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            result = subprocess.run([script, "--for", "1s"], capture_output=True, text=True,
                                    timeout=30)
        self.assertEqual(result.returncode, 1)
        self.assertIn("build/quickstart/data is in use", result.stderr)
        self.assertEqual((data / "samples.db").read_text(), "precious")

    def test_trawlctl_says_what_is_wrong_in_the_same_way_everywhere(self):
        def trawlctl(*arguments):
            return subprocess.run([BIN / "trawlctl", *arguments], capture_output=True, text=True,
                                  timeout=30)
        for arguments in ([], ["push"], ["targets", "--health", "sick"], ["--timeout", "x", "pools"]):
            result = trawlctl(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertRegex(result.stderr, r"^trawlctl: .*\n$")
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        self.addCleanup(silent.close)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        result = trawlctl("--address", address, "--timeout", "0.3", "version")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn(address, result.stderr)
        result = trawlctl("--address", f"{address},127.0.0.1:1", "--timeout", "0.3", "pools")
        self.assertEqual(result.returncode, 3)
        self.assertEqual([line[:10] for line in result.stderr.splitlines()], ["trawlctl: "] * 2)
        self.assertRegex(trawlctl("--version").stdout, r"^trawlctl, version \S+ \(revision ")

    def test_the_check_knows_what_trawld_knows(self):
        config, own = self.directory / "e.yml", self.directory / "tc.yml"
        config.write_text("global: {query_log_file: q}\nscrape_configs: [{job_name: a}]\n")
        own.write_text("jobs: {b: {first_scrape: immediate}}\n")

        def check(*flags):
            result = subprocess.run([BIN / "trawlctl", "--json", "check", "config", config, *flags],
                                    capture_output=True, text=True, timeout=30)
            return result.returncode, json.loads(result.stdout)[0]
        code, answer = check()
        self.assertEqual((code, answer["valid"], answer["errors"]), (0, True, []))
        self.assertEqual(answer["warnings"], [
            {"file": str(config), "line": 1, "column": 10,
             "message": "field query_log_file has no effect: trawl answers no queries"}])
        code, answer = check("--trawl.config", own)
        self.assertEqual((code, answer["valid"]), (1, False))
        self.assertEqual(answer["errors"][0]["file"], str(own))
        self.assertIn('job "b"', answer["errors"][0]["message"])
        config.write_text("x: 1\n")
        code, answer = check()
        self.assertEqual((code, answer["errors"][0]["line"]), (1, 1))

    def test_a_relative_config_names_files_as_prometheus_does(self):
        exporter = self.exporter(lambda path, n: "a 1\n")
        (self.directory / "targets").mkdir()
        (self.directory / "targets" / ".web.json").write_text(
            json.dumps([{"targets": [exporter.address]}]))
        trawld = self.trawld("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: j\n"
                             "  file_sd_configs: [{files: ['targets/*.json']}]\n",
                             "--config.file=prometheus.yml")
        trawld.wait_ready().wait_up(1)
        self.assertEqual(trawld.targets()[0]["discoveredLabels"]["__meta_filepath"],
                         "targets/.web.json")

    def test_an_unknown_job_in_a_push_is_in_the_log_once(self):
        trawld = self.trawld(GOOD).wait_ready()
        (self.directory / "t.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
        for _ in range(2):
            trawld.trawlctl("push", self.directory / "t.json", "--job", "godo")
        lines = [line for line in trawld.log().splitlines() if "godo" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("known=good", lines[0])

    def test_a_wrong_flag_is_one_clear_line(self):
        result = self.run_trawld(GOOD, "--no.such-flag=1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no.such-flag", result.stderr)

    def test_a_taken_port_is_one_clear_line(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for flag in ("--grpc.listen-address", "--web.listen-address"):
                result = self.run_trawld(GOOD, f"{flag}={address}")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(address, result.stderr)
            result = subprocess.run(
                [BIN / "trawl-store", f"--grpc.listen-address={address}",
                 f"--data-dir={self.directory}/s"], capture_output=True, text=True, timeout=30)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(address, result.stderr)

    def test_a_data_directory_in_use_is_one_clear_line(self):
        first = self.trawld(GOOD).wait_ready()
        result = self.run_trawld(GOOD)
        self.assertEqual(result.returncode, 1)
        self.assertIn("in use", result.stderr)
        self.assertTrue(first.running())

    def test_trawld_and_its_store_refuse_each_others_directory(self):
        trawld = self.trawld(GOOD).wait_ready()
        self.assertEqual(trawld.stop(), 0)
        refused = subprocess.run(
            [BIN / "trawl-store", f"--grpc.listen-address=127.0.0.1:{free_port()}",
             f"--data-dir={trawld.data}"], capture_output=True, text=True, timeout=30)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is trawld's: give trawl-store a --data-dir of its own", refused.stderr)

        self.assertEqual(self.store().stop(), 0)
        refused = self.run_trawld(GOOD, f"--data-dir={self.directory}/store-data")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is trawl-store's: give trawld a --data-dir of its own", refused.stderr)

    def test_a_data_directory_that_is_a_file_is_one_clear_line(self):
        (self.directory / "data").write_text("")
        result = self.run_trawld(GOOD)
        self.assertEqual(result.returncode, 1)
        self.assertIn(str(self.directory / "data"), result.stderr)

    def test_a_certificate_that_is_not_there_is_told_by_trawld_and_by_the_check(self):
        for config in ("scrape_configs: [{job_name: a, tls_config: {ca_file: /no/ca.pem}}]",
                       "remote_write: [{url: 'https://a/', tls_config: {ca_file: /no/ca.pem}}]"):
            result = self.run_trawld(config)
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr, r"line 1, column \d+: ca_file: open /no/ca\.pem")
            self.assertFalse((self.directory / "data").exists(), "nothing was started")
            check = subprocess.run(
                [BIN / "trawlctl", "check", "config", self.directory / "prometheus.yml"],
                capture_output=True, text=True, timeout=30)
            self.assertEqual(check.returncode, 1)
            self.assertIn("/no/ca.pem", check.stderr)

    def test_a_reload_with_a_bad_file_keeps_the_old_config(self):
        exporter = self.exporter(lambda path, n: "a 1\n")
        trawld = self.trawld("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: good, "
                             f"static_configs: [{{targets: ['{exporter.address}']}}]}}]\n")
        trawld.wait_ready().wait_up(1)
        trawld.config.write_text("scrape_configs: [{job_name: bad, no_such_field: 1}]\n")

        answer = trawld.grpcurl("trawl.status.v1.StatusService/ReloadConfig", {}, check=False)
        self.assertIn("no_such_field", answer.stderr)
        trawld.signal(signal.SIGHUP)
        wait_for("the log", lambda: trawld.log().count("no_such_field") >= 2)

        self.assertEqual(trawld.metric("prometheus_config_last_reload_successful"), 0)
        trawld.wait_up(1)
        trawld.config.write_text("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: new, "
                                 f"static_configs: [{{targets: ['{exporter.address}']}}]}}]\n")
        trawld.signal(signal.SIGHUP)
        wait_for("the new job", lambda: trawld.targets()[0]["scrapePool"] == "new")
        self.assertEqual(trawld.metric("prometheus_config_last_reload_successful"), 1)

    def test_a_reload_that_cannot_be_carried_out_changes_neither_sinks_nor_pools(self):
        status = "trawl.status.v1.StatusService"
        exporter = self.exporter(lambda path, n: "a 1\n")
        job = f"job_name: JOB, static_configs: [{{targets: ['{exporter.address}']}}]"
        write = "remote_write: [{url: 'http://127.0.0.1:1/write', name: NAME}]\n"
        good = ("global: {scrape_interval: 1s, external_labels: {cluster: a}}\nscrape_configs: "
                "[{" + job.replace("JOB", "good") + "}]\n" + write.replace("NAME", "old"))
        trawld = self.trawld(good).wait_ready()
        trawld.wait_up(1)

        def shown():
            sinks = trawld.grpcurl(f"{status}/ListSinks")["sinks"]
            pools = trawld.grpcurl(f"{status}/ListPools")["pools"]
            targets = trawld.grpcurl(f"{status}/ListTargets")["targets"]
            return ([(s["name"], s["address"]) for s in sinks], [p["job"] for p in pools],
                    [(t["id"], t["shard"] if "shard" in t else 0) for t in targets],
                    trawld.grpcurl(f"{status}/GetConfig")["config"])
        before = shown()
        # The text is right, but a file that its last job names is missing.
        missing = "{" + job.replace("JOB", "other") + ", tls_config: {ca_file: none.crt}}"
        trawld.config.write_text(
            good.replace("cluster: a", "cluster: b").replace("name: old", "name: new")
            .replace("job_name: good", "job_name: renamed").replace("}]\nremote", f"}}, {missing}]\nremote"))

        answer = trawld.grpcurl(f"{status}/ReloadConfig", {}, check=False)

        self.assertRegex(answer.stderr, r"line 2, column \d+: ca_file: open \S+/none\.crt: No such")
        self.assertEqual(shown(), before)
        self.assertEqual(trawld.metric("prometheus_config_last_reload_successful"), 0)

    def test_bad_targets_are_down_with_a_reason_and_others_are_untouched(self):
        good = self.exporter(lambda path, n: "a 1\n")
        garbage = self.exporter(lambda path, n: "{{{ no metrics\n")
        missing = self.exporter(lambda path, n: (404, "text/plain", "nothing here"))
        hang = socket.socket()
        hang.bind(("127.0.0.1", 0))
        hang.listen()
        self.addCleanup(hang.close)
        reasons = {
            garbage.address: "expected",
            missing.address: "server returned HTTP status 404 Not Found",
            f"127.0.0.1:{hang.getsockname()[1]}": "context deadline exceeded",
            "127.0.0.1:1": "connection refused",
            "no-such-host.invalid:80": "no such host",
        }
        targets = json.dumps([good.address, *reasons])
        trawld = self.trawld("global: {scrape_interval: 1s, scrape_timeout: 500ms}\n"
                             f"scrape_configs: [{{job_name: j, static_configs: [{{targets: {targets}}}]}}]\n")
        trawld.wait_ready()

        def settled():
            health = {t["labels"]["instance"]: t for t in trawld.targets()}
            return len(health) == 6 and all(t["health"] != "unknown" for t in health.values()) and health
        health = wait_for("all to be scraped", settled)
        self.assertEqual(health[good.address]["health"], "up")
        for address, words in reasons.items():
            self.assertEqual(health[address]["health"], "down")
            self.assertIn(words, health[address]["lastError"])

    def test_a_store_that_is_away_holds_up_no_scrape(self):
        exporter = self.exporter(lambda path, n: "a 1\n")
        trawld = self.trawld("global: {scrape_interval: 200ms}\nscrape_configs: [{job_name: j, "
                             f"static_configs: [{{targets: ['{exporter.address}']}}]}}]\n",
                             "--storage.address=127.0.0.1:1")
        trawld.wait_ready().wait_up(1)
        seen = exporter.scrapes
        wait_for("more scrapes", lambda: exporter.scrapes > seen + 5)
        self.assertGreater(trawld.metric("trawl_append_queue_bytes"), 0)
        self.assertEqual(trawld.stop(12), 0)

    def test_sigterm_ends_it_in_time_and_help_and_version_read_well(self):
        trawld = self.trawld(GOOD).wait_ready()
        self.assertIn("trawl_build_info", get(f"http://{trawld.http}/metrics"))
        self.assertEqual(trawld.stop(10), 0)
        for program in ("trawld", "trawl-store", "trawlctl"):
            result = subprocess.run([BIN / program, "--help"], capture_output=True, text=True,
                                    timeout=10)
            self.assertEqual(result.returncode, 0)
            self.assertIn("--", result.stdout)
        version = subprocess.run([BIN / "trawld", "--version"], capture_output=True, text=True,
                                 timeout=10)
        self.assertRegex(version.stdout, r"^trawld, version \S+ \(.*revision \w+")


if __name__ == "__main__":
    unittest.main(verbosity=2)
