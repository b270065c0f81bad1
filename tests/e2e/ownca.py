"""A CA of a customer's own: root, intermediate, and what they sign."""

import datetime
import hashlib
import ssl
from pathlib import Path

from harness import program, run

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Pair:
    """A certificate with what clients need behind it, and its key: files."""

    def __init__(self, cert, key):
        self.cert = cert
        self.key = key

    @property
    def pem(self):
        return self.cert.read_text()

    @property
    def key_pem(self):
        return self.key.read_text()

    @property
    def sha1(self):
        first = self.pem.split("-----END CERTIFICATE-----")[0] + \
            "-----END CERTIFICATE-----\n"
        return hashlib.sha1(
            ssl.PEM_cert_to_DER_cert(first.strip())).hexdigest().upper()


class OwnCA:
    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.root = self.dir / "root.pem"
        self.count = 0
        run(program("openssl"), "req", "-x509", *P256, "-keyout",
            self.dir / "root.key", "-out", self.root, "-days", "3650",
            "-subj", "/CN=own root")
        self.intermediate = self.sign(
            "own intermediate", self.root, self.dir / "root.key",
            "basicConstraints=critical,CA:TRUE\n")

    def sign(self, subject, ca, ca_key, extensions, days=90, start=None,
             end=None, newkey=P256):
        self.count += 1
        base = self.dir / f"c{self.count}"
        cert, key, csr, ext = (base.with_suffix(s)
                               for s in (".pem", ".key", ".csr", ".ext"))
        openssl = program("openssl")
        run(openssl, "req", *newkey, "-keyout", key, "-out", csr, "-subj",
            f"/CN={subject}")
        ext.write_text(extensions)
        if end is None:
            run(openssl, "x509", "-req", "-in", csr, "-CA", ca, "-CAkey",
                ca_key, "-CAcreateserial", "-days", days, "-extfile", ext,
                "-out", cert)
        else:
            self.sign_until(csr, ca, ca_key, ext, cert, start, end)
        return Pair(cert, key)

    def sign_until(self, csr, ca, ca_key, ext, cert, start, end):
        """openssl x509 knows days only; openssl ca knows moments."""
        (self.dir / "index.txt").write_text("")
        (self.dir / "index.txt.attr").write_text("unique_subject = no\n")
        (self.dir / "serial").write_text(f"{0x5000 + self.count:x}\n")
        conf = self.dir / "ca.conf"
        conf.write_text(
            "[ca]\ndefault_ca = d\n[d]\n"
            f"database = {self.dir}/index.txt\nserial = {self.dir}/serial\n"
            f"new_certs_dir = {self.dir}\ndefault_md = sha256\npolicy = p\n"
            "[p]\ncommonName = supplied\n")

        def moment(t):
            return t.strftime("%Y%m%d%H%M%SZ")

        run(program("openssl"), "ca", "-batch", "-notext", "-config", conf,
            "-cert", ca, "-keyfile", ca_key, "-in", csr, "-out", cert,
            "-extfile", ext, "-startdate", moment(start), "-enddate",
            moment(end))

    def leaf(self, *names, hours=None, **kw):
        """A server's certificate with its chain; hours: how long it lasts."""
        if hours is not None:
            now = datetime.datetime.now(datetime.timezone.utc)
            kw["start"] = now - datetime.timedelta(hours=1)
            kw["end"] = now + datetime.timedelta(hours=hours)
        sans = ", ".join(f"DNS:{n}" for n in names)
        pair = self.sign(
            names[0], self.intermediate.cert, self.intermediate.key,
            "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
            f"subjectAltName={sans}\n", **kw)
        pair.cert.write_text(pair.pem + self.intermediate.pem)
        return pair
