"""A leader that stands still: it hands over, and says so."""

import os
import signal
from pathlib import Path

from harness import wait_for
from node import PREFIX


def children(pid):
    """Of which there is one, which makes RSA keys."""
    return [int(p) for task in Path(f"/proc/{pid}/task").iterdir()
            for p in (task / "children").read_text().split()]


def hang_keys(node):
    """Whoever makes keys is stopped as soon as it is there."""
    def stopped():
        for pid in children(node.sync.pid):
            if "redis" not in Path(f"/proc/{pid}/comm").read_text():
                os.kill(pid, signal.SIGSTOP)
                return pid
        return 0

    return wait_for("it to make a key", stopped, 20, 0.0005, node.tails)


def told(node):
    return node.api("GET", "/api/v1/status")[1]["error"] or ""


def metric(node, line):
    return line in node.by_tcp("GET", "/metrics").raw.decode()


def test_a_leader_whose_helper_hangs_hands_over_and_ends(ground):
    """Its loop turns and holds the lease, and nothing moves."""
    node = ground.node(ground.world(), redis=ground.redis(), settings={
        "acme": {"key_type": "rsa-3072", "order_timeout_s": 1},
        "fleet": {"stalled_ms": 2000, "lease_ms": 1000, "renew_ms": 300}})
    name = "stalled.test"
    node.point_here(name)
    node.add(name)
    hung = hang_keys(node)
    wait_for("it to say so", lambda: "came no further" in told(node), 40, 0.1,
             node.sync.tail)
    assert metric(node, 'certfleet_leadership_total{what="stalled"} 1')
    assert metric(node, "certfleet_healthy 0")
    assert "it hands over" in node.sync.text()
    with node.redis_client() as redis:
        epoch = redis.hash(f"{PREFIX}leader")["epoch"]
    # It tries once more; then a new process is to.
    assert hang_keys(node) != hung
    assert node.sync.ended(60) == 1
    assert "to be started anew" in node.sync.text()
    with node.redis_client() as redis:
        assert int(redis.hash(f"{PREFIX}leader")["epoch"]) > int(epoch)
    node.settings["acme"]["order_timeout_s"] = 60
    node.write_conf()
    node.sync.start()
    record = node.await_status(name, "in_use", 60)
    assert node.served(name).serial == record["serial"]
    assert node.pebble.orders_made() == 1
    assert not told(node)
