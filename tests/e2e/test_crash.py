"""kill -9 at every step of an order: the certificate arrives, and only one.

The steps are places in sync that CERTFLEET_FAULT names in builds with
sanitizers; releases do not have them.
"""

import random
import time

import pytest

from harness import BUILD, built

STEPS = {
    "F1": "the domain was picked",
    "F2": "the intent was written",
    "F3": "before the order is made",
    "F4": "the order is made, its URL not stored",
    "F5": "the order's URL is stored",
    "F6": "the challenge is published",
    "F7": "before the CA is told to look",
    "F8": "the CA looks",
    "F9": "the key is stored, sealed",
    "F10": "before the order is finalized",
    "F11": "it is finalized, the reply not read",
    "F12": "the certificate is here, not in Redis",
    "F13": "the certificate is in Redis, on no node",
}


def has_faults():
    with open(built("certfleet-sync"), "rb") as f:
        return b"CERTFLEET_FAULT" in f.read()


@pytest.fixture(scope="module")
def node(session_ground):
    return session_ground.node(session_ground.world("crash"), name="c1")


def test_only_test_builds_have_faults():
    assert has_faults() == (BUILD.name != "build")


@pytest.mark.parametrize("step", STEPS)
def test_killed_when(node, step):
    if not has_faults():
        pytest.skip("a build without faults")
    name = f"{step.lower()}.test"
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    before = len(node.pebble.issued())
    node.point_here(name)
    node.add(name)
    assert node.sync.ended(30) == -9, node.sync.tail()
    node.sync.start()
    record = node.await_status(name, "in_use", 40)
    issued = node.pebble.issued()[before:]
    assert issued == [record["serial"]], issued
    assert node.served(name).serial == record["serial"]


def test_killed_anywhere(node):
    """Not where we thought of: at random moments of five orders at once."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    names = [f"any{i}.test" for i in range(5)]
    before = len(node.pebble.issued())
    node.point_here(*names)
    node.add(*names)
    for _ in range(5):
        time.sleep(dice.uniform(0.05, 0.8))
        node.sync.kill()
        node.sync.start()
    for name in names:
        # The old Redis may still be ending: what was read is read once.
        record = node.await_status(name, "in_use", 60)
        assert node.served(name).serial == record["serial"]
    # One each: a key is stored before its certificate can exist.
    assert len(node.pebble.issued()) - before == len(names)
