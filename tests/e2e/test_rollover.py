"""Another key for the CA account, whatever happens meanwhile."""

import re
import time
from pathlib import Path

import pytest

from harness import wait_for
from resp import Error
from test_crash import has_faults


def thumbprint(node):
    try:
        with node.redis_client() as redis:
            return redis("GET", "certfleet:challenge:thumbprint")
    except (OSError, Error):
        return None  # the embedded one is just starting


def ready(node):
    """Redis, too, which a killed sync takes along."""
    wait_for("sync and its Redis",
             lambda: node.cli("status", code=None).code == 0, 15)


def redis_pid(node):
    with node.redis_client() as redis:
        return int(re.search(r"process_id:(\d+)", redis("INFO", "server"))[1])


def gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return True
    return state.split()[0] == "Z"


def accounts(node):
    """How many accounts the CA has made."""
    return len(re.findall(r"There are now (\d+) accounts", node.pebble.text()))


def in_use(node, name):
    node.point_here(name)
    node.add(name)
    return node.await_status(name, "in_use", 40)


def rolled(node, before):
    wait_for("another key", lambda: thumbprint(node) not in (None, before),
             30, explain=node.tails)
    with node.redis_client() as redis:
        wait_for("the request to be done",
                 lambda: redis("EXISTS", "certfleet:rollover") == 0, 10)


def test_the_account_gets_another_key_and_goes_on(node):
    in_use(node, "before.test")
    before, made = thumbprint(node), accounts(node)
    assert "another key" in node.cli("account", "rollover").out
    rolled(node, before)
    in_use(node, "after.test")
    assert accounts(node) == made
    # And after a restart, with what is in Redis.
    node.sync.restart()
    ready(node)
    in_use(node, "later.test")
    assert accounts(node) == made
    assert "PRIVATE KEY" not in repr(node.redis_client().dump())


def test_orders_in_flight_survive_it(node):
    in_use(node, "first.test")
    names = [f"flight{i}.test" for i in range(8)]
    node.point_here(*names)
    node.add(*names)
    before = thumbprint(node)
    node.cli("account", "rollover")
    rolled(node, before)
    for name in names:
        node.await_status(name, "in_use", 60)


@pytest.mark.parametrize("step", ["R1", "R2"])
def test_killed_at_its_worst(node, step):
    """R1: the CA has not heard of the key; R2: it has, Redis has not."""
    if not has_faults():
        pytest.skip("a build without faults")
    in_use(node, "first.test")
    before, made = thumbprint(node), accounts(node)
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    ready(node)
    time.sleep(0.5)
    redis = redis_pid(node)
    node.cli("account", "rollover", code=None)
    assert node.sync.ended(30) == -9, node.sync.tail()
    wait_for("its Redis to end, too", lambda: gone(redis), 10)
    node.sync.start()
    ready(node)
    rolled(node, before)
    in_use(node, "second.test")
    assert accounts(node) == made
