"""Two nodes, one Redis: both answer, both serve, one leads."""

import shutil

import pytest

from harness import wait_for
from node import PREFIX


@pytest.fixture(scope="module")
def nodes(session_ground):
    """Same ports at two loopback addresses, as two machines would have."""
    redis = session_ground.redis("fleet")
    world = session_ground.world("fleet")
    pair = []
    for i in (1, 2):
        address = f"127.0.0.{i + 1}"
        node = session_ground.node(
            world, start=False, name=f"f{i}", address=address, redis=redis,
            settings={"dns": {"targets": ["127.0.0.2", "127.0.0.3"]}})
        pair.append(node)
    first, second = pair
    first.start()
    # What one node has sealed another must be able to open.
    second.state_dir.mkdir(mode=0o700)
    shutil.copy(first.state_dir / "kek", second.state_dir / "kek")
    second.start()
    return pair


def leader(nodes):
    with nodes[0].redis_client() as redis:
        return redis.hash(f"{PREFIX}leader").get("node")


def both_serve(nodes, name):
    record = nodes[0].record(name)
    for node in nodes:
        assert node.await_served(name).serial == record["serial"], node.name


def test_in_use_means_on_every_node(nodes):
    name = "both.test"
    # The CA may come to either address.
    nodes[0].dns.add_a(name, "127.0.0.2", "127.0.0.3")
    nodes[0].add(name)
    record = nodes[0].await_status(name, "in_use")
    for node in nodes:
        assert node.served(name).serial == record["serial"], node.name


def test_any_node_takes_commands(nodes):
    follower = next(n for n in nodes if n.name != leader(nodes))
    follower.dns.add_a("follower.test", follower.address)
    follower.add("follower.test")
    follower.await_status("follower.test", "in_use")
    both_serve(nodes, "follower.test")
    out = follower.cli("nodes").out
    assert "f1" in out and "f2" in out
    follower.cli("--app", "dns", "env-set", "DNS_GODADDY_API_KEY=geheim",
                 "DNS_OVH_ENDPOINT=ovh-ca")
    for node in nodes:
        out = node.cli("--app", "dns", "env").out
        assert "DNS_GODADDY_API_KEY" in out and "ovh-ca" in out, out


def test_the_leader_dies_and_work_goes_on(nodes):
    dead = next(n for n in nodes if n.name == leader(nodes))
    alive = next(n for n in nodes if n is not dead)
    before = len(alive.pebble.issued())
    names = [f"orphan{i}.test" for i in range(4)]
    for name in names:
        alive.dns.add_a(name, alive.address)
    alive.add(*names)
    dead.sync.kill()
    for name in names:
        alive.await_status(name, "in_use", 60)
    assert len(alive.pebble.issued()) - before == len(names)
    assert leader(nodes) == alive.name
    dead.sync.start()
    for name in names:
        both_serve(nodes, name)


def test_a_leader_that_comes_after_itself_leads_with_a_later_epoch(nodes):
    """A leader of a Redis that was cut off has written with an epoch that the one
    here has not reached, by a clock that is ahead: it is not refused for ever."""
    node = nodes[0]
    name = "later.test"
    node.dns.add_a(name, node.address)
    key = f"{PREFIX}{{p0}}:domain:{name}"
    with node.redis_client() as redis:
        epoch = int(redis.hash(f"{PREFIX}leader")["epoch"])
        node.add(name)
        redis("HSET", key, "epoch", epoch + 3600000)
        node.await_status(name, "in_use", 60)
        assert int(redis.hash(f"{PREFIX}leader")["epoch"]) > epoch + 3600000
    both_serve(nodes, name)


def test_a_node_that_was_away_catches_up(nodes):
    away, other = nodes
    for process in away.processes:
        process.stop()
    wait_for("it not to count", lambda: leader(nodes) == other.name, 15)
    other.dns.add_a("missed.test", other.address)
    other.add("missed.test")
    other.await_status("missed.test", "in_use", 60)
    away.start()
    both_serve(nodes, "missed.test")


@pytest.mark.parametrize("copies", ["kept", "lost"])
def test_what_was_removed_meanwhile_leaves_haproxy_when_sync_is_back(nodes, copies):
    """HAProxy went on; the node's own copies are there, or not even they."""
    away, other = nodes
    name = f"{copies}.test"
    other.dns.add_a(name, other.address)
    other.add(name)
    other.await_status(name, "in_use", 60)
    assert any(name in c for c in away.haproxy.certificates())
    away.sync.stop()
    other.remove(name)
    if copies == "lost":
        for path in [*(away.state_dir / "certs").glob(f"{name}*"),
                     *away.crt_list.parent.glob(f"{name}*")]:
            path.unlink()
    away.sync.start()
    wait_for("it to be gone", lambda: not any(
        name in c for c in away.haproxy.certificates()), 20)
    assert away.served("missed.test").verified
