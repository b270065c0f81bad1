"""A node whose disk takes nothing more: it serves all the same, and says so.

The state directory is a small tmpfs in a mount namespace of sync's own.  The
certificates' plain files, for HAProxy, are elsewhere, as /run is.
"""

import contextlib
import errno
from pathlib import Path

import pytest

from harness import Failed, built, program, run, wait_for
from node import PREFIX

P = PREFIX + "{p0}:"


def mounts():
    try:
        run(program("unshare"), "-m", program("mount"), "-t", "tmpfs", "none",
            "/mnt")
        return ""
    except Failed as e:
        return str(e).splitlines()[-1]


@pytest.fixture(scope="module")
def node(session_ground):
    why = mounts()
    if why:
        pytest.skip(f"no mount namespaces here: {why}")
    # An embedded Redis would have its files there as well.
    node = session_ground.node(session_ground.world("disk"), start=False,
                               redis=session_ground.redis("disk-redis"))
    node.state_dir.mkdir(mode=0o700)
    spawn = node.sync.spawn

    def in_a_small_place(*args):
        spawn(program("unshare"), "-m", "sh", "-c",
              'mount -t tmpfs -o size=1m,nr_inodes=64,mode=0700 none "$0" && '
              'exec "$@"', node.state_dir, *args)

    node.sync.spawn = in_a_small_place
    node.write_conf()
    run(built("certfleet-sync"), "-f", node.conf, "--prime", cwd=node.dir)
    node.sync.start()
    node.agent.start()
    node.haproxy.start()
    return node


def inside(node):
    """The state directory as sync sees it."""
    return Path(f"/proc/{node.sync.pid}/root{node.state_dir}")


def until_there_is_no_room(make):
    with contextlib.suppress(OSError):
        for i in range(10000):
            make(i)


@contextlib.contextmanager
def full(node):
    ballast = inside(node) / "ballast"
    try:
        with open(ballast, "wb", buffering=0) as f:
            until_there_is_no_room(lambda _: f.write(bytes(4096)))
        yield errno.ENOSPC
    finally:
        ballast.unlink()


@contextlib.contextmanager
def no_inodes(node):
    ballast = inside(node) / "ballast"
    ballast.mkdir()
    try:
        until_there_is_no_room(lambda i: (ballast / str(i)).touch())
        yield errno.ENOSPC
    finally:
        for path in ballast.iterdir():
            path.unlink()
        ballast.rmdir()


@contextlib.contextmanager
def read_only(node):
    """The copies alone: the ledger is open, and that keeps a mount as it is."""
    def there(*command):
        run(program("nsenter"), "-t", node.sync.pid, "-m", *command)

    certs = node.state_dir / "certs"
    there(program("mount"), "--bind", certs, certs)
    there(program("mount"), "-o", "remount,bind,ro", certs)
    try:
        yield errno.EROFS
    finally:
        there(program("umount"), certs)


def errors(node):
    with node.redis_client() as redis:
        return redis.hash(f"{PREFIX}node:{node.name}").get("errors", "")


def renew(node, name):
    with node.redis_client() as redis:
        redis("HSET", f"{P}domain:{name}", "renew_at", "1")
        redis("ZADD", f"{P}due", "1", name)


def leave_no_spares(node):
    """What the outbox writes anew would make room for others."""
    outbox = inside(node) / "outbox"
    wait_for("the outbox to be empty", lambda: all(
        p.suffix == ".account" or p.name.startswith(".tmp-")
        for p in outbox.iterdir()), 20, explain=node.tails)
    for spare in outbox.glob(".tmp-*"):
        spare.unlink()


@pytest.mark.parametrize("trouble", [full, no_inodes, read_only])
def test_a_newer_one_is_served_and_is_kept_when_there_is_room(node, trouble):
    name = f"{trouble.__name__.replace('_', '-')}.test"
    node.point_here(name)
    node.add(name)
    first = node.await_status(name, "in_use", 30)
    copy, = (inside(node) / "certs").glob(f"{name}*")
    was = copy.read_bytes()
    leave_no_spares(node)
    with trouble(node) as number:
        renew(node, name)
        wait_for("a newer one in Redis", lambda: node.record(name).get(
            "version") == "2", 30, explain=node.tails)
        said = wait_for("the node to tell", lambda: errors(node), 20,
                        explain=node.tails)
        assert name in said and {
            errno.ENOSPC: "No space left on device",
            errno.EROFS: "Read-only file system"}[number] in said
        told, = node.api("GET", "/api/v1/nodes")[1]["nodes"]
        assert told["failed"] == 1 and name in str(told["errors"]), told
        record = node.record(name)
        assert record["serial"] != first["serial"]
        node.await_served(name, lambda s: s.verified and
                          s.serial == record["serial"], 20)
        node.await_status(name, "in_use", 20)
        assert copy.read_bytes() == was
    wait_for("the copy", lambda: copy.read_bytes() != was, 20,
             explain=node.tails)
    wait_for("nothing to be wrong", lambda: not errors(node), 20)
    assert node.served(name).serial == record["serial"]
    # What is on the disk is good: HAProxy's files are made of it at a start.
    plain = node.cert_dir / f"{name}.pem"
    was = plain.read_bytes()
    plain.unlink()
    run(program("nsenter"), "-t", node.sync.pid, "-m", built("certfleet-sync"),
        "-f", node.conf, "--prime")
    assert plain.read_bytes() == was
