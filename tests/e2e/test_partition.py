"""A leader is cut off with its Redis, and comes back.

It lives in a network namespace of its own, with a master that it goes on
writing to and one Sentinel of three; the CA can be reached from both sides, so
both leaders order.  Only what is carried between the sides connects them (see
crossing.py), and that is cut.
"""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from harness import ROOT, Process, free_port, program, wait_for
from node import PREFIX, Node, served_by
from peers import LOOPBACK, ChallTestSrv, RedisServer, Sentinel, options_of
from test_year import Observer

P = PREFIX + "{p0}:"
FAR = [f"far{i}.test" for i in range(3)]  # renewed by who is cut off
NEAR = [f"near{i}.test" for i in range(3)]  # by its successor
BOTH = "both-sides.test"
NAMES = FAR + NEAR + [BOTH]


def namespaces():
    """Why there can be none, or ""."""
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True,
                          text=True)
    return done.stderr.strip() if done.returncode else ""


pytestmark = pytest.mark.skipif(
    bool(namespaces()), reason=f"no network namespaces: {namespaces()}")


class Relay(Process):
    def start(self, plan, *before):
        path = self.dir / f"{self.name}.json"
        path.write_text(json.dumps(plan))
        self.spawn(*before, sys.executable, ROOT / "tests/e2e/crossing.py", path)
        self.wait_ready(lambda: "ready" in self.text())


class Far:
    """The other namespace, and the way there."""

    def __init__(self, directory):
        self.dir = directory
        self.links = []  # (port to connect to, port, wanted there, cut)
        self.outer = Relay("outer", directory)
        self.inner = Relay("inner", directory)

    def has(self, port, cut=True, seen_at=None):
        """What listens at that port listens there."""
        self.links.append((seen_at or port, port, False, cut))

    def needs(self, port, cut=True):
        """It is here, and is wanted there."""
        self.links.append((port, port, True, cut))

    def start(self):
        ours = {"listen": [], "serve": []}
        theirs = {"listen": [], "serve": []}
        for seen_at, port, wanted, cut in self.links:
            path = str(self.dir / f"l{seen_at}")
            (theirs if wanted else ours)["listen"].append((seen_at, path, cut))
            (ours if wanted else theirs)["serve"].append((path, port, cut))
        self.inner.start(theirs, "unshare", "-n")
        self.outer.start(ours)

    def puts(self, process):
        """Whatever it spawns from now on is there."""
        spawn = process.spawn
        process.spawn = lambda *args: spawn(
            "nsenter", f"--net=/proc/{self.inner.pid}/ns/net", *args)
        return process

    def cut(self):
        self.outer.signal(signal.SIGUSR1)

    def heal(self):
        self.outer.signal(signal.SIGUSR2)

    def stop(self):
        self.outer.kill()
        self.inner.kill()


class FarDNS(ChallTestSrv):
    """All names are here, whatever here is."""

    def start(self):
        known = options_of("pebble-challtestsrv")
        dns = "dnsserver" if "dnsserver" in known else "dns01"
        off = [f"-{o}=" for o in ("http01", "https01", "tlsalpn01", "doh",
                                  "dnsserver", "dns01")
               if o in known and o != dns]
        self.spawn(program("pebble-challtestsrv"), f"-{dns}", self.address,
                   "-management", f"{LOOPBACK}:{self.management}",
                   "-defaultIPv4", LOOPBACK, "-defaultIPv6", "", *off)


class Halves:
    """A master there, its replica here; one Sentinel there, two here."""

    def __init__(self, directory, far):
        self.far, self.near = (RedisServer(directory / n) for n in "ab")
        self.sentinels = [Sentinel(directory / f"s{i}") for i in range(3)]
        for process in (self.far, self.sentinels[0]):
            far.puts(process)
            far.has(process.port)
        for process in (self.near, *self.sentinels[1:]):
            far.needs(process.port)

    def start(self):
        self.far.start()
        self.near.start()
        with self.near.client() as redis:
            redis("REPLICAOF", LOOPBACK, self.far.port)
        wait_for("the replica to have its copy", lambda:
                 "master_link_status:up" in self.replication(), 30, 0.1)
        for sentinel in self.sentinels:
            sentinel.start(self.far)
        wait_for("Sentinels to know each other", lambda: all(
            self.knows(s) for s in self.sentinels), 30, 0.1)

    def replication(self):
        with self.near.client() as redis:
            return redis("INFO", "replication")

    @staticmethod
    def knows(sentinel):
        with sentinel.client() as client:
            flat = client("SENTINEL", "MASTER", "shop")
        facts = dict(zip(flat[::2], flat[1::2]))
        return (facts["num-other-sentinels"], facts["num-slaves"],
                facts["flags"]) == ("2", "1", "master")

    @property
    def settings(self):
        return {"sentinels": [f"{LOOPBACK}:{s.port}" for s in self.sentinels],
                "master": "shop"}

    @property
    def master(self):
        """As those here see it."""
        with self.sentinels[1].client() as client:
            _, port = client("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")
        return self.far if int(port) == self.far.port else self.near

    def client(self):
        return self.master.client()

    def stop(self):
        for process in (*self.sentinels, self.far, self.near):
            process.kill()


class FarNode(Node):
    def __init__(self, *args, eye, **kw):
        super().__init__(*args, **kw)
        self.eye = eye

    def served(self, name):
        return served_by(name, LOOPBACK, self.eye, self.pebble.root)


@pytest.fixture
def sides(ground):
    world = ground.world(authz_reuse=100, nonce_reject=0)
    far = ground.keep(Far(ground.dir / "far"))
    redis = ground.keep(Halves(ground.dir / "halves", far))
    settings = {"acme": {"renewals_per_minute": 60000, "max_requests": 1},
                "haproxy": {"push_per_s": 0}}
    there = FarNode(world, name="there", redis=redis, settings=settings,
                    eye=free_port())
    here = Node(world, name="here", redis=redis, settings=settings)
    dns = FarDNS(ground.dir / "far-dns")
    dns.port, dns.management = world.dns.port, free_port()
    for process in (dns, there.sync, there.agent, there.haproxy):
        far.puts(process)
    far.needs(world.pebble.port, cut=False)
    far.has(there.agent.port, cut=False)
    # The same port is in use on both sides.
    far.has(world.https_port, cut=False, seen_at=there.eye)
    far.start()
    dns.start()
    redis.start()
    there.start()
    here.state_dir.mkdir(mode=0o700)
    shutil.copy(there.state_dir / "kek", here.state_dir / "kek")
    here.start()
    ground.nodes += [there, here]
    yield far, redis, there, here
    dns.kill()


def leader(redis):
    with redis.client() as client:
        return client.hash(f"{PREFIX}leader")


def serials(node, names=NAMES):
    return {name: node.served(name).serial for name in names}


def in_use(node, names=NAMES):
    return all(node.status(name) == "in_use" for name in names)


def watching(node, names, far=None):
    observer = Observer(node, node.dir / "observer")
    if far:
        far.puts(observer)
    observer.watch(names)
    observer.start()
    wait_for("a first look", observer.rounds, 20, explain=observer.tail)
    return observer


def renewed(node, names, before):
    """Asked for by the node's own command line; served by it."""
    node.cli("renew", *names, "--force")
    wait_for(f"{node.name} to serve new ones", lambda: all(
        node.served(n).serial != before[n] for n in names), 30, 0.1,
        node.tails)


def test_a_leader_that_is_cut_off_and_comes_back(sides):
    """Two lead at the same time, and both order; nothing is ordered again
    afterwards, nothing is lost, and no node goes back."""
    far, redis, there, here = sides
    for name in NAMES:
        here.dns.add_a(name, LOOPBACK)
    there.add(*NAMES)
    wait_for("all to be in use", lambda: in_use(here), 60, 0.1, there.tails)
    old = leader(redis)
    assert old["node"] == "there"
    before = serials(here)
    assert serials(there) == before
    observers = [watching(there, NAMES, far), watching(here, NAMES)]

    far.cut()
    wait_for("this side to have a leader", lambda: redis.master is redis.near
             and leader(redis).get("node") == "here", 40, 0.1, here.tails)
    assert int(leader(redis)["epoch"]) > int(old["epoch"])
    renewed(there, FAR + [BOTH], before)
    renewed(here, NEAR + [BOTH], before)
    kept = serials(there, FAR)
    issued = len(here.pebble.issued())
    assert issued == len(NAMES) + len(FAR) + len(NEAR) + 2

    far.heal()
    wait_for("what was renewed there to be in Redis here", lambda: all(
        here.serial(n) == kept[n] for n in FAR), 60, 0.1,
        lambda: there.tails() + here.tails())
    wait_for("all to be in use", lambda: in_use(here), 30, 0.1, here.tails)
    wait_for("both to serve the same", lambda: serials(here) == serials(there),
             30, 0.1, lambda: there.tails() + here.tails())
    after = {name: here.serial(name) for name in NAMES}
    assert after == serials(here) and not set(after.values()) & set(
        before.values())
    assert len(here.pebble.issued()) == issued, "issued again"
    for observer in observers:
        seen = observer.rounds()
        wait_for("one more look", lambda o=observer, s=seen:
                 o.rounds() > s, 20)
        observer.kill()
        assert observer.lapses() == []
        assert not list(observer.downgrades(
            {s["pid"]: 0 for s in observer.seen() if "pid" in s}))
