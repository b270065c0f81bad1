"""Redis loses what it had: all of it, the last hour, itself.

Two nodes serve fifty names all the time; what Redis has lost comes back from
them, and nothing is ordered for it.
"""

import shutil
import signal
import time

import pytest

from harness import wait_for
from node import PREFIX
from ownca import OwnCA
from test_crash import has_faults
from test_year import Observer

NAMES = [f"heal{i}.test" for i in range(50)]
APPS = ["shop", "blog"]
OWN, QUIET = "own.test", "quiet.test"  # with certificates of their owners'
ADDRESSES = ["127.0.0.2", "127.0.0.3"]
P = PREFIX + "{p0}:"


@pytest.fixture(scope="module")
def redis(session_ground):
    """It saves when it is told to, and not otherwise."""
    return session_ground.redis("heal", "--appendonly", "no")


def made(ground, world, name, address, first=None, **kw):
    node = ground.node(world, start=False, name=name, address=address,
                       settings={"dns": {"targets": ADDRESSES},
                                 # One request at a time: more can lock up
                                 # Pebble 2.4 (see tests/fakeca).
                                 "acme": {"renewals_per_minute": 60000,
                                          "max_requests": 1},
                                 "haproxy": {"push_per_s": 0}}, **kw)
    if first:
        node.state_dir.mkdir(mode=0o700)
        shutil.copy(first.state_dir / "kek", node.state_dir / "kek")
    return node.start()


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("heal-own"))


@pytest.fixture(scope="module")
def nodes(session_ground, redis, ca):
    world = session_ground.world("heal")
    first = made(session_ground, world, "e1", ADDRESSES[0], redis=redis)
    second = made(session_ground, world, "e2", ADDRESSES[1], first,
                  redis=redis)
    for i, name in enumerate(NAMES):
        first.dns.add_a(name, *ADDRESSES)
        status, body = first.api(
            "POST", f"/v1/apps/{APPS[i % 2]}/domains",
            {"domain": {"name": name, "canonical": i == 1}})
        assert status == 201, body
    for name, more in ((OWN, {}), (QUIET, {"letsencrypt_enabled": False})):
        pair = ca.leaf(name)
        status, body = first.api(
            "POST", "/v1/apps/own/domains", {"domain": {
                "name": name, "tlscert": pair.pem, "tlskey": pair.key_pem,
                **more}})
        assert status == 201, body
    settled(first)
    wait_for("both to have a copy of the account", lambda: all(
        list((n.state_dir / "outbox").glob("*.account"))
        for n in (first, second)), 10)
    return first, second


@pytest.fixture
def watched(nodes, request):
    """Both nodes are looked at all the time; there is no gap."""
    observers = []
    for node in nodes:
        observers.append(Observer(node, node.dir / request.node.name))
        observers[-1].watch(NAMES)
        observers[-1].start()
    rounds = [o.rounds() for o in observers]
    yield observers
    try:
        wait_for("one more look", lambda: all(
            o.rounds() > r + 1 for o, r in zip(observers, rounds)), 30)
    finally:
        for observer in observers:
            observer.kill()
    for observer in observers:
        assert observer.lapses() == []
        assert not list(observer.downgrades(
            {s["pid"]: 0 for s in observer.seen() if "pid" in s}))


def records(node):
    with node.redis_client() as redis:
        return {name: redis.hash(f"{P}domain:{name}")
                for name in NAMES + [OWN, QUIET]}


def statuses(node):
    try:
        return {n: r.get("status") for n, r in records(node).items()}
    except Exception:  # Redis restarts
        return {}


WANTED = {**dict.fromkeys(NAMES, "in_use"), OWN: "not_used", QUIET: "not_used"}


def settled(node, seconds=60):
    """All have the status that they had; their records."""
    wait_for("all to be as they were", lambda: statuses(node) == WANTED,
             seconds, 0.1, lambda: str({
                 n: s for n, s in statuses(node).items() if s != WANTED[n]})
             + node.tails())
    return records(node)


KEPT = ("app", "letsencrypt", "canonical", "created_at", "sha1", "serial",
        "issuer", "not_before", "not_after", "renew_at", "ca", "custom_sha1",
        "custom_subject", "custom_key", "custom_not_after")


def same(before, after):
    for name, record in before.items():
        for field in KEPT:
            none = "0" if field == "canonical" else ""
            assert after[name].get(field, none) == \
                record.get(field, none), (name, field)


class Orders:
    """What the CA was asked for between two moments."""

    def __init__(self, node):
        self.pebble = node.pebble
        self.before = self.now()

    def now(self):
        return self.pebble.orders(), len(self.pebble.issued())

    def none(self):
        assert self.now() == self.before


def test_everything_is_flushed(nodes, redis, watched):
    before, orders = records(nodes[0]), Orders(nodes[0])
    with redis.client() as client:
        account = client("GET", client("KEYS", f"{PREFIX}account:*")[0])
        client("FLUSHALL")
    same(before, settled(nodes[0]))
    orders.none()
    with redis.client() as client:
        [key] = client("KEYS", f"{PREFIX}account:*")
        assert client("GET", key).split('"key"')[0] == \
            account.split('"key"')[0], "another account"
        assert client("HGET", f"{PREFIX}meta", "partitions") == "1"
        assert client.hash(f"{P}counts") == {"in_use": "50", "not_used": "2"}
    for app in APPS:
        listed = nodes[1].cli("--app", app, "domains").out
        assert all(name in listed for name in NAMES[APPS.index(app)::2])


def renew(node, names):
    with node.redis_client() as client:
        for name in names:
            client("HSET", f"{P}domain:{name}", "renew_at", "1")
            client("ZADD", f"{P}due", "1", name)


def replaced(redis, rdb):
    """The server starts again, with that as what it has saved."""
    redis.kill()
    saved = redis.dir / "dump.rdb"
    if rdb:
        shutil.copy(rdb, saved)
    else:
        saved.unlink(missing_ok=True)
    redis.start()


def test_an_old_copy_of_redis(nodes, redis, watched, tmp_path):
    """Of before the last renewals: they are not made a second time."""
    renewed = NAMES[:25]
    old = tmp_path / "old.rdb"
    before = records(nodes[0])
    # It says that they are due.
    renew(nodes[0], renewed)
    with redis.client() as client:
        client("SAVE")
    shutil.copy(redis.dir / "dump.rdb", old)
    wait_for("them to be renewed", lambda: all(
        r["serial"] != before[n]["serial"] for n, r in
        records(nodes[0]).items() if n in renewed), 60, 0.1)
    now, orders = settled(nodes[0]), Orders(nodes[0])
    for node in nodes:
        for name in renewed:
            node.await_served(name, lambda s, n=name: s.serial
                              == now[n]["serial"])
    replaced(redis, old)
    wait_for("sync to have its Redis", nodes[0].sync.works, 20)
    wait_for("the renewed ones to be back", lambda: all(
        r.get("serial") == now[n]["serial"] for n, r in
        records(nodes[0]).items() if n in renewed), 60, 0.1, nodes[0].tails)
    settled(nodes[0])
    for name in NAMES:
        for node in nodes:
            assert node.served(name).serial == now[name]["serial"]
    orders.none()


def test_a_redis_that_is_brand_new(nodes, redis, watched):
    """Not even the functions are there; and both nodes start with it."""
    before, orders = records(nodes[0]), Orders(nodes[0])
    for node in nodes:
        node.sync.stop()
    replaced(redis, None)
    for node in reversed(nodes):
        node.sync.start()
    after = settled(nodes[0])
    same(before, after)
    orders.none()


def test_who_was_away_brings_what_nobody_else_has(nodes, redis, watched):
    """A certificate that only one node has, while the other leads."""
    away, there = nodes
    name = NAMES[7]
    before, orders = records(there), Orders(there)
    there.sync.stop()
    for path in [*(there.state_dir / "certs").glob(f"{name}*"),
                 *there.cert_dir.glob(f"{name}*")]:
        path.unlink()
    away.sync.stop()
    replaced(redis, None)
    there.sync.start()
    wait_for("the others to be back", lambda: sum(
        s == "in_use" for s in statuses(there).values()) == len(NAMES) - 1,
        60, 0.1, there.tails)
    assert not there.record(name)
    away.sync.start()
    same(before, settled(there))
    orders.none()


def test_what_was_removed_stays_so(nodes, redis):
    """A node that slept through the removal has it still, and offers it."""
    name = "gone.test"
    first, second = nodes
    for node in nodes:
        node.dns.add_a(name, *ADDRESSES)
    first.add(name)
    first.await_status(name, "in_use")
    second.sync.signal(signal.SIGSTOP)
    try:
        first.remove(name)
        with redis.client() as client:
            client("HDEL", f"{P}index", name)
    finally:
        second.sync.signal(signal.SIGCONT)
    wait_for("both nodes to have dropped it", lambda: not any(
        name in c for n in nodes for c in n.haproxy.certificates()), 20)
    # Whoever leads from now on is offered all that there is.
    leader = redis_leader(redis)
    other, = [n for n in nodes if n.name != leader]
    before = mustered(other)
    next(n for n in nodes if n.name == leader).sync.restart()
    wait_for("all to be offered", lambda: mustered(other) > before, 30, 0.1,
             other.tails)
    assert not first.record(name)
    assert not any(name in c for n in nodes for c in n.haproxy.certificates())


def test_what_a_former_leader_has_issued(nodes, redis, tmp_path):
    """It died right after the commit, and Redis has lost that: it is the only
    one that has the certificate, and another leads when it comes back."""
    if not has_faults():
        pytest.skip("a build without faults")
    name = "heirloom.test"
    first, second = nodes
    for node in nodes:
        node.dns.add_a(name, *ADDRESSES)
        node.sync.stop()
    first.sync.start()
    first.add(name)
    first.await_status(name, "in_use", 30)
    with redis.client() as client:
        client("SAVE")
    old = tmp_path / "old.rdb"
    shutil.copy(redis.dir / "dump.rdb", old)
    first.sync.stop()
    first.sync.start(fault="F13:kill")
    time.sleep(1)  # a certificate counts seconds, and the later one is better
    renew(first, [name])
    assert first.sync.ended(30) == -9, first.sync.tail()
    issued = first.pebble.issued()[-1]
    replaced(redis, old)
    second.sync.start()
    wait_for("another leader", lambda: redis_leader(redis) == second.name, 20,
             0.1, second.tails)
    first.sync.start()
    wait_for("it to be in Redis", lambda: second.serial(name) == issued, 30,
             0.1, lambda: first.tails() + second.tails())
    for node in nodes:
        node.await_served(name, lambda s: s.serial == issued)
    assert first.pebble.issued()[-1] == issued
    wait_for("the outbox to be empty", lambda: not [
        p for p in (first.state_dir / "outbox").iterdir()
        if p.suffix != ".account" and not p.name.startswith(".tmp-")], 20)


def mustered(node):
    """For which leader it has last offered what it has."""
    with node.redis_client() as redis:
        return int(redis.hash(f"{PREFIX}node:{node.name}").get("mustered", 0))


def redis_leader(redis):
    with redis.client() as client:
        return client.hash(f"{PREFIX}leader").get("node")
