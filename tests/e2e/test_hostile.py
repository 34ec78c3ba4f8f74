"""Clients that mean harm, or are broken: trawld stays up, stays small, and serves the others."""
import concurrent.futures
import os
import queue
import socket
import ssl
import time
import unittest

import grpc

from grpc_client import Client, message
from harness import EndToEndTest, get, wait_for
from rapid_reset import attack

CONFIG = """
global: {scrape_interval: 1h}
scrape_configs: [{job_name: node}]
"""
DISCOVERY, STATUS = "trawl.discovery.v1.DiscoveryService", "trawl.status.v1.StatusService"
STREAMING = [f"{DISCOVERY}/Sync", f"{STATUS}/WatchTargets", "grpc.health.v1.Health/Watch",
             "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
UNARY = [f"{DISCOVERY}/Push", f"{STATUS}/ListTargets", "grpc.health.v1.Health/Check"]
MIB = 1 << 20


def address(text):
    host, port = text.split(":")
    return host, int(port)


class HostileTest(EndToEndTest):
    def start(self, *flags):
        self.server = self.trawld(CONFIG, *flags).wait_ready()
        return self.server

    def client(self):
        client = Client(self.server.grpc)
        self.addCleanup(client.close)
        return client

    def push(self, client, source, targets):
        request = message("trawl.discovery.v1.PushRequest")(source=source)
        request.groups.add(job="node", key="g", targets=targets)
        return client.unary(f"{DISCOVERY}/Push")(request, timeout=60)

    def assert_served(self):
        """A quiet client, on a connection of its own, gets its answer."""
        client = Client(self.server.grpc)
        answer = client.unary("grpc.health.v1.Health/Check")(
            message("grpc.health.v1.HealthCheckRequest")(), timeout=60)
        client.close()
        self.assertEqual(answer.status, 1)

    def sync(self, source, *messages):
        """A Sync stream that says these messages after its Hello, and stays open."""
        sent = queue.Queue()
        stream = self.client().stream(f"{DISCOVERY}/Sync")(iter(sent.get, None))
        self.addCleanup(lambda: (sent.put(None), stream.cancel()))
        request = message("trawl.discovery.v1.SyncRequest")
        hello = request(id=1)
        hello.hello.source = source
        hello.hello.history_id = "h"
        hello.hello.version = 1
        for each in (hello, *messages):
            sent.put(each)
        return stream

    def snapshot_begin(self, stated):
        begin = message("trawl.discovery.v1.SyncRequest")(id=2)
        begin.snapshot_begin.version = 1
        begin.snapshot_begin.groups = 8
        begin.snapshot_begin.bytes = stated
        return begin

    def test_64_sources_at_once_are_all_applied(self):
        self.start()
        clients = [self.client() for _ in range(8)]
        before = self.server.resident()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: self.push(
                clients[n % 8], f"source-{n}", [f"127.1.{n}.{i}:9" for i in range(100)]), range(64)))

        self.assertTrue(all(a.result.counts.added == 100 for a in answers))
        self.assertEqual(self.server.metric("trawl_discovery_targets"), 6400)
        self.assert_memory_below(self.server.resident() - before, 64 * MIB)

    def test_64_snapshots_that_stall_take_no_more_room_than_there_is(self):
        self.start("--discovery.max-staged-bytes=8MiB")
        before = self.server.resident()

        # Each sends what it stated but for the end: 64 MiB of which 8 are taken.
        part = message("trawl.discovery.v1.SyncRequest")(id=3)
        for group in range(8):
            part.snapshot_part.groups.add(job="node", key=f"g{group}", targets=[
                f"{'x' * 200}-{group}-{i}:9" for i in range(500)])
        self.assertGreater(part.ByteSize(), 0.75 * MIB)
        self.assertLess(part.ByteSize(), MIB)
        streams = [self.sync(f"source-{n}", self.snapshot_begin(1 * MIB), part) for n in range(64)]
        answers = []
        for stream in streams:
            next(stream)  # Welcome
            answers.append((next(stream).ack, next(stream).ack))  # the begin's, the part's

        is_staged = message("trawl.discovery.v1.Ack").STAGED
        self.assertEqual(sum(part.status == is_staged for _, part in answers), 8, answers[0])
        answers = [begin for begin, _ in answers]
        self.assertEqual(sum(begin.status == is_staged for begin in answers), 8)
        told = [a for a in answers if a.HasField("retry_after")]
        self.assertEqual(len(told), 56)
        self.assertEqual(self.push(self.client(), "quiet", ["127.0.0.1:9"]).result.counts.added, 1)
        self.assert_memory_below(self.server.resident() - before, 64 * MIB)

    def test_a_client_that_floods_and_reads_nothing_is_held_back(self):
        self.start()
        request = message("trawl.discovery.v1.SyncRequest")
        before = self.server.resident()

        def heartbeats():
            hello = request(id=1)
            hello.hello.source = "flood"
            hello.hello.history_id = "h"
            yield hello
            for number in range(2, 200_000):
                beat = request(id=number)
                beat.heartbeat.SetInParent()
                yield beat

        stream = self.client().stream(f"{DISCOVERY}/Sync")(heartbeats())
        self.assertTrue(next(stream).HasField("welcome"))
        for _ in range(20):
            self.assert_served()
        self.assert_memory_below(self.server.resident() - before, 64 * MIB)
        stream.cancel()

    def test_garbage_on_the_port_harms_nobody(self):
        self.start()
        host, port = self.server.grpc.split(":")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        hello = ssl.MemoryBIO()
        try:
            tls.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="x").do_handshake()
        except ssl.SSLWantReadError:
            pass
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

        for garbage in (os.urandom(1 << 16), b"GET / HTTP/1.1\r\n\r\n", hello.read(), preface + b"\xff" * 5000,
                        preface + b"\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff", b"", b"\0"):
            with socket.create_connection((host, int(port)), 5) as connection:
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 16):
                        pass
                except OSError:  # the server has hung up already: as good
                    pass
            self.assert_served()

    def test_malformed_messages_are_refused(self):
        self.start()
        call = self.client().channel.unary_unary(f"/{DISCOVERY}/Push")

        for bytes_ in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x7f", b"\x12" + b"\x80" * 20):
            with self.assertRaises(grpc.RpcError):
                call(bytes_, timeout=20)
        self.assert_served()

    def test_rapid_reset_of_every_service_is_broken_off_before_it_costs_memory(self):
        trawld = self.start()
        for method in UNARY + STREAMING:
            broken_off = trawld.metric("trawl_grpc_connections_reset_total")
            end = time.monotonic() + 1
            while time.monotonic() < end:
                self.assertGreater(attack(trawld.grpc, method, 10), 100)  # until it is broken off
            self.assertGreater(trawld.metric("trawl_grpc_connections_reset_total"), broken_off)
            self.assert_served()
        self.assert_memory_below(self.server.resident("VmHWM"), 300 * MIB)
        self.assertIn("it gives up calls as fast as it opens them", trawld.log())

    def test_connections_that_say_nothing_hold_up_neither_port(self):
        trawld = self.start("--grpc.max-connections=50")
        http = [socket.create_connection(address(trawld.http)) for _ in range(500)]
        for _ in range(20):
            get(f"http://{trawld.http}/-/healthy", timeout=2)
        grpc = [socket.create_connection(address(trawld.grpc)) for _ in range(60)]
        wait_for("refused connections",
                 lambda: trawld.metric("trawl_grpc_connections_refused_total") >= 10)
        self.assertEqual(trawld.metric("trawl_grpc_connections"), 50)
        self.assertEqual(trawld.log().count("as many as may be are open"), 1)
        for connection in http + grpc:
            connection.close()
        wait_for("closed connections", lambda: trawld.metric("trawl_grpc_connections") == 0)
        self.assert_served()


if __name__ == "__main__":
    unittest.main()
