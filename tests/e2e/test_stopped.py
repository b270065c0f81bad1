"""A leader that stands still longer than its lease, at the worst moment."""

import shutil
import signal

import pytest

from fakeca import FakeCA
from fakeca.referee import HOUR, Limits, Referee
from harness import wait_for
from node import PREFIX
from test_crash import has_faults

MANY = 3  # certificates of a registered domain
ADDRESSES = ["127.0.0.2", "127.0.0.3"]


@pytest.fixture
def fleet(ground):
    """Two nodes, and a CA whose referee counts what was really asked."""
    world = ground.world(authz_reuse=0, nonce_reject=0)
    ca = FakeCA(world.pebble, world.tls, world.dir, referee=Referee(
        Limits(domain=(MANY, HOUR)), enforce=True))
    redis = ground.redis()
    nodes = [ground.node(
        world, start=False, name=f"s{i}", address=address, redis=redis,
        settings={
            "acme": {"directory": ca.directory},
            "dns": {"targets": ADDRESSES},
            "limits": {"certificates_per_domain": MANY, "domain_window_h": 1},
        }) for i, address in enumerate(ADDRESSES)]
    nodes[0].start()
    nodes[1].state_dir.mkdir(mode=0o700)
    shutil.copy(nodes[0].state_dir / "kek", nodes[1].state_dir / "kek")
    yield nodes, ca
    for node in nodes:
        if node.sync.running:
            node.sync.signal(signal.SIGCONT)
        node.sync.stop()
    ca.stop()


def leader(node):
    with node.redis_client() as redis:
        return redis.hash(f"{PREFIX}leader").get("node")


@pytest.mark.parametrize("step", ["F3", "F4", "F10", "F11"])
def test_another_goes_on_and_no_limit_is_exceeded(fleet, step):
    """F3: it has spent of a limit, and not yet asked for the order."""
    if not has_faults():
        pytest.skip("a build without faults")
    (first, second), ca = fleet
    names = [f"n{i}.still.test" for i in range(MANY + 1)]
    first.add(*names)
    first.sync.stop()
    for name in names:
        first.dns.add_a(name, first.address)
    first.sync.start(fault=f"{step}:stop")
    wait_for("it to stand still", lambda: first.sync.stopped, 20,
             explain=first.tails)
    try:
        second.start()

        def finished():
            records = [second.record(n) for n in names]
            served = [r for r in records if r.get("version") == "1"]
            waits = [r for r in records if "rate_limited_until" in r]
            return len(served) == MANY and len(waits) == 1

        wait_for("all but one to have a certificate", finished, 60, 0.1,
                 lambda: second.tails())
        assert leader(second) == second.name
    finally:
        first.sync.signal(signal.SIGCONT)
    # Awake it learns that it leads no longer; what it was about is not done.
    wait_for("it to notice", lambda: "stops leading" in first.sync.text(), 20,
             explain=first.tails)
    wait_for("both to serve", lambda: sum(
        second.status(n) == "in_use" for n in names) == MANY, 30,
        explain=second.tails)
    for name in names:
        made = ca.referee.certificates(name)
        serial = second.serial(name)
        assert [o.leaf.serial for o in made] == ([serial] if serial else [])
    assert ca.referee.violations() == []
    with second.redis_client() as redis:
        bucket, = redis("KEYS", f"{PREFIX}limit:domain:still.test@*")
        assert redis("ZCARD", bucket) == MANY
