"""HAProxy comes and goes, and the clock jumps, while certificates are renewed;
a referee looks on.

CERTFLEET_RELOADS=100 is the long form: as many reloads, in ten times as many
renewals.
"""

import os
import random
import shutil
import signal
import time

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from refereed import Referee
from test_clock import faked, preload  # noqa: F401
from test_crash import has_faults

RELOADS = int(os.environ.get("CERTFLEET_RELOADS", "10"))
NAMES = 10




def fleet(ground, count=1, **more):
    """Nodes, a certificate for each of some names, and who looks at them."""
    world = ground.world(nonce_reject=0, authz_reuse=100)
    addresses = [f"127.0.9.{i + 2}" for i in range(count)]
    redis = ground.redis()
    nodes = [ground.node(
        world, start=False, name=f"s{i}", address=address, redis=redis,
        settings={
            "dns": {"targets": addresses},
            "acme": {"renewals_per_minute": 60000, "retry_first_s": 1},
            "haproxy": {"poll_ms": 100, "push_per_s": 0},
            "limits": {"certificates_per_set": 0, "orders_per_account": 0},
        }) for i, address in enumerate(addresses)]
    for node in nodes:
        if node is not nodes[0]:
            node.state_dir.mkdir(mode=0o700)
            shutil.copy(nodes[0].state_dir / "kek", node.state_dir / "kek")
        node.start()
    return nodes, Referee(world, nodes).start()


def renew(node, referee, name):
    referee.due(name)
    with node.redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1")
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)


def issue(nodes, referee, names):
    for name in names:
        nodes[0].dns.add_a(name, *(n.address for n in nodes))
        referee.due(name)
        referee.watch(name)
    nodes[0].add(*names)
    for name in names:
        in_use(nodes[0], name, 1)
    wait_for("the crt-lists", lambda: all(
        f"{name}.pem" in n.crt_list.read_text() for n in nodes
        for name in names), 10)


def proven(node, name):
    """The version that is in use, 0 while there is a newer one."""
    record = node.record(name)
    return int(record["version"]) if record.get("status") == "in_use" and \
        record.get("proven") == record.get("version") else 0


def in_use(node, name, version, seconds=40):
    node.await_record(f"version {version} of {name}",
                      lambda: proven(node, name) >= version, seconds, name)


def test_reloaded_again_and_again_while_certificates_are_pushed(ground):
    (node,), referee = fleet(ground)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    names = [f"storm{i}.test" for i in range(NAMES)]
    issue([node], referee, names)
    version = dict.fromkeys(names, 1)
    for _ in range(RELOADS):
        left = 10
        reload_after = dice.randrange(left)
        while left:
            for name in dice.sample(names, len(names)):
                if left and proven(node, name) == version[name]:
                    version[name] += 1
                    renew(node, referee, name)
                    left -= 1
                    if left == reload_after:
                        node.haproxy.reload()
            time.sleep(dice.uniform(0, 0.05))
    for name in names:
        in_use(node, name, version[name])
    assert len(node.pebble.issued()) == NAMES + 10 * RELOADS
    assert referee.verdict(converge_s=2 * SLOW) == []


@pytest.mark.parametrize("point", ["F15", "F16", "F17"])
def test_haproxy_is_killed_while_it_is_being_told(ground, point):
    """Its next process has the newest from the disk, with nobody to tell it."""
    if not has_faults():
        pytest.skip("a build without faults")
    (node,), referee = fleet(ground)
    name = f"{point.lower()}.test"
    issue([node], referee, [name])
    node.sync.stop()
    node.sync.start(fault=f"{point}:stop")
    renew(node, referee, name)
    wait_for("sync to stop", lambda: node.sync.stopped, 20, explain=node.tails)
    with referee.away(node):
        node.haproxy.kill()
        node.haproxy.start()
    serial = node.serial(name)
    try:
        assert [node.served(name).serial for _ in range(5)] == [serial] * 5
    finally:
        node.sync.signal(signal.SIGCONT)
    in_use(node, name, 2)
    # An open transaction of before is in nobody's way.
    renew(node, referee, name)
    in_use(node, name, 3)
    assert referee.verdict() == []


def test_haproxy_is_killed_when_it_has_just_shown_a_new_name(ground):
    """What visitors have seen once they see again."""
    if not has_faults():
        pytest.skip("a build without faults")
    (node,), referee = fleet(ground)
    name = "new.test"
    node.sync.stop()
    node.sync.start(fault="F17:stop")
    node.point_here(name)
    referee.due(name)
    referee.watch(name)
    node.add(name)
    wait_for("sync to stop", lambda: node.sync.stopped, 20, explain=node.tails)
    shown = node.await_served(name)
    wait_for("the referee to see it", lambda: referee.lines("served"), 10)
    with referee.away(node):
        node.haproxy.kill()
        node.haproxy.start()
    try:
        assert node.served(name).serial == shown.serial
    finally:
        node.sync.signal(signal.SIGCONT)
    in_use(node, name, 1)
    assert referee.verdict() == []


def test_the_referee_notices_what_happens_behind_our_back(ground):
    """A line that somebody takes out of HAProxy's list: it says no."""
    (node,), referee = fleet(ground)
    name = "gone.test"
    issue([node], referee, [name])
    wait_for("the referee to see it", lambda: referee.lines("served"), 10)
    node.sync.signal(signal.SIGSTOP)
    try:
        node.haproxy.ask(f"del ssl crt-list {node.crt_list} "
                         f"{node.cert_dir}/{name}.pem")
        sha1 = node.served(name).sha1
        wait_for("the referee to see it gone", lambda: any(
            line["at"] > referee.lines("served")[-1]["at"]
            for line in referee.lines("bad")), 10)
    finally:
        node.sync.signal(signal.SIGCONT)
    found = referee.verdict()
    assert found and all(text.startswith("gap: ") and sha1 in text
                         for text in found), found


def test_the_clock_of_a_node_jumps(faked, ground):  # noqa: F811
    """Whatever it says meanwhile, nothing is replaced by what is no better."""
    nodes, referee = fleet(ground, 2)
    jumper = nodes[0]
    clock = jumper.dir / "clock"
    clock.write_text("+0\n")
    jumper.sync.stop()
    jumper.sync.env.update(
        LD_PRELOAD=preload(), FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    jumper.sync.start()
    name = "jump.test"
    issue(nodes, referee, [name])
    for i, offset in enumerate(["+100d", "-100d", "+1d", "-10m"]):
        clock.write_text(f"{offset}\n")
        renew(nodes[1], referee, name)
        wait_for("the alarm", lambda: "NTP" in jumper.cli(
            "status", code=None).text, 10, 0.2, jumper.tails)
        time.sleep(1)
        clock.write_text("+0\n")
        in_use(nodes[1], name, i + 2)
    assert len(jumper.pebble.issued()) == 5
    assert referee.verdict() == []
