"""deploy/quickstart.sh, without what it installs and builds: its last line comes whoever ends it, and
nothing that it started is left. It runs at a terminal; its ports may be taken on this machine, so
others stand in for them."""
import os
import pathlib
import pty
import re
import shutil
import signal
import threading
import unittest

from harness import BIN, PEERS, TOP, EndToEndTest, free_port, wait_for

PORTS = ("8729", "8730", "9100")


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(arguments[0], [str(a) for a in arguments])
        self.text = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        """Until nobody has the terminal any more."""
        try:
            while more := os.read(self.fd, 65536):
                self.text += more.decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            pass

    def type(self, keys):
        os.write(self.fd, keys)

    def wait(self):
        self.reader.join(60)
        if self.reader.is_alive():
            os.killpg(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


class QuickstartTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.ports = {port: str(free_port()) for port in PORTS}
        shutil.copytree(TOP / "deploy" / "quickstart", self.directory / "deploy" / "quickstart")
        for name in ("quickstart.sh", "quickstart/prometheus.yml"):
            text = (TOP / "deploy" / name).read_text()
            for port, other in self.ports.items():
                text = text.replace(port, other)
            self.script(f"deploy/{name}", text.replace("scrape_interval: 5s", "scrape_interval: 1s"))
        for name in ("install-deps", "build", "fetch-peers"):
            self.script(f"deploy/{name}.sh", "#!/bin/sh\n")
        grpc, http, _ = self.ports.values()
        self.script("build/release/bin/trawld",
                    f'#!/bin/sh\nexec {BIN}/trawld --grpc.listen-address=127.0.0.1:{grpc} '
                    f'--web.listen-address=127.0.0.1:{http} "$@"\n')
        self.script("build/release/bin/trawlctl",
                    f'#!/bin/sh\nexec {BIN}/trawlctl --address 127.0.0.1:{grpc} "$@"\n')
        (self.directory / "build" / "peers").mkdir()
        (self.directory / "build" / "peers" / "bin").symlink_to(PEERS)

    def script(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def quickstart(self, *arguments):
        """With every target up, and samples stored."""
        terminal = Terminal(self.directory / "deploy" / "quickstart.sh", *arguments)
        try:
            wait_for("two targets and samples", lambda: re.search(
                r"targets: 2 up .* total: [1-9]", terminal.text), 60)
        except AssertionError:
            terminal.type(b"\x03")
            terminal.wait()
            print(terminal.text)
            raise
        return terminal

    def assert_nothing_is_left(self):
        left = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                if any(port.encode() in self.read(p) for port in self.ports.values())]
        self.assertEqual([self.read(p) for p in left], [])

    @staticmethod
    def read(path):
        try:
            return path.read_bytes()
        except OSError:
            return b""

    def test_ctrl_c_ends_it_with_what_was_stored(self):
        terminal = self.quickstart()
        terminal.type(b"\x03")
        self.assertEqual(terminal.wait(), 0, terminal.text)
        self.assertRegex(terminal.text.splitlines()[-1],
                         r"^stored [1-9]\d* samples of \d+ series from 2 targets in "
                         "build/quickstart/data/samples.db$")
        self.assert_nothing_is_left()

    def test_a_trawld_that_ends_by_itself_is_said(self):
        terminal = self.quickstart("--for", "60s")
        lock = self.directory / "build" / "quickstart" / "data" / "lock"
        os.kill(int(lock.read_text()), signal.SIGKILL)
        self.assertEqual(terminal.wait(), 1, terminal.text)
        self.assertIn("trawld has ended by itself, with 137", terminal.text)
        self.assertRegex(terminal.text.splitlines()[-1], r"^stored [1-9]\d* samples")
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
