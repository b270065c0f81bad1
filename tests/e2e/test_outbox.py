"""What only the leader's disk has while Redis may still lose it."""

import contextlib
import shutil
import stat

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from test_crash import has_faults
from test_heal import replaced

P = PREFIX + "{p0}:"


@pytest.fixture(scope="module")
def redis(session_ground):
    """It saves when it is told to, and not otherwise."""
    return session_ground.redis("outbox", "--appendonly", "no")


@pytest.fixture(scope="module")
def node(session_ground, redis):
    if not has_faults():
        pytest.skip("a build without faults")
    return session_ground.node(
        session_ground.world("outbox", authz_reuse=0), name="o1", redis=redis,
        settings={"acme": {"retry_first_s": 300, "retry_max_s": 300},
                  "fleet": {"lease_ms": 1000, "renew_ms": 300}})


def outbox(node, name):
    """The files about a domain, those that are there while we look."""
    found = []
    for p in (node.state_dir / "outbox").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if not p.name.startswith(".tmp-") and p.read_bytes().startswith(
                    name.encode() + b"\n"):
                found.append(p)
    return found


def died_at(node, redis, name, step, saved_at="F1"):
    """Sync is killed at a step, and Redis is what it was at an earlier one."""
    node.sync.stop()
    node.sync.start(fault=f"{saved_at}:stop")
    node.point_here(name)
    node.add(name)
    wait_for("the order to begin", lambda: node.sync.stopped, 20,
             explain=node.tails)
    with redis.client() as client:
        client("SAVE")
    saved = node.dir / f"{name}.rdb"
    shutil.copy(redis.dir / "dump.rdb", saved)
    node.sync.kill()
    node.sync.start(fault=f"{step}:kill")
    assert node.sync.ended(30) == -9, node.sync.tail()
    return saved


@pytest.mark.parametrize("step, kind, saved_at", [
    ("F10", ".key", "F6"), ("F11", ".key", "F1"), ("F13", ".bundle", "F1")])
def test_what_redis_has_lost_is_on_the_disk(node, redis, step, kind, saved_at):
    """The order goes on, or its certificate is there; no second one."""
    name = f"lost-{step.lower()}.test"
    before = node.pebble.orders_made(), len(node.pebble.issued())
    saved = died_at(node, redis, name, step, saved_at)
    [kept] = outbox(node, name)
    assert kept.suffix == kind
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert b"PRIVATE" not in kept.read_bytes()
    replaced(redis, saved)
    node.sync.start()
    record = node.await_status(name, "in_use", 30)
    assert (node.pebble.orders_made(), len(node.pebble.issued())) == \
        (before[0] + 1, before[1] + 1), node.sync.tail()
    assert node.served(name).serial == record["serial"]
    wait_for("the outbox to be empty", lambda: not outbox(node, name), 10,
             explain=lambda: f"{outbox(node, name)}{node.sync.tail()}")


def test_a_key_that_is_lost_for_good(node, redis):
    """Its order is dropped at once: another is made, and nobody waits."""
    name = "keyless.test"
    before = len(node.pebble.issued())
    saved = died_at(node, redis, name, "F11", "F6")
    for path in outbox(node, name):
        path.unlink()
    replaced(redis, saved)
    node.sync.start()
    record = node.await_status(name, "in_use", 30)
    issued = node.pebble.issued()[before:]
    assert len(issued) == 2 and record["serial"] == issued[1]
    assert "ordered anew" in node.sync.text()


def test_a_key_of_before_is_of_no_use(node, redis):
    """Another leader has gone on with the order meanwhile."""
    name = "elsewhere.test"
    died_at(node, redis, name, "F11")
    [key] = outbox(node, name)
    copy = node.dir / key.name
    shutil.copy(key, copy)
    node.sync.start()
    node.await_status(name, "in_use", 30)
    wait_for("the outbox to be empty", lambda: not outbox(node, name), 10)
    node.sync.stop()
    shutil.copy(copy, key)
    key.chmod(0o600)
    node.sync.start()
    before = len(node.pebble.issued())
    with redis.client() as client:
        client("HSET", f"{P}domain:{name}", "renew_at", "1")
        client("ZADD", f"{P}due", "1", name)
    wait_for("a new certificate", lambda: node.record(name)["version"] == "2",
             20, explain=node.tails)
    assert node.pebble.issued()[before:] == [node.serial(name)]
    wait_for("the outbox to be empty", lambda: not outbox(node, name), 10)


def test_a_disk_that_is_full(node):
    """Redis alone has what is new; it is told once."""
    directory = node.state_dir / "outbox"
    begin = len(node.sync.text())
    aside = directory.with_name("aside")
    directory.rename(aside)
    try:
        for name in ("full1.test", "full2.test"):
            node.point_here(name)
            node.add(name)
            record = node.await_status(name, "in_use", 30)
            assert node.served(name).serial == record["serial"]
    finally:
        aside.rename(directory)
    said = node.sync.text()[begin:]
    assert said.count("until that is mended Redis alone has") == 1, said
    node.point_here("room.test")
    node.add("room.test")
    node.await_status("room.test", "in_use", 30)
    assert "outbox: in use again" in node.sync.text()[begin:]
