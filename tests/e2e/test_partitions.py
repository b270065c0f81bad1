"""A fleet whose domains are kept in four partitions of one Redis."""

import shutil

import pytest

from harness import wait_for
from node import PREFIX

PARTITIONS = 4
TARGETS = ["127.0.0.2", "127.0.0.3"]


@pytest.fixture(scope="module")
def nodes(session_ground):
    """The first makes the fleet; what the second has set says nothing."""
    redis = session_ground.redis("parts")
    world = session_ground.world("parts")
    first, second = (session_ground.node(
        world, start=False, name=f"p{i + 1}", address=address, redis=redis,
        settings={"dns": {"targets": TARGETS},
                  "redis": {"partitions": PARTITIONS}})
        for i, address in enumerate(TARGETS))
    first.start()
    second.write_conf()
    second.conf.write_text(second.conf.read_text().replace(
        f"partitions = {PARTITIONS}", "partitions = 1"))
    second.write_conf = lambda: None
    second.state_dir.mkdir(mode=0o700)
    shutil.copy(first.state_dir / "kek", second.state_dir / "kek")
    second.start()
    return first, second


def spread(node, stem):
    """Two names for each partition."""
    names, i = [], 0
    room = dict.fromkeys(range(PARTITIONS), 2)
    while any(room.values()):
        name, i = f"{stem}{i}.test", i + 1
        if room[node.partition(name)]:
            room[node.partition(name)] -= 1
            names.append(name)
    return names


def added(nodes, *names):
    first, _ = nodes
    for name in names:
        first.dns.add_a(name, *TARGETS)
    first.add(*names)
    for name in names:
        first.await_status(name, "in_use", 60)


def both_serve(nodes, names):
    for name in names:
        serial = nodes[0].serial(name)
        for node in nodes:
            node.await_served(name, lambda s: s.serial == serial)


def test_every_partition_issues_and_every_node_serves(nodes):
    names = spread(nodes[0], "spread")
    before = len(nodes[0].pebble.issued())
    added(nodes, *names)
    # In use means proven: nobody needs to be waited for.
    for name in names:
        for node in nodes:
            assert node.served(name).serial == node.serial(name), name
    assert len(nodes[0].pebble.issued()) - before == len(names)
    with nodes[0].redis_client() as redis:
        assert redis.hash(f"{PREFIX}meta")["partitions"] == str(PARTITIONS)
        for p in range(PARTITIONS):
            index = redis.hash(f"{PREFIX}{{p{p}}}:index")
            assert set(index) == {n for n in names
                                  if nodes[0].partition(n) == p}


def test_domains_of_an_older_version_are_listed(nodes):
    names = spread(nodes[0], "older")
    added(nodes, *names)

    def seen():
        _, status = nodes[0].api("GET", "/api/v1/status")
        _, page = nodes[0].api("GET", "/api/v1/domains?limit=500")
        return status["domains"], sorted(d["name"] for d in page["domains"])

    before = seen()
    assert set(names) <= set(before[1])
    for node in nodes:
        node.sync.stop()
    with nodes[0].redis_client() as redis:
        for p in range(PARTITIONS):
            redis("DEL", f"{PREFIX}{{p{p}}}:names", f"{PREFIX}{{p{p}}}:counts")
        redis("HDEL", f"{PREFIX}meta", "named")
    for node in nodes:
        node.sync.start()
    wait_for("the names to be filled in", lambda: seen() == before, 20,
             explain=lambda: f"{seen()}\n{before}\n{nodes[0].tails()}")
    with nodes[0].redis_client() as redis:
        wait_for("it to be written down", lambda: redis.hash(
            f"{PREFIX}meta").get("named") == "1", 10)


def test_people_see_one_fleet(nodes):
    """Lists in the order of names, events in the order of time."""
    names = spread(nodes[0], "people")
    added(nodes, *names)
    code, body = nodes[1].api("GET", "/api/v1/domains?per_page=1000")
    shown = [d["name"] for d in body["domains"]]
    assert code == 200 and shown == sorted(shown) and set(names) <= set(shown)
    code, body = nodes[1].api("GET", "/api/v1/events")
    events = body["events"]
    ours = [e for e in events if e.get("name") in names]
    assert {e["name"] for e in ours} == set(names)
    times = [tuple(map(int, e["id"].split("-"))) for e in events]
    assert times == sorted(times)


def test_what_happened_while_a_node_was_away_is_made_up_for(nodes):
    first, second = nodes
    gone = spread(first, "gone")
    added(nodes, *gone)
    both_serve(nodes, gone)
    second.sync.stop()
    come = spread(first, "come")
    for name in come:
        first.dns.add_a(name, first.address)
    first.add(*come)
    for name in come:
        first.await_status(name, "in_use", 60)
    for name in gone:
        first.remove(name)
    second.sync.start()
    both_serve(nodes, come)
    for name in gone:
        second.await_served(name, lambda s: not s.verified)


def test_the_leader_dies_with_work_in_every_partition(nodes):
    first, second = nodes
    with first.redis_client() as redis:
        dead, alive = (first, second) if redis.hash(
            f"{PREFIX}leader").get("node") == first.name else (second, first)
    names = spread(first, "orphan")
    before = len(first.pebble.issued())
    for name in names:
        first.dns.add_a(name, alive.address)
    alive.add(*names)
    dead.sync.kill()
    for name in names:
        alive.await_status(name, "in_use", 60)
    assert len(first.pebble.issued()) - before == len(names)
    dead.sync.start()
    both_serve(nodes, names)


def test_a_redis_that_was_emptied_gets_as_many_partitions_again(nodes):
    """Nothing that is served goes away, and new names are taken."""
    first, second = nodes
    served = spread(first, "kept")
    added(nodes, *served)
    with first.redis_client() as redis:
        redis("FLUSHALL")
        redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_for("the fleet to be made anew", lambda: redis.hash(
            f"{PREFIX}meta").get("partitions") == str(PARTITIONS), 10)
    wait_for("sync to have its Redis", second.sync.works, 10)
    for name in served:
        for node in nodes:
            assert node.served(name).verified
    added(nodes, *spread(first, "after"))


def test_another_fleet_is_not_mistaken_for_ours(nodes):
    first, _ = nodes
    with first.redis_client() as redis:
        redis("HSET", f"{PREFIX}meta", "partitions", 2)
        redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for node in nodes:
            wait_for("the log to say why", lambda n=node: "this Redis has 2 "
                     "partitions, that of before had 4" in n.sync.text(), 10)
        redis("HSET", f"{PREFIX}meta", "partitions", PARTITIONS)
    added(nodes, "right.test")
