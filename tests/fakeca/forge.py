"""Certificates that nobody should accept, made by openssl from a client's CSR."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CONFIG = """
[ca]
default_ca = forge
[forge]
dir = .
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def stamp(at):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at))


class Forge:
    def __init__(self, directory):
        self.parent = Path(directory)
        self.dir = None

    def openssl(self, *args):
        subprocess.run([shutil.which("openssl"), *map(str, args)],
                       cwd=self.dir, check=True, capture_output=True)

    def open(self):
        """On first use: a CA."""
        if self.dir is not None:
            return
        self.dir = Path(tempfile.mkdtemp(prefix="forge-", dir=self.parent))
        (self.dir / "forge.cnf").write_text(CONFIG)
        (self.dir / "index.txt").write_text("")
        self.openssl("req", "-x509", *self.new_key("ca.key"),
                     "-out", "ca.pem", "-days", 30, "-subj", "/CN=Forge")

    def new_key(self, path):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", path)

    def sign(self, csr, names, starts, ends):
        """The chain (bytes) of a certificate for csr (DER) with these names."""
        self.open()
        (self.dir / "in.der").write_bytes(csr)
        self.openssl("req", "-inform", "DER", "-in", "in.der",
                     "-out", "in.csr")
        return self.sign_file(names, starts, ends)

    def sign_other_key(self, names, starts, ends):
        """The same for a key that the client does not have."""
        self.open()
        self.openssl("req", *self.new_key("other.key"), "-out", "in.csr",
                     "-subj", "/CN=other")
        return self.sign_file(names, starts, ends)

    def sign_file(self, names, starts, ends):
        (self.dir / "san.cnf").write_text(
            "basicConstraints = CA:FALSE\nsubjectAltName = "
            + ", ".join(f"DNS:{n}" for n in names) + "\n")
        self.openssl("ca", "-batch", "-notext", "-config", "forge.cnf",
                     "-in", "in.csr", "-out", "out.pem", "-subj",
                     f"/CN={names[0]}", "-startdate", stamp(starts),
                     "-enddate", stamp(ends), "-extfile", "san.cnf")
        return (self.dir / "out.pem").read_bytes() + \
            (self.dir / "ca.pem").read_bytes()
