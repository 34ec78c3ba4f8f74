"""What was pushed outlives trawld: killed at any moment, away for long, or with a damaged file."""
import json
import os
import pathlib
import queue
import random
import signal
import subprocess
import threading
import unittest

from harness import PEERS, EndToEndTest, wait_for

CONFIG = """
global: {scrape_interval: 1h}
scrape_configs:
  - job_name: node
"""
SERVICE = "trawl.discovery.v1.DiscoveryService"
GROUPS = 10


class Stream:
    """A Sync stream by grpcurl: messages as JSON in, answers as JSON out."""

    def __init__(self, server):
        self.process = subprocess.Popen(
            [PEERS / "grpcurl", "-plaintext", "-d", "@", server.grpc, f"{SERVICE}/Sync"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.answers = queue.Queue()
        self.next_id = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":  # the end of a message, as grpcurl indents
                self.answers.put(json.loads(text))
                text = ""
        self.answers.put(None)

    def say(self, **message):
        self.next_id += 1
        try:
            self.process.stdin.write(json.dumps({"id": self.next_id, **message}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def answer(self, seconds=20):
        return self.answers.get(timeout=seconds)

    def hello(self, source, version):
        self.say(hello={"source": source, "instance": "r1", "historyId": "h", "version": version})
        return self.answer()["welcome"]

    def rest(self):
        """All answers that are still to come, until the stream ends: grpcurl waits for its input."""
        self.end_input()
        return iter(self.answer, None)

    def end_input(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def close(self):
        self.process.kill()
        self.process.wait()
        self.end_input()
        self.reader.join()
        self.process.stdout.close()


def delta_to(version, base):
    """Each version has all groups labelled with it; "odd" is there in odd ones."""
    group = lambda key: {"job": "node", "key": key, "targets": [f"{key}.example:1"],
                         "labels": {"v": str(version)}}
    delta = {"baseVersion": base, "version": version,
             "upsert": [group(f"g{i}") for i in range(GROUPS)]}
    if version % 2:
        delta["upsert"].append(group("odd"))
    else:
        delta["remove"] = [{"job": "node", "key": "odd"}]
    return delta


def say_snapshot(stream, version):
    """All groups of that version; returns the answer to its end."""
    groups = delta_to(version, 0)["upsert"]
    stream.say(snapshotBegin={"version": version, "groups": len(groups), "bytes": 1 << 20})
    stream.say(snapshotPart={"groups": groups})
    stream.say(snapshotEnd={})
    return [stream.answer() for _ in range(3)][-1]["ack"]


class DiscoveryStateTest(EndToEndTest):
    def start(self, *flags):
        return self.trawld(CONFIG, *flags, data=self.directory / "data").wait_ready()

    def stream(self, server):
        stream = Stream(server)
        self.addCleanup(stream.close)
        return stream

    def pushed(self, server):
        sources = server.grpcurl(f"{SERVICE}/ListSources")["sources"]
        return {s["name"]: s for s in sources if s["kind"] == "PUSHED"}

    def check(self, server, acked):
        """The version that is there: whole, and not older than what was acked."""
        groups = server.grpcurl(f"{SERVICE}/ListGroups", {"source": "s"}).get("groups", [])
        source = self.pushed(server).get("s", {})
        version = int(source.get("applied_version", 0))
        self.assertGreaterEqual(version, acked)
        keys = sorted(g["group"]["key"] for g in groups)
        wanted = [f"g{i}" for i in range(GROUPS)] + (["odd"] if version % 2 else [])
        self.assertEqual(keys, sorted(wanted) if version else [])
        self.assertEqual({g["group"]["labels"]["v"] for g in groups},
                         {str(version)} if version else set())
        return version

    def push_until(self, server, version, acks):
        """Deltas without waiting; returns the newest acked version, and kills at the n-th ack."""
        stream = self.stream(server)
        welcome = stream.hello("s", version)
        self.assertEqual(int(welcome.get("applied_version", 0)), version)
        if version == 0:
            version = 1
            self.assertEqual(say_snapshot(stream, version)["status"], "APPLIED")
        for v in range(version + 1, version + acks + 20):
            stream.say(delta=delta_to(v, v - 1))
        acked = version
        for _ in range(acks):
            ack = stream.answer()["ack"]
            self.assertEqual(ack["status"], "APPLIED", ack)
            acked = int(ack["applied_version"])
        server.signal(signal.SIGKILL)
        server.process.wait()
        for answer in stream.rest():
            acked = int(answer["ack"]["applied_version"])
        stream.close()
        return acked

    def test_a_killed_trawld_comes_back_with_whole_updates_and_all_that_was_acked(self):
        seed = int(os.environ.get("TRAWL_SEED", random.randrange(1 << 30)))
        chosen = random.Random(seed)
        acked = 0
        with self.subTest(seed=seed):
            for _ in range(200):
                server = self.start()
                version = self.check(server, acked)
                acked = self.push_until(server, version, chosen.randrange(40))
            server = self.start()
            self.check(server, acked)
            self.assertEqual(server.metric("trawl_discovery_state_damaged_files_total"), 0)

    def test_a_damaged_file_is_set_aside_and_its_source_asked_for_a_snapshot(self):
        server = self.start()
        for source in ("a", "b"):
            stream = self.stream(server)
            stream.hello(source, 1)
            self.assertEqual(say_snapshot(stream, 1)["status"], "APPLIED")
        server.stop()
        state = pathlib.Path(self.directory / "data" / "discovery")
        damaged = next(p for p in state.glob("*.state") if b"\x01a" in p.read_bytes()[:64])
        content = bytearray(damaged.read_bytes())
        content[30] ^= 0xff
        damaged.write_bytes(content + content)  # not at the end, so not a torn write

        server = self.start()

        self.assertEqual(server.metric("trawl_discovery_state_damaged_files_total"), 1)
        self.assertTrue(damaged.with_name(damaged.name + ".damaged").exists())
        self.assertEqual(list(self.pushed(server)), ["b"])
        self.assertEqual(self.stream(server).hello("a", 1)["need"], "SNAPSHOT")
        self.assertEqual(self.stream(server).hello("b", 1)["need"], "NOTHING")

    def test_after_too_long_an_absence_nothing_is_scraped_before_it_is_confirmed(self):
        server = self.start()
        server.trawlctl("update", "--job", "node", "--key", "k", "n1:1", "n2:1")
        self.assertEqual(len(server.targets()), 2)
        server.stop()
        (self.directory / "data" / "discovery" / "running").write_text("2026-01-01T00:00:00Z\n")

        server = self.start()

        source = self.pushed(server)["trawlctl"]
        self.assertEqual(source["state"], "HELD")
        self.assertEqual(source["counts"]["targets"], "2")
        self.assertEqual(server.targets(), [])
        self.assertEqual(server.metric("trawl_discovery_withheld_sources"), 1)
        dropped = json.loads(server.trawlctl("--json", "targets", "--state", "dropped").stdout)
        self.assertEqual([t["drop"]["reason"] for t in dropped], ["SOURCE_HELD"] * 2)
        server.trawlctl("sources", "accept", "trawlctl", "--what", "restored")
        wait_for("the targets", lambda: len(server.targets()) == 2)
        self.assertEqual(server.metric("trawl_discovery_withheld_sources"), 0)

    def test_removals_by_mistake_are_held_until_somebody_accepts_them(self):
        server = self.start()
        targets = [f"n{i}:1" for i in range(50)]
        server.trawlctl("update", "--job", "node", "--key", "k", *targets)

        said = server.trawlctl("update", "--job", "node", "--key", "k", "n0:1")

        self.assertIn("APPLIED: 0 added, 0 removed, 1 unchanged, 49 held; 1 targets", said.stdout)
        self.assertIn("49 targets are held", said.stderr)
        self.assertEqual(len(server.targets()), 50)
        held = {t["scrapeUrl"]: t.get("held", False)
                for t in json.loads(server.trawlctl("--json", "targets").stdout)}
        self.assertEqual(held.pop("http://n0:1/metrics"), False)
        self.assertEqual(list(held.values()), [True] * 49)
        self.assertIn("held", server.trawlctl("target", "http://n1:1/metrics").stdout)
        groups = json.loads(server.trawlctl("groups", "--json").stdout)
        self.assertEqual(len(groups[0]["heldTargets"]), 49)
        self.assertIn("HELD", server.trawlctl("groups").stdout)
        self.assertEqual(server.metric("trawl_discovery_held_targets"), 49)

        tried = server.trawlctl("sources", "accept", "trawlctl", "--dry-run")
        self.assertIn("49 targets removed", tried.stdout)
        self.assertEqual(len(server.targets()), 50)
        server.trawlctl("sources", "accept", "trawlctl")
        wait_for("the targets to go", lambda: len(server.targets()) == 1)
        self.assertEqual(server.trawlctl("sources", "accept", "nobody", check=False).returncode, 1)

    def test_update_puts_and_removes_single_groups(self):
        server = self.start()
        server.trawlctl("update", "--job", "node", "--key", "a", "a:1", "--label", "team=x")
        server.trawlctl("update", "--job", "node", "--key", "b", "b:1")
        server.trawlctl("update", "--job", "node", "--remove", "a", "--dry-run")
        self.assertEqual(len(server.targets()), 2)
        server.trawlctl("update", "--job", "node", "--remove", "a")
        self.assertEqual([t["labels"]["instance"] for t in server.targets()], ["b:1"])
        self.assertIn("NOOP", server.trawlctl("update").stdout)
        self.assertEqual(server.trawlctl("update", "x:1", check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()
