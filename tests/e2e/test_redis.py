"""Redis restarts, forgets, cuts connections, is gone."""

import time
import urllib.error
import urllib.request

import pytest

from harness import built, wait_for
from node import PREFIX

TOKEN = "dG9rZW4tb2YtYS10ZXN0LWZvci1jZXJ0ZmxlZXQ"
KEYAUTH = f"{TOKEN}.{'p' * 43}"


@pytest.fixture(scope="module")
def redis(session_ground):
    return session_ground.redis("external")


@pytest.fixture(scope="module")
def troubled(session_ground, redis):
    return session_ground.node(session_ground.world("redis"), name="r1",
                               redis=redis)


@pytest.fixture
def node(troubled):
    """Whatever the test before has done to Redis is over."""
    wait_for("sync to have its Redis", troubled.sync.works, 10,
             explain=troubled.sync.tail)
    return troubled


def added_here(node, *names):
    node.point_here(*names)
    node.add(*names)


def all_in_use(node, names, seconds=40):
    for name in names:
        record = node.await_status(name, "in_use", seconds)
        assert node.served(name).serial == record["serial"]


def challenge(node, token=TOKEN):
    """What HAProxy answers to a CA: status, body, seconds."""
    url = (f"http://{node.address}:{node.world.http_port}"
           f"/.well-known/acme-challenge/{token}")
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            status, body = reply.status, reply.read().decode()
    except urllib.error.HTTPError as e:
        status, body = e.code, ""
    return status, body, time.monotonic() - begin


def test_an_external_redis_is_all_a_node_needs(node):
    added_here(node, "external.test")
    all_in_use(node, ["external.test"])
    assert not node.redis_socket.exists()


def test_redis_restarts_in_the_middle_of_orders(node, redis):
    names = [f"restart{i}.test" for i in range(5)]
    before = len(node.pebble.issued())
    added_here(node, *names)
    for _ in range(2):
        time.sleep(0.5)
        redis.stop()
        time.sleep(0.3)
        redis.start()
    all_in_use(node, names, 60)
    assert len(node.pebble.issued()) - before == len(names)


def test_connections_are_cut_in_the_middle_of_orders(node, redis):
    names = [f"cut{i}.test" for i in range(5)]
    before = len(node.pebble.issued())
    added_here(node, *names)
    with redis.client() as client:
        for _ in range(6):
            time.sleep(0.3)
            client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            client("CLIENT", "KILL", "TYPE", "pubsub")
    all_in_use(node, names, 60)
    assert len(node.pebble.issued()) - before == len(names)


def test_challenges_are_forgotten(node, redis):
    """Agents were told when they were published, so nobody misses them."""
    added_here(node, "forgotten.test")
    with redis.client() as client:
        end = time.monotonic() + 40
        while node.status("forgotten.test") != "in_use":
            assert time.monotonic() < end, node.tails()
            for key in client("KEYS", f"{PREFIX}challenge:*"):
                if "thumbprint" not in key:
                    client("DEL", key)
            time.sleep(0.005)
    all_in_use(node, ["forgotten.test"])


def test_functions_are_forgotten(node, redis):
    with redis.client() as client:
        client("FUNCTION", "FLUSH")
    node.point_here("functions.test")
    wait_for("a new connection to have loaded them", lambda: node.cli(
        "domains-add", "functions.test", code=None).code == 0, 10, 0.2)
    all_in_use(node, ["functions.test"], 60)


def test_the_lease_is_forgotten(node, redis):
    """A new epoch, and work goes on."""
    with redis.client() as client:
        client("DEL", f"{PREFIX}leader")
    added_here(node, "lease.test")
    all_in_use(node, ["lease.test"])


def test_answers_from_memory_while_redis_is_gone(node, redis):
    with redis.client() as client:
        client("SET", f"{PREFIX}challenge:{TOKEN}", KEYAUTH, "EX", 60)
        client("PUBLISH", f"{PREFIX}challenges", f"{TOKEN} {KEYAUTH}")
    assert challenge(node)[:2] == (200, KEYAUTH)
    redis.stop()
    try:
        for _ in range(20):
            status, body, seconds = challenge(node)
            assert (status, body) == (200, KEYAUTH)
            assert seconds < 0.5
        status, _, seconds = challenge(node, "A" * 40)
        assert status in (404, 503), status
        assert seconds < 1, "a lookup has 50 ms, whatever Redis does"
        assert node.served("external.test").verified
        # The command line says what is wrong, soon.
        begin = time.monotonic()
        done = node.cli("domains", code=None)
        assert done.code != 0 and done.err.strip(), done
        assert time.monotonic() - begin < 5
    finally:
        redis.start()
    wait_for("sync to have its Redis", node.sync.works, 10)
    added_here(node, "back.test")
    all_in_use(node, ["back.test"], 60)


def test_redis_hangs(node, redis):
    """Stopped, not dead: connections stay open and nothing answers."""
    import signal
    redis.signal(signal.SIGSTOP)
    try:
        status, _, seconds = challenge(node, "B" * 40)
        assert status in (404, 503), status
        assert seconds < 1
        assert node.served("external.test").verified
    finally:
        redis.signal(signal.SIGCONT)
    wait_for("sync to have its Redis", node.sync.works, 10)
    added_here(node, "awake.test")
    all_in_use(node, ["awake.test"], 60)


def test_an_unusable_redis_is_told_at_start(ground):
    """A replica, for one, takes no writes."""
    from peers import LOOPBACK
    primary, replica = ground.redis("primary"), ground.redis("replica")
    with replica.client() as client:
        client("REPLICAOF", LOOPBACK, primary.port)
    node = ground.node(ground.world(), start=False, redis=replica)
    node.write_conf()
    node.sync.prime()
    node.sync.spawn(built("certfleet-sync"), "-f", node.conf)
    wait_for("the log to say why", lambda: "replica" in node.sync.text()
             or "slave" in node.sync.text() or "master" in node.sync.text(),
             5, explain=node.sync.tail)


def told_since(node, level, begin):
    """What the log says about Redis at that level."""
    return "\n".join(line for line in node.sync.text()[begin:].splitlines()
                     if f" {level} redis=" in line)


@pytest.mark.parametrize("setting, value, told", [
    ("maxmemory", "1", "its memory is full"),
    ("min-replicas-to-write", "1", "fewer replicas are connected"),
])
def test_a_redis_that_takes_no_writes(node, redis, setting, value, told):
    """Told once and shown; what is served goes on, and so does work after."""
    begin = len(node.sync.text())
    name = f"{setting}.test"
    node.point_here(name)
    with redis.client() as client:
        client("SET", f"{PREFIX}challenge:{TOKEN}", KEYAUTH, "EX", 60)
        client("PUBLISH", f"{PREFIX}challenges", f"{TOKEN} {KEYAUTH}")
        client("CONFIG", "SET", setting, value)
        try:
            wait_for("the log to say why", lambda: told in told_since(
                node, "error", begin), 10, explain=node.sync.tail)
            assert told in node.api("GET", "/api/v1/status")[1]["error"]
            done = node.cli("domains-add", name, code=None)
            assert done.code != 0 and told in done.text, done.text
            assert challenge(node)[:2] == (200, KEYAUTH)
            assert node.served("external.test").verified
        finally:
            client("CONFIG", "SET", setting, "0")
    wait_for("writes to be taken again", lambda: "takes writes again"
             in told_since(node, "info", begin), 10, explain=node.sync.tail)
    assert len(told_since(node, "error", begin).splitlines()) == 1, "not once"
    node.add(name)
    all_in_use(node, [name], 60)


def test_a_master_that_becomes_a_replica(node, redis, session_ground):
    """READONLY is no state to stay in: a master is waited for."""
    from peers import LOOPBACK
    other = session_ground.redis("other")
    with redis.client() as client:
        client("REPLICAOF", LOOPBACK, other.port)
        try:
            wait_for("the log to say why", lambda: "is a replica; the master "
                     "is needed" in node.sync.text(), 10)
            assert node.cli("domains-add", "x.test", code=None).code != 0
            assert node.served("external.test").verified
        finally:
            client("REPLICAOF", "NO", "ONE")
