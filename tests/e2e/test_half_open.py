"""A network that swallows packets, one way or both: neither side is told that the connection is dead.
trawld notices within 20 s, and once the fault is over all that was scraped is stored once. Needs leave
to make network namespaces and packet filters."""
import contextlib
import json
import os
import sqlite3
import subprocess
import time
import unittest

from harness import EndToEndTest, Store, free_port, wait_for

NOTICED_IN = 20  # seconds: of the protocol
# What the namespace of the store drops.
FAULTS = {"both ways": ("input", "output"), "what trawld sends": ("input",),
          "what the store sends": ("output",)}


def enter(namespace):
    """`ip netns exec` mounts /sys anew, which cannot be where / is no mount point: in a chroot."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


class FarStore(Store):
    """trawl-store in a network namespace."""

    def __init__(self, namespace, directory, address):
        self.namespace = namespace
        super().__init__(directory, f"--sqlite.path={directory}/store.db", "--insecure", address=address)

    def popen(self, command, **options):
        return subprocess.Popen([*enter(self.namespace), *command], **options)


class HalfOpenTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.namespace = f"trawl-{os.getpid()}"
        # Of the range for benchmarks, so that it is nobody's.
        near, self.far = (f"198.18.{os.getpid() % 256}.{host}" for host in (1, 2))
        link = f"trawl{os.getpid()}"[-15:]
        self.root(f"ip netns add {self.namespace}")
        self.addCleanup(self.root, f"ip netns delete {self.namespace}")
        self.root(f"ip link add {link} type veth peer name store netns {self.namespace}")
        self.root(f"ip address add {near}/30 dev {link}")
        self.root(f"ip link set {link} up")
        self.inside(f"ip address add {self.far}/30 dev store")
        self.inside("ip link set store up")
        self.inside("nft add table inet fault")
        for hook in ("input", "output"):
            self.inside(f"nft add chain inet fault {hook} "
                        f"{{ type filter hook {hook} priority 0 ; policy accept ; }}")

    def root(self, command):
        result = subprocess.run(command.split(), capture_output=True, text=True)
        if result.returncode != 0:
            self.fail("the tests run as root and may make network namespaces and packet filters: "
                      f"{command}: {result.stderr.strip()}")

    def inside(self, command):
        self.root(" ".join([*enter(self.namespace), command]))

    def drop(self, hooks):
        for hook in hooks:
            self.inside(f"nft add rule inet fault {hook} drop")

    def heal(self):
        self.inside("nft flush table inet fault")

    def stored(self, store):
        with contextlib.closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True, timeout=10)) as db:
            return [int(value) for value, in db.execute(
                "select value from samples where metric = 'n' and not stale order by timestamp_ms")]

    def test_a_dead_connection_is_noticed_and_nothing_is_lost_or_stored_twice(self):
        exporter = self.exporter(lambda path, n: f"n {n}\n")
        store = self.started(FarStore(self.namespace, self.directory, f"{self.far}:{free_port()}"))
        store.wait_ready()
        trawld = self.trawld(json.dumps({
            "global": {"scrape_interval": "200ms"},
            "scrape_configs": [{"job_name": "n", "static_configs": [{"targets": [exporter.address]}]}],
        }), f"--storage.address={store.grpc}", "--shards=1").wait_ready()

        def connected():
            return trawld.metric("trawl_sink_connected") == 1
        for fault, hooks in FAULTS.items():
            with self.subTest(fault):
                wait_for("a stream", connected)
                before = len(self.stored(store))
                wait_for("samples", lambda: len(self.stored(store)) > before)
                self.drop(hooks)
                begin = time.monotonic()
                wait_for("trawld to notice", lambda: not connected(), NOTICED_IN)
                noticed = time.monotonic() - begin
                scraped = exporter.scrapes
                wait_for("scrapes all the same", lambda: exporter.scrapes > scraped + 3)
                self.heal()
                begin = time.monotonic()
                wait_for("a stream again", connected)
                back = time.monotonic() - begin
                print(f"{fault}: noticed in {noticed:.1f} s, streaming {back:.1f} s after its end")
                wait_for("what waited", lambda: len(self.stored(store)) > scraped)
        self.assertEqual(trawld.stop(), 0)
        numbers = self.stored(store)
        # The scrape that the stop cut off was answered, and is none.
        self.assertIn(numbers, [list(range(1, exporter.scrapes + 1)), list(range(1, exporter.scrapes))])


if __name__ == "__main__":
    unittest.main(verbosity=2)
