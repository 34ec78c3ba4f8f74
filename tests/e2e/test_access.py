"""Who may do what: TLS, client certificates, tokens and roles on the gRPC port, and the HTTP port's
--web.config.file."""
import base64
import json
import queue
import shutil
import socket
import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

import grpc

from certificates import Certificates
from grpc_client import Client, message
from harness import PEERS, EndToEndTest, Trawld, get, wait_for

CONFIG = "scrape_configs: [{job_name: node}, {job_name: other}]\n"
DISCOVERY, STATUS = "trawl.discovery.v1.DiscoveryService", "trawl.status.v1.StatusService"
# bcrypt of "right"
HASH = "$2b$04$/SII4h49lFPScvo2uMb1gel6rgh37YnlcHbI1.pWPvj.A1my7ixrC"


class AccessTest(EndToEndTest):
    def call(self, server, method, request=None, flags=()):
        """(answer, "") or (None, what grpcurl said)."""
        command = [PEERS / "grpcurl", "-max-time", "20", *flags]
        if request is not None:
            command += ["-d", json.dumps(request)]
        result = subprocess.run([*map(str, command), server.grpc, method], capture_output=True,
                                text=True, timeout=30, cwd=self.directory)
        if result.returncode != 0:
            return None, result.stderr
        return json.loads(result.stdout), ""

    def tls(self, client=None):
        flags = ["-cacert", "ca.crt"]
        return flags + ["-cert", f"{client}.crt", "-key", f"{client}.key"] if client else flags

    def name_of(self, server):
        """Of the gRPC port's certificate, as the client `me` sees it on a new connection."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.load_cert_chain(self.directory / "me.crt", self.directory / "me.key")
        context.set_alpn_protocols(["h2"])
        host, port = server.grpc.split(":")
        with socket.create_connection((host, int(port)), 5) as plain, \
                context.wrap_socket(plain, server_hostname=host) as connection:
            return dict(field[0] for field in connection.getpeercert()["subject"])["commonName"]

    def test_certificates_give_names_and_names_give_rights(self):
        certificates = Certificates(self.directory)
        certificates.issue("server", "trawld")
        certificates.issue("pusher", "pusher")
        certificates.issue("eye", "somebody", "DNS:eye.example")
        certificates.issue("owner", "owner")
        server = self.trawld(
            CONFIG, "--grpc.tls-cert-file=server.crt", "--grpc.tls-key-file=server.key",
            "--grpc.tls-client-ca-file=ca.crt", "--discovery.allow=pusher sources=k8s-* jobs=node",
            "--discovery.allow=owner sources=k8s-*",
            "--status.viewer=eye.example").wait_ready()
        push = {"source": "k8s-eu", "groups": [{"job": "node", "targets": ["127.0.0.1:1"]}]}

        pushed, said = self.call(server, f"{DISCOVERY}/Push", push, self.tls("pusher"))
        self.assertEqual(said, "")
        self.assertEqual(pushed["result"]["status"], "APPLIED")
        other = {**push, "source": "consul"}
        _, said = self.call(server, f"{DISCOVERY}/Push", other, self.tls("pusher"))
        self.assertIn('may not push the source "consul"', said)
        self.assertIn("PermissionDenied", said)
        _, said = self.call(server, f"{DISCOVERY}/Push", push, self.tls("eye"))
        self.assertIn("PermissionDenied", said)
        into = {"source": "k8s-eu", "groups": [{"job": "other", "targets": ["127.0.0.1:1"]}]}
        _, said = self.call(server, f"{DISCOVERY}/Push", into, self.tls("pusher"))
        self.assertIn("PermissionDenied", said)

        listed, said = self.call(server, f"{STATUS}/ListTargets", {}, self.tls("eye"))
        self.assertEqual((said, len(listed["targets"])), ("", 1))
        # What concerns a source as a whole wants the right to each of its jobs.
        both = {"source": "k8s-eu", "groups": [{"job": "other", "targets": ["127.0.0.1:2"]}]}
        _, said = self.call(server, f"{DISCOVERY}/Push", both, self.tls("owner"))
        self.assertEqual(said, "")
        release = {"source": "k8s-eu", "removeTargets": True}
        leased = {"source": "k8s-eu", "lease": {"ttl": "1s", "onExpiry": "REMOVE"}}
        for method, request in (("Release", release), ("Update", leased)):
            _, said = self.call(server, f"{DISCOVERY}/{method}", request, self.tls("pusher"))
            self.assertIn('may not write job "other"', said)
            self.assertIn("PermissionDenied", said)
        emptied = {"source": "k8s-eu", "jobs": ["node"], "allowShrink": True}
        _, said = self.call(server, f"{DISCOVERY}/Push", emptied, self.tls("pusher"))
        self.assertEqual(said, "")
        listed, _ = self.call(server, f"{STATUS}/ListTargets", {}, self.tls("eye"))
        self.assertEqual([target["job"] for target in listed["targets"]], ["other"])
        _, said = self.call(server, f"{DISCOVERY}/Release", release, self.tls("owner"))
        self.assertEqual(said, "")
        listed, _ = self.call(server, f"{STATUS}/ListTargets", {}, self.tls("eye"))
        self.assertEqual(listed.get("targets", []), [])

        _, said = self.call(server, f"{STATUS}/ListTargets", {}, self.tls("pusher"))
        self.assertIn("PermissionDenied", said)
        _, said = self.call(server, f"{STATUS}/ReloadConfig", {}, self.tls("eye"))
        self.assertIn("it is not an operator", said)

        # Without a certificate, or without TLS, nobody gets as far as a call.
        for flags in (self.tls(), ["-plaintext"]):
            answer, said = self.call(server, f"{STATUS}/ListTargets", {}, flags)
            self.assertIsNone(answer, said)

    def test_a_token_is_a_name_without_a_certificate(self):
        (self.directory / "tokens").write_text("ops 0123456789abcdef0123\n")
        server = self.trawld(CONFIG, "--grpc.token-file=tokens", "--status.operator=ops",
                             "--discovery.allow=ops").wait_ready()
        with_token = ["-plaintext", "-H", "authorization: Bearer 0123456789abcdef0123"]

        _, said = self.call(server, f"{STATUS}/ListPools", {}, ["-plaintext"])
        self.assertIn("Unauthenticated", said)
        _, said = self.call(server, f"{STATUS}/ListPools", {},
                            ["-plaintext", "-H", "authorization: Bearer wrong"])
        self.assertIn("Unauthenticated", said)
        _, said = self.call(server, f"{STATUS}/ReloadConfig", {}, with_token)
        self.assertEqual(said, "")

        # trawlctl speaks as that name too.
        (self.directory / "mine").write_text("0123456789abcdef0123\n")
        self.assertNotEqual(server.trawlctl("pools", check=False).returncode, 0)
        server.trawlctl("--token-file", self.directory / "mine", "pools")

        client = Client(server.grpc)
        self.addCleanup(client.close)
        bearer = [("authorization", "Bearer 0123456789abcdef0123")]
        watch = client.server_stream(f"{STATUS}/WatchTargets")(
            message("trawl.status.v1.WatchTargetsRequest")(), metadata=bearer, timeout=60)
        next(watch)
        hello = message("trawl.discovery.v1.SyncRequest")(
            id=1, hello={"source": "k8s", "history_id": "h", "version": 1})
        requests = queue.Queue()
        requests.put(hello)
        self.addCleanup(requests.put, None)
        sync = client.stream(f"{DISCOVERY}/Sync")(iter(requests.get, None), metadata=bearer, timeout=60)
        self.assertTrue(next(sync).HasField("welcome"))

        # The file is read again when it changes.
        (self.directory / "tokens").write_text("ops fedcba9876543210fedc\n")
        wait_for("the old token to be worth nothing", lambda: "Unauthenticated" in self.call(
            server, f"{STATUS}/ListPools", {}, with_token)[1])
        for stream in (watch, sync):
            with self.assertRaises(grpc.RpcError) as end:
                list(stream)
            self.assertEqual(end.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
            self.assertIn("not known any more", end.exception.details())

    def test_trawlctl_takes_certificates(self):
        certificates = Certificates(self.directory)
        certificates.issue("server", "trawld")
        certificates.issue("me", "me")
        server = self.trawld(CONFIG, "--grpc.tls-cert-file=server.crt", "--grpc.tls-key-file=server.key",
                             "--grpc.tls-client-ca-file=ca.crt").wait_ready()

        answer = server.trawlctl(
            "--tls-ca-file", self.directory / "ca.crt", "--tls-cert-file", self.directory / "me.crt",
            "--tls-key-file", self.directory / "me.key", "--json", "pools")

        self.assertEqual([p["job"] for p in json.loads(answer.stdout)], ["node", "other"])

    def test_certificates_of_the_grpc_port_are_read_again_when_they_change(self):
        certificates = Certificates(self.directory)
        certificates.issue("server", "first")
        certificates.issue("me", "me")
        shutil.copy(self.directory / "ca.crt", self.directory / "clients.crt")
        server = self.trawld(CONFIG, "--grpc.tls-cert-file=server.crt", "--grpc.tls-key-file=server.key",
                             "--grpc.tls-client-ca-file=clients.crt").wait_ready()

        self.assertEqual(self.name_of(server), "first")
        old = Client(server.grpc, grpc.ssl_channel_credentials(
            *((self.directory / name).read_bytes() for name in ("ca.crt", "me.key", "me.crt"))))
        self.addCleanup(old.close)
        pools = old.unary(f"{STATUS}/ListPools")
        pools(message("trawl.status.v1.ListPoolsRequest")(), timeout=20)

        certificates.issue("server", "second")
        wait_for("the new certificate", lambda: self.name_of(server) == "second")

        # Whose certificates are taken changes too: another authority's alone.
        (self.directory / "other").mkdir()
        other = Certificates(self.directory / "other")
        other.issue("me", "me")
        shutil.copy(self.directory / "other" / "ca.crt", self.directory / "clients.crt")
        wait_for("the old authority's clients to be strangers", lambda: self.call(
            server, f"{STATUS}/ListPools", {}, self.tls("me"))[0] is None)
        for part in ("crt", "key"):
            shutil.copy(self.directory / "other" / f"me.{part}", self.directory / f"other.{part}")
        answer, said = self.call(server, f"{STATUS}/ListPools", {}, self.tls("other"))
        self.assertEqual((len(answer["pools"]), said), (2, ""))
        # A connection that stands goes on.
        self.assertEqual(len(pools(message("trawl.status.v1.ListPoolsRequest")(), timeout=20).pools), 2)
        self.assertEqual(server.stop(), 0)

    def test_a_renewal_that_is_half_done_or_wrong_leaves_the_grpc_port_as_it_was(self):
        certificates = Certificates(self.directory)
        certificates.issue("server", "first")
        certificates.issue("next", "second")
        certificates.issue("me", "me")
        authority = (self.directory / "ca.crt").read_text()
        (self.directory / "clients.crt").write_text(authority)
        server = self.trawld(CONFIG, "--grpc.tls-cert-file=server.crt", "--grpc.tls-key-file=server.key",
                             "--grpc.tls-client-ca-file=clients.crt").wait_ready()

        def reads(successful):
            wait_for(f"a reading whose success is {successful}",
                     lambda: server.metric("trawl_access_last_reload_successful") == successful)

        def serves(name):
            self.assertEqual(self.name_of(server), name)
            answer, said = self.call(server, f"{STATUS}/ListPools", {}, self.tls("me"))
            self.assertEqual((len(answer["pools"]) if answer else None, said), (2, ""))

        reads(1)
        serves("first")
        # The key is there, its certificate is not yet; then it is.
        shutil.copy(self.directory / "next.key", self.directory / "server.key")
        reads(0)
        serves("first")
        shutil.copy(self.directory / "next.crt", self.directory / "server.crt")
        reads(1)
        serves("second")
        # A certificate that is cut off, one that is gone, and authorities that are none.
        whole = (self.directory / "server.crt").read_text()
        (self.directory / "server.crt").write_text(whole[:300])
        reads(0)
        serves("second")
        (self.directory / "server.crt").unlink()
        wait_for("that to be told", lambda: "No such file" in server.log())
        serves("second")
        (self.directory / "server.crt").write_text(whole)
        reads(1)
        (self.directory / "clients.crt").write_text("nonsense\n")
        reads(0)
        serves("second")
        (self.directory / "clients.crt").write_text(authority)
        reads(1)
        serves("second")
        told = [line for line in server.log().splitlines() if "could not be read again" in line]
        self.assertEqual(len(told), 4, told)

    def test_the_web_port_has_tls_and_users(self):
        certificates = Certificates(self.directory)
        certificates.issue("server", "trawld")
        (self.directory / "web.yml").write_text(
            "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
            f"basic_auth_users: {{ann: '{HASH}'}}\n")
        server = self.trawld(CONFIG, "--web.config.file=web.yml")
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))

        def healthy(password):
            request = urllib.request.Request(f"https://{server.http}/-/healthy")
            # Sent at once: Python's own handler waits for a realm, which Prometheus does not send.
            request.add_header("Authorization",
                               "Basic " + base64.b64encode(f"ann:{password}".encode()).decode())
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return answer.read().decode()

        self.assertEqual(wait_for("trawld to answer", lambda: healthy("right")), "trawl is Healthy.\n")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            healthy("wrong")
        self.assertEqual(refused.exception.code, 401)
        with self.assertRaises(OSError):
            get(f"http://{server.http}/-/healthy")

        # A renewed certificate is taken up without a restart: what it was issued for tells.
        certificates.issue("server", "trawld", "IP:127.0.0.2")
        with self.assertRaises(urllib.error.URLError) as mismatch:
            healthy("right")
        self.assertIn("127.0.0.1", str(mismatch.exception))

    def test_what_cannot_be_meant_ends_the_start_with_one_line(self):
        for flags, words in (
                (["--grpc.tls-cert-file=none.crt", "--grpc.tls-key-file=none.key"], "none.crt"),
                (["--grpc.token-file=none"], "none"),
                (["--web.config.file=none.yml"], "none.yml"),
                (["--grpc.listen-address=0.0.0.0:0"], "--insecure")):
            with self.subTest(flags=flags):
                server = self.started(Trawld(self.directory, CONFIG, *flags))
                self.assertNotEqual(server.process.wait(20), 0)
                self.assertIn(words, server.log())
                self.assertEqual(len(server.log().strip().splitlines()), 1, server.log())


if __name__ == "__main__":
    unittest.main()
