"""A Redis Cluster: three masters, a slot that moves, a master that is lost."""

import time

import pytest

from harness import SLOW, built, wait_for
from node import PREFIX
from peers import LOOPBACK, Cluster, slot_of
from resp import Error
from test_redis import KEYAUTH, TOKEN, added_here, all_in_use, challenge

PARTITIONS = 6


@pytest.fixture(scope="module")
def redis(session_ground):
    return session_ground.keep(Cluster(session_ground.dir / "cluster"))


@pytest.fixture(scope="module")
def clustered(session_ground, redis):
    return session_ground.node(
        session_ground.world("cluster-world"), name="k1", redis=redis,
        settings={"redis": {"partitions": PARTITIONS}})


@pytest.fixture
def node(clustered):
    wait_for("sync to have its Redis", clustered.sync.works, 20,
             explain=clustered.sync.tail)
    return clustered


def spread(node, stem, partitions=range(PARTITIONS), each=1):
    """Names for each of these partitions."""
    names, i = [], 0
    room = dict.fromkeys(partitions, each)
    while any(room.values()):
        name, i = f"{stem}{i}.test", i + 1
        if room.get(node.partition(name)):
            room[node.partition(name)] -= 1
            names.append(name)
    return names


def slot(partition):
    return slot_of(f"{PREFIX}{{p{partition}}}:due")


def test_every_master_has_its_part(node, redis):
    names = spread(node, "part", each=2)
    before = len(node.pebble.issued())
    added_here(node, *names)
    all_in_use(node, names)
    assert len(node.pebble.issued()) - before == len(names)
    owners = {redis.owner(slot(p)).port for p in range(PARTITIONS)}
    assert owners == {m.port for m in redis.masters}
    for master in redis.masters:
        with master.client() as client:
            assert client("FUNCTION", "LIST")[0][1] == "certfleet"
            assert client("DBSIZE") > 0
    with redis.owner(slot_of("{limit}")).client() as client:
        spent = client("KEYS", f"{PREFIX}limit:*")
    assert any(":{limit}:domain:" in key for key in spent), spent
    shown = node.api("GET", "/api/v1/domains?per_page=100")[1]["domains"]
    assert set(names) <= {d["name"] for d in shown}
    events = node.api("GET", "/api/v1/events")[1]["events"]
    assert set(names) <= {e.get("name") for e in events}
    # Each master's own replicas are asked, where it has any.
    wait_for("the outbox to be empty", lambda: not list(
        (node.state_dir / "outbox").glob("*.bundle")), 20,
        explain=node.sync.tail)
    for name in names[::3]:
        node.remove(name)
        wait_for("it to be gone", lambda n=name: not node.record(n), 10)


def test_an_agent_asks_who_has_the_token(node, redis):
    for i in range(6):
        token = f"{i}" * 40
        with redis.client() as client:
            client("SET", f"{PREFIX}challenge:{token}", f"{token}.{'k' * 43}",
                   "EX", 60)
        assert challenge(node, token)[:2] == (200, f"{token}.{'k' * 43}")
    assert challenge(node, "n" * 40)[0] == 404


def migrate(source, target, number):
    """Move the slot's keys, as redis-cli's reshard does, one at a time."""
    while True:
        with source.client() as client:
            keys = client("CLUSTER", "GETKEYSINSLOT", number, 1)
            if not keys:
                return
            try:
                client("MIGRATE", LOOPBACK, target.port, keys[0], 0, 5000)
            except Error as e:
                if e.word != "NOKEY":
                    raise
        time.sleep(0.005)


def begin_move(redis, source, target, number):
    for server, word, other in ((target, "IMPORTING", source),
                                (source, "MIGRATING", target)):
        with server.client() as client:
            client("CLUSTER", "SETSLOT", number, word, redis.id_of(other))


def end_move(redis, source, target, number):
    for server in (target, source, *redis.servers):
        if "role:master" in redis.replication(server):
            with server.client() as client:
                client("CLUSTER", "SETSLOT", number, "NODE",
                       redis.id_of(target))


def test_a_slot_moves_in_the_middle_of_orders(node, redis):
    partition = 1
    number = slot(partition)
    source = redis.owner(number)
    target = next(m for m in redis.masters if m is not source)
    names = spread(node, "moves", [partition], each=4)
    before = len(node.pebble.issued())
    for name in names:
        node.point_here(name)
    begin_move(redis, source, target, number)
    # Now new keys are at the target already, and the index at the source.
    node.cli("domains-add", names[0], code=None)
    migrate(source, target, number)
    end_move(redis, source, target, number)
    for name in names:
        node.cli("domains-add", name, code=None)
    all_in_use(node, names, 60)
    assert len(node.pebble.issued()) - before == len(names)
    assert redis.owner(number) is target
    for name in names:
        node.await_served(name)


def test_a_master_is_lost_in_the_middle_of_orders(node, redis):
    """Its replica takes over; the others' domains hardly notice."""
    names = spread(node, "lost", each=1)
    before = len(node.pebble.issued())
    lost = redis.masters[0]
    with redis.client() as client:
        client("SET", f"{PREFIX}challenge:{TOKEN}", KEYAUTH, "EX", 120)
        client("PUBLISH", f"{PREFIX}challenges", f"{TOKEN} {KEYAUTH}")
    assert challenge(node)[:2] == (200, KEYAUTH)
    added_here(node, *names)
    with lost.client() as client:
        assert client("WAIT", 1, 5000) == 1
    lost.kill()

    def replaced():
        status, body, seconds = challenge(node)
        assert (status, body) == (200, KEYAUTH) and seconds < 0.5 * SLOW
        return "role:master" in redis.replication(redis.replica)

    wait_for("the replica to take over", replaced, 30, 0.1,
             explain=node.agent.tail)
    all_in_use(node, names, 60)
    assert len(node.pebble.issued()) - before == len(names)
    wait_for("sync to have its Redis", node.sync.works, 20,
             explain=node.sync.tail)
    lost.start()
    wait_for("the lost one to come back as a replica", lambda: "role:slave"
             in redis.replication(lost), 20)
    after = spread(node, "after", each=1)
    added_here(node, *after)
    all_in_use(node, after, 60)


def test_a_start_finds_the_cluster_by_one_of_its_servers(node):
    node.sync.restart()
    node.agent.restart()
    added_here(node, "again.test")
    all_in_use(node, ["again.test"])


def test_a_server_of_a_cluster_is_not_taken_for_redis(ground, redis):
    lonely = ground.node(ground.world(), start=False, settings={
        "redis": {"url": f"redis://{LOOPBACK}:{redis.masters[1].port}"}})
    lonely.write_conf()
    lonely.sync.prime()
    lonely.sync.spawn(built("certfleet-sync"), "-f", lonely.conf)
    wait_for("the log to say why", lambda: "is part of a Cluster; name its "
             "servers in redis { cluster }" in lonely.sync.text(), 10,
             explain=lonely.sync.tail)
