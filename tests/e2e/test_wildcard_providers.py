"""Wildcards by dns-01 through the nine providers: real CA, real name servers.

Every provider has a zone of its own, with a TXT record of somebody else's at
the very name, and an app with a wildcard and its base.  All nine work at once.
"""

import fcntl
import os
import re
import resource
import signal
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest

from conftest import failed
from dnsapi import PROVIDERS, DnsWorld, Fake, wire
from harness import BUILD, built, environment, wait_for
from node import PREFIX
from test_env import PLAIN, in_clear, pairs
from test_wildcard import answered, await_reason, make_due, settings, to_make

FOREIGN = "somebody else's"


class Customer:
    """An app, its zone, and the account that it is in."""

    def __init__(self, provider, world):
        self.app = self.name = provider
        self.zone = f"{provider}.test"
        self.wildcard, self.fqdn = f"*.{self.zone}", f"_acme-challenge.{self.zone}"
        self.api = Fake(
            provider, {self.zone: ["@ 60 A 127.0.0.1"], f"more-{provider}.test":
                       ["*.apps 60 CNAME app.ingress.test."]},
            dns=world.servers, tls=world.tls, change_s=0.2).start()
        self.api.put(self.fqdn, FOREIGN, ttl=700)
        self.before = self.api.snapshot()

    def as_it_was(self):
        """Removal is in the background: nobody waits for it."""
        wait_for(f"{self.zone} to be as it was",
                 lambda: self.api.snapshot() == self.before, 20, 0.05,
                 self.api.log)
        assert self.api.txt(self.fqdn) == [FOREIGN]


@pytest.fixture(scope="module")
def customers(session_ground):
    world = DnsWorld(session_ground.dir / "prov", authz_reuse=0)
    session_ground.worlds.append(world)
    made = {name: Customer(name, world) for name in PROVIDERS}
    yield made
    for customer in made.values():
        customer.api.stop()


@pytest.fixture(scope="module")
def place(session_ground, customers):
    """A node; all customers have their variables, and add their domains."""
    world = session_ground.worlds[-1]
    # Who waits for DNS needs no place among the orders: one is enough.
    node = session_ground.node(world, name="p1", settings={
        "acme": {"max_in_flight": 1},
        **settings(world), **sections(customers)})
    for c in customers.values():
        node.cli("--app", c.app, "env-set", *pairs(c.api.variables))
    for c in customers.values():
        node.add(c.wildcard, c.zone, app=c.app)
    return node


def sections(customers):
    return {f'provider "{c.name}"': {"base_url": c.api.base_url,
                                     "ca_file": str(c.api.ca)}
            for c in customers.values()}


@pytest.fixture
def node(place, request):
    yield place
    if failed(request):
        print(place.tails())


@pytest.fixture
def customer(request, customers):
    c = customers[request.param]
    yield c
    c.api.rules.clear()
    if failed(request):
        print(c.api.log())


all_of_them = pytest.mark.parametrize("customer", PROVIDERS, indirect=True)


def only(name):
    return pytest.mark.parametrize("customer", [name], indirect=True)


def proven(node, name, version):
    return node.await_record(
        f"version {version} of {name}",
        lambda: node.record(name).get("proven") == str(version)
        and node.record(name), 60, name)


def await_again(node, name, status):
    """Its Redis can end a moment after a program that was killed."""
    def there():
        try:
            record = node.record(name)
        except OSError:
            return None
        return record.get("status") == status and record

    return wait_for(f"{name} to be {status}", there, 40, 0.05, node.tails)


def renew(node, name):
    make_due(node, name, renew_at=1, next_at=1)


@all_of_them
def test_a_wildcard_and_its_base_are_issued(node, customer):
    node.await_status(customer.wildcard, "in_use", 60)
    node.await_status(customer.zone, "in_use", 60)
    shop = node.served(f"shop.{customer.zone}")
    assert shop.verified and shop.names == (customer.wildcard,)
    assert node.served(customer.zone).names == (customer.zone,)
    customer.as_it_was()


@pytest.fixture(scope="module")
def renewed(place, customers):
    """Their first serials; all are renewed at once."""
    serials = {}
    for c in customers.values():
        serials[c.name] = place.await_status(c.wildcard, "in_use", 60)["serial"]
        renew(place, c.wildcard)
    return serials


@all_of_them
def test_it_is_renewed_and_the_zone_left_as_it_was(node, customer, renewed):
    proven(node, customer.wildcard, 2)
    second = node.await_served(
        f"www.{customer.zone}",
        lambda s: s.verified and s.serial != renewed[customer.name])
    assert second.names == (customer.wildcard,)
    assert node.status(customer.wildcard) == "in_use"
    customer.as_it_was()


@only("cloudflare")
def test_a_provider_that_falters_is_asked_again(node, customer):
    """Not reached, a proxy's page, too many requests: in one go."""
    customer.api.rule(dropped=True)
    customer.api.rule(html=True, status=502)
    customer.api.rule(429, wait_s=1)
    orders = node.pebble.orders_made()
    name = f"*.falters.{customer.zone}"
    node.add(name, app=customer.app)
    record = node.await_status(name, "in_use", 40)
    assert record.get("attempts", "0") == "0"
    assert node.pebble.orders_made() == orders + 1
    customer.as_it_was()


@only("ovh")
def test_a_provider_that_hangs_delays_no_other(node, customer, customers):
    gate = threading.Event()
    customer.api.rule(before=lambda: gate.wait(60), times=None)
    name, other = f"*.slow.{customer.zone}", customers["godaddy"]
    try:
        node.add(name, app=customer.app)
        node.await_status(name, "creating")
        quick = f"*.quick.{other.zone}"
        node.add(quick, app=other.app)
        node.await_status(quick, "in_use")
        assert node.status(name) == "creating"
    finally:
        gate.set()
    node.await_status(name, "in_use", 40)
    customer.as_it_was()
    other.as_it_was()


@only("gandiv5")
def test_one_that_wants_to_be_left_alone_is(node, customer):
    customer.api.rule(429, wait_s=3600, times=None)
    answers, orders = answered(node), node.pebble.orders_made()
    name = f"*.limited.{customer.zone}"
    node.add(name, app=customer.app)
    record = await_reason(node, name, "slow down")
    requests = len(customer.api.requests)
    assert int(record["next_at"]) > (time.time() + 3000) * 1000
    time.sleep(0.5)
    assert len(customer.api.requests) == requests
    assert answered(node) == answers
    assert node.pebble.orders_made() == orders + 1
    # Its order is still good when its owner does something about it.
    customer.api.rules.clear()
    node.cli("--app", customer.app, "env-set", *pairs(customer.api.variables))
    node.await_status(name, "in_use")
    assert node.pebble.orders_made() == orders + 1
    customer.as_it_was()


@only("dnsimple")
def test_a_key_that_is_wrong_afterwards_is_told_and_costs_nothing(
        node, customer):
    """The old certificate serves on; with new variables it goes on at once."""
    customer.api.rule(401, times=None)
    answers = answered(node)
    serial = node.record(customer.wildcard)["serial"]
    renew(node, customer.wildcard)
    record = await_reason(node, customer.wildcard, "DNS_DNSIMPLE_OAUTH_TOKEN")
    assert "does not accept the credentials" in record["reason"]
    _, body = node.api("GET", f"/v1/apps/{customer.app}/domains/"
                       + customer.wildcard.replace("*", "%2A"))
    assert body["domain"]["acme_dns_error"] == {
        "dns_provider": "dnsimple", "variables": ["DNS_DNSIMPLE_OAUTH_TOKEN"]}
    for secret in customer.api.secrets:
        assert secret not in str(record)
    assert node.served(f"a.{customer.zone}").serial == serial
    assert answered(node) == answers
    customer.api.rules.clear()
    node.cli("--app", customer.app, "env-set", *pairs(customer.api.variables))
    proven(node, customer.wildcard, 3)
    customer.as_it_was()


@only("route53")
def test_who_waited_by_hand_goes_on_when_the_variables_are_set(node, customer):
    zone, app = f"more-{customer.name}.test", "later"
    name = f"*.{zone}"
    node.add(name, app=app)
    to_make(node, name)
    variables = {k: v for k, v in customer.api.variables.items()
                 if k != "DNS_AWS_HOSTED_ZONE_ID"}
    said = node.cli("--app", app, "env-set", *pairs(variables), code=None)
    if said.code != 0:  # keys for one zone: they have to say which
        (other,) = [z for z in customer.api.zones if z.name == zone]
        variables["DNS_AWS_HOSTED_ZONE_ID"] = other.id
        node.cli("--app", app, "env-set", *pairs(variables))
    node.await_status(name, "in_use", 40)
    assert not node.record(name).get("action")
    customer.as_it_was()


@only("godaddy")
def test_without_its_variables_a_wildcard_is_made_by_hand(node, customer):
    """Whoever gives up on the provider is told what to make, and back."""
    customer.api.rule(401, times=None)
    name = f"*.unset.{customer.zone}"
    node.add(name, app=customer.app)
    await_reason(node, name, "DNS_GODADDY_API_KEY")
    orders = node.pebble.orders_made()
    node.cli("--app", customer.app, "env-unset", *customer.api.variables)
    fqdn, _ = to_make(node, name)
    assert fqdn == f"_acme-challenge.unset.{customer.zone}"
    customer.api.rules.clear()
    node.cli("--app", customer.app, "env-set", *pairs(customer.api.variables))
    node.await_status(name, "in_use")
    assert node.pebble.orders_made() == orders
    customer.as_it_was()


@only("dnsimple")
def test_a_wildcard_cname_out_of_the_account_ends_at_the_record(node, customer):
    """*.apps.ZONE CNAME of somebody else: _acme-challenge matches it, too."""
    zone = f"apps.more-{customer.name}.test"
    node.world.servers.add_zone("ingress.test")
    node.add(f"*.{zone}", app=customer.app)
    node.await_status(f"*.{zone}", "in_use", 40)
    assert f"txt=_acme-challenge.{zone} provider=dnsimple made" in \
        node.sync.text()
    assert "txt=app.ingress.test" not in node.sync.text()
    said = node.cli("--app", customer.app, "env-set",
                    *pairs(customer.api.variables))
    assert zone not in said.err
    customer.as_it_was()


@only("azure")
def test_what_the_ca_does_not_see_is_removed_and_made_anew(node, customer):
    """Its resolver has another opinion than the zone's own servers."""
    name = f"*.unseen.{customer.zone}"
    fqdn = f"_acme-challenge.unseen.{customer.zone}"
    missing = node.world.dns.missing
    missing[fqdn, "TXT"] = (
        time.monotonic() + 3600, wire.Message(rcode=wire.NXDOMAIN))
    try:
        node.add(name, app=customer.app)
        await_reason(node, name, "CA could not validate")
        customer.as_it_was()
    finally:
        missing.clear()
    node.await_status(name, "in_use", 60)
    customer.as_it_was()


@pytest.mark.skipif(BUILD.name == "build", reason="a build without faults")
@only("gcloud")
@pytest.mark.parametrize("step", ["F6", "F18"])
def test_what_a_killed_leader_made_is_used_and_removed(
        node, customer, customers, step):
    for other in customers.values():  # else it may be killed for one of those
        node.await_status(other.wildcard, "in_use", 60)
    name = f"*.{step.lower()}.{customer.zone}"
    before = len(node.pebble.issued())
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    node.add(name, app=customer.app)
    assert node.sync.ended(30) == -9, node.sync.tail()
    assert customer.api.txt(
        f"_acme-challenge.{step.lower()}.{customer.zone}") != []
    node.sync.start()
    record = node.await_status(name, "in_use", 40)
    assert node.pebble.issued()[before:] == [record["serial"]]
    customer.as_it_was()


@only("cloudflare")
def test_killed_while_the_provider_does_it(node, customer):
    """The answers to a creation and to a removal are never heard."""
    node.await_status(customer.wildcard, "in_use", 60)
    customer.as_it_was()
    name = f"*.unheard.{customer.zone}"
    for method in ("POST", "DELETE"):
        customer.api.rule(before=node.sync.kill, method=method)
    node.add(name, app=customer.app)
    for _ in range(2):
        wait_for("its end", lambda: not node.sync.running, 30)
        node.sync.start()
    record = await_again(node, name, "in_use")
    made = re.findall(rf"domain={re.escape(name)} issued", node.sync.text())
    assert (len(made), record["version"]) == (1, "1")
    customer.as_it_was()


@only("azure")
def test_what_is_removed_meanwhile_leaves_nothing(node, customer):
    """The domain goes while its record is there."""
    name = f"*.removed.{customer.zone}"
    fqdn = f"_acme-challenge.removed.{customer.zone}"
    slow = node.world.servers[1]
    slow.lag = None  # HELD: so the CA is not told yet
    try:
        node.add(name, app=customer.app)
        wait_for("the record", lambda: customer.api.txt(fqdn), 20)
        node.cli("--app", customer.app, "domains-remove", name)
        wait_for("its end", lambda: not customer.api.txt(fqdn), 20,
                 explain=customer.api.log)
    finally:
        slow.lag = 0
        slow.catch_up()
    customer.as_it_was()


@only("cloudflare")
def test_variables_that_are_unset_still_remove_what_they_made(node, customer):
    """Also by another leader: the journal has them, sealed."""
    name = f"*.early.{customer.zone}"
    fqdn = f"_acme-challenge.early.{customer.zone}"
    slow = node.world.servers[1]
    slow.lag = None
    try:
        node.add(name, app=customer.app)
        wait_for("the record", lambda: customer.api.txt(fqdn), 20)
        node.cli("--app", customer.app, "env-unset", *customer.api.variables)
        node.sync.kill()
        node.sync.start()
        await_again(node, name, "action_required")
    finally:
        slow.lag = 0
        slow.catch_up()
    node.await_status(name, "in_use", 40)
    customer.as_it_was()
    node.cli("--app", customer.app, "env-set", *pairs(customer.api.variables))


@only("gandi")
def test_the_platforms_own_is_made_through_its_apps_provider(
        place, ground, customer, customers):
    """Two values at one name; HAProxy's default certificate."""
    platform = f"platform.{customer.zone}"
    node = ground.node(place.world, name="p2", address="127.0.0.78", settings={
        "": {"platform_domain": platform, "platform_app": "ops"},
        **settings(place.world), **sections(customers)})
    node.cli("--app", "ops", "env-set", *pairs(customer.api.variables))
    node.await_status(f"*.{platform}", "in_use", 60)
    default = node.await_served(f"any.{platform}")
    assert set(default.names) == {platform, f"*.{platform}"}
    node.await_served("nobody.test", lambda s: s.sha1 == default.sha1)
    made = re.findall(rf"txt=_acme-challenge.{platform} provider=gandi made",
                      node.sync.text())
    assert len(made) == 2
    customer.as_it_was()
    node.stop()


def test_two_values_at_one_name_through_each_provider(
        place, ground, customers):
    """A platform's wildcard and base: one order; eight fleets at once."""
    others = [c for c in customers.values() if c.name != "gandi"]
    nodes = {}
    for i, c in enumerate(others):
        nodes[c.name] = node = ground.node(
            place.world, start=False, name=f"t{i}",
            address=f"127.0.0.{100 + i}", settings={
                "": {"platform_domain": f"platform.{c.zone}",
                     "platform_app": "ops"},
                **settings(place.world), **sections({c.name: c})})
    for node in nodes.values():
        node.start(haproxy=False)
    for c in others:
        nodes[c.name].cli("--app", "ops", "env-set", *pairs(c.api.variables))
    for c in others:
        node, name = nodes[c.name], f"*.platform.{c.zone}"
        node.await_record("the certificate", lambda n=node, d=name: n.record(
            d).get("version") == "1" and n.record(d), 60, name)
        made = re.findall(r"txt=\S+ provider=\S+ made", node.sync.text())
        assert len(made) == 2, made
        c.as_it_was()


def test_no_credential_is_found_anywhere(node, customers):
    secrets = [s for c in customers.values() for s in c.api.secrets]
    secrets += [v for c in customers.values()
                for k, v in c.api.variables.items() if k not in PLAIN]
    assert in_clear(node, ["gcloud.test"]) != [], "what is there is found"
    assert in_clear(node, secrets) == []
    with node.redis_client() as redis:
        wait_for("an empty journal", lambda: redis.hash(f"{PREFIX}txt") == {},
                 20)


# --- in memory ---------------------------------------------------------------


def in_memory(pid, secrets):
    """Those that a process has anywhere in its memory."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb",
                                                 buffering=0) as mem:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(x, 16) for x in span.split("-"))
            if not rights.startswith("rw") or end - start > 256 << 20:
                continue  # the shadow of a sanitizer
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except OSError:
                continue
            found |= {s for s in secrets if s.encode() in data}
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody else may look into it")
def test_variables_that_are_unset_are_gone_from_memory(node, customers):
    """Root looks into the program itself."""
    secrets = {v for c in customers.values()
               for k, v in c.api.variables.items() if k not in PLAIN}
    assert in_memory(node.sync.pid, [node.record("gcloud.test")["app"]])
    for c in customers.values():
        node.cli("--app", c.app, "env-unset", *c.api.variables)
    time.sleep(1)
    wait_for("the secrets to be wiped",
             lambda: not in_memory(node.sync.pid, secrets), 5 + 5, 1,
             lambda: str(in_memory(node.sync.pid, secrets)))


def test_a_crash_leaves_no_core(node, monkeypatch, tmp_path):
    """Whatever limits it was started with, and by whomever."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    monkeypatch.setenv("ASAN_OPTIONS", "disable_coredump=0:handle_abort=0")
    old = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    except ValueError:
        pytest.skip("this user may not have cores at all")
    try:
        other = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
        started = (node.sync, node.agent)
        for process in started:
            process.stop()
            process.start()
        setting = subprocess.Popen(
            [built("certfleet"), "env-set", "DNS_OVH_CONSUMER_KEY=-"],
            cwd=node.dir, stdin=subprocess.PIPE,
            env=environment({"CERTFLEET_SOCKET": str(node.api_socket)}))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, old)
    time.sleep(0.1)
    other.send_signal(signal.SIGABRT)
    assert -other.wait() == signal.SIGABRT
    if not list(tmp_path.glob("core*")):
        pytest.skip(f"cores go elsewhere: {pattern}")
    setting.stdin.write(b"geheim")
    setting.stdin.flush()
    wait_for("the value to be read", lambda: fcntl.ioctl(
        setting.stdin, termios.FIONREAD, bytes(4)) == bytes(4), 10)
    setting.send_signal(signal.SIGABRT)
    assert -setting.wait() == signal.SIGABRT
    for process in started:
        process.signal(signal.SIGABRT)
        assert -process.ended() == signal.SIGABRT
        assert list(process.dir.glob("core*")) == []
        process.start()
