"""A proxy between trawld and its store that withholds and delays what the store says, and resets
connections behind a commit: what was scraped is stored once, once the fault is over."""
import contextlib
import json
import signal
import socket
import sqlite3
import struct
import threading
import time
import unittest

from harness import EndToEndTest, wait_for


class Proxy:
    """Forwards connections to a store. What the store says comes `delay` seconds later, and not at all
    while `mute`."""

    def __init__(self, store):
        self.store = store
        self.delay = 0.0
        self.mute = False
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                host, port = self.store.split(":")
                far = socket.create_connection((host, int(port)))
                pair = (near, far)
                self.pairs.append(pair)
                for from_store in (False, True):
                    threading.Thread(target=self.forward, args=(pair, from_store), daemon=True).start()

    def forward(self, pair, from_store):
        source, to = reversed(pair) if from_store else pair
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if from_store:
                    time.sleep(self.delay)
                    if self.mute:
                        continue
                to.sendall(data)
        if pair in self.pairs:  # it was not reset
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """Both ends of all connections get a RST."""
        pairs, self.pairs = self.pairs, []
        for end in (end for pair in pairs for end in pair):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)  # ends the recv that would keep the socket open
            end.close()

    def close(self):
        self.listener.close()
        self.reset()


class StorageFaultsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.exporter_ = self.exporter(lambda path, n: f"n {n}\n")
        self.store_ = self.store()
        self.proxy = Proxy(self.store_.grpc)
        self.addCleanup(self.proxy.close)
        self.trawld_ = self.trawld(json.dumps({
            "global": {"scrape_interval": "100ms"},
            "scrape_configs": [{"job_name": "n", "static_configs": [{"targets": [self.exporter_.address]}]}],
        }), f"--storage.address={self.proxy.address}", "--shards=1").wait_ready()
        wait_for("samples", self.stored)

    def stored(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.store_.path}?mode=ro", uri=True,
                                                timeout=10)) as db:
            return [int(value) for value, in db.execute(
                "select value from samples where metric = 'n' and not stale order by timestamp_ms")]

    def wait_for_more(self, count):
        """More scrapes than there are now are stored."""
        wanted = self.exporter_.scrapes + count
        wait_for(f"scrape {wanted} to be stored", lambda: self.stored()[-1] >= wanted)

    def connected(self):
        return self.trawld_.metric("trawl_sink_connected") == 1

    def check_all_stored_once(self):
        wait_for("a stream", self.connected)
        self.wait_for_more(3)
        self.assertEqual(self.trawld_.stop(), 0)
        scraped = self.exporter_.scrapes
        # The scrape that the stop cut off was answered, and is none.
        self.assertIn(self.stored(), [list(range(1, scraped + 1)), list(range(1, scraped))])

    def test_a_reset_behind_a_commit_that_was_not_acked_yet(self):
        for _ in range(8):
            self.wait_for_more(1)
            self.proxy.mute = True
            self.wait_for_more(2)
            self.proxy.reset()
            self.proxy.mute = False
        wait_for("as many new streams", lambda: self.trawld_.metric("trawl_sink_reconnects_total") >= 8)
        self.check_all_stored_once()

    def test_a_store_that_says_nothing_is_left_after_20_s(self):
        self.proxy.mute = True
        wait_for("trawld to notice", lambda: not self.connected(), 25)
        self.proxy.mute = False
        self.proxy.reset()
        self.check_all_stored_once()

    def test_slow_acks(self):
        for delay in (0.1, 1):
            self.proxy.delay = delay
            self.wait_for_more(5)
        self.proxy.delay = 0
        self.wait_for_more(1)
        self.store_.signal(signal.SIGSTOP)  # for 10 s
        stopped, scraped = time.monotonic(), self.exporter_.scrapes
        wait_for("scrapes all the same", lambda: time.monotonic() > stopped + 10 and
                 self.exporter_.scrapes > scraped + 10)
        self.store_.signal(signal.SIGCONT)
        self.check_all_stored_once()
        self.assertEqual(len(self.proxy.pairs), 1, "one connection is enough for all of it")


if __name__ == "__main__":
    unittest.main(verbosity=2)
