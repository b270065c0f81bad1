"""Redis behind three Sentinels: the master dies, hangs, comes back."""

import signal

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from peers import Watched
from test_redis import KEYAUTH, TOKEN, added_here, all_in_use, challenge


@pytest.fixture(scope="module")
def redis(session_ground):
    return session_ground.keep(Watched(session_ground.dir / "watched"))


@pytest.fixture(scope="module")
def guarded(session_ground, redis):
    return session_ground.node(session_ground.world("sentinel"), name="s1",
                               redis=redis)


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
