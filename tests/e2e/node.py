"""One machine of a fleet: HAProxy, agent, sync, and a shell to type in."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import zlib
from dataclasses import dataclass

from harness import ROOT, SLOW, Failed, Process, answers_tcp, answers_unix
from harness import built, environment, free_port, program, run, wait_for
from peers import LOOPBACK, REDIS, RedisClient
from resp import Error

CONF = ROOT / "haproxy" / "conf"
PREFIX = "certfleet:"

# Another HAProxy than the installed one: a command, with arguments.
HAPROXY = shlex.split(os.environ.get("CERTFLEET_HAPROXY", ""))


@dataclass
class Served:
    """What a TLS client is shown for a name."""

    sha1: str  # upper hex, as in Redis and HAProxy
    pem: str
    why: str  # the name or the chain is not right: why
    serial: str = ""  # upper hex; the rest only when verified
    not_before: str = ""
    not_after: str = ""
    issuer: str = ""
    names: tuple = ()

    @property
    def verified(self):
        return not self.why


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out + self.err


@dataclass
class Reply:
    """What an API answered."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def json(self):
        """The body, as text where it is no JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return self.raw.decode(errors="replace")


def answered(link, method, path, body=None, headers=None):
    """Ask over an HTTPConnection, and close it."""
    with contextlib.closing(link):
        data = body if body is None or isinstance(body, bytes) else \
            json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if data else {}
        link.request(method, path, data, {**kind, **(headers or {})})
        reply = link.getresponse()
        return Reply(reply.status, reply.headers, reply.read())


def handshake(name, address, port, context):
    with socket.create_connection((address, port), timeout=5 * SLOW) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True), tls.getpeercert()


def served_by(name, address, port, root):
    """Connect as a browser that trusts root alone; None: no answer."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    try:
        der, _ = handshake(name, address, port, blind)
    except OSError:
        return None
    shown = Served(hashlib.sha1(der).hexdigest().upper(),
                   ssl.DER_cert_to_PEM_cert(der), "")
    try:
        strict = ssl.create_default_context(cafile=root)
        again, fields = handshake(name, address, port, strict)
    except ssl.SSLCertVerificationError as e:
        shown.why = str(e)
        return shown
    except OSError:
        return None
    if again != der:
        return served_by(name, address, port, root)  # changed in between
    shown.serial = fields["serialNumber"]
    shown.not_before = fields["notBefore"]
    shown.not_after = fields["notAfter"]
    shown.issuer = dict(pair[0] for pair in fields["issuer"])["commonName"]
    shown.names = tuple(n for _, n in fields.get("subjectAltName", ()))
    return shown


class HAProxy(Process):
    """HAProxy with the shipped configuration, moved to our ports and paths."""

    def __init__(self, node):
        super().__init__("haproxy", node.dir)
        self.node = node
        self.socket = self.dir / "haproxy.sock"
        self.config = self.dir / "haproxy.cfg"
        self.leaving = []
        self.command = HAPROXY or [program("haproxy")]

    def moves(self):
        """What of the shipped file cannot be so in a test, and what it gets."""
        n, at = self.node, self.node.address
        spoe = self.dir / "spoe-certfleet.conf"
        return [
            (r"^(\s*stats socket )\S+", rf"\g<1>{self.socket}"),
            (r"^(\s*bind )(?!.*\bssl\b)\S+", rf"\g<1>{at}:{n.world.http_port}"),
            (r"^(\s*bind )\S+(?=.*\bssl\b)", rf"\g<1>{at}:{n.world.https_port}"),
            (r"(\bssl crt )\S+", rf"\g<1>{n.cert_dir}/default.pem"),
            (r"(\bcrt-list )\S+", rf"\g<1>{n.crt_list}"),
            (r"(\bfilter spoe engine certfleet config )\S+", rf"\g<1>{spoe}"),
            (r"^(\s*server agent )\S+", rf"\g<1>{LOOPBACK}:{n.agent.port}"),
        ]

    def write_config(self):
        """Everything but ports and paths stays as it is shipped."""
        lines = (CONF / "haproxy.cfg").read_text().splitlines()
        for pattern, replacement in self.moves():
            here = [i for i, line in enumerate(lines)
                    if not line.lstrip().startswith("#")
                    and re.search(pattern, line)]
            if len(here) != 1:
                raise Failed(f"haproxy.cfg has {len(here)} lines, not one, "
                             f"like {pattern}")
            lines[here[0]] = re.sub(pattern, replacement, lines[here[0]])
        self.config.write_text("\n".join(lines) + "\n")
        (self.dir / "spoe-certfleet.conf").write_text(
            (CONF / "spoe-certfleet.conf").read_text())

    def start(self, *more):
        self.write_config()
        self.spawn(*self.command, "-db", "-f", self.config, *more)
        self.wait_ready(lambda: self.info().get("Pid") == str(self.pid))

    def reload(self):
        """A new process takes over; the old one ends when it is done."""
        old = self.popen
        self.leaving.append(old)
        self.start("-sf", str(old.pid))

    def stop(self, seconds=10):
        if self.running:
            self.popen.terminate()
        for popen in self.leaving:
            with contextlib.suppress(ProcessLookupError):
                popen.terminate()
            popen.wait(seconds * SLOW)
        self.leaving = []
        return self.popen.wait(seconds * SLOW) if self.popen else None

    def kill(self):
        for popen in self.leaving:
            popen.kill()
            popen.wait()
        self.leaving = []
        super().kill()

    def restart(self):
        self.stop()
        self.start()

    def ask(self, command):
        """One command to the runtime API."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5 * SLOW)
            s.connect(str(self.socket))
            s.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def info(self):
        try:
            lines = self.ask("show info").splitlines()
        except OSError:
            return {}
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def certificates(self):
        """Names of the certificates it holds, by the runtime API."""
        return sorted(line.lstrip("*") for line in
                      self.ask("show ssl cert").splitlines()
                      if line and not line.startswith("#"))


class Agent(Process):
    def __init__(self, node):
        super().__init__("agent", node.dir)
        self.node = node
        self.port = free_port()
        self.metrics_port = free_port()
        self.conf = node.conf

    def start(self):
        self.spawn(self.node.program("certfleet-agent"), "-f", self.conf)
        self.wait_ready(lambda: answers_tcp(LOOPBACK, self.port))

    def restart(self):
        self.stop()
        self.start()


class Sync(Process):
    def __init__(self, node):
        super().__init__("sync", node.dir)
        self.node = node

    def prime(self):
        """Write what HAProxy needs to start."""
        return run(self.node.program("certfleet-sync"), "-f", self.node.conf,
                   "--prime",
                   env=environment(self.env), cwd=self.dir)

    def start(self, fault=None):
        """fault: where a test build is to fail, as "F5:kill".

        One that stops there may do so before it is ready.
        """
        self.env.pop("CERTFLEET_FAULT", None)
        if fault:
            self.env["CERTFLEET_FAULT"] = fault
        self.spawn(self.node.program("certfleet-sync"), "-f", self.node.conf)
        self.env.pop("CERTFLEET_FAULT", None)
        self.wait_ready(lambda: self.stopped or self.works(), seconds=20)

    def works(self):
        """It answers, and has its Redis."""
        try:
            code, body = self.node.api("GET", "/api/v1/status")
        except OSError:
            return False
        return code == 200 and body["redis"]["up"]

    def restart(self):
        self.stop()
        self.start()


class Node:
    """All of one node.  redis: a RedisServer, or None for an embedded one.

    settings are for certfleet.conf, by section: {"dns": {"timeout_ms": 900}}.
    """

    def __init__(self, world, name="n1", address=LOOPBACK, redis=None,
                 settings=None):
        self.world = world
        self.name = name
        self.address = address
        self.redis = redis
        self.settings = settings or {}
        self.dir = world.dir / name
        self.dir.mkdir(parents=True, exist_ok=True)
        self.state_dir = self.dir / "state"
        self.run_dir = self.dir / "run"
        self.cert_dir = self.run_dir / "certs"
        self.crt_list = self.cert_dir / "crt-list.txt"
        self.api_socket = self.run_dir / "admin.sock"
        self.api_port = free_port()
        self.conf = self.dir / "certfleet.conf"
        self.programs = None  # a directory with other ones than ours
        self.sync = Sync(self)
        self.agent = Agent(self)
        self.haproxy = HAProxy(self)

    def program(self, name):
        return str(self.programs / name) if self.programs else built(name)

    @property
    def pebble(self):
        return self.world.pebble

    @property
    def dns(self):
        return self.world.dns

    @property
    def processes(self):
        return [self.haproxy, self.agent, self.sync]

    def all_settings(self):
        w = self.world
        wanted = {
            "": {
                "node": self.name,
                "state_dir": str(self.state_dir),
                "run_dir": str(self.run_dir),
                "log_level": "debug",
            },
            "redis": dict(self.redis.settings) if self.redis else
                     {"server": REDIS[0]} if REDIS[1:] == [] else {},
            "agent": {"listen": [f"{LOOPBACK}:{self.agent.port}"],
                      "metrics": f"{LOOPBACK}:{self.agent.metrics_port}"},
            "acme": {
                "directory": w.pebble.directory,
                "contact": ["mailto:ops@fleet.test"],
                "ca_file": str(w.tls.ca),
                "insecure_test": True,
                "agree_tos": True,
                "retry_first_s": 2,
                "retry_max_s": 10,
            },
            "dns": {
                "resolvers": [w.dns.address],
                "targets": [self.address],
                "check_interval_ms": 300,
                "timeout_ms": 2000,
                "self_probe_port": w.http_port,
                "caa_identities": ["pebble.test"],
            },
            "haproxy": {
                "sockets": [str(self.haproxy.socket)],
                "cert_dir": str(self.cert_dir),
                "crt_list": str(self.crt_list),
                "http_address": f"{self.address}:{w.http_port}",
                "https_address": f"{self.address}:{w.https_port}",
                "bufsize": 32768,
                "poll_ms": 200,
            },
            "api": {"socket": str(self.api_socket),
                    "listen": [f"{LOOPBACK}:{self.api_port}"]},
            "fleet": {"lease_ms": 3000, "renew_ms": 900, "heartbeat_ms": 1000,
                      "node_ttl_ms": 4000, "reconcile_ms": 1000},
        }
        for section, values in self.settings.items():
            wanted.setdefault(section, {}).update(values)
        return wanted

    def write_conf(self):
        def text(value):
            if isinstance(value, bool):
                return "true" if value else "false"
            if isinstance(value, int):
                return str(value)
            if isinstance(value, list):
                return "{ " + ", ".join(text(v) for v in value) + " }"
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

        lines = []
        for section, values in self.all_settings().items():
            body = [f"{k} = {text(v)}" for k, v in values.items()]
            if section and body:
                body = [f"{section} {{"] + ["\t" + b for b in body] + ["}"]
            lines += body
        self.conf.write_text("\n".join(lines) + "\n")

    def start(self, haproxy=True):
        """Everything, in the order an init system would."""
        self.write_conf()
        self.sync.prime()
        self.sync.start()
        self.agent.start()
        if haproxy:
            self.haproxy.start()
        return self

    def stop(self):
        for process in self.processes:
            process.stop()

    # --- verbs ---------------------------------------------------------

    def cli(self, *args, code=0, seconds=30, stdin=subprocess.DEVNULL):
        """Run certfleet; code: the exit status it must have, None: any."""
        env = environment({"CERTFLEET_SOCKET": str(self.api_socket),
                           "NO_COLOR": "1"})
        done = subprocess.run(
            [built("certfleet"), *args], capture_output=True, env=env,
            stdin=stdin, timeout=seconds * SLOW, cwd=self.dir)
        result = Result(done.returncode, done.stdout.decode(errors="replace"),
                        done.stderr.decode(errors="replace"))
        if code is not None and result.code != code:
            raise Failed(f"certfleet {' '.join(map(repr, args))} ended with "
                         f"{result.code}, not {code}:\n{result.text}")
        return result

    def request(self, method, path, body=None, headers=None):
        """A request to the admin API, by its socket."""
        link = http.client.HTTPConnection("localhost", timeout=10 * SLOW)
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.settimeout(10 * SLOW)
        link.sock.connect(str(self.api_socket))
        return answered(link, method, path, body, headers)

    def api(self, method, path, body=None):
        """The same; returns status and body (JSON if so)."""
        reply = self.request(method, path, body)
        return reply.status, reply.json

    def by_tcp(self, method, path, body=None, headers=None, token=None):
        """A request to the admin API by TCP."""
        if token:
            headers = {"Authorization": f"Bearer {token}", **(headers or {})}
        link = http.client.HTTPConnection(LOOPBACK, self.api_port,
                                          timeout=10 * SLOW)
        return answered(link, method, path, body, headers)

    def token(self, name, *args):
        """A new token's secret."""
        made = self.cli("token", "create", name, *args, "--json")
        return made.json["token"]["secret"]

    def add(self, *names, app=None):
        """Add domains by the command line."""
        for name in names:
            self.cli(*(["--app", app] if app else []), "domains-add", name)

    def point_here(self, *names):
        """Make the names resolve to this node, and nowhere else."""
        for name in names:
            self.dns.clear_a(name)
            self.dns.add_a(name, self.address)

    def remove(self, name):
        self.cli("domains-remove", name)

    def redis_client(self):
        """A client of the Redis in use."""
        if self.redis:
            return self.redis.client()
        return RedisClient(self.redis_socket)

    @property
    def redis_socket(self):
        """Where the embedded Redis listens."""
        return self.run_dir / "redis.sock"

    def record(self, name):
        """The domain's record in Redis, {} when there is none."""
        with self.redis_client() as redis:
            return redis.hash(f"{PREFIX}{{p{self.partition(name)}}}:domain:{name}")

    def partition(self, name):
        """Which of the fleet's partitions the domain is in."""
        n = self.settings.get("redis", {}).get("partitions", 1)
        return zlib.crc32(name.encode()) % n

    def status(self, name):
        return self.record(name).get("status", "")

    def await_status(self, name, status, seconds=30):
        """Wait until the domain has one of these statuses; its record."""
        wanted = (status,) if isinstance(status, str) else status

        def there():
            try:
                record = self.record(name)
            except (OSError, Error):  # Redis restarts, or loads
                return None
            return record if record.get("status") in wanted else None

        return self.await_record(f"{name} to be {status}", there, seconds, name)

    def await_record(self, what, there, seconds, name):
        def explain():
            try:
                record = self.record(name)
            except (OSError, Error) as e:
                record = e
            return f"record: {record}\n{self.tails()}"

        return wait_for(what, there, seconds, 0.05, explain)

    def served(self, name):
        """What HAProxy serves for the name; None: no TLS there."""
        return served_by(name, self.address, self.world.https_port,
                         self.pebble.root)

    def await_served(self, name, good=lambda s: s.verified, seconds=10):
        """Wait until the served certificate is good."""

        def there():
            shown = self.served(name)
            return shown if shown and good(shown) else None

        return wait_for(f"TLS for {name} to be as it should", there, seconds,
                        0.05, lambda: f"{self.served(name)}\n{self.tails()}")

    def serial(self, name):
        """The serial that Redis has for the name, as TLS clients show it."""
        return self.record(name).get("serial", "")

    # --- afterwards ----------------------------------------------------

    def tails(self):
        return "\n".join(p.tail() for p in (
            self.sync, self.agent, self.haproxy, self.pebble))

    def sanitizer_reports(self):
        return "\n".join(filter(None, (
            p.sanitizer_report() for p in (self.sync, self.agent))))
