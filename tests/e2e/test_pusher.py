"""The pusher library at work: `trawlctl sync` and the example in Python, against real trawlds."""
import json
import os
import signal
import subprocess
import unittest

from harness import BIN, EndToEndTest, Exporter, Program, TOP, Trawld, wait_for

CONFIG = """
global: {scrape_interval: 1h}
scrape_configs:
  - job_name: node
  - job_name: other
"""
EXAMPLE = TOP / "client" / "discovery" / "examples" / "push_targets.py"
TARGETS = 1000


def targets(first, last):
    return [f"127.0.1.{i // 200}:{10000 + i}" for i in range(first, last)]


class PusherTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.files = self.directory / "sd"
        self.files.mkdir()

    def start_trawld(self, name, config=CONFIG, grpc=None, flags=()):
        """A trawld of its own directory; with `grpc` on the address of one before."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return self.started(Trawld(directory, config, *flags, grpc=grpc)).wait_ready()

    def write(self, name, addresses, **labels):
        file = self.files / (name + ".tmp")
        file.write_text(json.dumps([{"targets": addresses, "labels": labels}]))
        file.rename(self.files / name)

    def sync(self, trawlds, *flags, patterns=None):
        return self.started(Program("sync", self.command(trawlds, *flags, patterns=patterns),
                                    self.directory))

    def sync_once(self, trawlds, *flags, patterns=None):
        return subprocess.run([str(a) for a in self.command(trawlds, "--once", *flags,
                                                            patterns=patterns)],
                              capture_output=True, text=True, timeout=60)

    def command(self, trawlds, *flags, patterns=None):
        command = [BIN / "trawlctl", "--address", ",".join(t.grpc for t in trawlds), "sync"]
        for pattern in patterns or [f"node={self.files}/*.json"]:
            command += ["--file-sd", pattern]
        return [*command, *flags]

    def listed(self, trawld):
        """Addresses that a trawld has targets of, as trawlctl shows them."""
        shown = json.loads(trawld.trawlctl("targets", "--json").stdout)
        return sorted(t["discoveredLabels"]["__address__"] for t in shown)

    def wait_for_all(self, trawlds, wanted):
        """Every wanted target is at exactly one trawld."""
        def divided():
            found = sum((self.listed(t) for t in trawlds), [])
            return sorted(found) == sorted(wanted)
        wait_for("every target to be at one trawld", divided)

    def assert_nothing_is_lost_or_doubled(self, trawlds, wanted):
        found = sum((self.listed(t) for t in trawlds), [])
        self.assertEqual(sorted(found), sorted(wanted))


class SyncTest(PusherTest):
    def test_targets_that_are_settled_are_scraped_by_one_trawld_each(self):
        exporter = Exporter(lambda path, n: "a 1\n", host="")
        self.addCleanup(exporter.close)
        port = exporter.address.split(":")[1]
        wanted = [f"127.0.{1 + i // 200}.{1 + i % 200}:{port}" for i in range(60)]
        config = """
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs: [{job_name: node, params: {by: [%s]}}]
"""
        def scrapers():
            """By target: the trawld of each scrape of it from now on, once each has three."""
            exporter.requests.clear()
            def seen():
                found = {target: [] for target in wanted}
                with exporter.lock:
                    for path, headers in exporter.requests:
                        found.setdefault(headers["Host"], []).append(path.split("by=")[1])
                return found if all(len(by) >= 3 for by in found.values()) else None
            return wait_for("three scrapes of each target", seen)

        def assert_settled(trawlds):
            self.wait_for_all(trawlds, wanted)
            scrapers()  # what was on its way while they settled
            found = scrapers()
            self.assertEqual(sorted(found), sorted(wanted))
            self.assertEqual({target: set(by) for target, by in found.items() if len(set(by)) != 1}, {})
            self.assertEqual({by[0] for by in found.values()}, {"one", "two"})

        self.write("a.json", wanted)
        trawlds = [self.start_trawld(name, config % name) for name in ("one", "two")]
        sync = self.sync(trawlds)
        assert_settled(trawlds)
        for program in (sync, trawlds[0]):
            program.signal(signal.SIGKILL)
            program.process.wait()
        trawlds[0] = self.start_trawld("one", config % "one", grpc=trawlds[0].grpc)
        self.sync(trawlds)
        assert_settled(trawlds)

    def test_files_drive_trawlds_and_kills_neither_lose_nor_double_a_target(self):
        wanted = targets(0, TARGETS)
        self.write("a.json", wanted[:TARGETS // 2], team="blue")
        self.write("b.json", wanted[TARGETS // 2:])
        trawlds = [self.start_trawld("one"), self.start_trawld("two")]
        sync = self.sync(trawlds)
        self.wait_for_all(trawlds, wanted)
        shares = [self.listed(t) for t in trawlds]
        self.assertGreater(min(map(len, shares)), TARGETS // 4)

        # Each trawld: it comes back with its share, which the other never had.
        for i in range(2):
            trawlds[i].signal(signal.SIGKILL)
            trawlds[i].process.wait()
            self.assertEqual(self.listed(trawlds[1 - i]), shares[1 - i])
            trawlds[i] = self.start_trawld(["one", "two"][i], grpc=trawlds[i].grpc)
            self.assertEqual([self.listed(t) for t in trawlds], shares)

        # The pusher: meanwhile nothing changes, and the new one learns of what it missed.
        sync.signal(signal.SIGKILL)
        sync.process.wait()
        self.assertEqual([self.listed(t) for t in trawlds], shares)
        wanted = targets(10, TARGETS + 10)
        self.write("b.json", wanted[TARGETS // 2 - 10:])
        self.write("a.json", wanted[:TARGETS // 2 - 10], team="blue")
        sync = self.sync(trawlds)
        self.wait_for_all(trawlds, wanted)

        # All at once.
        shares = [self.listed(t) for t in trawlds]
        for program in (sync, *trawlds):
            program.signal(signal.SIGKILL)
            program.process.wait()
        trawlds = [self.start_trawld(name, grpc=old.grpc)
                   for name, old in zip(["one", "two"], trawlds)]
        self.assertEqual([self.listed(t) for t in trawlds], shares)
        sync = self.sync(trawlds)
        wanted = wanted[:-1]
        self.write("b.json", wanted[TARGETS // 2 - 10:])
        self.wait_for_all(trawlds, wanted)

        self.assertEqual(sync.stop(), 0)
        self.assert_nothing_is_lost_or_doubled(trawlds, wanted)

    def test_an_added_trawld_takes_its_part_and_one_that_leaves_gives_it_back(self):
        wanted = targets(0, TARGETS)
        self.write("a.json", wanted)
        trawlds = [self.start_trawld(name) for name in ("one", "two", "three")]
        self.assertEqual(self.sync_once(trawlds[:2]).returncode, 0)
        self.wait_for_all(trawlds[:2], wanted)

        result = self.sync_once(trawlds)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"in sync: {TARGETS} targets in 1 groups of source sync, on 3 trawlds",
                      result.stdout)
        self.assert_nothing_is_lost_or_doubled(trawlds, wanted)
        moved = len(self.listed(trawlds[2]))
        self.assertGreater(moved, TARGETS // 5)
        self.assertLess(moved, TARGETS // 2)

        result = self.sync_once(trawlds[:2], "--leaving", trawlds[2].grpc)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.listed(trawlds[2]), [])
        self.assert_nothing_is_lost_or_doubled(trawlds[:2], wanted)

    def test_replicas_need_external_labels_of_their_own(self):
        self.write("a.json", targets(0, 20))
        one = self.start_trawld("one")
        two = self.start_trawld("two")
        result = self.sync_once([one, two], "--replicas", "2")
        self.assertEqual(result.returncode, 1)
        self.assertIn("external_labels are those of trawld", result.stderr)

        three = self.start_trawld("three", CONFIG.replace(
            "1h}", "1h, external_labels: {replica: three}}"))
        result = self.sync_once([one, three], "--replicas", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.listed(one), targets(0, 20))
        self.assertEqual(self.listed(three), targets(0, 20))

    def test_two_addresses_of_one_trawld_are_told(self):
        self.write("a.json", targets(0, 20))
        trawld = self.start_trawld("one")
        port = trawld.grpc.split(":")[1]
        command = self.command([trawld], "--once", "--timeout", "2")
        command[2] = f"127.0.0.1:{port},localhost:{port}"
        leaks = TOP / "tests" / "e2e" / "leaks.txt"
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=60,
            env={**os.environ, "LSAN_OPTIONS": f"suppressions={leaks}:print_suppressions=0"})
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        self.assertIn("do two addresses lead to one trawld?", result.stderr)
        self.assertNotIn("in sync", result.stdout)

    def test_a_trawld_that_refuses_the_token_ends_once_but_no_daemon(self):
        (self.directory / "tokens").write_text("pusher fedcba9876543210fedc\n")
        mine = self.directory / "mine"
        mine.write_text("0123456789abcdef0123\n")
        self.write("a.json", targets(0, 20))
        one = self.start_trawld("one")
        two = self.start_trawld("two", flags=(
            f"--grpc.token-file={self.directory / 'tokens'}", "--status.viewer=pusher",
            "--discovery.allow=pusher sources=* jobs=*"))
        result = self.sync_once([one, two], "--token-file", mine)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(two.grpc, result.stderr)

        sync = self.sync([one, two], "--token-file", mine)
        wait_for("the refusal", lambda: "trawld is not reached, or refuses" in sync.log())
        before = len(self.listed(one))
        self.write("a.json", targets(0, 100))
        wait_for("the other's share", lambda: len(self.listed(one)) > before)
        mine.write_text("fedcba9876543210fedc\n")

        def shares():
            shown = two.trawlctl("--token-file", mine, "targets", "--json").stdout
            return len(self.listed(one)) + len(json.loads(shown)) == 100
        wait_for("all targets", shares)
        self.assertEqual(sync.stop(), 0)

    def test_trawlctl_merges_what_several_list_and_shows_who_is_away(self):
        self.write("a.json", targets(0, 20))
        trawlds = [self.start_trawld("one"), self.start_trawld("two")]
        self.assertEqual(self.sync_once(trawlds).returncode, 0)
        addresses = ",".join(t.grpc for t in trawlds)

        def ask(*arguments):
            return subprocess.run([BIN / "trawlctl", "--address", addresses, *arguments],
                                  capture_output=True, text=True, timeout=30)

        result = ask("targets", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        listed = json.loads(result.stdout)
        self.assertEqual({t["server"] for t in listed}, {t.grpc for t in trawlds})
        self.assertEqual(sorted(t["discoveredLabels"]["__address__"] for t in listed),
                         targets(0, 20))
        for command in ("pools", "sources", "targets"):
            table = ask(command).stdout
            self.assertTrue(table.startswith("SERVER"), table)
            for trawld in trawlds:
                self.assertIn("\n" + trawld.grpc, table)
        self.assertEqual(ask("sinks").returncode, 2)

        trawlds[0].stop()
        result = ask("sources")
        self.assertEqual(result.returncode, 3)
        self.assertIn(trawlds[0].grpc, result.stderr)
        self.assertIn(trawlds[1].grpc, result.stdout)

    def test_removals_that_are_held_are_told_with_how_to_confirm_them(self):
        trawld = self.start_trawld("one")
        self.write("a.json", targets(0, 60))
        self.assertEqual(self.sync_once([trawld]).returncode, 0)
        self.write("a.json", targets(0, 1))

        result = self.sync_once([trawld])
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertIn("in sync: 1 targets in 1 groups of source sync, on 1 trawlds; "
                      "59 removals are held", result.stdout)
        self.assertIn(f"the removal of 59 targets is held, they are still scraped: confirm by --allow-shrink "
                      f"or trawlctl --address {trawld.grpc} sources accept sync", result.stderr)
        self.assertEqual(self.listed(trawld), targets(0, 60))

        result = self.sync_once([trawld], "--json")
        self.assertEqual(result.returncode, 5, result.stderr)
        [answer] = json.loads(result.stdout)
        self.assertEqual((answer["server"], answer["counts"]["held"], answer["counts"]["targets"]),
                         (trawld.grpc, "59", "1"))

        result = self.sync_once([trawld], "--allow-shrink")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.listed(trawld), targets(0, 1))

    def test_exit_codes_and_reasons(self):
        trawld = self.start_trawld("one")
        result = self.sync_once([trawld], patterns=["sd/*.json"])
        self.assertEqual(result.returncode, 2)
        self.assertIn("JOB=GLOB", result.stderr)
        result = self.sync_once([trawld])
        self.assertEqual(result.returncode, 1)
        self.assertIn("no file matches", result.stderr)
        (self.files / "a.json").write_text("[{")
        result = self.sync_once([trawld])
        self.assertEqual(result.returncode, 1)
        self.assertIn("a.json", result.stderr)
        self.write("a.json", ["ok:1", "no/host"])
        result = self.sync_once([trawld])
        self.assertEqual(result.returncode, 1)
        self.assertIn('"no/host" is not a valid hostname; job node, group', result.stderr)
        result = self.sync_once([trawld], "--json")
        self.assertEqual(result.returncode, 1)
        [answer] = json.loads(result.stdout)
        self.assertEqual([issue["code"] for issue in answer["issues"]], ["BAD_ADDRESS"])
        self.write("a.json", ["ok:1"])
        self.write("large.json", ["never:1"], text="x" * (2 << 20))
        result = self.sync_once([trawld])
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"a message takes at most", result.stderr)
        self.assertIn(f"; job node, group {self.files}/large.json:0; ", result.stderr)
        self.assertEqual(self.listed(trawld), ["ok:1"])
        (self.files / "large.json").unlink()
        self.assertEqual(self.sync_once([trawld], "--job", "other",
                                        patterns=[f"{self.files}/*.json"]).returncode, 0)
        self.assertEqual(self.listed(trawld), ["ok:1"])
        trawld.stop()
        result = self.sync_once([trawld], "--timeout", "1")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn(trawld.grpc, result.stderr)


class ExampleTest(PusherTest):
    def setUp(self):
        super().setUp()
        generated = self.directory / "generated"
        generated.mkdir()
        plugin = subprocess.run(["which", "grpc_python_plugin"], capture_output=True, text=True,
                                check=True).stdout.strip()
        subprocess.run(["protoc", "-I", TOP / "proto", f"--python_out={generated}",
                        f"--grpc_out={generated}", f"--plugin=protoc-gen-grpc={plugin}",
                        TOP / "proto/trawl/discovery/v1/discovery.proto"], check=True)

    def test_it_is_short(self):
        self.assertLessEqual(len(EXAMPLE.read_text().splitlines()), 100)

    def test_it_pushes_changes_and_survives_a_killed_trawld(self):
        trawld = self.start_trawld("one")
        log = open(self.directory / "example.log", "wb")
        self.addCleanup(log.close)
        example = subprocess.Popen(
            ["/usr/bin/env", f"PYTHONPATH={self.directory / 'generated'}", "/usr/bin/python3",
             EXAMPLE, trawld.grpc, "example", "node"], stdin=subprocess.PIPE, stdout=log,
            stderr=log, text=True)
        self.addCleanup(example.wait)
        self.addCleanup(example.kill)

        def say(*lines):
            example.stdin.write("".join(line + "\n" for line in lines))
            example.stdin.flush()

        say("rack1 a:1 b:1", "rack2 c:1", "")
        wait_for("the first state", lambda: self.listed(trawld) == ["a:1", "b:1", "c:1"])
        say("rack1 a:1", "rack2", "rack3 d:1")
        wait_for("the changes", lambda: self.listed(trawld) == ["a:1", "d:1"])
        trawld.signal(signal.SIGKILL)
        trawld.process.wait()
        say("rack4 e:1")
        trawld = self.start_trawld("one", grpc=trawld.grpc)
        wait_for("what came meanwhile", lambda: self.listed(trawld) == ["a:1", "d:1", "e:1"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
