"""Three nodes: one proves a new certificate before the others take it, all
take the one of before when an operator says so, and each tells what it shows."""

import contextlib
import json
import select
import shutil
import socket
import threading
import zlib

import pytest

from harness import free_port, wait_for
from node import PREFIX

NODES = 3
ADDRESSES = [f"127.0.0.{i + 20}" for i in range(1, NODES + 1)]
NAME = "canary.test"
PARTITIONS = 3
AT = f"{PREFIX}{{p{zlib.crc32(NAME.encode()) % PARTITIONS}}}:"


class Detour:
    """A way to a server, which can lead to another one."""

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def serve(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(link,),
                             daemon=True).start()

    def carry(self, link):
        with contextlib.suppress(OSError), link, \
                socket.create_connection(self.target) as other:
            while True:
                for s in select.select([link, other], [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        return
                    (other if s is link else link).sendall(data)


@pytest.fixture(scope="module")
def fleet(session_ground, request):
    """Of each module that imports it its own."""
    label = request.module.__name__.removeprefix("test_")
    redis = session_ground.redis(label)
    world = session_ground.world(label)
    nodes = []
    for i, address in enumerate(ADDRESSES):
        settings = {
            "dns": {"targets": ADDRESSES},
            "redis": {"partitions": PARTITIONS, **redis.settings},
            "acme": {"retry_first_s": 1, "retry_max_s": 2},
            "haproxy": {"patrol_ms": 50},
            "fleet": {"rollout": "canary", "canary_limit_ms": 1500,
                      "heartbeat_ms": 500, "node_ttl_ms": 2000}}
        if i == 0:
            detour = Detour((address, world.https_port))
            settings["haproxy"]["https_address"] = detour.address
            settings["fleet"]["candidate"] = False  # it dies in between
        node = session_ground.node(world, start=False, name=f"r{i + 1}",
                                   address=address, redis=redis,
                                   settings=settings)
        if i > 0:
            node.state_dir.mkdir(mode=0o700)
            shutil.copy(nodes[0].state_dir / "kek", node.state_dir / "kek")
        nodes.append(node.start())
    nodes[0].detour = detour
    for address in ADDRESSES:
        nodes[0].dns.add_a(NAME, address)
    return nodes


def all_serve(nodes, sha1):
    for node in nodes:
        node.await_served(NAME, lambda s: s.sha1 == sha1)


def renew(node):
    """Make its certificate due."""
    with node.redis_client() as redis:
        redis("HSET", f"{AT}domain:{NAME}", "renew_at", "1")
        redis("HDEL", f"{AT}domain:{NAME}", "ari_poll_at")
        redis("ZADD", f"{AT}due", "1", NAME)


def story(node):
    return node.api("GET", f"/api/v1/domains/{NAME}")[1]["domain"]


def told(node):
    """The types of the timeline, oldest first, from the last order on."""
    types = [t["type"] for t in reversed(story(node)["timeline"])]
    return types[len(types) - types[::-1].index("staged") - 1:]


def await_new(node, old, seconds=30):
    """Until another certificate is in use everywhere; its record."""

    def there():
        record = node.record(NAME)
        return record if record.get("sha1") not in (None, old) and \
            record["status"] == "in_use" and \
            record.get("proven") == record["version"] else None

    return node.await_record(f"a new certificate of {NAME}", there, seconds,
                             NAME)


def test_the_first_certificate_goes_by_the_canary(fleet):
    fleet[1].add(NAME)
    record = fleet[1].await_status(NAME, "in_use")
    all_serve(fleet, record["sha1"])
    steps = [t for t in told(fleet[1]) if t != "status"]
    assert steps == ["staged", "canary", "issued"]
    asked = next(t for t in story(fleet[1])["timeline"]
                 if t["type"] == "canary")
    assert asked["node"] == "r1"
    with fleet[1].redis_client() as redis:
        assert redis("HLEN", f"{AT}canary") == 0
        assert "canary" not in redis.hash(f"{AT}domain:{NAME}")
        for beside in (":next", ":staged"):
            assert not redis("EXISTS", f"{AT}cert:{NAME}{beside}")


def test_every_node_tells_what_it_shows(fleet):
    sha1 = fleet[0].record(NAME)["sha1"]

    def told_alike():
        nodes = fleet[2].cli("nodes", "--json").json["nodes"]
        good = len({n["digest"] for n in nodes}) == 1 and all(
            n["agrees"] and n["lag"]["generations"] == 0 and
            n["served"] == 1 and n["differs"] == [] for n in nodes)
        return nodes if good else None

    nodes = wait_for("all to say the same", told_alike)
    assert len(nodes[0]["applied"]) == PARTITIONS
    assert sum(nodes[0]["applied"]) == nodes[0]["gen"]
    shown = fleet[1].cli("nodes", NAME, "--json").json["domain"]["nodes"]
    assert [n["id"] for n in shown] == ["r1", "r2", "r3"]
    for one in shown:
        assert one["shown"]["sha1"] == one["shown"]["wanted"] == sha1
        assert one["shown"]["since"] and not one["shown"]["trial"]
    out = fleet[1].cli("nodes", NAME).out
    assert out.count("as wanted") == 3 and sha1 in out
    # All those handshakes are not in HAProxy's log.
    assert "GET /" in fleet[1].haproxy.text()
    assert "web_tls" not in fleet[1].haproxy.text()


def test_a_certificate_that_was_swapped_behind_us_is_noticed(fleet):
    node = fleet[2]
    path = next(p for p in node.haproxy.certificates() if NAME in p)
    pem = (node.cert_dir / "default.pem").read_text().strip()
    wanted = fleet[0].record(NAME)["sha1"]
    node.haproxy.ask(f"set ssl cert {path} <<\n{pem}\n")
    node.haproxy.ask(f"commit ssl cert {path}")
    other = node.served(NAME).sha1
    assert other != wanted

    def noticed():
        nodes = fleet[1].cli("nodes", "--json").json["nodes"]
        return nodes if nodes[2]["differs"] else None

    seen = wait_for("the swap to be told", noticed)
    assert seen[2]["differs"] == [{"name": NAME, "sha1": other}]
    assert seen[2]["failed"] == 1 and seen[0]["differs"] == []
    shown = fleet[1].cli("nodes", NAME, "--json").json["domain"]["nodes"][2]
    assert shown["shown"]["sha1"] == other
    assert shown["shown"]["wanted"] == wanted
    assert shown["shown"]["since"] is None
    node.haproxy.restart()
    all_serve(fleet, wanted)
    wait_for("it to be right again", lambda: not node.cli(
        "nodes", "--json").json["nodes"][2]["failed"])


def test_who_fails_at_it_keeps_it_from_the_others(fleet):
    old = fleet[0].record(NAME)["sha1"]
    orders = fleet[0].pebble.orders()
    # The canary's proof leads to a node that still shows the old one.
    fleet[0].detour.target = (ADDRESSES[1], fleet[1].world.https_port)
    renew(fleet[1])
    stopped = wait_for("the rollout to stop", lambda: [
        t for t in story(fleet[1])["timeline"] if t["type"] == "stopped"], 20)
    assert old in stopped[0]["reason"]
    domain = story(fleet[1])
    assert domain["sha1"] == old and domain["status"] == "in_use"
    assert "stopped at its canary" in domain["last_error"]
    assert "issued" not in told(fleet[1])
    for node in fleet[1:]:
        assert node.served(NAME).sha1 == old
    # It goes back to what the others serve, and is tried again meanwhile.
    fleet[0].await_served(NAME, lambda s: s.sha1 == old)
    assert "rollout=stopped" in "".join(n.sync.text() for n in fleet)
    # What was wrong is put right: the same certificate goes on.
    fleet[0].detour.target = (ADDRESSES[0], fleet[0].world.https_port)
    record = await_new(fleet[1], old)
    all_serve(fleet, record["sha1"])
    assert fleet[0].pebble.orders() == orders + 1


def test_a_canary_that_dies_is_followed_by_another(fleet):
    old = fleet[0].record(NAME)["sha1"]
    fleet[0].sync.stop()
    fleet[0].sync.start(fault="C1:kill")
    renew(fleet[1])
    assert fleet[0].sync.ended(30) == -9
    # The others take it after another has proven it.
    record = fleet[1].await_record(
        "a new certificate", lambda: (r := fleet[1].record(NAME)) and
        r.get("sha1") not in (None, old) and r, 30, NAME)
    all_serve(fleet[1:], record["sha1"])
    asked = [t["node"] for t in reversed(story(fleet[1])["timeline"])
             if t["type"] == "canary"]
    assert asked[-2:] == ["r1", "r2"]
    # A HAProxy that starts now has what was proven, or what was before.
    fleet[0].sync.start()
    await_new(fleet[1], old)
    all_serve(fleet, record["sha1"])


def test_the_one_of_before_comes_back(fleet):
    bad = fleet[0].record(NAME)
    orders = fleet[0].pebble.orders()
    fleet[1].cli("rollback", NAME, code=2)  # nobody has said yes
    out = fleet[1].cli("rollback", NAME, "--yes", "--reason",
                       "old clients").out
    assert "is on its way" in out and "not before" in out
    record = await_new(fleet[1], bad["sha1"])
    all_serve(fleet, record["sha1"])
    assert int(record["version"]) == int(bad["version"]) + 1
    assert int(record["not_after"]) <= int(bad["not_after"])
    entry = next(t for t in story(fleet[1])["timeline"]
                 if t["type"] == "rollback")
    assert entry["reason"] == "old clients" and entry["by"] == "uid 0"
    assert entry["left"] == bad["sha1"]
    # It is not renewed at once into what was no good.
    begin, end = int(record["not_before"]), int(record["not_after"])
    assert int(record["renew_at"]) >= end - (end - begin) / 9 - 1000
    assert fleet[0].pebble.orders() == orders
    # Disks have it: a node that starts with Redis away serves it.
    fleet[2].sync.stop()
    fleet[2].haproxy.stop()
    fleet[2].sync.prime()
    fleet[2].haproxy.start()
    fleet[2].await_served(NAME, lambda s: s.sha1 == record["sha1"])
    fleet[2].sync.start()

    # A second time leads forward again.
    status, body = fleet[1].api(
        "POST", f"/api/v1/domains/{NAME}/rollback", {})
    assert status == 202 and body["domain"]["sha1"] == bad["sha1"]
    await_new(fleet[1], record["sha1"])
    all_serve(fleet, bad["sha1"])
    # The operator says when another is wanted; that goes by a canary again.
    fleet[1].cli("renew", NAME, "--force")
    record = await_new(fleet[1], bad["sha1"])
    all_serve(fleet, record["sha1"])
    assert [t for t in told(fleet[1]) if t != "status"] == \
        ["staged", "canary", "issued"]


def test_there_has_to_be_one_of_before(fleet):
    key = f"{AT}cert:{NAME}:previous"
    path = f"/api/v1/domains/{NAME}/rollback"
    with fleet[1].redis_client() as redis:
        redis("DEL", key)
        assert fleet[1].api("POST", path)[0] == 422
        redis("SET", key, "nonsense")
        status, body = fleet[1].api("POST", path)
        assert status == 422 and "cannot go back" in json.dumps(body)
        redis("DEL", key)
    assert fleet[1].api("POST", path, {"reason": 1})[0] == 422
    assert fleet[1].api("POST", "/api/v1/domains/no.test/rollback")[0] == 404
    fleet[1].cli("rollback", NAME, "--yes", code=4)
