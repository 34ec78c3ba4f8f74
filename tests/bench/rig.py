"""What benches in Python share: a directory, programs of a build, exporters, and reading metrics."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
RELEASE = TOP / "build" / "release" / "bin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def metric(port, name):
    """Sum of a metric's series on a trawld's /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith((name + " ", name + "{")))


class Rig:
    """Starts programs of a build in a directory of its own, and ends them with the with block, which
    leaves the directory only if it failed."""

    def __init__(self, name, bin):
        self.bin = bin
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f"trawl-{name}-"))
        self.started = []
        subprocess.run(["tar", "--zstd", "-xf", TOP / "tests/data/exposition-captures.tar.zst",
                        "-C", self.work], check=True)

    def start(self, name, program, *arguments):
        """Its log is NAME.log, over restarts."""
        with open(self.work / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(a) for a in (self.bin / program, *arguments)],
                                       stdout=log, stderr=log)
        self.started.append(process)
        return process

    def farm(self, name, targets, port, *arguments, write_port=0):
        """Exporters, listed in NAME.json for file_sd."""
        return self.start(name, "exporter_farm", "--bodies", self.work / "node_exporter",
                          "--targets", targets, "--port", port, "--write-port", write_port,
                          "--file-sd", self.work / f"{name}.json", *arguments)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            process.wait(20)
        if failure is None:
            shutil.rmtree(self.work)
        else:
            print(f"what there was is left in {self.work}")
