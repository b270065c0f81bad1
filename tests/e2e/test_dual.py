"""Two certificates for each domain: each client gets the one it can use."""

import re
import time

import pytest

from fakeca import FakeCA
from fakeca.ari import Window
from harness import SLOW, program, run, wait_for
from node import PREFIX
from test_crash import has_faults
from test_revoke import status_at_ca

CIPHERS = {
    "ECDSA": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "RSA": "ECDHE-RSA-AES128-GCM-SHA256",
}


def shown(node, name, kind):
    """Serial and kind of key of what a TLS 1.2 client of one kind is shown."""
    got = run(program("openssl"), "s_client", "-connect",
              f"{node.address}:{node.world.https_port}", "-servername", name,
              "-tls1_2", "-cipher", CIPHERS[kind], "-CAfile",
              node.pebble.root, stdin=-3, check=False).stdout
    if "BEGIN CERTIFICATE" not in got:
        return None
    text = run(program("openssl"), "x509", "-noout", "-serial", "-text",
               input=got).stdout
    serial = re.search(r"serial=([0-9A-F]+)", text)[1]
    subject = re.search(r"DNS:(\S+)", text)
    key = "RSA" if "rsaEncryption" in text else "ECDSA"
    verified = "Verify return code: 0 (ok)" in got
    return serial, key, subject and subject[1], verified


def serials(node, name):
    """Both, when each client gets its own; else None."""
    found = {kind: shown(node, name, kind) for kind in CIPHERS}
    for kind, s in found.items():
        if s is None or s[1:] != (kind, name, True):
            return None
    return {kind: s[0] for kind, s in found.items()}


def same(serial):
    return f"{int(serial, 16):X}"


def dual(ground, **kw):
    return ground.node(ground.world(**kw),
                       settings={"acme": {"key_type": "dual"}})


def in_use(node, name):
    node.point_here(name)
    node.add(name)
    return node.await_status(name, "in_use", 40)


def of_domain(node, name):
    """What HAProxy and the disk have of a name."""
    return (
        [c for c in node.haproxy.certificates() if name in str(c)],
        [p.name for p in node.cert_dir.iterdir() if name in p.name],
        [p.name for p in (node.state_dir / "certs").iterdir()
         if name in p.name],
        [s for s in node.crt_list.read_text().splitlines() if name in s],
    )


def test_each_client_gets_its_kind_also_after_a_restart_from_files(ground):
    node = dual(ground)
    name = "both.test"
    record = in_use(node, name)
    both = serials(node, name)
    assert both, {k: shown(node, name, k) for k in CIPHERS}
    assert same(both["ECDSA"]) == same(record["serial"])
    issued = [same(s) for s in node.pebble.issued()]
    assert issued == [same(both["ECDSA"]), same(both["RSA"])]
    assert node.pebble.orders_made() == 2
    # Who takes both gets the smaller one.
    assert same(node.served(name).serial) == same(both["ECDSA"])
    wait_for("the crt-list", lambda: len(of_domain(node, name)[3]) == 2)

    # HAProxy alone, from what is on disk.
    node.sync.stop()
    node.haproxy.restart()
    assert serials(node, name) == both

    # All of it; the plain files come back from the sealed one.
    node.haproxy.stop()
    for path in node.cert_dir.iterdir():
        path.unlink()
    node.sync.prime()
    node.haproxy.start()
    assert serials(node, name) == both
    node.sync.start()
    node.await_status(name, "in_use")
    assert serials(node, name) == both
    assert len(node.pebble.issued()) == 2


def test_removal_leaves_nothing_of_either(ground):
    node = dual(ground)
    name, other = "gone.test", "stays.test"
    in_use(node, name)
    in_use(node, other)
    node.remove(name)
    wait_for("nothing of it",
             lambda: not any(of_domain(node, name)),
             explain=lambda: str(of_domain(node, name)))
    assert shown(node, name, "RSA") is None or \
        shown(node, name, "RSA")[2] != name
    with node.redis_client() as redis:
        assert not [k for k in redis("KEYS", "*") if f"order:{name}" in k]
    assert serials(node, other)


@pytest.mark.parametrize("step", ["D1:kill", "F12:kill", "F10:kill:2",
                                  "F11:kill:2", "F12:kill:2", "F13:kill"])
def test_killed_between_the_orders_costs_nothing(ground, step):
    if not has_faults():
        pytest.skip("a build without faults")
    node = dual(ground)
    name = "killed.test"
    node.sync.stop()
    node.sync.start(fault=step)
    node.point_here(name)
    node.add(name)
    assert node.sync.ended(30) == -9, node.sync.tail()
    node.sync.start()
    record = node.await_status(name, "in_use", 40)
    both = serials(node, name)
    assert both
    assert same(both["ECDSA"]) == same(record["serial"])
    assert [same(s) for s in node.pebble.issued()] == \
        [same(both["ECDSA"]), same(both["RSA"])]


def only_first(ground, name, **kw):
    """A node whose limits allow the first certificate and not the second."""
    node = ground.node(ground.world(**kw), settings={
        "acme": {"key_type": "dual"}, "limits": {"certificates_per_set": 1}})
    node.point_here(name)
    node.add(name)
    key = f"{PREFIX}{{p0}}:order:{name}"
    with node.redis_client() as redis:
        wait_for("the second to wait", lambda: redis("HEXISTS", key, "first")
                 and node.record(name).get("rate_limited_until", "0") != "0",
                 20, explain=node.tails)
    assert len(node.pebble.issued()) == 1
    return node


def allow_both(node, name):
    node.settings["limits"]["certificates_per_set"] = 9
    node.write_conf()
    node.sync.restart()
    with node.redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "next_at", "1",
              "rate_limited_until", "0")
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)


def test_what_was_ordered_first_is_not_lost_when_there_is_no_second(ground):
    """A second order that must wait costs time, not another certificate."""
    name = "late.test"
    node = only_first(ground, name)
    first = same(node.pebble.issued()[0])
    allow_both(node, name)
    node.await_status(name, "in_use", 40)
    both = serials(node, name)
    assert both and same(both["ECDSA"]) == first
    assert len(node.pebble.issued()) == node.pebble.orders_made() == 2


def test_a_first_that_became_too_old_is_ordered_again(ground):
    name = "old.test"
    node = only_first(ground, name, validity=30)
    first = same(node.pebble.issued()[0])
    time.sleep(21)
    allow_both(node, name)
    node.await_status(name, "in_use", 40)
    both = serials(node, name)
    assert both and same(both["ECDSA"]) != first
    assert "has become too old" in node.sync.text()
    assert [same(s) for s in node.pebble.issued()] == \
        [first, same(both["ECDSA"]), same(both["RSA"])]


def test_a_revocation_is_of_both(ground):
    node = dual(ground)
    name = "revoked.test"
    in_use(node, name)
    old = serials(node, name)
    node.cli("revoke", name, "--reason", "keyCompromise", "--yes")
    for serial in old.values():
        wait_for("the revocation", lambda s=serial: status_at_ca(
            node, s) == "Revoked", 20, explain=node.tails)

    def both_new():
        new = serials(node, name)
        return new and not set(new.values()) & set(old.values())
    wait_for("two others", both_new, 30, 0.3, explain=node.tails)


def test_two_of_two_cas_are_revoked_each_where_it_came_from(ground):
    if not has_faults():
        pytest.skip("a build without faults")
    world = ground.world()
    first, second = world.pebble, world.second_ca()
    node = ground.node(world, settings={
        "acme": {"key_type": "dual"},
        "acme_fallback": {"directory": second.directory, "agree_tos": True,
                          "ca_file": str(world.tls.ca)}})
    name = "two-cas.test"
    node.sync.stop()
    node.sync.start(fault="D1:kill")
    node.point_here(name)
    node.add(name)
    assert node.sync.ended(30) == -9, node.sync.tail()
    # The first is here; the second is ordered at what is the first CA by now.
    node.settings["acme"]["directory"] = second.directory
    node.settings["acme_fallback"]["directory"] = first.directory
    node.write_conf()
    node.sync.start()
    record = node.await_status(name, "in_use", 40)
    assert (record["ca"], record["ca_second"]) == \
        (first.directory, second.directory)
    ours = [(ca, ca.issued()) for ca in (first, second)]
    assert [len(serials) for _, serials in ours] == [1, 1]
    node.cli("revoke", name, "--yes")
    for ca, (serial,) in ours:
        wait_for("the revocation", lambda c=ca, s=serial: status_at_ca(
            node, s, c) == "Revoked", 20, explain=node.tails)
    assert "not revoked" not in node.sync.text()


def test_each_order_of_a_renewal_says_what_it_replaces(ground):
    world = ground.world(authz_reuse=0, nonce_reject=0)
    ca = FakeCA(world.pebble, world.tls, world.dir, ari=True)
    try:
        ca.windows.retry_s = 1
        node = ground.node(world, settings={"acme": {
            "directory": ca.directory, "key_type": "dual",
            "ari_poll_min_s": 1, "ari_poll_max_s": 2}})
        name = "window.test"
        in_use(node, name)
        old = [o.leaf.certid for o in ca.referee.certificates(name)]
        assert len(old) == 2
        wait_for("the CA's window",
                 lambda: node.record(name).get("ari_end"), 20)
        wait_for("both windows to be asked for",
                 lambda: set(ca.windows.asked) == set(old), 20)
        now = time.time()
        # One of them is enough.
        ca.windows.moved[old[1]] = Window(now - 3600, now + 10 * SLOW)
        ca.referee.due(name)
        wait_for("both to be renewed", lambda: node.record(name).get(
            "proven") == "2", 30, explain=node.tails)
        new = ca.referee.certificates(name)[2:]
        assert [ca.windows.replaced.get(c) for c in old] == \
            [o.id for o in new]
        assert "goes on without" not in node.sync.text()
        assert ca.referee.found == [], "no limit was exceeded"
        node.sync.stop()
    finally:
        ca.stop()


def test_renewal_replaces_both_and_goes_back_to_one(ground):
    node = dual(ground, validity=40)
    name = "year.test"
    in_use(node, name)
    old = serials(node, name)
    assert old

    def both_new():
        new = serials(node, name)
        return new and not set(new.values()) & set(old.values())
    wait_for("both to be renewed", both_new, 60, 0.5)

    node.settings["acme"]["key_type"] = "ecdsa-p256"
    node.write_conf()
    node.sync.restart()
    wait_for("one certificate", lambda: len(of_domain(node, name)[3]) == 1 and
             len(of_domain(node, name)[0]) == 1 and
             len(of_domain(node, name)[1]) == 1, 60, 0.5,
             explain=lambda: str(of_domain(node, name)))
    assert shown(node, name, "ECDSA")[3]
    assert node.served(name).verified
