"""Certificates of owners' own: uploaded, served, followed by Let's Encrypt."""

import shutil
import time

import pytest

from harness import wait_for
from ownca import OwnCA
from test_switch import path_of, shown, switch


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("ownca"))


def upload(node, name, pair, code=200):
    status, body = node.api("PATCH", path_of(name), {"domain": {
        "tlscert": pair.pem, "tlskey": pair.key_pem}})
    assert status == code, body
    return body


def served_is(node, name, pair):
    return node.await_served(name, lambda s: s.sha1 == pair.sha1)


def test_an_upload_is_served_instead_of_the_managed_one(shared, ca):
    name = "own-upload.test"
    shared.point_here(name)
    shared.add(name)
    first = shared.await_status(name, "in_use")
    # Shorter than the managed one, and served all the same.
    pair = ca.leaf(name, days=30)
    out = shared.cli("domains-ssl", name, "--cert", str(pair.cert), "--key",
                     str(pair.key)).out
    assert name in out
    record = shared.await_status(name, "not_used")
    assert shared.served(name).sha1 == pair.sha1
    assert "uploaded by the owner" in record["reason"]

    domain = shown(shared, name)
    assert domain["ssl"] is True and domain["ssl_status"] == "success"
    assert domain["tlscert"] == f"/CN={name}"
    assert domain["tlskey"] == "EC private key - 256 bits"
    assert domain["letsencrypt"] is False
    assert domain["letsencrypt_status"] == "created"
    assert domain["validity"] == domain["certfleet"]["custom"]["not_after"]
    everything = repr(shared.api("GET", f"/api/v1/domains/{name}")) + \
        repr(domain) + shared.sync.text()
    assert "PRIVATE KEY-----" not in everything

    # The managed one is there: it follows at once, without an order.
    issued = len(shared.pebble.issued())
    shared.cli("domains-ssl", name, "disable")
    shared.await_status(name, "in_use")
    assert shared.served(name).serial == first["serial"]
    assert len(shared.pebble.issued()) == issued
    assert shown(shared, name)["ssl"] is False
    with shared.redis_client() as redis:
        assert redis("KEYS", f"*custom:{name}*") == []


def test_an_added_upload_needs_no_dns_and_no_order(shared, ca):
    name = "own-from-start.test"
    pair = ca.leaf(name)
    orders = shared.pebble.orders()
    shared.cli("domains-add", name, "--cert", str(pair.cert), "--key",
               str(pair.key), "--wait")
    assert shared.status(name) == "not_used"
    assert shared.served(name).sha1 == pair.sha1
    assert shared.pebble.orders() == orders


def test_a_removed_upload_serves_until_the_managed_one_is_there(shared, ca):
    name = "own-then-managed.test"
    pair = ca.leaf(name)
    shared.cli("domains-add", name, "--cert", str(pair.cert), "--key",
               str(pair.key), "--wait")
    shared.cli("domains-ssl", name, "disable")
    # Its DNS is not right: there will be no managed one yet.
    shared.await_status(name, "pending_dns")
    assert shared.served(name).sha1 == pair.sha1
    shared.point_here(name)
    seen = set()
    end = time.monotonic() + 30
    while shared.status(name) != "in_use" and time.monotonic() < end:
        seen.add(shared.served(name).sha1)
    record = shared.await_status(name, "in_use")
    assert seen <= {pair.sha1, record["sha1"]}, "there was a gap"
    assert shared.served(name).verified
    assert shown(shared, name)["ssl"] is False


def test_without_letsencrypt_a_removed_upload_is_gone_at_once(shared, ca):
    name = "own-only.test"
    pair = ca.leaf(name)
    default = shared.served("unknown.test").sha1
    shared.cli("domains-add", name, "--no-letsencrypt", "--cert",
               str(pair.cert), "--key", str(pair.key), "--wait")
    assert shared.status(name) == "not_used"
    shared.cli("domains-ssl", name, "disable")
    shared.await_status(name, "disabled")
    shared.await_served(name, lambda s: s.sha1 == default)


def test_one_upload_replaces_another_whatever_their_dates(shared, ca):
    name = "own-twice.test"
    long, short = ca.leaf(name, days=80), ca.leaf(name, days=20)
    shared.cli("domains-add", name, "--cert", str(long.cert), "--key",
               str(long.key), "--wait")
    upload(shared, name, short)
    served_is(shared, name, short)
    upload(shared, name, long)
    served_is(shared, name, long)
    shared.await_status(name, "not_used")


def test_before_an_upload_ends_a_managed_one_is_made_and_waits(shared, ca):
    name = "own-ends-soon.test"
    shared.point_here(name)
    pair = ca.leaf(name, hours=5 * 24)
    shared.cli("domains-add", name, "--cert", str(pair.cert), "--key",
               str(pair.key), "--wait")
    record = shared.await_record(
        "the spare one", lambda: shared.record(name).get("sha1")
        and shared.record(name), 30, name)
    time.sleep(1)
    assert shared.status(name) == "not_used"
    assert shared.served(name).sha1 == pair.sha1 != record["sha1"]
    issued = len(shared.pebble.issued())
    shared.cli("domains-ssl", name, "disable")
    shared.await_status(name, "in_use")
    assert shared.served(name).sha1 == record["sha1"]
    assert len(shared.pebble.issued()) == issued


def test_an_upload_that_ends_today_is_followed_by_itself(shared, ca):
    name = "own-ends-today.test"
    shared.point_here(name)
    pair = ca.leaf(name, hours=12)
    default = shared.served("unknown.test").sha1
    shared.cli("domains-add", name, "--cert", str(pair.cert), "--key",
               str(pair.key))
    shown = []

    def managed():
        shown.append(shared.served(name))
        return shown[-1].verified

    wait_for("the managed one", managed, 30, explain=shared.tails)
    shared.await_status(name, "in_use")
    assert {s.sha1 for s in shown[:-1]} <= {default, pair.sha1}
    served = [s.sha1 for s in shown if s.sha1 != default]
    assert served[0] == pair.sha1
    assert [s.sha1 for s in shown[-len(served):]] == served, "no gap"


def test_what_cannot_be_served_is_refused_with_a_sentence(shared, ca):
    name = "own-refused.test"
    other = ca.leaf("other.test")
    shared.add(name)
    body = upload(shared, name, other, 422)
    assert "does not cover own-refused.test; it covers other.test" in \
        body["errors"]["tlscert"][0]
    status, body = shared.api("POST", "/v1/apps/default/domains", {"domain": {
        "name": "own-refused2.test", "tlscert": other.pem}})
    assert status == 422 and "tlskey" in body["errors"], body
    done = shared.cli("domains-ssl", name, "--cert", str(other.cert), "--key",
                      str(other.key), code=4)
    assert "does not cover" in done.err
    assert shared.cli("domains-ssl", name, code=2)
    assert "custom_sha1" not in shared.record(name)


def test_a_switch_with_an_upload_leaves_no_gap(shared, ca):
    name = "own-both.test"
    pair = ca.leaf(name)
    shared.cli("domains-add", name, "--no-letsencrypt", "--cert",
               str(pair.cert), "--key", str(pair.key), "--wait")
    shared.point_here(name)
    status, body = shared.api("PATCH", path_of(name), {"domain": {
        "tlscert": "", "tlskey": "", "letsencrypt_enabled": True}})
    assert status == 200, body
    seen = set()
    end = time.monotonic() + 30
    while shared.status(name) != "in_use" and time.monotonic() < end:
        seen.add(shared.served(name).sha1)
    record = shared.await_status(name, "in_use")
    assert seen <= {pair.sha1, record["sha1"]}


def test_a_custom_certificate_survives_restarts(node, ca):
    name = "own-restart.test"
    node.point_here(name)
    node.add(name)
    managed = node.await_status(name, "in_use")
    pair = ca.leaf(name, days=30)
    upload(node, name, pair)
    node.await_status(name, "not_used")
    node.sync.restart()
    node.haproxy.restart()
    served_is(node, name, pair)
    assert node.status(name) == "not_used"
    node.cli("domains-ssl", name, "disable")
    node.await_served(name, lambda s: s.serial == managed["serial"])


def test_all_nodes_serve_an_upload(ground, ca):
    world, redis = ground.world(), ground.redis()
    nodes = [ground.node(world, start=False, name=f"n{i}",
                         address=f"127.0.0.{i}", redis=redis)
             for i in (1, 2)]
    nodes[0].start()
    # What one node has sealed another must be able to open.
    nodes[1].state_dir.mkdir(mode=0o700)
    shutil.copy(nodes[0].state_dir / "kek", nodes[1].state_dir / "kek")
    nodes[1].start()
    name = "own-fleet.test"
    pair = ca.leaf(name)
    nodes[1].cli("domains-add", name, "--cert", str(pair.cert), "--key",
                 str(pair.key), "--wait")
    for node in nodes:
        assert node.served(name).sha1 == pair.sha1
    switch(nodes[0], name, False)
    time.sleep(1)
    assert nodes[1].status(name) == "not_used"
    assert nodes[1].served(name).sha1 == pair.sha1
