"""Wildcards by dns-01, with TXT records that a person makes."""

import json
import re
import time

import pytest

import newer
from conftest import failed
from dnsapi.nameservers import HELD
from dnsapi.world import DnsWorld
from harness import BUILD, wait_for
from node import PREFIX

INTERVAL = 0.3


def settings(world, **dns):
    return {"dns": {"authoritative_port": world.servers.port,
                    "record_interval_ms": int(INTERVAL * 1000), **dns}}


@pytest.fixture(scope="module")
def place(session_ground):
    """A node, and name servers of its own.

    Its CA forgets what was proven, and does not make us ask twice.
    """
    world = DnsWorld(session_ground.dir / "wild", authz_reuse=0, nonce_reject=0)
    session_ground.worlds.append(world)
    return session_ground.node(world, name="w1", settings=settings(world))


@pytest.fixture
def node(place, request):
    yield place
    if failed(request):
        print(place.tails())


def path_of(name):
    return f"/v1/apps/default/domains/{name}"


def scalingo(node, name):
    status, body = node.api("GET", path_of(name.replace("*", "%2A")))
    assert status == 200, body
    return body["domain"]


def shown(node, name):
    """As the command line's users get it."""
    listed = node.cli("domains", "--json").json
    domains = listed["domains"] if isinstance(listed, dict) else listed
    (domain,) = [d for d in domains if d["name"] == name]
    return domain


def asked(node, name, zone=None):
    """Add a wildcard of a zone; what its owner has to make of it."""
    node.world.servers.add_zone(zone or name[2:])
    node.add(name)
    return to_make(node, name)


def to_make(node, name, other_than=None):
    """Wait until a record is wanted; (its name, its value)."""
    def there():
        r = node.record(name)
        return (r.get("status") == "action_required" and
                r.get("acme_dns_value") not in (None, other_than) and r)

    record = node.await_record(f"{name} to need a record", there, 20, name)
    return record["acme_dns_fqdn"], record["acme_dns_value"]


def make(node, zone, fqdn, *values):
    """Do what a person would do at the domain's provider."""
    texts = tuple(f'"{v}"' for v in values)
    node.world.servers.publish(zone, {(fqdn, "TXT"): (120, texts)}
                               if values else {})


def await_reason(node, name, part):
    def there():
        record = node.record(name)
        return part in record.get("reason", "") and record

    return node.await_record(f"{name} to say {part!r}", there, 10, name)


def answered(node):
    """How often the CA was told to look at a challenge."""
    return len(re.findall(r"POST /chalZ/ -> calling", node.pebble.text()))


def order_of(node, name):
    with node.redis_client() as redis:
        return redis.hash(f"{PREFIX}{{p0}}:order:{name}")


def make_due(node, name, **fields):
    """As if time had passed."""
    now = int(time.time() * 1000)
    with node.redis_client() as redis:
        for field, value in fields.items():
            redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", field, value)
        redis("ZADD", f"{PREFIX}{{p0}}:due", now, name)


def test_a_person_is_told_what_to_make_and_the_rest_goes_by_itself(node):
    name, zone = "*.hand.test", "hand.test"
    fqdn, value = asked(node, name)
    assert fqdn == "_acme-challenge.hand.test"
    assert re.fullmatch(r"[\w-]{43}", value)
    record = f"{fqdn} 120 TXT {value}"

    domain = shown(node, name)
    assert domain["label"] == "Action required"
    assert domain["action"] == record
    assert (domain["acme_dns_fqdn"], domain["acme_dns_value"]) == (fqdn, value)
    assert "no TXT record" in domain["reason"], domain["reason"]
    theirs = scalingo(node, name)
    assert theirs["letsencrypt_status"] == "dns_required"
    assert (theirs["acme_dns_fqdn"], theirs["acme_dns_value"]) == (fqdn, value)
    for command in (("domains",), ("why", name)):
        text = node.cli(*command).out
        assert "Action required" in text and record in text, text
    events = node.cli("events", "--json").out
    assert value in events, events

    # Meanwhile the CA is left alone, and nothing else waits for this.
    requests, answers = node.pebble.requests(), answered(node)
    time.sleep(3 * INTERVAL)
    assert node.pebble.requests() == requests
    make(node, zone, fqdn, "not-what-was-wanted")
    await_reason(node, name, f"found not-what-was-wanted at {fqdn}, "
                             f"expected {value}")
    assert answered(node) == answers
    make(node, zone, fqdn, "not-what-was-wanted", value)
    after = node.await_status(name, "in_use")
    assert not any(f in after for f in (
        "action", "acme_dns_fqdn", "acme_dns_value", "acme_dns_until")), after
    assert answered(node) == answers + 1
    shop = node.served("shop.hand.test")
    assert shop.verified and shop.names == (name,)
    assert scalingo(node, name)["acme_dns_value"] is None


def test_the_ca_is_told_when_all_name_servers_have_it(node):
    name, zone = "*.lag.test", "lag.test"
    fqdn, value = asked(node, name)
    answers, slow = answered(node), node.world.servers[1]
    slow.lag = HELD
    try:
        make(node, zone, fqdn, value)
        await_reason(node, name, f"{slow.host} ({slow.ip}) does not have it")
        time.sleep(2 * INTERVAL)
        assert answered(node) == answers
        slow.catch_up()
    finally:
        slow.lag = 0
    node.await_status(name, "in_use")
    assert node.served("www.lag.test").verified


def test_a_cname_leads_to_another_zone(node):
    name, fqdn = "*.delegating.test", "_acme-challenge.delegating.test"
    node.world.servers.add_zone("delegating.test", {
        (fqdn, "CNAME"): (60, ("delegating.elsewhere.test",))})
    node.world.servers.add_zone("elsewhere.test")
    node.add(name)
    assert to_make(node, name)[0] == fqdn
    make(node, "elsewhere.test", "delegating.elsewhere.test",
         to_make(node, name)[1])
    node.await_status(name, "in_use")
    assert node.served("www.delegating.test").verified


def test_a_wildcard_and_its_base_live_side_by_side(node):
    fqdn, value = asked(node, "*.both.test")
    node.world.servers.add_zone(
        "both.test", {("both.test", "A"): (60, (node.address,))})
    node.add("both.test")
    node.await_status("both.test", "in_use")
    make(node, "both.test", fqdn, value)
    node.await_status("*.both.test", "in_use")
    assert node.served("both.test").names == ("both.test",)
    assert node.served("a.both.test").names == ("*.both.test",)


def test_caa_for_wildcards_is_looked_at_before_anything_else(node):
    name = "*.caa.test"
    node.world.servers.add_zone(
        "caa.test", {("caa.test", "CAA"): (60, ('0 issuewild ";"',))})
    orders = node.pebble.orders()
    node.add(name)
    record = node.await_record(
        "the refusal", lambda: "CAA" in node.record(name).get("reason", "")
        and node.record(name), 10, name)
    assert record["status"] == "pending_dns"
    assert node.pebble.orders() == orders


def test_a_renewal_needs_a_new_record_while_the_old_certificate_serves(node):
    name, zone = "*.again.test", "again.test"
    fqdn, value = asked(node, name)
    make(node, zone, fqdn, value)
    first = node.await_status(name, "in_use")
    make_due(node, name, renew_at=1, next_at=1)
    _, new = to_make(node, name, other_than=value)
    record = await_reason(node, name, f"found {value}")
    assert record["reason"].startswith("renewal waits")
    assert node.served("www.again.test").serial == first["serial"]
    assert scalingo(node, name)["letsencrypt"] is True
    make(node, zone, fqdn, new)
    node.await_record("the second certificate",
                      lambda: node.record(name).get("proven") == "2", 20, name)
    assert node.status(name) == "in_use"
    second = node.served("www.again.test")
    assert second.verified and second.serial != first["serial"]


def test_when_the_cas_order_ends_there_is_a_new_value(node):
    name, zone = "*.late.test", "late.test"
    fqdn, value = asked(node, name)
    orders = node.pebble.orders()
    until = int(node.record(name)["acme_dns_until"]) / 1000
    assert time.time() < until < time.time() + 8 * 86400
    make_due(node, name, acme_dns_until=int(time.time() * 1000) - 1)
    _, new = to_make(node, name, other_than=value)
    assert node.pebble.orders() == orders + 1
    make(node, zone, fqdn, new)
    node.await_status(name, "in_use")


def test_a_killed_leader_changes_nothing(node):
    name, zone = "*.killed.test", "killed.test"
    fqdn, value = asked(node, name)
    before = len(node.pebble.issued())
    orders = node.pebble.orders()
    node.sync.kill()
    node.sync.start()
    time.sleep(2 * INTERVAL)
    assert to_make(node, name) == (fqdn, value)
    make(node, zone, fqdn, value)
    record = node.await_status(name, "in_use", 40)
    assert node.pebble.issued()[before:] == [record["serial"]]
    assert node.pebble.orders() == orders


@pytest.mark.skipif(BUILD.name == "build", reason="a build without faults")
@pytest.mark.parametrize("step", ("F4", "F6", "F8"))
def test_killed_at_a_step_there_is_one_certificate(node, step):
    name, zone = f"*.{step.lower()}.test", f"{step.lower()}.test"
    before = len(node.pebble.issued())
    node.world.servers.add_zone(zone)
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    node.add(name)
    if step != "F4":
        make(node, zone, *to_make(node, name))
    assert node.sync.ended(30) == -9, node.sync.tail()
    node.sync.start()
    if step == "F4":
        make(node, zone, *to_make(node, name))
    record = node.await_status(name, "in_use", 40)
    assert node.pebble.issued()[before:] == [record["serial"]]


def test_another_account_key_makes_another_value(node):
    name, zone = "*.rolled.test", "rolled.test"
    fqdn, value = asked(node, name)
    orders = node.pebble.orders()
    node.cli("account", "rollover")
    _, new = to_make(node, name, other_than=value)
    assert node.pebble.orders() == orders
    make(node, zone, fqdn, value)
    await_reason(node, name, f"expected {new}")
    make(node, zone, fqdn, new)
    node.await_status(name, "in_use")


def test_switched_off_or_removed_nothing_is_wanted_any_more(node):
    name = "*.gone.test"
    _, value = asked(node, name)
    node.cli("domains-letsencrypt", name, "disable")
    record = node.await_status(name, "disabled")
    wait_for("the end of the request",
             lambda: "acme_dns_value" not in node.record(name), 10)
    assert "action" not in node.record(name), record
    node.cli("domains-letsencrypt", name, "enable")
    assert to_make(node, name)[1] == value
    node.remove(name)
    assert node.record(name) == {} and order_of(node, name) == {}


def test_nothing_fails_in_the_servers_log(node):
    assert json.loads(node.cli("status", "--json").out)
    assert "ERROR" not in node.sync.text()


# --- the platform's own ------------------------------------------------------

PLATFORM = "platform.test"


@pytest.fixture
def platform(place, ground):
    """Two nodes that order the platform's certificate themselves."""
    world, redis = place.world, ground.redis()
    world.servers.add_zone(PLATFORM)
    nodes = [ground.node(world, start=False, name=name, address=address,
                         redis=redis, settings={
                             "": {"platform_domain": PLATFORM,
                                  "platform_app": "ops",
                                  "kek_file": str(world.dir / "w.kek")},
                             **settings(world)})
             for name, address in (("w2", "127.0.0.77"), ("w3", "127.0.0.79"))]
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        if node.haproxy.running:
            node.stop()


def test_the_platforms_wildcard_and_base_are_one_certificate(platform):
    node, other = platform
    name = f"*.{PLATFORM}"
    before = len(node.pebble.issued())
    fqdn, values = to_make(node, name)
    first, second = values.split()
    assert shown(node, name)["action"].split("; ") == [
        f"{fqdn} 120 TXT {first}", f"{fqdn} 120 TXT {second}"]
    answers = answered(node)
    make(node, PLATFORM, fqdn, second)
    await_reason(node, name, f"also needs the value {first}, beside {second}")
    assert answered(node) == answers
    # Whoever leads next goes on with the same.
    node.sync.kill()
    make(node, PLATFORM, fqdn, first, second)
    record = other.await_status(name, "in_use", 40)
    assert record["app"] == "ops"
    node.sync.start()
    assert node.pebble.issued()[before:] == [record["serial"]]

    # It is every node's default: of names that nobody knows, and of the base.
    for n in platform:
        for sni in ("nobody.test", PLATFORM):
            n.await_served(sni, lambda s: s.sha1 == record["sha1"])
    assert sorted(node.served(PLATFORM).names) == [name, PLATFORM]
    for own in (f"shop.{PLATFORM}", PLATFORM):
        node.add(own)
        assert "platform" in node.await_status(own, "in_use")["reason"]
    assert node.pebble.issued()[before:] == [record["serial"]]

    # HAProxy starts with it, and gets the next one while it runs.
    other.stop()
    other.start()
    assert other.served("nobody.test").sha1 == record["sha1"]
    make_due(node, name, renew_at=1, next_at=1)
    _, values = to_make(node, name, other_than=values)
    assert node.served("nobody.test").sha1 == record["sha1"]
    make(node, PLATFORM, fqdn, *values.split())
    for n in platform:
        n.await_served("nobody.test", lambda s: s.sha1 != record["sha1"], 20)
        assert n.served("nobody.test").sha1 == node.record(name)["sha1"]


# --- records that stay (dns-persist-01, a draft) ------------------------------


def test_a_record_that_stays_serves_for_renewals_too(ground):
    try:
        command = newer.program("pebble", "pebble")
    except newer.Unavailable as e:
        pytest.skip(f"no newer Pebble: {e}")
    world = DnsWorld(ground.dir / "persist", authz_reuse=0, command=command)
    ground.worlds.append(world)
    node = ground.node(world, settings={"acme": {"dns_persist": True},
                                        **settings(world)})
    name, zone = "*.stays.test", "stays.test"
    fqdn, value = asked(node, name)
    assert fqdn == "_validation-persist.stays.test"
    assert re.fullmatch(r"[\w.-]+; accounturi=https://\S+; policy=wildcard",
                        value)
    assert shown(node, name)["action"] == f'{fqdn} 120 TXT "{value}"'
    make(node, zone, fqdn, value)
    node.await_status(name, "in_use")
    with node.redis_client() as redis:
        before = redis("LLEN", f"{PREFIX}{{p0}}:timeline:{name}")
    make_due(node, name, renew_at=1, next_at=1)
    node.await_record("the second certificate",
                      lambda: node.record(name).get("proven") == "2", 20, name)
    with node.redis_client() as redis:
        events = redis("LRANGE", f"{PREFIX}{{p0}}:timeline:{name}", 0, -before)
    assert not any("action_required" in e for e in events), events
    assert node.served("www.stays.test").serial == node.serial(name)
