"""Certificates for years: renewed in time, and ordered as it is wanted."""

import contextlib
import re
import threading
import time

import pytest

from harness import SLOW, program, run, wait_for
from node import PREFIX, served_by

DAY = 86400


def in_use(node, name):
    node.point_here(name)
    node.add(name)
    return node.await_status(name, "in_use")


def await_version(node, name, version, seconds):
    """Wait until this version is in use; its record."""
    def there():
        record = node.record(name)
        return record if record.get("proven") == str(version) else None

    return node.await_record(
        f"version {version} of {name}", there, seconds, name)


class Watcher:
    """Looks at a name all the time, as its visitors do."""

    def __init__(self, node, name):
        self.node = node
        self.name = name
        self.gaps = []
        self.statuses = set()
        self.looks = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.wait(0.1):
            shown = self.node.served(self.name)
            self.looks += 1
            self.statuses.add(self.node.status(self.name))
            if shown is None or not shown.verified:
                self.gaps.append((time.time(), shown))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


# --- by the clock -------------------------------------------------------------


def test_short_certificates_are_renewed_at_two_thirds_without_a_gap(ground):
    node = ground.node(ground.world(validity=int(18 * SLOW)))
    name = "short.test"
    first = in_use(node, name)
    due = int(first["renew_at"]) / 1000
    begin, end = int(first["not_before"]), int(first["not_after"])
    lifetime = end - begin
    assert 0.66 * lifetime <= due * 1000 - begin <= 0.70 * lifetime
    orders = node.pebble.orders()
    with Watcher(node, name) as watcher:
        wait_for("the renewal's order", lambda: node.pebble.orders() > orders,
                 40, 0.02)
        began = time.time()
        second = await_version(node, name, 2, 10)
        third = await_version(node, name, 3, 40)
    assert -0.05 <= began - due <= 1.5 * SLOW, "exact to the second"
    assert watcher.looks > 50
    assert watcher.gaps == []
    assert watcher.statuses == {"in_use"}
    serials = [r["serial"] for r in (first, second, third)]
    assert len(set(serials)) == 3
    assert node.pebble.issued() == serials, "one for each time it was due"


def test_a_renewal_that_fails_keeps_serving_and_is_tried_again(ground):
    # Due early, so that there is time for a failure.
    node = ground.node(ground.world(validity=int(30 * SLOW), authz_reuse=0),
                       settings={"acme": {"renew_percent": 30},
                                 "haproxy": {"barrier_timeout_ms": 1000}})
    name = "fails.test"
    first = in_use(node, name)
    node.agent.stop()
    with Watcher(node, name) as watcher:
        record = node.await_record(
            "the renewal to fail",
            lambda: int(node.record(name).get("attempts", 0)) > 0
            and node.record(name), 30, name)
        assert record["status"] == "in_use"
        assert record["serial"] == first["serial"]
        assert record["reason"].startswith("renewal failed: ")
        assert record["last_error"]
        assert int(record["next_at"]) > time.time() * 1000 - 500
        node.agent.start()
        second = await_version(node, name, 2, 15)
    assert watcher.gaps == []
    assert watcher.statuses == {"in_use"}
    for forgotten in ("attempts", "last_error"):
        assert forgotten not in second


# --- what is ordered, and from whom -------------------------------------------


def test_what_is_overdue_is_renewed_at_an_even_pace_and_urgent_at_once(plain):
    node, step, burst = plain, 1.0, 9
    names = [f"overdue{i}.test" for i in range(16)]
    urgent = "urgent.test"
    for name in (*names, urgent):
        node.point_here(name)
        node.add(name)
    for name in (*names, urgent):
        node.await_status(name, "in_use")
    now = int(time.time() * 1000)
    with settings(node, renewals_per_minute=60):
        orders = node.pebble.orders()
        began = time.time()
        with node.redis_client() as redis:
            redis("MULTI")
            redis("HSET", f"{PREFIX}{{p0}}:domain:{urgent}", "renew_at", "1",
                  "not_before", str(now - 86400_000), "not_after",
                  str(now + 3600_000))
            for name in names:
                redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1")
                redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)
            # The last to be looked at.
            redis("ZADD", f"{PREFIX}{{p0}}:due", "2", urgent)
            redis("EXEC")
        await_version(node, urgent, 2, 6)
        assert node.record(max(names))["version"] == "1", "they wait"

        def done():
            made = node.pebble.orders() - orders - 1
            assert made <= burst + (time.time() - began) / step + 1
            return made >= len(names)

        wait_for("all of them", done, 40, 0.1, explain=node.tails)
    assert time.time() - began > (len(names) - burst - 1) * step
    assert node.pebble.orders() - orders - 1 == len(names)
    for name in names:
        await_version(node, name, 2, 20)


def test_a_name_that_moved_away_costs_the_ca_nothing(plain):
    node, name = plain, "moved.test"
    first = in_use(node, name)
    node.dns.clear_a(name)
    node.dns.add_a(name, "127.0.0.99")
    asked = node.pebble.requests()
    ends = int(time.time() * 1000 + 3000 * SLOW)
    with node.redis_client() as redis:
        redis("MULTI")
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1",
              "not_after", str(ends))
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)
        redis("EXEC")
    record = node.await_record(
        "the other address to be told",
        lambda: "127.0.0.99" in node.record(name).get("reason", "")
        and node.record(name), 20, name)
    # What is still good is in use, with a word of what is wrong.
    if time.time() * 1000 < ends - 500:
        assert record["status"] == "in_use"
    record = node.await_status(name, "pending_dns")
    assert time.time() * 1000 > ends
    assert record["serial"] == first["serial"]
    assert node.pebble.requests() == asked
    node.point_here(name)
    second = await_version(node, name, 2, 20)
    assert second["status"] == "in_use"
    assert second["serial"] != first["serial"]


def shown_to_openssl(node, name):
    return run(program("openssl"), "s_client", "-connect",
               f"{node.address}:{node.world.https_port}", "-servername", name,
               stdin=-3).stdout


@contextlib.contextmanager
def settings(node, **acme):
    """Other ones for acme, as long as the with statement."""
    before = dict(node.settings.get("acme", {}))
    node.settings["acme"] = {**before, **acme}
    node.write_conf()
    node.sync.restart()
    try:
        yield
    finally:
        node.settings["acme"] = before
        node.write_conf()
        node.sync.restart()


@pytest.fixture(scope="module")
def plain(session_ground):
    return session_ground.node(session_ground.world("keys", nonce_reject=0),
                               name="k1")


@pytest.mark.parametrize("key_type, shown", [
    ("ecdsa-p384", "384 bit"),
    ("rsa-2048", "2048 bit"),
    ("rsa-3072", "3072 bit"),
    ("rsa-4096", "4096 bit"),
])
def test_keys_are_of_the_kind_that_is_wanted(plain, key_type, shown):
    node, name = plain, f"{key_type}.test"
    with settings(node, key_type=key_type):
        in_use(node, name)
        assert node.served(name).verified
        text = shown_to_openssl(node, name)
    assert f"Server public key is {shown}" in text
    assert ("RSA" in re.search(r"Peer signature type: (.*)", text)[1]) == \
        key_type.startswith("rsa")


def test_an_external_account_is_bound_or_what_is_wrong_is_told(ground):
    key = "c2l4dGVlbi1vY3RldHMtb3ItbW9yZS1vZi1hLWtleS4"
    other = "YW5vdGhlci1rZXktdGhhdC1pcy1ub3QtdGhlLUNBJ3M"
    node = ground.node(ground.world(eab={"kid-1": key}))

    def bound(kid, hmac):
        path = node.dir / f"eab-{hmac[:4]}"
        path.write_text(hmac)
        path.chmod(0o600)
        return settings(node, eab_kid=kid,
                        eab_hmac_key=f"file:{path}" if hmac else "")

    for i, (kid, hmac) in enumerate(
            (("", ""), ("kid-1", other), ("kid-2", key))):
        name = f"bound{i}.test"
        with bound(kid, hmac):
            node.point_here(name)
            node.add(name)
            record = node.await_record(
                "the attempt to fail", lambda n=name: int(
                    node.record(n).get("attempts", 0)) and node.record(n),
                20, name)
        assert record["status"] == "creating"
        assert "eab_kid and eab_hmac_key" in record["reason"], record
        assert not kid or "CA says: " in record["reason"], record
        assert node.pebble.orders() == 0
    with bound("kid-1", key):
        node.await_status("bound0.test", "in_use")
    assert key not in node.sync.text() and other not in node.sync.text()


def subject_of(pem, directory):
    path = directory / "root.pem"
    path.write_bytes(pem)
    text = run(program("openssl"), "x509", "-in", path, "-noout", "-subject",
               "-nameopt", "multiline").stdout
    return path, re.search(r"commonName\s*= (.*)", text)[1].strip()


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_the_preferred_chain_is_served(ground, wanted):
    world = ground.world(alternate_roots=2)
    root, issuer = subject_of(world.pebble.managed(f"roots/{wanted}"),
                              ground.dir)
    node = ground.node(world, settings={"acme": {"preferred_chain": issuer}})
    name = "chain.test"
    in_use(node, name)
    shown = served_by(name, node.address, world.https_port, root)
    assert shown.verified, shown
    if wanted != 0:
        assert not node.served(name).verified, "only that chain is served"


def test_the_second_ca_is_used_when_the_first_is_away_and_time_is_short(ground):
    """Also with stateless answers, which are those of the first account."""
    validity = int(32 * SLOW)
    world = ground.world(validity=validity)
    second = world.second_ca()
    node = ground.node(world, settings={"agent": {
        "stateless_fallback": True}, "acme_fallback": {
        "directory": second.directory, "ca_file": str(world.tls.ca),
        "contact": ["mailto:ops@fleet.test"], "agree_tos": True,
        "caa_identities": ["second-ca.test"]}})
    name, never = "hedge.test", "never.test"
    node.dns.add_caa(never, "pebble.test")
    first = in_use(node, name)
    in_use(node, never)
    assert first["ca"] == world.pebble.directory
    last_tenth = int(first["not_after"]) - validity * 100
    world.pebble.stop()
    node.pebble.root.write_bytes(
        node.pebble.root.read_bytes() + second.root.read_bytes())
    with Watcher(node, name) as watcher:
        wait_for("an order at the second CA", second.orders, 60, 0.05)
        began = time.time() * 1000
        record = await_version(node, name, 2, 10)
    assert last_tenth - 200 <= began < last_tenth + 3000 * SLOW
    assert watcher.gaps == []
    assert record["ca"] == second.directory
    # The owner of the other has named the first CA alone.
    wait_for("the sentence about CAA", lambda: re.search(
        rf"domain={never} .*second CA may not be asked: CAA of {never} allows "
        rf"only .pebble.test.; add: {never}. CAA 0 issue .second-ca.test.",
        node.sync.text().replace(chr(92), "")), 10, explain=node.tails)
    time.sleep(1)
    assert [record["serial"]] == second.issued()
    assert second.orders_made() == 1


def test_a_new_domain_waits_for_the_first_ca(ground):
    """The second CA is for what is served, not for what is new."""
    world = ground.world()
    second = world.second_ca()
    node = ground.node(world, settings={"acme_fallback": {
        "directory": second.directory, "ca_file": str(world.tls.ca),
        "agree_tos": True}})
    world.pebble.stop()
    name = "new.test"
    node.point_here(name)
    node.add(name)
    node.await_record("an attempt to fail", lambda: int(
        node.record(name).get("attempts", 0)) > 0, 40, name)
    assert second.orders() == 0
    assert second.requests() == 0
