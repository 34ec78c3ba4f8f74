"""What the documents show is what the programs do: each line of README.md that somebody may type is
run, and what is printed under it is compared with what comes today.

A line is typed as it stands there, but for its addresses: theirs may be taken on this machine, so
others stand in for them (Addresses), and trawlctl is told where its trawld is. A line, a command in
the text or a flag that no test here knows is an error: the lists are closed.
"""
import json
import os
import re
import signal
import subprocess
import unittest

from certificates import Certificates
from document import blocks, flags, normal, sessions, shows, spans, typed_lines
from harness import (BIN, PEERS, TOP, EndToEndTest, Program, Trawld, free_port, get, samples,
                     wait_for)

README = (TOP / "README.md").read_text()
QUICKSTART = (TOP / "deploy" / "quickstart" / "prometheus.yml").read_text()
DISCOVERY, STATUS = "trawl.discovery.v1.DiscoveryService", "trawl.status.v1.StatusService"

# What differs from run to run, and its one form. Each must be met in the README.
VARIES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"^\d{13}\|", "MILLISECONDS|"),
    (r"^TIME  [\d.]+  node_load1", "TIME  LOAD  node_load1"),
    (r"/metrics  [\d.]+m?s ago  [\d.]+(us|ms|s)  \d+  ", "/metrics  AGO  DURATION  N  "),
    (r'"ipv4:127\.0\.0\.1:\d+"', '"ipv4:127.0.0.1:PORT"'),
    (r'"(samples|scrapes)": "[1-9]\d*"', r'"\1": "N"'),
]

# Flags of other programs that the documents speak of.
OTHERS_FLAGS = {
    "--enable-feature": "prometheus'",
    "--spool": "a benchmark's",
    "--storage": "a benchmark's",
}


class Addresses:
    """Where on this machine is what the documents say is at their addresses."""

    def __init__(self, there):
        self.there = there  # as in the document -> here

    def here(self, text):
        for documented, actual in self.there.items():
            text = text.replace(documented, actual)
        return text

    def as_documented(self, text):
        for documented, actual in self.there.items():
            text = text.replace(actual, documented)
        return text


def shell(text, directory, check=True):
    """Types a line, with the programs of the build and of the peers at hand."""
    path = os.pathsep.join([str(BIN), str(PEERS), os.environ["PATH"]])
    result = subprocess.run(["bash", "-c", text], cwd=directory, text=True, timeout=60,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, "PATH": path})
    if check and result.returncode != 0:
        raise AssertionError(f"{text}: exit code {result.returncode}\n{result.stdout}")
    return result


def help_of(*command):
    return subprocess.run([*map(str, command), "--help"], capture_output=True, text=True,
                          timeout=30, check=True).stdout


def subcommands(*command):
    """Of trawlctl, or of one of its commands."""
    words = help_of(BIN / "trawlctl", *command).partition("Subcommands:")[2]
    return re.findall(r"^  (\w+) ", words, re.MULTILINE)


def flags_of_trawlctl(*command):
    found = set(flags(help_of(BIN / "trawlctl", *command)))
    for name in subcommands(*command):
        found |= flags_of_trawlctl(*command, name)
    return found


class ReadmeTest(EndToEndTest):
    """trawld with the quickstart's configuration, which the README's examples run against."""

    def setUp(self):
        super().setUp()
        exporter = f"127.0.0.1:{free_port()}"
        self.program("node-exporter", PEERS / "prometheus-node-exporter",
                     f"--web.listen-address={exporter}")
        self.addresses = Addresses({"127.0.0.1:9100": exporter,
                                    "127.0.0.1:8730": f"127.0.0.1:{free_port()}"})
        wait_for("the exporter", lambda: get(f"http://{exporter}/metrics"))
        # As README says: the data is in ./data, and so are the samples.
        self.server = self.trawld(self.addresses.here(QUICKSTART),
                                  f"--web.listen-address={self.addresses.there['127.0.0.1:8730']}")
        self.server.http = self.addresses.there["127.0.0.1:8730"]
        self.server.wait_ready()
        self.addresses.there["localhost:8729"] = self.server.grpc.replace("127.0.0.1", "localhost")

    def type(self, text, check=True):
        text = re.sub(r"^trawlctl ", f"trawlctl --address {self.server.grpc} ", text)
        return shell(self.addresses.here(text), self.directory, check)

    def wait_scraped(self):
        """A scrape interval later: every target is up, and its samples are stored."""
        def up():
            targets = self.server.targets()
            return targets and all(t["health"] == "up" for t in targets)
        wait_for("every target to be up", up)
        wait_for("samples", lambda: {l["job"] for _, l, _, _ in samples(
            self.server.data / "samples.db", "metric = 'up'")} >= {"node", "trawl"})

    def test_each_line_of_a_session_gives_what_is_printed_under_it(self):
        found = sessions(README)
        self.assertGreaterEqual(len(found), 8)
        for command in found:
            with self.subTest(line=command.line, command=command.text):
                self.wait_scraped()
                actual = self.addresses.as_documented(self.type(command.text).stdout).splitlines()
                printed, today = normal(command.output, VARIES), normal(actual, VARIES)
                self.assertTrue(printed)
                if not shows(printed, today):
                    self.assertEqual(printed, today)

    def test_nothing_is_taken_as_varying_that_the_readme_does_not_show(self):
        printed = "\n".join(line for c in sessions(README) for line in normal(c.output, []))
        for pattern, replacement in VARIES:
            printed, times = re.subn(pattern, replacement, printed, flags=re.MULTILINE)
            self.assertTrue(times, pattern)

    def test_each_command_in_the_text_does_what_is_said_of_it(self):
        """(what is typed for it, exit code, what comes), by the words in the README."""
        (self.directory / "targets.json").write_text(
            json.dumps([{"targets": [self.addresses.there["127.0.0.1:9100"]],
                         "labels": {"team": "blue"}}]))
        self.wait_scraped()
        url = f"http://{self.addresses.there['127.0.0.1:9100']}/metrics"
        file = self.server.config
        said = {
            # In this order, as they build on each other.
            "trawlctl targets": ("targets", 0, url),
            "trawlctl target TARGET": (f"target {url}", 0, "FIRST BYTE"),
            "trawlctl pools": ("pools", 0, r"pushed +0 "),
            "sinks": ("sinks", 0, "embedded"),
            "trawlctl push targets.json --job pushed":
                ("push targets.json --job pushed", 0, "1 added"),
            "push FILE --job JOB": ("push targets.json --job pushed", 0, "0 added"),
            "sources": ("sources", 0, "trawlctl +PUSHED"),
            "groups": ("groups", 0, r'team="blue"'),
            "trawlctl groups": ("groups --source trawlctl", 0, "pushed"),
            "trawlctl update": ("update --job pushed --key more --label team=red 127.0.0.1:1", 0,
                                "1 added"),
            "trawlctl sources accept SOURCE": 
                ("sources accept trawlctl", 0, "accepted: 0 targets removed"),
            "trawlctl sources accept SOURCE --what restored":
                ("sources accept trawlctl --what restored", 0, "accepted: .* 2 listed"),
            "release SOURCE": ("release trawlctl --remove-targets", 0, "2 targets removed"),
            "sync": ("sync --file-sd pushed=targets.json --once", 0, "targets=1"),
            "trawlctl sync": ("sync --file-sd 'targets.json' --job pushed --once", 0, "targets=1"),
            "reload": ("reload", 0, "reloaded"),
            "check config FILE": (f"check config {file}", 0, "is valid: 3 jobs"),
            "spool skip SINK LANE RECORD": ("spool skip embedded 0 1", 1, "waits for record"),
            "trawlctl explain TARGET": (f"explain {url} --job node", 0, r"INSTANCE +\+ instance="),
            "--job JOB --label name=value …":
                ("explain --job node --label __address__=a:1", 0, 'RESULT .*instance="a:1"'),
            "trawlctl scrape TARGET":
                (f"scrape {url} --job node", 0, r"metric_relabel_configs\[0\](?s:.*)KEPT(?s:.*)UP in "),
            "trawlctl plan FILE": (f"plan {file}", 0, "UNCHANGED"),
            "trawlctl config": ("config", 0, "job_name: pushed"),
            # By their own tests below.
            "trawlctl targets --watch": None,
            "targets": None,
            "pools": None,
            "trawlctl": None,
        }
        written = {span for span in spans(README) if span in said
                   or span.split()[0] in ("trawlctl", "grpcurl", *subcommands())}
        self.assertEqual(written, set(said))
        for words, expected in said.items():
            if expected is None:
                continue
            arguments, code, what = expected
            with self.subTest(words=words):
                result = self.type("trawlctl " + arguments, check=False)
                self.assertEqual(result.returncode, code, result.stdout)
                self.assertTrue(re.search(what, result.stdout), result.stdout[:2000])

    def test_a_watch_goes_on_with_what_comes(self):
        self.wait_scraped()
        watch = self.program("trawlctl", BIN / "trawlctl", "--address", self.server.grpc, "targets",
                             "--watch")
        wait_for("the table", lambda: "JOB" in watch.log())
        self.server.trawlctl("update", "--job", "pushed", "--key", "k", "127.0.0.1:1")
        wait_for("what came", lambda: "127.0.0.1:1" in watch.log())

    def test_several_addresses_are_merged(self):
        self.wait_scraped()
        other = self.started(Trawld(self.directory, None, data=self.directory / "other"))
        other.wait_ready()
        for command in ("targets", "pools", "sources"):
            with self.subTest(command=command):
                one = json.loads(self.server.trawlctl("--json", command).stdout)
                both = json.loads(self.server.trawlctl(
                    "--json", "--address", f"{self.server.grpc},{other.grpc}", command).stdout)
                self.assertEqual(len(both), 2 * len(one), both)

    def test_an_address_that_stands_twice_is_one_server(self):
        self.wait_scraped()
        twice = f"{self.server.grpc},{self.server.grpc}"
        for command in ("targets", "sinks"):
            with self.subTest(command=command):
                once = self.server.trawlctl("--json", command)
                both = self.server.trawlctl("--json", "--address", twice, command)
                self.assertEqual(len(json.loads(both.stdout)), len(json.loads(once.stdout)))

    def test_json_is_an_array_of_objects(self):
        self.wait_scraped()
        url = f"http://{self.addresses.there['127.0.0.1:9100']}/metrics"
        db = self.server.data / "samples.db"
        (self.directory / "targets.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
        for command in ("targets", f"target {url}", "pools", "sinks", "reload", "version",
                        f"explain {url}", f"scrape {url}", f"plan {self.server.config}", "config",
                        "push targets.json --job pushed", "groups", "sources",
                        "update --job pushed --key k 127.0.0.1:2", "sources accept trawlctl",
                        "release trawlctl", f"check config {self.server.config}",
                        f"samples up --sqlite.path {db}", f"samples --summary --sqlite.path {db}",
                        "spool ls --data-dir data", "spool verify --data-dir data",
                        "spool dump --data-dir data"):
            with self.subTest(command=command):
                result = shell(f"trawlctl --address {self.server.grpc} --json {command}",
                               self.directory)
                answer = json.loads(result.stdout)
                self.assertIsInstance(answer, list)
                self.assertTrue(all(isinstance(o, dict) for o in answer), answer)

    def test_exit_codes_tell_what_happened(self):
        changed = self.directory / "changed.yml"
        text = self.server.config.read_text()
        changed.write_text(text.replace("job_name: pushed", "job_name: x"))
        for arguments, code in ((["pools"], 0), ([f"plan {changed}"], 4), (["pools --no-such"], 2),
                                ([], 2), (["no-such"], 2), (["release nobody"], 1),
                                (["plan /nonexistent"], 1), (["--address 127.0.0.1:1 pools"], 3),
                                (["scrape http://nowhere/"], 1)):
            with self.subTest(arguments=arguments):
                result = shell(" ".join(["trawlctl --address", self.server.grpc, *arguments]),
                               self.directory, check=False)
                self.assertEqual(result.returncode, code, result.stdout)

    def test_the_pages_that_are_named_are_there(self):
        self.wait_scraped()
        url = f"http://{self.addresses.there['127.0.0.1:9100']}/metrics"
        named = {s for s in spans(README) if re.match(r"(GET |POST )?/[-a-z]", s)}
        gets = {s.removeprefix("GET ") for s in named if not s.startswith("POST ")}
        self.assertEqual(gets, {"/metrics", "/targets", "/api/v1/targets", "/-/healthy", "/-/ready",
                                "/api/v1/targets/explain", "/api/v1/status/config"})
        for path in gets:
            query = f"?scrapeUrl={url}&scrapePool=node" if path.endswith("explain") else ""
            self.assertTrue(get(f"http://{self.server.http}{path}{query}"), path)
        # What acts is off: test_explain.py turns it on.
        self.assertEqual(named - gets - {f"GET {p}" for p in gets}, {"POST /api/v1/targets/scrape"})
        refused = shell(f"curl -s -X POST {self.server.http}/api/v1/targets/scrape", self.directory)
        self.assertIn("admin APIs disabled", refused.stdout)

    def test_what_the_quickstart_says_to_try_works(self):
        script = (TOP / "deploy" / "quickstart.sh").read_text()
        lines = script.partition("cat <<TEXT\n")[2].partition("\nTEXT\n")[0].splitlines()
        commands = [line.strip() for line in lines if line.startswith("  ")]
        self.assertEqual(len(commands), 5)
        self.wait_scraped()
        for command in commands:
            with self.subTest(command=command):
                command = command.replace('${db#"$top"/}', "data/samples.db")
                command = command.replace("/tmp/t.json", "t.json")
                result = self.type(command.removeprefix("build/release/bin/"))
                self.assertTrue(result.stdout or ">" in command)


class LinesTest(EndToEndTest):
    """The lines of the README without output, and the flags that the documents name."""

    def setUp(self):
        super().setUp()
        self.addresses = Addresses({})

    def start(self, text, directory, *more):
        """Starts a line that runs until SIGTERM."""
        path = os.pathsep.join([str(BIN), os.environ["PATH"]])
        text = " ".join(["exec", self.addresses.here(text), *more])
        program = Program(text.split()[1], ["env", f"PATH={path}", "bash", "-c", text], directory)
        return self.started(program)

    def end(self, program):
        program.signal(signal.SIGTERM)
        self.assertEqual(program.process.wait(20), 0, program.log())

    def line(self, start):
        """The README's line that begins so."""
        [found] = [c.text for c in typed_lines(README) if c.text.startswith(start)]
        return found

    def home(self, name, config):
        directory = self.directory / name
        directory.mkdir()
        (directory / "prometheus.yml").write_text(config)
        return directory

    def listen(self, program, http):
        def ready():
            self.assertTrue(program.running(), program.log())
            return get(f"http://{http}/-/ready")
        wait_for("trawld to be ready", ready)

    def test_each_line_is_run_by_a_test(self):
        # These two are what runs this test, and the quickstart, which needs a whole machine.
        elsewhere = ["deploy/quickstart.sh --for 30s", "tests/run.sh"]
        here = ["trawld --config.file=prometheus.yml",
                "trawld --config.file=prometheus.yml --storage.address=127.0.0.1:8731",
                "trawl-store --sqlite.path=samples.db",
                "trawlctl --address trawl-0:8729,trawl-1:8729 sync",
                "trawlctl --address trawl-0:8729 sync",
                "trawld --grpc.listen-address=:8729"]
        for command in typed_lines(README):
            self.assertTrue(command.text in elsewhere
                            or command.text.startswith(tuple(here)), command)
        languages = {b.language for b in blocks(README)}
        self.assertEqual(languages, {"", "sh", "cpp", "yaml"})
        typed = [b for b in blocks(README) if b.language != "sh" and not b.lines[0].startswith("$ ")
                 and any(re.match(r"\s*(trawlctl|grpcurl|trawld) ", line) for line in b.lines)]
        self.assertEqual(typed, [])

    def test_trawld_and_its_stores_run_as_said(self):
        exporter = self.exporter(lambda path, n: f"scrape_number {n}\n")
        config = ("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: node, "
                  f"static_configs: [{{targets: ['{exporter.address}']}}]}}]\n")
        store = self.home("store", config)
        self.addresses.there["127.0.0.1:8731"] = f"127.0.0.1:{free_port()}"
        alone, streaming = [c.text for c in typed_lines(README)
                            if c.text.startswith("trawld --config.file=prometheus.yml")]
        programs = [self.start(self.line("trawl-store "), store, "--grpc.listen-address",
                               self.addresses.there["127.0.0.1:8731"])]
        for name, line in (("alone", alone), ("streaming", streaming)):
            http = f"127.0.0.1:{free_port()}"
            programs.append(self.start(line, self.home(name, config),
                                       "--grpc.listen-address=127.0.0.1:0",
                                       f"--web.listen-address={http}"))
            self.listen(programs[-1], http)
        for path in (self.directory / "alone" / "data" / "samples.db", store / "samples.db"):
            wait_for(f"samples in {path}", lambda: samples(path, "metric = 'scrape_number'"))
        for program in reversed(programs):
            self.end(program)

    def test_sync_keeps_trawlds_at_what_files_say(self):
        config = ("global: {scrape_interval: 1h}\n"
                  "scrape_configs: [{job_name: node}, {job_name: mysql}]\n")
        servers = [self.started(Trawld(self.home(f"trawl-{n}", config), None)) for n in range(2)]
        for n, server in enumerate(servers):
            server.wait_ready()
            self.addresses.there[f"trawl-{n}:8729"] = server.grpc
        here = self.home("files", "")
        (here / "targets").mkdir()
        nodes = [f"127.0.0.1:{port}" for port in range(1, 41)]
        for n in range(2):
            (here / "targets" / f"node-{n}.json").write_text(json.dumps([{"targets": nodes[n::2]}]))
        (here / "targets" / "db.yml").write_text("- targets: ['127.0.0.1:99']\n")

        def listed(server):
            return sorted(t["discoveredLabels"]["__address__"] for t in server.targets())

        shared = self.start(self.line("trawlctl --address trawl-0:8729,trawl-1:8729 sync"), here)
        wait_for("all targets to be somewhere", lambda: sorted(
            listed(servers[0]) + listed(servers[1])) == sorted([*nodes, "127.0.0.1:99"]))
        self.assertTrue(listed(servers[0]) and listed(servers[1]))
        kept = listed(servers[1])
        self.end(shared)
        self.assertEqual(listed(servers[1]), kept)

        shell(self.addresses.here(self.line("trawlctl --address trawl-0:8729 sync")), here)
        self.assertEqual(listed(servers[0]), sorted(nodes))

    def test_who_may_do_what_is_so(self):
        certificates = Certificates(self.directory)
        certificates.issue("tls", "trawld")
        for name, known_as in (("k8s", "k8s.pushers.example"), ("grafana", "grafana.example"),
                               ("oncall", "oncall.example")):
            certificates.issue(name, "somebody", f"DNS:{known_as}")
        (self.directory / "prometheus.yml").write_text(
            "scrape_configs: [{job_name: node}, {job_name: api}, {job_name: other}]\n")
        (self.directory / "t.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
        port, http = free_port(), f"127.0.0.1:{free_port()}"
        self.addresses.there["address=:8729"] = f"address=:{port}"
        server = self.start(self.line("trawld --grpc.listen-address"), self.directory,
                            f"--web.listen-address={http}")
        self.listen(server, http)
        for name, command, words in (
                ("k8s", "push t.json --source k8s-eu --job node", ""),
                ("k8s", "push t.json --source k8s-eu --job api", ""),
                ("k8s", "push t.json --source k8s-eu --job other", "other"),
                ("k8s", "push t.json --source consul --job node",
                 'may not push the source "consul"'),
                ("k8s", "reload", "it is not an operator"),
                ("k8s", "targets", "k8s.pushers.example"),
                ("grafana", "targets", ""),
                ("grafana", "push t.json --source k8s-eu --job node", "may not push"),
                ("grafana", "reload", "it is not an operator"),
                ("grafana", "plan prometheus.yml", "it is not an operator"),
                ("oncall", "targets", ""),
                ("oncall", "plan prometheus.yml", ""),
                ("oncall", "reload", ""),
                ("oncall", "sources accept k8s-eu", ""),
                ("oncall", "release k8s-eu --remove-targets --force", "")):
            with self.subTest(name=name, command=command):
                result = shell(
                    f"trawlctl --address 127.0.0.1:{port} --tls-ca-file=ca.crt "
                    f"--tls-cert-file={name}.crt --tls-key-file={name}.key {command}",
                    self.directory, check=False)
                self.assertEqual(result.returncode, 1 if words else 0, result.stdout)
                self.assertIn(words, result.stdout)
        self.end(server)

    def test_flags_that_the_documents_name_are_there(self):
        ours = set(flags(help_of(BIN / "trawld"))) | set(flags(help_of(BIN / "trawl-store")))
        ours |= flags_of_trawlctl()
        ours |= set(flags(help_of(TOP / "deploy" / "quickstart.sh")))
        ours |= set(flags(help_of(TOP / "tests" / "run.sh")))
        documents = [p for p in TOP.rglob("*.md") if "build" not in p.relative_to(TOP).parts]
        self.assertGreaterEqual(len(documents), 8)
        named = {}
        for document in documents:
            for flag in flags(document.read_text()):
                named.setdefault(flag, []).append(str(document.relative_to(TOP)))
        for flag, where in named.items():
            self.assertTrue(flag in ours or flag in OTHERS_FLAGS, (flag, where))
        self.assertEqual(set(OTHERS_FLAGS) - set(named), set())
        trawlds = set(flags(help_of(BIN / "trawld")))
        unit = re.search(r"^ExecStart=.*", (TOP / "deploy" / "trawld.service").read_text(), re.M)[0]
        image = (TOP / "deploy" / "Dockerfile").read_text().partition("ENTRYPOINT")[2]
        for text in (unit, image):
            self.assertTrue(flags(text))
            self.assertEqual(set(flags(text)) - trawlds, set())

    def test_lines_of_one_program_have_flags_of_that_program(self):
        for command in [*typed_lines(README), *sessions(README)]:
            program = command.text.split()[0]
            known = {"trawld": lambda: set(flags(help_of(BIN / "trawld"))),
                     "trawl-store": lambda: set(flags(help_of(BIN / "trawl-store"))),
                     "trawlctl": flags_of_trawlctl}.get(program, lambda: set(flags(command.text)))()
            self.assertEqual(set(flags(command.text)) - known, set(), command)

    def test_addresses_are_the_ones_by_default(self):
        said = re.search(r"gRPC is on (\S+), HTTP .*? on\s(\S+), trawl-store on (\S+)\. ", README,
                         re.S).groups()
        for address, program, flag in ((said[0], "trawld", "--grpc.listen-address"),
                                       (said[1], "trawld", "--web.listen-address"),
                                       (said[2], "trawl-store", "--grpc.listen-address"),
                                       (said[0], "trawlctl", "--address")):
            self.assertIn(address, help_of(BIN / program).partition(flag)[2][:200])

    def test_yaml_in_the_readme_is_taken(self):
        [block] = [b for b in blocks(README) if b.language == "yaml"]
        (self.directory / "prometheus.yml").write_text("scrape_configs: [{job_name: pushed}]\n")
        (self.directory / "trawl.yml").write_text("\n".join(block.lines))
        shell("trawlctl check config prometheus.yml --trawl.config trawl.yml", self.directory)

    def test_cpp_in_the_readme_compiles(self):
        [block] = [b for b in blocks(README) if b.language == "cpp"]
        (self.directory / "readme.cc").write_text("\n".join([
            '#include "client/discovery/discovery_client.h"', "using namespace trawl;",
            "absl::Status Readme(const std::vector<discovery::v1::TargetGroup>& all_groups,",
            "                    const discovery::v1::TargetGroup& changed_group) {", *block.lines,
            "return absl::OkStatus();", "}"]))
        build = BIN.parent
        shell(f"c++ -std=c++20 -Wall -Werror -Wno-unused-parameter -fsyntax-only -I{TOP} "
              f"-I{build}/abseil_bridge -isystem {build}/proto/gen readme.cc", self.directory)

    def test_no_other_document_has_lines_that_nobody_runs(self):
        for document in TOP.rglob("*.md"):
            path = str(document.relative_to(TOP))
            if path == "README.md" or path.startswith("build/"):
                continue
            text = document.read_text()
            self.assertEqual(sessions(text), [], path)
            typed = [c.text for c in typed_lines(text)]
            typed += [s for s in spans(text) if re.match(r"(trawl(ctl|d|-store)|grpcurl) ", s)]
            run_by_test_spool = {"core/spool/FORMAT.md": ["trawlctl spool ls"]}
            self.assertEqual(typed, run_by_test_spool.get(path, []), path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
