"""Nothing of ours leaves a listener behind: the ports that are listened on now are those from
before the tests' packages were installed (tests/run.sh notes them)."""
import os
import pathlib
import unittest

TOP = pathlib.Path(os.environ["TRAWL_TOP"])


def listening():
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class NoServiceLeftTest(unittest.TestCase):
    def test_no_port_is_listened_on_that_was_not_before(self):
        noted = TOP / "build" / "listening-before.txt"
        self.assertTrue(noted.exists(), "run by tests/run.sh, which notes the ports first")
        before = {int(port) for port in noted.read_text().split()}
        self.assertEqual(listening() - before, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
