"""What the CA says that it has issued, and what Redis says is to be served."""

import hashlib
import json
import re
import ssl
import urllib.request
from pathlib import Path

from e2e.resp import Error, Resp
from fakeca.der import leaf_of

ISSUED = re.compile(rb"Issued certificate serial ([0-9a-fA-F]+)")
ORDERED = re.compile(rb"Added order ")


def fingerprint(pem):
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()


class Pebble:
    """Its log tells the serials, its management interface the certificates."""

    def __init__(self, log, management, trust):
        self.log = Path(log)
        self.management = management
        self.context = ssl.create_default_context(cafile=trust)
        self.offset = 0
        self.orders = 0
        self.pending = []

    def certificate(self, serial):
        with urllib.request.urlopen(
                f"{self.management}/cert-status-by-serial/{serial.lower()}",
                timeout=5, context=self.context) as reply:
            return json.load(reply)["Certificate"]

    def read(self):
        with open(self.log, "rb") as f:
            f.seek(self.offset)
            text = f.read()
        text = text[:text.rfind(b"\n") + 1]
        self.offset += len(text)
        self.pending += [s.decode() for s in ISSUED.findall(text)]
        return len(ORDERED.findall(text))

    def look(self):
        """What is new, as lines of the history."""
        orders = self.read()
        if orders:
            self.orders += orders
            yield {"what": "orders", "n": self.orders}
        while self.pending:
            # What it does not answer now is asked again.
            pem = self.certificate(self.pending[0])
            serial = self.pending.pop(0)
            leaf = leaf_of(pem.encode())
            yield {"what": "issued", "serial": serial.upper(),
                   "sha1": fingerprint(pem), "names": list(leaf.names),
                   "notBefore": leaf.not_before, "notAfter": leaf.not_after}


class Cluster:
    """Asks any of them, and whom it is sent to then."""

    def __init__(self, ports):
        self.ports = ports
        self.links = {}
        self.first = ports[0]

    def link(self, port):
        if port not in self.links:
            self.links[port] = Resp(timeout=2, port=port)
        return self.links[port]

    def __call__(self, *args):
        asking, port = False, self.first
        for _ in range(5):
            try:
                if asking:
                    self.link(port)("ASKING")
                return self.link(port)(*args)
            except Error as e:
                if e.word not in ("MOVED", "ASK"):
                    raise
                asking = e.word == "ASK"
                port = int(str(e).rpartition(":")[2])
            except OSError:
                # Another may know who has its place.
                self.links.pop(port, None)
                self.first = self.ports[(self.ports.index(self.first) + 1)
                                        % len(self.ports)]
                raise
        raise Error("LOST sent to and fro")


class Index:
    """name -> version:not_after:sha1[:kind:since], of every partition."""

    def __init__(self, prefix="certfleet:", partitions=1, cluster=None,
                 **where):
        self.where = where
        self.keys = [f"{prefix}{{p{i}}}:index" for i in range(partitions)]
        self.cluster = Cluster(cluster) if cluster else None
        self.redis = self.cluster
        self.last = {}

    def read(self):
        if self.redis is None:
            self.redis = self.cluster or Resp(timeout=2, **self.where)
        found = {}
        for key in self.keys:
            flat = self.redis("HGETALL", key)
            found.update(zip(flat[::2], flat[1::2]))
        return found

    def look(self):
        try:
            found = self.read()
        except (OSError, Error):
            self.redis = None  # away; what it has, it has
            return
        for name, text in found.items():
            if self.last.get(name) != text:
                version, not_after, sha1, *_ = text.split(":")
                yield {"what": "index", "name": name, "version": int(version),
                       "notAfter": int(not_after) / 1000, "sha1": sha1,
                       "chosen": len(text.split(":")) > 3}
        for name in self.last.keys() - found.keys():
            yield {"what": "unindexed", "name": name}
        self.last = found
