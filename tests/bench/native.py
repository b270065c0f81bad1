"""Certificates by the ACME client that newer versions of HAProxy have built in.

HAProxy 3.2 of Debian sid, as its manual sets it up: names of a crt-store with an
acme section, http-01 answered from the client's own map.  It starts with a
certificate for each name, and is told to renew all of them.
"""

import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import newer  # noqa: E402
from figures import cpu_s, memory_mib  # noqa: E402
from harness import Failed, Process, answers_unix, free_port  # noqa: E402

SECONDS = 45  # without anything new: it will not go on


class Native(Process):
    def __init__(self, directory, pebble, tls, http_port, names):
        super().__init__("haproxy-acme", directory)
        self.socket = self.dir / "haproxy.sock"
        self.certs = self.dir / "certs"
        self.certs.mkdir()
        pem = tls.cert.read_text() + tls.key.read_text()
        for name in names:
            (self.certs / f"{name}.pem").write_text(pem)
        self.conf = self.dir / "haproxy.cfg"
        loads = "\n".join(f'    load crt "{n}.pem" acme CA domains "{n}"'
                          for n in names)
        (self.dir / "crt-list").write_text(
            "".join(f"@names/{n}.pem\n" for n in names))
        self.conf.write_text(f"""global
    expose-experimental-directives
    stats socket {self.socket} level admin
    httpclient.ssl.verify none
    nbthread 2
    log stderr format raw local0
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
crt-store names
    crt-base {self.certs}
{loads}
frontend http
    bind 127.0.0.1:{http_port}
    http-request return status 200 content-type text/plain lf-string "%[path,field(-1,/)].%[path,field(-1,/),map(virt@acme)]\\n" if {{ path_beg '/.well-known/acme-challenge/' }}
frontend https
    bind 127.0.0.1:{free_port()} ssl crt-list {self.dir}/crt-list
    http-request return status 200
acme CA
    directory {pebble.directory}
    account-key {self.dir}/account.key
    contact ops@fleet.test
    challenge http-01
    keytype ECDSA
    curves P-256
    map virt@acme
""")

    def start(self):
        self.spawn(newer.haproxy(), "-f", self.conf, "-db")
        self.wait_ready(lambda: answers_unix(self.socket))

    def ask(self, *commands):
        """The answers to commands, over one connection."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.socket))
            s.sendall(("; ".join(commands) + "\n").encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def native(directory, count, make_world):
    """Figures of a run; raises newer.Unavailable where it cannot be had."""
    newer.haproxy()
    w = make_world(directory, count, "h")
    names = [f"h{i}.test" for i in range(count)]
    h = Native(directory / "haproxy-acme", w.pebble, w.tls, w.http_port, names)
    h.start()
    asked, cpu = w.pebble.requests(), cpu_s(h.pid)
    began = last = time.monotonic()
    for i in range(0, count, 50):
        h.ask("expert-mode on", "experimental-mode on",
              *(f"acme renew @names/{n}.pem" for n in names[i:i + 50]))
    have = 0
    while have < count:
        time.sleep(0.1)
        now = len(w.pebble.issued())
        if now > have:
            have, last = now, time.monotonic()
        elif time.monotonic() - last > SECONDS:
            raise Failed("no answer from Pebble, or HAProxy has given up: "
                         f"{have} of {count} certificates\n{h.tail()}")
    figures = {
        "rate": count / (last - began),
        "requests": (w.pebble.requests() - asked) / count,
        "cpu_ms": {"haproxy": (cpu_s(h.pid) - cpu) * 1000 / count},
        "rss": memory_mib(h.pid, "VmRSS"),
    }
    h.stop()
    w.stop()
    return figures
