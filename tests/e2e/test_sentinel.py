"""Redis behind three Sentinels: the master dies, hangs, comes back."""

import os
import signal

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from peers import Watched
from test_redis import KEYAUTH, TOKEN, added_here, all_in_use, challenge
from test_year import Observer


@pytest.fixture(scope="module")
def redis(session_ground):
    return session_ground.keep(Watched(session_ground.dir / "watched"))


@pytest.fixture(scope="module")
def guarded(session_ground, redis):
    return session_ground.node(
        session_ground.world("sentinel"), name="s1", redis=redis, settings={
            # More at a time can lock up Pebble 2.4 (see tests/fakeca).
            "acme": {"renewals_per_minute": 60000, "max_requests": 1},
            "haproxy": {"push_per_s": 0}})


@pytest.fixture
def node(guarded, redis):
    wait_for("sync to have its Redis", guarded.sync.works, 10,
             explain=guarded.sync.tail)
    wait_for("both servers to be well", redis.ready, 30)
    return guarded


def settled(redis):
    """Until what was written is at the replica too."""
    with redis.client() as client:
        assert client("WAIT", 1, 5000) == 1


def failed_over(redis, old):
    wait_for("another master", lambda: redis.master is not old, 30)


def remember(node, redis):
    """A challenge that the agent has in memory."""
    with redis.client() as client:
        client("SET", f"{PREFIX}challenge:{TOKEN}", KEYAUTH, "EX", 120)
        client("PUBLISH", f"{PREFIX}challenges", f"{TOKEN} {KEYAUTH}")
    assert challenge(node)[:2] == (200, KEYAUTH)


def agent_answers(node):
    status, body, seconds = challenge(node)
    assert (status, body) == (200, KEYAUTH) and seconds < 0.5 * SLOW


def agent_answers_until(node, redis, gone):
    """All the time until another is the master."""
    def moved():
        agent_answers(node)
        return redis.master is not gone

    wait_for("another master", moved, 30, 0.1, explain=node.agent.tail)
    agent_answers(node)


def agent_follows(node, redis, token):
    """It answers what only the new master knows."""
    with redis.client() as client:
        client("SET", f"{PREFIX}challenge:{token}", f"{token}.{'k' * 43}",
               "EX", 60)
    wait_for("the agent to ask the new master", lambda: challenge(
        node, token)[0] == 200, 15, 0.2, explain=node.agent.tail)


def lost_nothing(node, names, before):
    """Everything that was issued is served, and nothing was issued twice."""
    all_in_use(node, names, 60)
    issued = node.pebble.issued()[before:]
    assert sorted(node.serial(n) for n in names) == sorted(issued)


def test_sentinels_tell_where_redis_is(node):
    added_here(node, "told.test")
    all_in_use(node, ["told.test"])
    assert not node.redis_socket.exists()
    assert "master=shop sentinel=" in node.sync.text()


def test_the_master_is_killed_in_the_middle_of_orders(node, redis):
    names = [f"killed{i}.test" for i in range(6)]
    before = len(node.pebble.issued())
    remember(node, redis)
    added_here(node, *names)
    settled(redis)
    dead = redis.master
    dead.kill()
    agent_answers_until(node, redis, dead)
    lost_nothing(node, names, before)
    agent_follows(node, redis, "S" * 40)
    dead.start()
    redis.rejoin(dead)


def test_the_master_hangs_in_the_middle_of_orders(node, redis):
    """Connections stay open; what is told of the new master moves us."""
    names = [f"hangs{i}.test" for i in range(6)]
    before = len(node.pebble.issued())
    remember(node, redis)
    added_here(node, *names)
    settled(redis)
    hung = redis.master
    hung.signal(signal.SIGSTOP)
    try:
        agent_answers_until(node, redis, hung)
        lost_nothing(node, names, before)
        agent_follows(node, redis, "T" * 40)
    finally:
        hung.signal(signal.SIGCONT)
    redis.rejoin(hung)


def test_a_failover_that_was_asked_for(node, redis):
    """The old master takes writes, and loses them, until all have moved."""
    names = [f"asked{i}.test" for i in range(4)]
    old = redis.master
    added_here(node, *names)
    settled(redis)
    with redis.sentinels[1].client() as client:
        client("SENTINEL", "FAILOVER", "shop")
    failed_over(redis, old)
    all_in_use(node, names, 60)
    redis.rejoin(old)


def test_sentinels_die_but_one(node, redis):
    """Then there is no failover, but Redis is still found."""
    for sentinel in redis.sentinels[:2]:
        sentinel.kill()
    try:
        node.sync.restart()
        node.agent.restart()
        added_here(node, "lonely.test")
        all_in_use(node, ["lonely.test"])
    finally:
        for sentinel in redis.sentinels[:2]:
            sentinel.start()


# CERTFLEET_RENEWALS=200 is the long form.
MANY = [f"many{i}.test" for i in range(
    int(os.environ.get("CERTFLEET_RENEWALS", "40")))]


def renewals(node, redis, versions):
    """How many have their second certificate in use."""
    try:
        with redis.client() as client:
            index = client.hash(f"{PREFIX}{{p0}}:index")
    except OSError:
        return 0
    return sum(index.get(n, "0").split(":")[0] != versions[n] for n in MANY)


def test_the_master_is_killed_in_the_middle_of_renewals(node, redis):
    """And its replica has not got the last writes: no certificate is lost, or
    issued twice, and a visitor of every name sees no gap."""
    for name in MANY:
        node.point_here(name)
        status, body = node.api("POST", "/v1/apps/many/domains",
                                {"domain": {"name": name}})
        assert status == 201, body
    records = {}

    def all_in_use():
        for name in MANY:
            if records.get(name, {}).get("status") != "in_use":
                records[name] = node.record(name)
                if records[name].get("status") != "in_use":
                    return False
        return True

    wait_for("all to be in use", all_in_use, 90, 0.2, node.tails)
    observer = Observer(node, node.dir / "observer")
    observer.watch(MANY)
    observer.start()
    wait_for("a first look", observer.rounds, 60, explain=observer.tail)
    versions = {n: records[n]["version"] for n in MANY}
    before = len(node.pebble.issued())
    with redis.client() as client:
        for name in MANY:
            client("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1")
            client("ZADD", f"{PREFIX}{{p0}}:due", "1", name)
    settled(redis)
    wait_for("some to be renewed", lambda: renewals(
        node, redis, versions) > len(MANY) // 4, 60, 0.02, node.tails)
    dead, replica = redis.master, next(
        s for s in redis.servers if s is not redis.master)
    replica.signal(signal.SIGSTOP)
    has = renewals(node, redis, versions)
    wait_for("the replica to miss some", lambda: renewals(
        node, redis, versions) > has + 1, 10, 0.01, node.tails)
    begin = len(node.sync.text())
    dead.kill()
    replica.signal(signal.SIGCONT)
    wait_for("all to be renewed", lambda: renewals(
        node, redis, versions) == len(MANY), 120, 0.2, node.tails)
    for name in MANY:
        record = node.await_status(name, "in_use", 60)
        node.await_served(name, lambda s, r=record: s.serial == r["serial"])
    assert len(node.pebble.issued()) - before == len(MANY)
    assert "certificate taken back from" in node.sync.text()[begin:]
    seen = observer.rounds()
    wait_for("one more look", lambda: observer.rounds() > seen + 1, 60)
    observer.kill()
    assert observer.lapses() == []
    assert not list(observer.downgrades(
        {s["pid"]: 0 for s in observer.seen() if "pid" in s}))
    dead.start()
    redis.rejoin(dead)
