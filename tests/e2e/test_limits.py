"""What trawld does where it has little: open files, and memory for what storage doesn't take."""
import http.server
import json
import random
import resource
import subprocess
import threading
import unittest

from harness import BIN, EndToEndTest, Trawld, free_port, get, samples, wait_for


def limit_open_files(count):
    """For a child, before it becomes the program."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


class FewFilesTrawld(Trawld):
    LIMIT = 256

    def popen(self, command, **options):
        return super().popen(command, preexec_fn=limit_open_files(self.LIMIT), **options)


class Farm:
    """One exporter that is found at each address of 127.0.0.0/8, so that each is a connection."""

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

        def verify_request(self, request, client_address):
            return client_address[0].startswith("127.")

        def handle_error(self, request, client_address):
            pass

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"a 1\n")

        def log_message(self, *args):
            pass

    def __init__(self):
        self.server = self.Server(("0.0.0.0", 0), self.Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def targets(self, count):
        return [f"127.0.{1 + i // 250}.{1 + i % 250}:{self.port}" for i in range(count)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def config(interval, *jobs):
    """Jobs are (name, targets)."""
    return json.dumps({
        "global": {"scrape_interval": interval},
        "scrape_configs": [{"job_name": name, "static_configs": [{"targets": targets}]}
                           for name, targets in jobs]})


class OpenFilesTest(EndToEndTest):
    def test_a_limit_that_is_too_small_is_one_clear_line(self):
        path = self.directory / "prometheus.yml"
        path.write_text("scrape_configs: []\n")
        for limit in (16, 20, 64):
            result = subprocess.run(
                [BIN / "trawld", f"--config.file={path}", f"--data-dir={self.directory}/data",
                 f"--grpc.listen-address=127.0.0.1:{free_port()}", "--shards=2",
                 f"--web.listen-address=127.0.0.1:{free_port()}"],
                capture_output=True, text=True, timeout=30, preexec_fn=limit_open_files(limit))
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(f"the limit of open files is {limit}, and ", result.stderr)
            self.assertFalse((self.directory / "data").exists())

    def test_with_more_targets_than_files_servers_and_files_go_on(self):
        count = 400
        farm = Farm()
        self.addCleanup(farm.close)
        (self.directory / "more.json").write_text('[{"targets": []}]')
        text = json.loads(config("5s", ("many", farm.targets(count))))
        text["scrape_configs"].append(
            {"job_name": "files", "file_sd_configs": [{"files": ["more.json"]}]})
        trawld = self.started(FewFilesTrawld(self.directory, json.dumps(text), "--shards=2"))
        trawld.wait_ready()
        wait_for("most targets to be up", lambda: sum(
            t["health"] == "up" for t in trawld.targets()) > count * 0.95, 60)

        self.assertGreater(trawld.metric("trawl_fetch_connections_opened_total"), count * 0.9)
        self.assertGreater(trawld.metric("trawl_fetch_waiting_for_descriptor_total"), 0)
        self.assertLess(trawld.metric("process_open_fds"), FewFilesTrawld.LIMIT - 16)
        self.assertLessEqual(trawld.metric("trawl_fetch_open_descriptors"),
                             trawld.metric("trawl_fetch_max_descriptors"))
        (self.directory / "more.json").write_text(
            json.dumps([{"targets": [f"127.0.9.1:{farm.port}"]}]))
        wait_for("the file's target", lambda: len(trawld.targets()) == count + 1)
        for _ in range(20):
            self.assertIn("Healthy", get(f"http://{trawld.http}/-/healthy", timeout=10))
            self.assertIn("many", trawld.trawlctl("pools").stdout)
        self.assertNotIn("Too many open files", trawld.log())
        self.assertEqual(trawld.stop(), 0)

    def test_what_an_idle_trawld_opens_is_what_it_reserves(self):
        exporter = self.exporter(lambda path, n: "a 1\n")
        store = self.store()
        trawld = self.started(FewFilesTrawld(
            self.directory, config("200ms", ("j", [exporter.address])), "--shards=2",
            f"--storage.address={store.grpc}", f"--storage.embedded-path={self.directory}/own.db"))
        trawld.wait_ready().wait_up(1)
        wait_for("samples in both", lambda: samples(store.path) and samples(
            self.directory / "own.db"))
        # What DescriptorShares has for the process, two shards, a sink, and the start.
        self.assertLess(trawld.metric("process_open_fds"), 32 + 2 * 12 + 16 + 4)


class QueueTest(EndToEndTest):
    def page(self, series):
        return "".join(f"metric_{i} {random.random()}\n" for i in range(series))

    def test_what_a_full_queue_in_memory_loses_is_told_while_storage_is_away(self):
        exporter = self.exporter(lambda path, n: self.page(5000))
        trawld = self.trawld(config("200ms", ("j", [exporter.address])), "--shards=1",
                             "--spool.in-memory", "--storage.max-queue-bytes=1MiB",
                             "--storage.address=127.0.0.1:1")
        trawld.wait_ready().wait_up(1)

        wait_for("a loss", lambda: trawld.metric(
            'trawl_append_dropped_samples_total{reason="cap"}') > 5000)
        lost = wait_for("the sink's loss", lambda: trawld.grpcurl(
            "trawl.status.v1.StatusService/ListSinks")["sinks"][0]["lanes"][0].get("lost"))
        self.assertGreater(int(lost[0]["samples"]), 5000)
        self.assertEqual(trawld.log().count("The queue to storage is full"), 1)
        self.assertEqual([t["health"] for t in trawld.targets()], ["up"])

    def test_a_page_that_the_queue_cannot_hold_is_down_with_a_reason_and_alone(self):
        large = self.exporter(lambda path, n: self.page(50_000))
        small = self.exporter(lambda path, n: "a 1\n")
        trawld = self.trawld(
            config("1s", ("large", [large.address]), ("small", [small.address])), "--shards=1",
            "--spool.in-memory", "--storage.max-queue-bytes=1MiB")
        trawld.wait_ready()

        wait_for("refused samples", lambda: trawld.metric(
            'trawl_append_dropped_samples_total{reason="refused"}') >= 50_000)
        path = trawld.data / "samples.db"
        ups = wait_for("up of both", lambda: {
            labels["job"]: value for _, labels, _, value in samples(path, "metric = 'up'")
        } if len(samples(path, "metric = 'up'")) > 3 else None)
        self.assertEqual(ups, {"large": 0, "small": 1})
        health = {t["scrapePool"]: (t["health"], t["lastError"]) for t in trawld.targets()}
        self.assertEqual(health["small"], ("up", ""))
        self.assertEqual(health["large"][0], "down")
        self.assertIn("the queue to storage holds", health["large"][1])
        self.assertEqual(trawld.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
