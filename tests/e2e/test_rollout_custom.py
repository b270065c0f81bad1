"""Uploads and imports where one node proves certificates before the others."""

import zlib

import pytest

from harness import wait_for
from node import PREFIX
from ownca import OwnCA
from test_rollout import ADDRESSES, PARTITIONS, fleet  # noqa: F401
from test_switch import path_of, shown, switch

NAME = "own-canary.test"


def at(name):
    return f"{PREFIX}{{p{zlib.crc32(name.encode()) % PARTITIONS}}}:"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("ownca"))


@pytest.fixture(scope="module")
def managed(fleet):
    """A domain with a certificate of the CA; its record."""
    for address in ADDRESSES:
        fleet[0].dns.add_a(NAME, address)
    fleet[1].add(NAME)
    return fleet[1].await_status(NAME, "in_use")


class Wrong:
    """The canary's proof leads to another node, which shows what was."""

    def __init__(self, fleet):
        self.detour, self.world = fleet[0].detour, fleet[0].world

    def __enter__(self):
        self.detour.target = (ADDRESSES[1], self.world.https_port)

    def __exit__(self, *_):
        self.detour.target = (ADDRESSES[0], self.world.https_port)


def upload(node, name, pair):
    status, body = node.api("PATCH", path_of(name), {"domain": {
        "tlscert": pair.pem, "tlskey": pair.key_pem}})
    assert status == 200, body
    return body["domain"]


def story(node, name=NAME):
    return node.api("GET", f"/api/v1/domains/{name}")[1]["domain"]


def told(node, name=NAME):
    """The types of the timeline, newest first, without its looks."""
    return [t["type"] for t in story(node, name)["timeline"]
            if t["type"] not in ("status", "failed")]


def await_stop(node, name=NAME):
    return wait_for("the upload to be stopped", lambda: (
        d := story(node, name))["status"] == "action_required" and d, 20,
        explain=node.tails)


def all_serve(nodes, sha1, name=NAME):
    for node in nodes:
        node.await_served(name, lambda s: s.sha1 == sha1)


def keys_beside(node, name=NAME):
    with node.redis_client() as redis:
        return sorted(redis("KEYS", f"*custom:{name}*"))


def test_an_upload_is_proven_by_one_node_first(fleet, managed, ca):
    pair = ca.leaf(NAME, days=20)
    out = fleet[1].cli("domains-ssl", NAME, "--cert", str(pair.cert), "--key",
                       str(pair.key), "--wait").out
    assert "uploaded by the owner" in out
    all_serve(fleet, pair.sha1)
    assert told(fleet[1])[:3] == ["custom", "canary", "staged"]
    timeline = story(fleet[1])["timeline"]
    asked = next(t for t in timeline if t["type"] == "canary")
    assert asked["node"] == "r1" and asked["kind"] == "custom"
    said = [t["reason"] for t in timeline if t["type"] == "status"]
    assert "the uploaded certificate is being proven by node r1, " \
        "the canary" in said
    domain = shown(fleet[1], NAME)
    assert domain["ssl_status"] == "success" and domain["ssl"] is True
    assert len(keys_beside(fleet[1])) == 1
    with fleet[1].redis_client() as redis:
        assert redis("HLEN", at(NAME) + "canary") == 0


def test_rollback_goes_to_the_cas_and_forward_again(fleet, managed):
    own = story(fleet[1])["custom"]["sha1"]
    fleet[1].cli("rollback", NAME, "--yes")
    all_serve(fleet, managed["sha1"])
    record = fleet[1].await_status(NAME, "in_use")
    assert record["sha1"] == managed["sha1"] and "custom_sha1" not in record
    orders = fleet[0].pebble.orders()
    out = fleet[1].cli("rollback", NAME, "--yes").out
    assert story(fleet[1])["custom"]["not_after"] in out
    assert "renewed" not in out  # by its owner only
    all_serve(fleet, own)
    fleet[1].await_status(NAME, "not_used")
    assert story(fleet[1])["custom"]["sha1"] == own
    assert shown(fleet[1], NAME)["tlscert"] == f"/CN={NAME}"
    assert fleet[0].pebble.orders() == orders


def test_what_the_canary_refuses_nobody_serves_and_the_newest_wins(fleet,
                                                                  managed, ca):
    old = story(fleet[1])["custom"]["sha1"]
    bad, newer = ca.leaf(NAME, days=30), ca.leaf(NAME, days=10)
    with Wrong(fleet):
        answer = upload(fleet[1], NAME, bad)
        assert answer["ssl"] is True and answer["ssl_status"] == "pending"
        assert answer["certfleet"]["status"] == "creating"
        domain = await_stop(fleet[1])
        assert "node r1, the canary, does not serve the uploaded" in \
            domain["reason"] and "what was served before stays" in \
            domain["reason"]
        assert old in domain["last_error"]
        assert f"domains-ssl {NAME} disable" in domain["action"]
        assert "stopped" in told(fleet[1])
        assert domain["custom"]["sha1"] == old
        assert shown(fleet[1], NAME)["ssl_status"] == "error"
        assert "does not serve" in fleet[1].cli("why", NAME).out
        for node in fleet[1:]:
            assert node.served(NAME).sha1 == old
        assert "rollout=stopped" in "".join(n.sync.text() for n in fleet)
        upload(fleet[2], NAME, newer)
        assert "action" not in fleet[1].record(NAME)
        await_stop(fleet[1])
        for node in fleet[1:]:
            assert node.served(NAME).sha1 == old
    # What was wrong is put right: the newest goes on by itself.
    all_serve(fleet, newer.sha1)
    domain = story(fleet[1])
    assert domain["custom"]["sha1"] == newer.sha1 and not domain["action"]
    fleet[1].await_status(NAME, "not_used")
    # And the one before it is the one that was served, not what was refused.
    fleet[1].cli("rollback", NAME, "--yes")
    all_serve(fleet, old)
    fleet[1].cli("rollback", NAME, "--yes")
    all_serve(fleet, newer.sha1)
    fleet[1].await_status(NAME, "not_used")


def test_a_trial_that_is_taken_away_leaves_what_was(fleet, managed, ca):
    fleet[1].cli("domains-ssl", NAME, "disable")
    fleet[1].await_status(NAME, "in_use")
    all_serve(fleet, managed["sha1"])
    pair = ca.leaf(NAME)
    with Wrong(fleet):
        upload(fleet[1], NAME, pair)
        # Switched off, Let's Encrypt's serves until the other one does.
        switch(fleet[1], NAME, False)
        await_stop(fleet[1])
        for node in fleet[1:]:
            assert node.served(NAME).sha1 == managed["sha1"]
        switch(fleet[1], NAME, True)
        fleet[1].cli("domains-ssl", NAME, "disable")
        fleet[1].await_status(NAME, "in_use")
    all_serve(fleet, managed["sha1"])
    assert keys_beside(fleet[1]) == []
    assert "action" not in fleet[1].record(NAME)


def test_a_domain_is_removed_while_its_upload_is_on_trial(fleet, ca):
    name = "own-removed.test"
    pair = ca.leaf(name)
    default = fleet[1].served("unknown.test").sha1
    with Wrong(fleet):
        fleet[1].cli("domains-add", name, "--no-letsencrypt", "--cert",
                     str(pair.cert), "--key", str(pair.key))
        domain = await_stop(fleet[1], name)
        assert "no node serves it" in domain["reason"]
        assert fleet[1].served(name).sha1 == default
        fleet[1].remove(name)
    assert keys_beside(fleet[1], name) == []
    default = fleet[0].served("unknown.test").sha1
    fleet[0].await_served(name, lambda s: s.sha1 == default)
    wait_for("the canary to forget it", lambda: not any(
        name in p for p in fleet[0].haproxy.certificates()))


def test_the_leader_dies_in_the_middle_of_a_trial(fleet, managed, ca):
    pair = ca.leaf(NAME)
    ids = {"r2": fleet[1], "r3": fleet[2]}
    with fleet[0].redis_client() as redis:
        leader = ids[redis("HGET", PREFIX + "leader", "node")]
        with Wrong(fleet):
            upload(fleet[0], NAME, pair)
            wait_for("the trial", lambda: redis(
                "HEXISTS", at(NAME) + "canary", NAME) or
                redis("HGET", at(NAME) + "domain:" + NAME,
                      "custom_trial_at") != "1")
            leader.sync.kill()
    all_serve([n for n in fleet if n is not leader], pair.sha1)
    leader.sync.start()
    all_serve(fleet, pair.sha1)
    fleet[1].await_status(NAME, "not_used")


def test_an_upload_goes_on_with_another_canary(fleet, managed, ca):
    pair = ca.leaf(NAME, days=40)
    fleet[0].sync.stop()
    fleet[0].sync.start(fault="C1:kill")
    upload(fleet[1], NAME, pair)
    assert fleet[0].sync.ended(30) == -9
    all_serve(fleet[1:], pair.sha1)
    asked = [t["node"] for t in story(fleet[1])["timeline"]
             if t["type"] == "canary"]
    assert asked[:2] == ["r2", "r1"]
    fleet[0].sync.start()
    all_serve(fleet, pair.sha1)
    fleet[1].await_status(NAME, "not_used")


def moved(node, pair):
    status, body = node.api("POST", "/api/v1/apps/moved/import", {
        "tlscert": pair.pem, "tlskey": pair.key_pem})
    assert status == 200, body
    return body["names"][0]


def test_an_import_is_proven_by_one_node_first(fleet, ca):
    name = "own-moved.test"
    default = fleet[1].served("unknown.test").sha1
    first, second = ca.leaf(name, days=60), ca.leaf(name, days=80)
    orders = fleet[0].pebble.orders()
    one = moved(fleet[1], first)
    assert one["result"] == "imported" and "one node proves" in one["detail"]
    all_serve(fleet, first.sha1, name)
    fleet[1].await_status(name, "in_use")
    assert told(fleet[1], name) == ["imported", "canary", "staged"]
    with Wrong(fleet):
        assert moved(fleet[1], second)["result"] == "replaced"
        stopped = wait_for("the import to be stopped", lambda: [
            t for t in story(fleet[1], name)["timeline"]
            if t["type"] == "stopped"], 20)
        assert first.sha1 in stopped[0]["reason"]
        domain = story(fleet[1], name)
        assert domain["sha1"] == first.sha1 and domain["status"] == "in_use"
        assert "stopped at its canary" in domain["last_error"]
        for node in fleet[1:]:
            assert node.served(name).sha1 == first.sha1
    all_serve(fleet, second.sha1, name)
    fleet[1].cli("rollback", name, "--yes")
    all_serve(fleet, first.sha1, name)
    # One that cannot be served is given up where another is needed.
    other = "own-moved-bad.test"
    with Wrong(fleet):
        moved(fleet[1], ca.leaf(other))
        fleet[1].await_status(other, "pending_dns")
        assert fleet[1].served(other).sha1 == default
        assert "stopped" in told(fleet[1], other)
    assert fleet[0].pebble.orders() == orders
