"""What kill_rig.py kills: a scraper and its storage, trawl's and the peers'."""
import contextlib
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.parse

from harness import BIN, PEERS, free_port, get, wait_for


class Child:
    """A program that is started, killed, stopped and continued."""

    def __init__(self, name, command, directory):
        self.name, self.command, self.directory = name, [str(c) for c in command], directory
        self.process = None

    def start(self):
        log = open(pathlib.Path(self.directory) / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.directory)
        log.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def waits(self, threads):
        """Of each thread whose name begins like this: seconds since its start in which it could have run
        and had no core; 0 where the kernel doesn't say. What a thread waits for just now is not in it."""
        waits = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it ended
                if (task / "comm").read_text().startswith(threads):
                    waits[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
        return waits

    def freeze(self, threads):
        """As far as these threads go the process is dead when this returns: none of them runs another
        instruction. All that they waited for a core is in waits()."""
        self.process.send_signal(signal.SIGSTOP)

        def stopped(task):
            with contextlib.suppress(OSError):
                if (task / "comm").read_text().startswith(threads):
                    return (task / "stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
            return True
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        wait_for(f"{self.name} to stop", lambda: all(stopped(task) for task in tasks.iterdir()))

    def end(self, number, seconds=90):
        """Sends a signal and waits; how long that took."""
        begin = time.monotonic()
        if self.running():
            if number != signal.SIGKILL:  # which also takes what is stopped
                self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(seconds)
        return time.monotonic() - begin


class Trawl:
    """trawld, streaming to trawl-store with SQLite."""

    more_config = ""
    threads = "shard-"  # that scrape

    def __init__(self, directory, config, flags=()):
        grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.grpc = f"127.0.0.1:{free_port()}"
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "store.db"
        self.store = Child("trawl-store", [
            BIN / "trawl-store", f"--grpc.listen-address={grpc}", f"--sqlite.path={self.path}",
            f"--data-dir={directory}/store"], directory)
        self.scraper = Child("trawld", [
            BIN / "trawld", f"--config.file={config}", f"--data-dir={directory}/data",
            f"--storage.address={grpc}", f"--grpc.listen-address={self.grpc}",
            f"--web.listen-address={self.http}", *flags], directory)

    def ready(self):
        return get(f"http://{self.http}/-/ready")

    def keep_evidence(self, name):
        """What the spool of the run that was just killed holds: for trawlctl spool --data-dir."""
        data, kept = self.directory / "data", self.directory / "kills" / name
        epochs = sorted((data / "spool").glob("*"), key=lambda epoch: int(epoch.name))
        kept.mkdir(parents=True)
        for file in ("writer-id", "epoch"):
            if (data / file).exists():
                shutil.copy(data / file, kept)
        if epochs:
            shutil.copytree(epochs[-1], kept / "spool" / epochs[-1].name)

    def lanes(self):
        """Of all sinks: (epoch, next number, durable number)."""
        sinks = subprocess.run([BIN / "trawlctl", "--address", self.grpc, "--json", "sinks"],
                               capture_output=True, text=True, timeout=30)
        return [(int(lane["epoch"]), int(lane["nextNumber"]), int(lane.get("durable", 0)))
                for sink in json.loads(sinks.stdout) for lane in sink["lanes"]]

    def drained(self):
        """Earlier runs' lanes are gone, the running one's are almost durable."""
        lanes = self.lanes()
        return lanes and len({epoch for epoch, _, _ in lanes}) == 1 and all(
            durable + 50 > following for _, following, durable in lanes)

    def settle(self):
        """What was scraped up to now is stored."""
        wanted = self.lanes()
        wait_for("what was scraped to be durable", lambda: all(
            now[2] >= then[1] - 1 for now, then in zip(self.lanes(), wanted)), 60)

    def rows(self, metric):
        """(instance, timestamp, value) of each stored sample."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as db:
            return [(json.loads(labels)["instance"], at, value) for labels, at, value in db.execute(
                "select labels, timestamp_ms, value from samples where metric = ? and not stale", (metric,))]


class Peer:
    """vmagent or the Prometheus agent, writing to VictoriaMetrics."""

    threads = ""  # any may scrape

    def __init__(self, directory, config, name):
        store = self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        url = f"http://{store}/api/v1/write"
        self.more_config = "" if name == "vmagent" else f'remote_write: [{{url: "{url}"}}]\n'
        self.store = Child("victoria-metrics", [
            PEERS / "victoria-metrics", f"-storageDataPath={directory}/vm", f"-httpListenAddr={store}",
            "-retentionPeriod=1d", "-dedup.minScrapeInterval=0"], directory)
        if name == "vmagent":
            command = [PEERS / "vmagent", f"-promscrape.config={config}", f"-remoteWrite.url={url}",
                       f"-remoteWrite.tmpDataPath={directory}/queue", f"-httpListenAddr={self.http}"]
        else:
            command = [PEERS / "prometheus", "--enable-feature=agent", f"--config.file={config}",
                       f"--storage.agent.path={directory}/agent", f"--web.listen-address={self.http}"]
        self.scraper = Child(name, command, directory)

    def ready(self):
        return get(f"http://{self.http}/-/ready") if self.scraper.name == "prometheus" else get(
            f"http://{self.http}/health")

    def keep_evidence(self, name):
        """Nothing: how they lose is known."""

    def drained(self):
        """What was scraped just now is stored: the peers send in order, and say it in no number."""
        newest = [max(series["timestamps"]) for series in self.export("scrape_number")]
        return newest and min(newest) > 1000 * (time.time() - 3)

    def settle(self):
        time.sleep(10)

    def export(self, metric):
        get(f"http://{self.address}/internal/force_flush", timeout=30)
        query = urllib.parse.urlencode({"match[]": metric})
        text = get(f"http://{self.address}/api/v1/export?{query}", timeout=60)
        return [json.loads(line) for line in text.splitlines()]

    def rows(self, metric):
        # The same sample sent twice is stored once by VictoriaMetrics or not; by time it is one.
        return sorted({(series["metric"]["instance"], at, value) for series in self.export(metric)
                       for at, value in zip(series["timestamps"], series["values"]) if value is not None})
