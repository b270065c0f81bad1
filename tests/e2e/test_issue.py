"""A domain's way: from being added to being served, and away again."""

import stat
import time

import pytest

from node import PREFIX


def added_here(node, *names):
    node.point_here(*names)
    node.add(*names)


def test_a_domain_goes_from_pending_dns_to_served(shared):
    name = "first.test"
    shared.add(name)
    record = shared.await_status(name, "pending_dns", 10)
    assert record["reason"], record
    assert shared.served(name).why, "nobody may have a certificate for it yet"

    before = len(shared.pebble.issued())
    shared.point_here(name)
    record = shared.await_status(name, "in_use", 30)
    shown = shared.served(name)
    assert shown.verified, shown
    assert shown.names == (name,)
    assert shown.sha1 == record["sha1"]
    assert shown.serial == record["serial"]
    assert shared.pebble.issued()[before:] == [shown.serial]
    assert record["version"] == "1"


def test_in_use_means_that_every_look_shows_the_certificate(shared):
    """The status is proven by a handshake, so there is nothing to wait for."""
    name = "proven.test"
    added_here(shared, name)
    shared.await_status(name, "in_use")
    for _ in range(20):
        assert shared.served(name).verified


def test_other_names_get_the_default_certificate(shared):
    added_here(shared, "known.test")
    shared.await_status("known.test", "in_use")
    unknown = shared.served("unknown.test")
    assert unknown and unknown.why
    assert unknown.sha1 != shared.served("known.test").sha1
    assert unknown.sha1 == shared.served("other.test").sha1
    # A label more or less is another name.
    assert shared.served("www.known.test").sha1 == unknown.sha1


def files_of(node):
    return [p for p in (*node.state_dir.rglob("*"), *node.run_dir.rglob("*"))
            if p.is_file()]


def test_files_are_closed_to_others(shared):
    name = "closed.test"
    added_here(shared, name)
    shared.await_status(name, "in_use")
    pem = [p for p in shared.cert_dir.iterdir() if name in p.name]
    assert len(pem) == 1
    for path in files_of(shared):
        mode = stat.S_IMODE(path.stat().st_mode)
        holds_key = b"PRIVATE KEY" in path.read_bytes()
        if holds_key or path.suffix == ".pem":
            assert mode == 0o600, f"{path} has mode {mode:o}"
        assert not mode & 0o007, f"{path} has mode {mode:o}"
    for path in (shared.state_dir, shared.cert_dir):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def private_key_of(node, name):
    """The secret number of the domain's key, as bytes."""
    import subprocess

    from harness import program
    pem = next(p for p in node.cert_dir.iterdir() if name in p.name)
    der = subprocess.run(
        [program("openssl"), "ec", "-in", pem, "-outform", "DER"],
        capture_output=True, check=True).stdout
    # RFC 5915: version, then the private key as an OCTET STRING of 32 bytes.
    at = der.index(b"\x02\x01\x01\x04\x20") + 5
    return der[at:at + 32]


def test_no_private_key_is_in_clear_outside_the_run_directory(shared):
    name = "sealed.test"
    added_here(shared, name)
    shared.await_status(name, "in_use")
    secret = private_key_of(shared, name)
    with shared.redis_client() as redis:
        dump = repr(redis.dump()).encode()
        redis("SAVE")
    everything = [("Redis", dump)] + [
        (path, path.read_bytes()) for path in (
            *(p for p in shared.state_dir.rglob("*") if p.is_file()),
            shared.sync.log, shared.agent.log, shared.haproxy.log)]
    import base64
    for where, data in everything:
        assert b"PRIVATE KEY" not in data, where
        assert secret not in data, where
        assert secret.hex().encode() not in data.lower(), where
        assert repr(secret)[2:-1].encode() not in data, where
        assert base64.b64encode(secret)[:40] not in data, where


def test_an_address_elsewhere_is_named_then_dns_is_put_right(shared):
    name = "elsewhere.test"
    shared.dns.add_a(name, "127.0.0.77")
    shared.add(name)
    record = shared.await_record(
        "the wrong address to be named",
        lambda: "127.0.0.77" in shared.record(name).get("reason", "")
        and shared.record(name), 15, name)
    assert record["status"] == "pending_dns"
    orders = shared.pebble.orders()
    time.sleep(1.5)
    assert shared.pebble.orders() == orders, "dead names cost no orders"
    shared.point_here(name)
    shared.await_status(name, "in_use")
    assert shared.served(name).verified


def test_a_stray_aaaa_is_named(shared):
    name = "stray.test"
    shared.point_here(name)
    shared.dns.add_aaaa(name, "::1")
    shared.add(name)
    record = shared.await_record(
        "the stray address to be named",
        lambda: "::1" in shared.record(name).get("reason", "")
        and shared.record(name), 15, name)
    assert record["status"] == "pending_dns"
    shared.dns.clear_aaaa(name)
    shared.await_status(name, "in_use")


def test_a_cname_is_followed(shared):
    shared.point_here("edge.test")
    shared.dns.set_cname("www.cname.test", "edge.test")
    shared.add("www.cname.test")
    shared.await_status("www.cname.test", "in_use")
    assert shared.served("www.cname.test").verified


def test_caa_that_forbids_the_ca_is_told_before_any_order(shared):
    name = "caa.test"
    shared.point_here(name)
    shared.dns.add_caa(name, "other-ca.test")
    shared.add(name)
    record = shared.await_record(
        "CAA to be named", lambda: "CAA" in
        "{reason} {action}".format_map(
            {"reason": "", "action": "", **shared.record(name)})
        and shared.record(name), 15, name)
    assert record["status"] in ("pending_dns", "action_required")
    orders = shared.pebble.orders()
    time.sleep(1)
    assert shared.pebble.orders() == orders
    shared.dns.clear_caa(name)
    shared.dns.add_caa(name, "pebble.test")
    shared.await_status(name, "in_use")


def test_a_dns_failure_is_no_verdict(shared):
    """SERVFAIL: nothing is known, nothing is ordered, it is asked again."""
    name = "servfail.test"
    shared.point_here(name)
    shared.dns.servfail(name)
    shared.add(name)
    orders = shared.pebble.orders()
    time.sleep(1.5)
    record = shared.record(name)
    assert record["status"] == "pending_dns" and record["reason"], record
    assert shared.pebble.orders() == orders
    shared.dns.clear_servfail(name)
    shared.await_status(name, "in_use")


def test_a_name_that_the_ca_refuses_says_why_and_is_not_hammered(ground):
    """Retries start at two seconds here; the fourth comes after fourteen."""
    world = ground.world(blocklist=["blocked.test"])
    node = ground.node(world)
    name = "blocked.test"
    added_here(node, name)

    def refused():
        record = node.record(name)
        return record if int(record.get("attempts", "0")) >= 1 else None

    record = node.await_record("the refusal", refused, 20, name)
    assert record["status"] in ("creating", "action_required"), record
    said = " ".join(record.get(f, "") for f in ("reason", "last_error"))
    assert "blocked.test" in said or "policy" in said.lower(), record
    assert int(record["next_at"]) > time.time() * 1000 - 1000
    asked, orders = world.pebble.requests(), world.pebble.orders()
    time.sleep(5)
    assert world.pebble.orders() - orders <= 3
    assert world.pebble.requests() - asked <= 30
    assert world.pebble.issued() == []
    out = node.cli("why", name).text
    assert "blocked.test" in out


def test_a_removed_domain_is_gone_everywhere(shared):
    name = "removed.test"
    default = shared.served("unknown.test").sha1
    added_here(shared, name)
    shared.await_status(name, "in_use")
    assert any(name in c for c in shared.haproxy.certificates())
    shared.remove(name)
    shared.await_served(name, lambda s: s.sha1 == default)

    def traces():
        # That it was removed is remembered for nodes that were away.
        with shared.redis_client() as redis:
            # What the CA counts is not forgotten with the domain.
            found = [k for k, v in redis.dump().items()
                     if not k.endswith((":events", ":removed", ":audit"))
                     and not k.startswith(f"{PREFIX}limit:")
                     and name in f"{k} {v!r}"]
        found += [str(p) for p in files_of(shared) if name in p.name]
        found += [c for c in shared.haproxy.certificates() if name in c]
        if name in shared.crt_list.read_text():
            found.append("crt-list")
        return found

    from harness import wait_for
    wait_for("no trace of it", lambda: not traces(), 10,
             explain=lambda: repr(traces()))
    assert shared.cli("why", name, code=None).code == 3


def test_a_domain_can_come_back(shared):
    name = "again.test"
    added_here(shared, name)
    first = shared.await_status(name, "in_use")["serial"]
    shared.remove(name)
    shared.add(name)
    second = shared.await_status(name, "in_use")["serial"]
    assert first != second
    assert shared.await_served(name).serial == second


def test_an_app_sees_its_own_domains(shared):
    added_here(shared, "mine.test")
    shared.point_here("yours.test")
    shared.add("yours.test", app="your-app")
    assert "yours.test" in shared.cli("--app", "your-app", "domains").out
    assert "mine.test" not in shared.cli("--app", "your-app", "domains").out
    shared.await_status("yours.test", "in_use")
    assert shared.record("yours.test")["app"] == "your-app"


@pytest.mark.slow
def test_twenty_domains_at_once(shared):
    names = [f"many{i:02}.test" for i in range(20)]
    before = len(shared.pebble.issued())
    added_here(shared, *names)
    for name in names:
        shared.await_status(name, "in_use", 60)
    serials = {shared.served(name).serial for name in names}
    assert len(serials) == 20 and "" not in serials
    assert len(shared.pebble.issued()) - before == 20
    with shared.redis_client() as redis:
        index = redis.hash(f"{PREFIX}{{p0}}:index")
    assert set(names) <= set(index)


def test_wait_shows_progress_and_ends_well(shared):
    shared.point_here("wait.test")
    done = shared.cli("domains-add", "--wait", "wait.test", seconds=60)
    assert shared.status("wait.test") == "in_use"
    assert "In use" in done.text
