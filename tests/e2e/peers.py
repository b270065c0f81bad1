"""The world around certfleet: DNS, a CA, Redis.  All real, all on loopback."""

import binascii
import json
import os
import re
import shlex
import ssl
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

from harness import Failed, Process, answers_tcp, free_port, program, run
from harness import wait_for
from resp import Error, Resp

LOOPBACK = "127.0.0.1"

# Another Pebble than the installed one: its path.
PEBBLE = os.environ.get("CERTFLEET_PEBBLE")

# Another Redis than the installed one, or a Valkey: a command.
REDIS = shlex.split(os.environ.get("CERTFLEET_REDIS", "")) or ["redis-server"]


@cache
def options_of(command):
    """The options a Go program says it has."""
    text = run(program(command), "-h", check=False).stdout
    return set(re.findall(r"^\s+-(\w+)", text, re.M))


def started(server, tries=5):
    """Start a server; when its ports were taken meanwhile, with others."""
    for left in reversed(range(tries)):
        try:
            server.start()
            return server
        except Failed as e:
            server.kill()
            if not left or "address already in use" not in str(e).lower():
                raise
            server.take_ports()


class TlsFiles:
    """A CA of our own and a certificate for loopback, made by openssl."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca = self.dir / "ca.pem"
        self.cert = self.dir / "cert.pem"
        self.key = self.dir / "key.pem"
        p256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl = program("openssl")
        run(openssl, "req", "-x509", *p256, "-keyout", self.dir / "ca.key",
            "-out", self.ca, "-days", "30", "-subj", "/CN=certfleet test CA",
            "-addext", "keyUsage = critical, keyCertSign, cRLSign")
        run(openssl, "req", *p256, "-keyout", self.key,
            "-out", self.dir / "cert.csr", "-subj", "/CN=localhost")
        extensions = self.dir / "cert.ext"
        extensions.write_text(
            "basicConstraints = CA:FALSE\n"
            "keyUsage = critical, digitalSignature\n"
            "subjectKeyIdentifier = hash\n"
            "authorityKeyIdentifier = keyid\n"
            "extendedKeyUsage = serverAuth, clientAuth\n"
            "subjectAltName = DNS:localhost, IP:127.0.0.1\n")
        run(openssl, "x509", "-req", "-in", self.dir / "cert.csr",
            "-CA", self.ca, "-CAkey", self.dir / "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", extensions, "-out", self.cert)


class ChallTestSrv(Process):
    """The DNS of the test world: knows nothing that it was not told."""

    def __init__(self, directory):
        super().__init__("dns", directory)
        self.take_ports()

    def take_ports(self):
        self.port = free_port()
        self.management = free_port()

    @property
    def address(self):
        return f"{LOOPBACK}:{self.port}"

    def start(self):
        known = options_of("pebble-challtestsrv")
        dns = "dnsserver" if "dnsserver" in known else "dns01"
        # Everything but DNS and its management stays switched off.
        off = [o for o in ("http01", "https01", "tlsalpn01", "doh")
               if o in known]
        args = [f"-{dns}", self.address, "-management",
                f"{LOOPBACK}:{self.management}",
                "-defaultIPv4", "", "-defaultIPv6", ""]
        for option in off:
            args += [f"-{option}", ""]
        self.spawn(program("pebble-challtestsrv"), *args)
        self.wait_ready(lambda: answers_tcp(LOOPBACK, self.management)
                        and answers_tcp(LOOPBACK, self.port))

    def post(self, verb, **what):
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.management}/{verb}",
            data=json.dumps(what).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.read()

    # Record names are absolute for the server: with a dot at the end.
    def add_a(self, host, *addresses):
        self.post("add-a", host=f"{host}.", addresses=list(addresses))

    def clear_a(self, host):
        self.post("clear-a", host=f"{host}.")

    def add_aaaa(self, host, *addresses):
        self.post("add-aaaa", host=f"{host}.", addresses=list(addresses))

    def clear_aaaa(self, host):
        self.post("clear-aaaa", host=f"{host}.")

    def set_cname(self, host, target):
        self.post("set-cname", host=f"{host}.", target=f"{target}.")

    def clear_cname(self, host):
        self.post("clear-cname", host=f"{host}.")

    def add_caa(self, host, *values, tag="issue"):
        self.post("add-caa", host=f"{host}.",
                  policies=[{"tag": tag, "value": v} for v in values])

    def clear_caa(self, host):
        self.post("clear-caa", host=f"{host}.")

    def servfail(self, host):
        self.post("set-servfail", host=f"{host}.")

    def clear_servfail(self, host):
        self.post("clear-servfail", host=f"{host}.")


class Pebble(Process):
    """Let's Encrypt's small CA.  It validates for real, at http_port."""

    def __init__(self, directory, tls, dns, http_port, nonce_reject=5,
                 authz_reuse=50, blocklist=(), validity=90 * 86400,
                 command=None, alternate_roots=0, eab=None, retry_after=1,
                 profiles=None):
        super().__init__("pebble", directory)
        self.command = command or PEBBLE or program("pebble")
        self.tls = tls
        self.dns = dns
        self.http_port = http_port
        self.blocklist = list(blocklist)
        self.validity = validity
        self.retry_after = retry_after
        # Of several it takes any for an order that wants none.
        self.profiles = {name: {"description": name, "validityPeriod": seconds}
                         for name, seconds in (profiles or {}).items()}
        self.eab = eab  # {key id: key}: no account without one of them
        self.env = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
            "PEBBLE_AUTHZREUSE": str(authz_reuse),
            "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
        }
        self.root = self.dir / "pebble-root.pem"
        self.take_ports()

    def take_ports(self):
        self.port = free_port()
        self.management = free_port()

    @property
    def directory(self):
        return f"https://{LOOPBACK}:{self.port}/dir"

    def config(self):
        return {"pebble": {
            "listenAddress": f"{LOOPBACK}:{self.port}",
            "managementListenAddress": f"{LOOPBACK}:{self.management}",
            "certificate": str(self.tls.cert),
            "privateKey": str(self.tls.key),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.eab is not None,
            "externalAccountMACKeys": self.eab or {},
            "domainBlocklist": self.blocklist,
            "certificateValidityPeriod": self.validity,
            # Newer ones: when to look again, profiles.
            "retryAfter": {"authz": self.retry_after,
                           "order": self.retry_after},
            "profiles": {"default": {
                "description": "as everywhere",
                "validityPeriod": self.validity,
            }, **self.profiles},
        }}

    def start(self):
        path = self.dir / "pebble.json"
        path.write_text(json.dumps(self.config(), indent=1))
        os.environ.pop("PEBBLE_VA_ALWAYS_VALID", None)
        self.spawn(self.command, "-config", path,
                   "-dnsserver", self.dns.address)
        self.wait_ready(lambda: answers_tcp(LOOPBACK, self.port)
                        and self.managed("roots/0"))
        self.root.write_bytes(self.managed("roots/0"))

    def managed(self, what, **post):
        """A document of the management interface, b"" when not there yet.

        With anything to post it is a POST.
        """
        trust = ssl.create_default_context(cafile=self.tls.ca)
        url = f"https://{LOOPBACK}:{self.management}/{what}"
        data = json.dumps(post).encode() if post else None
        try:
            with urllib.request.urlopen(
                    url, data, timeout=5, context=trust) as r:
                return r.read()
        except (urllib.error.URLError, OSError):
            return b""

    def issued(self):
        """Serials (upper hex) of all certificates issued, in order."""
        return [s.upper() for s in re.findall(
            r"Issued certificate serial ([0-9a-fA-F]+)", self.text())]

    def orders(self):
        """How many times somebody asked for a new order."""
        return len(re.findall(r"POST /order-plz -> ", self.text()))

    def orders_made(self):
        """How many orders it has: a nonce it does not like makes none."""
        return len(re.findall(r"Added order ", self.text()))

    def requests(self):
        """How many requests of any kind it has answered."""
        return len(re.findall(r" -> calling handler", self.text()))


class RedisClient(Resp):
    """For a with statement, and for looking at everything."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def hash(self, key):
        """A HASH, {} when there is none."""
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def dump(self):
        """Every key with its value as bytes, whatever its type."""
        read = {
            "string": ("GET",),
            "hash": ("HGETALL",),
            "set": ("SMEMBERS",),
            "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
            "list": ("LRANGE", 0, -1),
            "stream": ("XRANGE", "-", "+"),
        }
        found = {}
        for key in sorted(self("KEYS", "*")):
            kind = self("TYPE", key)
            if kind in read:
                command, *more = read[kind]
                found[key] = self(command, key, *more, raw=True)
        return found


class RedisServer(Process):
    """A stand-alone Redis, for nodes that do not run their own.

    options are more of its command line; command is another server.
    """

    def __init__(self, directory, *options, command=None):
        super().__init__("redis", directory)
        self.options = options
        self.command = command or REDIS
        self.take_ports()

    def take_ports(self):
        self.port = free_port()

    @property
    def url(self):
        return f"redis://{LOOPBACK}:{self.port}"

    @property
    def settings(self):
        """Of certfleet.conf, to use it."""
        return {"url": self.url}

    @property
    def referees(self):
        """What a referee is told of it."""
        return {"port": self.port}

    def start(self):
        self.spawn(*self.command, "--bind", LOOPBACK,
                   "--port", self.port, "--dir", self.dir, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always",
                   "--daemonize", "no", *self.options)
        self.wait_ready(self.answers)

    def answers(self):
        try:
            with self.client() as redis:
                return redis("PING") == "PONG"
        except (OSError, Error):
            return False

    def client(self):
        return RedisClient(host=LOOPBACK, port=self.port)


class GuardedRedis(RedisServer):
    """TLS for those who have a certificate, and ACL users.

    acl is the text of users to include; the password of admin is "admin".
    """

    def __init__(self, directory, tls, acl):
        super().__init__(directory)
        self.tls = tls
        self.users = self.dir / "users.acl"
        self.users.write_text(acl + "\nuser admin on >admin ~* &* +@all\n")

    def start(self):
        self.options = (
            "--port", 0, "--tls-port", self.port, "--tls-auth-clients", "yes",
            "--tls-cert-file", self.tls.cert, "--tls-key-file", self.tls.key,
            "--tls-ca-cert-file", self.tls.ca, "--tls-replication", "yes",
            "--masteruser", "replica", "--masterauth", "change-me-replica",
            "--include", self.users)
        super().start()

    @property
    def settings(self):
        return {"url": f"rediss://{LOOPBACK}:{self.port}",
                "ca_file": str(self.tls.ca), "cert_file": str(self.tls.cert),
                "key_file": str(self.tls.key)}

    def client(self, user="admin", password="admin"):
        return guarded_client(self.tls, self.port, user, password)


def guarded_client(tls, port, user, password):
    context = ssl.create_default_context(cafile=tls.ca)
    context.load_cert_chain(tls.cert, tls.key)
    redis = RedisClient(host=LOOPBACK, port=port, tls=context)
    redis("AUTH", user, password)
    return redis


class Sentinel(Process):
    """One of those who watch over a master and its replicas.

    With tls it speaks that, the servers want to know it by the user sentinel,
    and users are those that it has itself besides the default one.
    """

    def __init__(self, directory, tls=None, users=""):
        super().__init__("sentinel", directory)
        self.tls = tls
        self.users = users
        self.take_ports()

    def guard(self):
        return (f"tls-port {self.port}\nport 0\ntls-auth-clients yes\n"
                f"tls-cert-file {self.tls.cert}\n"
                f"tls-key-file {self.tls.key}\n"
                f"tls-ca-cert-file {self.tls.ca}\ntls-replication yes\n"
                f"{self.users}\nrequirepass inner\n"
                "sentinel sentinel-pass inner\n")

    def take_ports(self):
        self.port = free_port()

    def start(self, master=None, quorum=2, patience_ms=700):
        """master: to be watched from now on; later it knows by itself."""
        conf = self.dir / "sentinel.conf"
        if master:
            conf.write_text(
                f"bind {LOOPBACK}\n"
                + (self.guard() if self.tls else f"port {self.port}\n") +
                f"sentinel monitor shop {LOOPBACK} {master.port} {quorum}\n"
                f"sentinel down-after-milliseconds shop {patience_ms}\n"
                "sentinel failover-timeout shop 3000\n"
                + ("sentinel auth-user shop sentinel\n"
                   "sentinel auth-pass shop change-me-sentinel\n"
                   if self.tls else ""))
        self.spawn(*REDIS, conf, "--sentinel")
        self.wait_ready(lambda: answers_tcp(LOOPBACK, self.port))

    def client(self):
        if self.tls:
            return guarded_client(self.tls, self.port, "default", "inner")
        return RedisClient(host=LOOPBACK, port=self.port)


class Watched:
    """A master, a replica and three Sentinels, as nodes see a Redis."""

    def __init__(self, directory, server=RedisServer, sentinel=Sentinel):
        self.servers = [started(server(directory / name))
                        for name in ("a", "b")]
        with self.servers[1].client() as redis:
            redis("REPLICAOF", LOOPBACK, self.servers[0].port)
        self.sentinels = [sentinel(directory / f"s{i}") for i in range(3)]
        for sentinel in self.sentinels:
            sentinel.start(self.servers[0])
        wait_for("Sentinels to know each other and the replica", self.ready, 20)

    def ready(self):
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                flat = client("SENTINEL", "MASTER", "shop")
            facts = dict(zip(flat[::2], flat[1::2]))
            if (facts["num-other-sentinels"], facts["num-slaves"],
                    facts["flags"]) != ("2", "1", "master"):
                return False
        # What a master calls online may still be loading its first copy.
        return all(word in self.replication(server) for server, word in zip(
            sorted(self.servers, key=lambda s: s is not self.master),
            ("state=online", "master_link_status:up")))

    @staticmethod
    def replication(server):
        with server.client() as redis:
            return redis("INFO", "replication")

    def rejoin(self, server):
        """What Sentinels would make of a former master in their next round."""
        with server.client() as redis:
            redis("REPLICAOF", LOOPBACK, self.master.port)

    @property
    def settings(self):
        return {"sentinels": [f"{LOOPBACK}:{s.port}" for s in self.sentinels],
                "master": "shop"}

    @property
    def master(self):
        alive = next(s for s in self.sentinels if s.running)
        with alive.client() as client:
            _, port = client("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")
        return next(s for s in self.servers if s.port == int(port))

    def client(self):
        return self.master.client()

    def stop(self):
        for process in self.sentinels + self.servers:
            process.kill()


def slot_of(key):
    """The slot of a key in a Cluster: CRC-16 of what is in its braces."""
    return binascii.crc_hqx(
        (re.search(r"{([^}]+)}", key) or re.search("(.*)", key))[1].encode(),
        0) % 16384


class ClusterClient:
    """Asks whoever has the key: enough of a client to look at everything."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, command, *args, raw=False):
        key = args[2] if command.startswith("FCALL") else args[0]
        with self.cluster.owner(slot_of(str(key))).client() as redis:
            return redis(command, *args, raw=raw)

    def hash(self, key):
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))


class Cluster:
    """Three masters with a third of the slots each, and a replica of one."""

    def __init__(self, directory, command=None):
        self.servers = [started(RedisServer(
            directory / f"c{i}", "--cluster-enabled", "yes",
            "--cluster-port", free_port(), "--cluster-node-timeout", "1000",
            command=command)) for i in range(4)]
        self.masters, self.replica = self.servers[:3], self.servers[3]
        for i, master in enumerate(self.masters):
            with master.client() as redis:
                redis("CLUSTER", "ADDSLOTSRANGE", i * 16384 // 3,
                      (i + 1) * 16384 // 3 - 1)
                redis("CONFIG", "SET", "cluster-replica-validity-factor", 0)
        with self.servers[0].client() as redis:
            for other in self.servers[1:]:
                redis("CLUSTER", "MEET", LOOPBACK, other.port, other.options[3])
        wait_for("the Cluster to stand", lambda: all(
            self.info(s)["cluster_state"] == "ok"
            and self.info(s)["cluster_known_nodes"] == "4"
            for s in self.servers), 20)
        with self.replica.client() as redis:
            redis("CLUSTER", "REPLICATE", self.id_of(self.masters[0]))
        wait_for("its replica to be one", lambda: "master_link_status:up" in
                 self.replication(self.replica), 20)

    @staticmethod
    def info(server):
        with server.client() as redis:
            return dict(line.split(":", 1) for line in
                        redis("CLUSTER", "INFO").splitlines() if ":" in line)

    @staticmethod
    def replication(server):
        with server.client() as redis:
            return redis("INFO", "replication")

    @staticmethod
    def id_of(server):
        with server.client() as redis:
            return redis("CLUSTER", "MYID")

    def owner(self, slot):
        """Who has that slot, by what those say who live."""
        for server in self.servers:
            if not server.running:
                continue
            with server.client() as redis:
                for first, last, (_, port, *_), *_ in redis("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(s for s in self.servers if s.port == port)
        raise Failed(f"nobody has slot {slot}")

    @property
    def settings(self):
        # Only one of them: it tells of the others.
        return {"cluster": [f"{LOOPBACK}:{self.masters[1].port}"]}

    @property
    def pair(self):
        """The master that has a replica, and that one."""
        two = (self.masters[0], self.replica)
        return sorted(two, key=lambda s: "role:slave" in self.replication(s))

    @property
    def referees(self):
        """What a referee is told of it."""
        return {"cluster": [s.port for s in self.servers]}

    def client(self):
        return ClusterClient(self)

    def stop(self):
        for server in self.servers:
            server.kill()


class World:
    """DNS, CA and their certificates: what all nodes of a test share."""

    def __init__(self, directory, http_port=None, **pebble):
        self.dir = Path(directory)
        self.tls = TlsFiles(self.dir / "tls")
        self.http_port = http_port or free_port()
        self.https_port = free_port()
        self.dns = self.start_dns()
        self.pebble = started(Pebble(
            self.dir, self.tls, self.dns, self.http_port, **pebble))
        self.more = []

    def start_dns(self):
        """What Pebble and the nodes ask; other worlds have other DNS."""
        return started(ChallTestSrv(self.dir))

    def second_ca(self, **pebble):
        """Another CA, which knows nothing of the first one."""
        self.more.append(started(Pebble(
            self.dir / f"ca{len(self.more) + 2}", self.tls, self.dns,
            self.http_port, **pebble)))
        return self.more[-1]

    def stop(self):
        for pebble in (self.pebble, *self.more):
            pebble.stop()
        self.dns.stop()

