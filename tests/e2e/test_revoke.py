"""Revocation at the CA, and removal while the CA is at work."""

import json
import time

from harness import wait_for
from test_switch import switch


def status_at_ca(node, serial, ca=None):
    """What the CA says of a certificate: Valid or Revoked."""
    text = (ca or node.pebble).managed(
        f"cert-status-by-serial/{serial.lower()}")
    return json.loads(text or "{}").get("Status", "")


def in_use(node, name):
    node.point_here(name)
    node.add(name)
    return node.await_status(name, "in_use")


def test_a_revoked_certificate_is_followed_by_another(shared):
    name = "revoked.test"
    old = in_use(shared, name)
    assert status_at_ca(shared, old["serial"]) == "Valid"
    done = shared.cli("revoke", name, "--reason", "keyCompromise", "--yes",
                      "--wait=60", seconds=90)
    assert done.out.splitlines()[-1].startswith(f"-----> {name}: In use")
    assert status_at_ca(shared, old["serial"]) == "Revoked"
    assert shared.served(name).serial != old["serial"]
    new = shared.await_record(
        "another certificate", lambda: shared.record(name)
        if shared.serial(name) not in ("", old["serial"])
        and shared.status(name) == "in_use" else None, 30, name)
    assert "revoke" not in new
    shared.await_served(name, lambda s: s.serial == new["serial"])
    assert status_at_ca(shared, new["serial"]) == "Valid"


def test_a_revocation_must_be_meant_and_possible(shared):
    name = "revoke-asks.test"
    old = in_use(shared, name)
    done = shared.cli("revoke", name, code=2)
    assert "--yes" in done.err
    done = shared.cli("revoke", name, "--yes", "--reason", "dislike", code=4)
    assert "keyCompromise" in done.err
    shared.cli("revoke", "nobody.test", "--yes", code=3)
    shared.add("revoke-none.test")
    assert "no certificate" in shared.cli(
        "revoke", "revoke-none.test", "--yes", code=4).err
    assert status_at_ca(shared, old["serial"]) == "Valid"


def test_a_revoked_one_that_was_only_kept_never_comes_back(shared):
    name = "revoked-kept.test"
    old = in_use(shared, name)
    switch(shared, name, False)
    shared.await_status(name, "disabled")
    shared.cli("revoke", name, "--yes")
    wait_for("the revocation", lambda: status_at_ca(
        shared, old["serial"]) == "Revoked", 20, explain=shared.tails)
    switch(shared, name, True)
    new = shared.await_status(name, "in_use")
    assert new["serial"] != old["serial"]
    assert shared.served(name).serial == new["serial"]


def traces(node, name):
    with node.redis_client() as redis:
        found = [k for k, v in redis.dump().items()
                 if not k.endswith((":events", ":removed", ":audit"))
                 and ":limit:" not in k
                 and name in f"{k} {v!r}"]
        found += [k for k in redis("KEYS", "certfleet:challenge:*")
                  if not k.endswith(":thumbprint")]
    found += [c for c in node.haproxy.certificates() if name in c]
    found += [str(p) for root in (node.state_dir, node.run_dir)
              for p in root.rglob("*") if name in p.name]
    if name in node.crt_list.read_text():
        found.append("crt-list")
    return found


def test_a_domain_removed_during_its_order_leaves_nothing(node):
    for i, pause in enumerate((0, 0.05, 0.2, 0.5, 1.0)):
        name = f"in-flight{i}.test"
        node.point_here(name)
        node.add(name)
        node.await_status(name, ("creating", "in_use"))
        time.sleep(pause)
        node.remove(name)
        time.sleep(1.5)
        wait_for("no trace", lambda: not traces(node, name), 15,
                 explain=lambda: f"{traces(node, name)}\n{node.tails()}")


def test_a_removed_domain_takes_its_upload_and_its_spare_along(node, tmp_path):
    from ownca import OwnCA
    name = "all-of-it.test"
    in_use(node, name)
    pair = OwnCA(tmp_path).leaf(name)
    node.cli("domains-ssl", name, "--cert", str(pair.cert), "--key",
             str(pair.key), "--wait")
    node.remove(name)
    wait_for("no trace", lambda: not traces(node, name), 15,
             explain=lambda: f"{traces(node, name)}")
