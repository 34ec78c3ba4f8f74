"""Certificates for tests: an authority of their own in the test's directory."""
import subprocess


class Certificates:
    """ca.crt, and whatever it issues, in a directory. Made by openssl; good for a day."""

    def __init__(self, directory):
        self.directory = directory
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "1", "-subj", "/CN=test CA")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=self.directory, check=True,
                       capture_output=True, timeout=30)

    def issue(self, name, common_name, alternative="IP:127.0.0.1"):
        """Writes NAME.crt and NAME.key; one that is there is replaced."""
        (self.directory / "ext").write_text(f"subjectAltName={alternative}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={common_name}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "1", "-extfile", "ext", "-out", f"{name}.crt")
