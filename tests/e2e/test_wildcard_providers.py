"""Wildcards by dns-01, with TXT records made through nine providers' APIs."""

import time

import pytest

from conftest import failed
from dnsapi import HELD, PROVIDERS, DnsWorld, Fake, Zone
from harness import BUILD, wait_for
from node import PREFIX

THEIRS = "somebody else's"


@pytest.fixture(scope="module")
def place(session_ground):
    """A node whose operator has told where the fakes of all providers are."""
    world = DnsWorld(session_ground.dir / "provided", authz_reuse=0,
                     nonce_reject=0)
    session_ground.worlds.append(world)
    apis, settings = {}, {}
    for name in PROVIDERS:
        zones = [Zone(f"{name}{n}.test", "@ 60 A 127.0.0.1",
                      f"_acme-challenge 300 TXT \"{THEIRS}\"")
                 for n in ("", "2", "3", "4")]
        api = apis[name] = Fake(name, zones, dns=world.servers, tls=world.tls)
        api.change_s = 0.1
        api.start()
        settings[f'provider "{name}"'] = {"base_url": api.base_url,
                                          "ca_file": str(api.ca)}
    node = session_ground.node(world, name="p1", settings={
        "dns": {"authoritative_port": world.servers.port,
                "record_interval_ms": 500}, **settings})
    node.apis = apis
    for name, api in apis.items():
        node.cli("--app", name, "env-set",
                 *(f"{k}={v}" for k, v in api.variables.items()))
    yield node
    for api in apis.values():
        api.stop()


@pytest.fixture
def node(place, request):
    for api in place.apis.values():
        api.rules.clear()
    yield place
    if failed(request):
        print(place.tails())


def journal(node):
    with node.redis_client() as redis:
        return redis.hash(f"{PREFIX}txt")


def as_found(node, api, before):
    """What was made is gone, and nothing else."""
    def there():
        return api.snapshot() == before and journal(node) == {}

    wait_for(f"the zones of {api.NAME} to be as before", there, 20,
             explain=lambda: f"{api.snapshot()}\n{journal(node)}\n{api.log()}"
                             f"\n{node.sync.tail()}")


def renew(node, name):
    now = int(time.time() * 1000)
    with node.redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", 1)
        redis("ZADD", f"{PREFIX}{{p0}}:due", now, name)


def await_reason(node, name, part, seconds=15):
    def there():
        record = node.record(name)
        return part in record.get("reason", "") and record

    return node.await_record(f"{name} to say {part!r}", there, seconds, name)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wildcard_and_its_base_are_issued_and_renewed(node, provider):
    api, zone = node.apis[provider], f"{provider}.test"
    before = api.snapshot()
    node.add(zone, f"*.{zone}", app=provider)
    first = node.await_status(f"*.{zone}", "in_use", 60)
    node.await_status(zone, "in_use")
    assert node.served(zone).names == (zone,)
    shop = node.served(f"shop.{zone}")
    assert shop.verified and shop.serial == first["serial"]
    as_found(node, api, before)
    renew(node, f"*.{zone}")
    node.await_record(
        "the second certificate",
        lambda: node.record(f"*.{zone}").get("proven") == "2", 60, f"*.{zone}")
    assert node.served(f"shop.{zone}").serial != first["serial"]
    as_found(node, api, before)


def test_a_provider_that_fails_costs_the_ca_nothing(node):
    api, name = node.apis["dnsimple"], "*.dnsimple2.test"
    orders, issued = node.pebble.orders(), len(node.pebble.issued())
    before = api.snapshot()
    api.rule(403, times=None)
    node.add(name, app="dnsimple")
    record = node.await_record(
        "the failure", lambda: node.record(name).get("attempts", "0") >= "2"
        and node.record(name), 30, name)
    assert "dnsimple" in record["reason"].lower(), record["reason"]
    assert node.pebble.orders() == orders + 1
    assert not node.pebble.text().count("set INVALID")
    api.rules.clear()
    node.await_status(name, "in_use", 40)
    assert node.pebble.orders() == orders + 1
    assert len(node.pebble.issued()) == issued + 1
    as_found(node, api, before)


@pytest.mark.skipif(BUILD.name == "build", reason="a build without faults")
@pytest.mark.parametrize("step", ("F6", "F8", "F12"))
def test_killed_at_a_step_nothing_is_left(node, step):
    number = {"F6": "2", "F8": "3", "F12": "4"}[step]
    api, name = node.apis["route53"], f"*.route53{number}.test"
    before, issued = api.snapshot(), len(node.pebble.issued())
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    node.add(name, app="route53")
    assert node.sync.ended(40) == -9, node.sync.tail()
    if step != "F12":
        assert api.snapshot() != before and len(journal(node)) == 1
    node.sync.start()
    record = node.await_status(name, "in_use", 40)
    assert node.pebble.issued()[issued:] == [record["serial"]]
    as_found(node, api, before)


def test_a_domain_that_is_removed_meanwhile_leaves_nothing(node):
    api, name = node.apis["ovh"], "*.ovh2.test"
    before, slow = api.snapshot(), node.world.servers[1]
    slow.lag = HELD
    try:
        node.add(name, app="ovh")
        wait_for("the record", lambda: api.snapshot() != before, 20,
                 explain=node.sync.tail)
        node.remove(name)
        node.sync.kill()
        node.sync.start()
        as_found(node, api, before)
    finally:
        slow.catch_up()
        slow.lag = 0


def test_variables_that_come_later_make_the_record(node):
    api, name = node.apis["gandiv5"], "*.gandiv52.test"
    before = api.snapshot()
    node.add(name, app="later")
    record = node.await_status(name, "action_required")
    node.cli("--app", "later", "env-set",
             *(f"{k}={v}" for k, v in api.variables.items()))
    after = node.await_status(name, "in_use", 40)
    assert record["acme_dns_value"] and "acme_dns_value" not in after
    as_found(node, api, before)


def test_no_credential_is_found_anywhere(node):
    """In Redis, logs, events; after everything above."""
    with node.redis_client() as redis:
        heaps = [repr(v).encode() for v in redis.dump().values()]
    heaps += [p.log.read_bytes() for p in node.processes]
    heaps += [f.read_bytes() for f in node.dir.rglob("*")
              if f.is_file() and f.suffix != ".log"]
    for api in node.apis.values():
        assert api.secrets
        for secret in api.secrets:
            assert not any(secret.encode() in h for h in heaps), api.NAME
