"""What the end-to-end tests share: real programs, free ports, a scripted exporter, and waiting.

Environment: TRAWL_BIN (the build's bin/), TRAWL_TOP (the checkout). Every test works in a
directory of its own, on 127.0.0.1, and ends the processes it started.
"""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

BIN = pathlib.Path(os.environ["TRAWL_BIN"])
TOP = pathlib.Path(os.environ["TRAWL_TOP"])
PEERS = TOP / "build" / "peers" / "bin"
# What the programs are built with, and how a sanitizer is told where its reports go.
SANITIZED = bool(os.environ.get("TRAWL_SANITIZE"))
ASAN_OPTIONS = os.environ.get("ASAN_OPTIONS", "")


def free_port():
    """A port nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=30):
    """Polls until condition() is truthy, and returns it; errors while polling count as not yet."""
    deadline = time.monotonic() + seconds
    error = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except (OSError, urllib.error.URLError, sqlite3.Error, ValueError, LookupError) as e:
            error = e
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}; last error: {error}")


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def get_json(url):
    return json.loads(get(url))


class Exporter:
    """An exporter on a free port. `page(path, n)` gives the body of the n-th scrape (from 1), as text
    or as (status, content type, text); `credentials` asks for basic auth; `answered(n)` is called when
    the n-th answer was handed to the kernel. On 127.0.0.1, or with `host` "" on all of 127.0.0.0/8."""

    def __init__(self, page, credentials=None, answered=None, host="127.0.0.1"):
        exporter = self
        self.scrapes = 0
        self.requests = []
        self.connections = set()  # client addresses
        self.sockets = set()
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                exporter.sockets.add(self.connection)

            def do_GET(self):
                with exporter.lock:
                    exporter.requests.append((self.path, dict(self.headers)))
                    exporter.connections.add(self.client_address)
                    allowed = credentials is None or self.headers.get("Authorization") == (
                        "Basic " + base64.b64encode(credentials.encode()).decode())
                    if allowed:
                        exporter.scrapes += 1
                    n = exporter.scrapes
                answer = page(self.path, n) if allowed else (401, "text/plain", "")
                if isinstance(answer, str):
                    answer = (200, "text/plain; version=0.0.4", answer)
                status, content_type, text = answer
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if answered is not None:
                    answered(n)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.handle_error = lambda *_: None  # a killed scraper leaves connections behind
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Also of connections that are kept alive: whoever asks from now on is refused."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.sockets):
            with contextlib.suppress(OSError):  # closed long ago
                connection.shutdown(socket.SHUT_RDWR)


class Program:
    """A running program and its log."""

    def __init__(self, name, arguments, directory):
        self.name = name
        self.log_path = pathlib.Path(directory) / f"{name}-{time.monotonic_ns()}.log"
        with open(self.log_path, "wb") as log:
            self.process = self.popen([str(a) for a in arguments], stdout=log,
                                      stderr=subprocess.STDOUT, cwd=directory)

    def popen(self, command, **options):
        """Starts the process; for those who start it in another way."""
        return subprocess.Popen(command, **options)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=15):
        """SIGTERM, and its exit code; SIGKILL when it takes too long."""
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not stop in {seconds} s:\n{self.log()[-3000:]}")


class Trawld(Program):
    def __init__(self, directory, config, *flags, data=None, grpc=None):
        self.grpc = grpc or f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.config = pathlib.Path(directory) / "prometheus.yml"
        if config is not None:
            self.config.write_text(config)
        self.data = data or pathlib.Path(directory) / "data"
        super().__init__("trawld", [
            BIN / "trawld", f"--config.file={self.config}", f"--data-dir={self.data}",
            f"--grpc.listen-address={self.grpc}", f"--web.listen-address={self.http}", *flags],
            directory)

    def wait_ready(self):
        def ready():
            if not self.running():
                raise AssertionError(f"trawld ended:\n{self.log()[-3000:]}")
            return get(f"http://{self.http}/-/ready")
        wait_for("trawld to be ready", ready)
        return self

    def targets(self, state="active"):
        data = get_json(f"http://{self.http}/api/v1/targets?state={state}")["data"]
        return data["activeTargets" if state == "active" else "droppedTargets"]

    def wait_up(self, count):
        def all_up():
            targets = self.targets()
            return len(targets) == count and all(t["health"] == "up" for t in targets)
        try:
            wait_for(f"{count} targets to be up", all_up)
        except AssertionError:
            raise AssertionError(f"targets: {json.dumps(self.targets(), indent=1)}\n"
                                 f"{self.log()[-3000:]}") from None

    def resident(self, field="VmRSS"):
        """Bytes of memory that the process takes; VmHWM: took at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines()
                    if line.startswith(field + ":"))

    def metric(self, name):
        """Sum of a metric's series on /metrics."""
        total = 0.0
        for line in get(f"http://{self.http}/metrics").splitlines():
            if line.startswith((name + " ", name + "{")):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def grpcurl(self, method, request=None, check=True):
        """The answer of a call as (decoded JSON or text); raises with grpcurl's words on failure."""
        command = [PEERS / "grpcurl", "-plaintext", "-max-time", "20"]
        if request is not None:
            command += ["-d", json.dumps(request)]
        result = subprocess.run([*command, self.grpc, *method.split()], capture_output=True,
                                text=True, timeout=30)
        if check and result.returncode != 0:
            raise AssertionError(f"grpcurl {method}: {result.stderr}\n{self.log()[-2000:]}")
        if not check:
            return result
        try:
            return json.loads(result.stdout)
        except ValueError:
            return result.stdout

    def trawlctl(self, *arguments, check=True, stdin=None):
        result = subprocess.run([BIN / "trawlctl", "--address", self.grpc, *map(str, arguments)],
                                capture_output=True, text=True, timeout=30, input=stdin)
        if check and result.returncode != 0:
            raise AssertionError(f"trawlctl {arguments}: {result.stderr}")
        return result


class Store(Program):
    def __init__(self, directory, *flags, path=None, address=None):
        self.grpc = address or f"127.0.0.1:{free_port()}"
        self.path = path or pathlib.Path(directory) / "store.db"
        super().__init__("trawl-store", [
            BIN / "trawl-store", f"--grpc.listen-address={self.grpc}",
            f"--data-dir={directory}/store-data", *(flags or [f"--sqlite.path={self.path}"])],
            directory)

    def wait_ready(self):
        host, port = self.grpc.split(":")

        def connects():
            if not self.running():
                raise AssertionError(f"trawl-store ended:\n{self.log()[-3000:]}")
            with socket.create_connection((host, int(port)), 1):
                return True
        wait_for("trawl-store to listen", connects)
        return self


def samples(path, where="1"):
    """(metric, labels, timestamp_ms, value) rows of a store's file, without stale markers; NaN is
    None."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        rows = db.execute(
            f"select metric, labels, timestamp_ms, value from samples where {where} and not stale"
        ).fetchall()
    return [(m, json.loads(l), t, v) for m, l, t, v in rows]


class EndToEndTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="trawl-e2e-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        if SANITIZED:
            self.watch_sanitizers()

    def watch_sanitizers(self):
        """A sanitizer's report on any program fails the test, also if the test kills the program or
        expects its failure."""
        os.environ["ASAN_OPTIONS"] = f"{ASAN_OPTIONS}:log_path={self.directory}/sanitizer"

        def check():
            reports = [path.read_text() for path in sorted(self.directory.glob("sanitizer.*"))]
            # gcc's UndefinedBehaviorSanitizer heeds no log_path.
            logs = [path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log"))]
            reports += [log for log in logs if ": runtime error: " in log]
            self.assertFalse(reports, "\n".join(reports))
        self.addCleanup(check)

    def assert_memory_below(self, used, limit):
        """A sanitizer keeps what is freed, to tell when it is read: sizes say nothing then."""
        if not SANITIZED:
            self.assertLess(used, limit)

    def exporter(self, page, credentials=None):
        exporter = Exporter(page, credentials)
        self.addCleanup(exporter.close)
        return exporter

    def program(self, name, *arguments):
        return self.started(Program(name, arguments, self.directory))

    def started(self, program):
        def end():
            if program.running():
                program.process.send_signal(signal.SIGCONT)
                if SANITIZED:  # leaks are looked for when a program ends by itself
                    with contextlib.suppress(AssertionError):
                        program.stop(30)
                program.process.kill()
            program.process.wait()
        self.addCleanup(end)
        return program

    def trawld(self, config, *flags, **options):
        return self.started(Trawld(self.directory, config, *flags, **options))

    def store(self, *flags, **options):
        return self.started(Store(self.directory, *flags, **options)).wait_ready()
