"""The fakes of the DNS providers, and what their name servers show."""

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnsapi import (  # noqa: E402
    HELD, PROVIDERS, DnsWorld, Fake, NameServers, Resolver, Zone, rsa, wire)
from dnsapi.clients import ApiError, Gcloud, client_of  # noqa: E402
from dnsapi.ovh import signature as ovh_signature  # noqa: E402
from dnsapi.route53 import canonical, signing_key  # noqa: E402
from dnsapi.route53 import signature as v4_signature  # noqa: E402
from harness import Failed, wait_for  # noqa: E402
from peers import TlsFiles  # noqa: E402

ours, foreign = "-our_value" + "x" * 33, "somebody else's"
WAYS = [*((name, "") for name in PROVIDERS), ("cloudflare", "token"),
        ("dnsimple", "user"), ("gandiv5", "pat"), ("route53", "discover")]
ASYNC = ("gcloud", "route53")


@pytest.fixture(scope="module")
def tls(session_ground):
    return TlsFiles(session_ground.dir / "dnsapi-tls")


@pytest.fixture(scope="module")
def dns(session_ground):
    with NameServers(session_ground.dir / "dnsapi") as servers:
        yield servers


@pytest.fixture(scope="module")
def resolver(dns):
    with Resolver(dns) as r:
        yield r


@pytest.fixture
def fake(request, dns, tls):
    """Makes fakes, each with a zone of the test's own."""
    made = []
    number = iter(range(100))

    def make(name, *lines, more=(), **options):
        zone = f"z{next(number)}-{abs(hash(request.node.nodeid)):x}.test"
        api = Fake(name, [Zone(zone, *lines), *more], dns=dns, tls=tls,
                   way=options.pop("way", None) or None, change_s=options.pop(
                       "change_s", 0.1), **options).start()
        api.zone_name = zone
        api.name = f"_acme-challenge.{zone}"
        made.append(api)
        return api

    yield make
    for api in made:
        api.stop()


def client(api, **changed):
    return client_of(api.NAME, api.base_url, {**api.variables, **changed},
                     api.ca)


def shows(dns, name):
    """What all servers show, which has to be the same."""
    first, *others = (s.txt(name) for s in dns.servers)
    assert all(o == first for o in others)
    return first


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_value_is_made_beside_another_and_only_ours_is_removed(
        name, way, fake, dns):
    api = fake(name, "@ 300 A 127.0.0.1", way=way,
               more=[Zone("other.test"), Zone("test")])
    before = api.snapshot()
    api.put(api.name, foreign, ttl=600)
    beside = api.snapshot()
    c = client(api)
    c.create(api.name, ours)
    assert api.txt(api.name) == sorted([ours, foreign])
    assert shows(dns, api.name) == sorted([ours, foreign])
    c.create(api.name, ours + "2")  # apex and wildcard
    assert shows(dns, api.name) == sorted([ours, ours + "2", foreign])
    c.remove(api.name, ours)
    c.remove(api.name, ours)  # what is gone already is no error
    assert shows(dns, api.name) == sorted([ours + "2", foreign])
    c.remove(api.name, ours + "2")
    assert api.snapshot() == beside
    assert shows(dns, api.name) == [foreign]
    api.drop(api.name, foreign)
    assert api.snapshot() == before
    assert shows(dns, api.name) == []
    assert dns[0].ask(api.name, "TXT").rcode == wire.NXDOMAIN
    assert dns[1].ask(api.zone_name, "A").answer[0].text == "127.0.0.1"


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_zone_itself_can_be_the_name(name, fake, dns):
    api = fake(name, "@ 600 TXT v=spf1", "@ 300 MX 10 mail.example.test")
    c = client(api)
    c.create(api.zone_name, ours)
    assert shows(dns, api.zone_name) == sorted([ours, "v=spf1"])
    c.remove(api.zone_name, ours)
    assert shows(dns, api.zone_name) == ["v=spf1"]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_wrong_credentials_are_refused(name, way, fake):
    api = fake(name, way=way)
    before = api.snapshot()
    # Where it is and whose key it is: all of it has to be right.
    variables = [v for v in api.variables
                 if v not in ("DNS_PROVIDER", "DNS_OVH_ENDPOINT")]
    for variable in variables:
        right = api.variables[variable]
        if name == "gcloud":
            continue
        wrong = right[:-1] + ("b" if right.endswith("a") else "a")
        with pytest.raises(ApiError) as refused:
            client(api, **{variable: wrong}).create(api.name, ours)
        assert refused.value.status in (400, 401, 403, 404), variable
        assert right not in str(refused.value)
    assert api.snapshot() == before
    for secret in api.secrets:
        assert secret not in api.log()


def test_a_key_of_somebody_else_gets_no_token(fake):
    api, other = fake("gcloud"), fake("gcloud")
    stranger = client(other)
    stranger.base_url = api.base_url
    with pytest.raises(ApiError, match="account not found"):
        stranger.create(api.name, ours)
    for member, wrong, reason in (
            ("private_key_id", "0" * 40, "Invalid JWT Signature"),
            ("private_key", rsa.new_key()[0], "Invalid JWT Signature"),
            ("token_uri", "https://example.test/token", "audience")):
        c = client(api)
        c.key[member] = wrong
        with pytest.raises(ApiError, match=reason):
            c.create(api.name, ours)
    c = client(api)
    with pytest.raises(ApiError, match="short-lived"):
        c.login(ahead_s=-7200)
    # A token that was not given out by us, and none at all.
    c.token = "ya29.x"
    assert isinstance(c, Gcloud) and c.zones()
    assert api.count("POST", "/token") == 6 and api.count(status=401) == 1


@pytest.mark.parametrize("name", ("azure", "gcloud"))
def test_tokens_are_kept_and_expire(name, fake):
    api = fake(name)
    c = client(api)
    c.create(api.name, ours)
    c.create(api.name, ours + "2")
    assert api.count("POST", "token") == 1
    api.expire_tokens()
    c.remove(api.name, ours)
    assert api.count("POST", "token") == 2
    assert api.count(status=401) == 1


@pytest.mark.parametrize("name", ("azure", "cloudflare", "dnsimple", "gcloud",
                                  "route53"))
def test_lists_of_zones_come_in_pages(name, fake):
    api = fake(name, page_size=2, more=[
        Zone(f"z{i}.test", served=False) for i in range(6)])
    assert sorted(client(api).zones()) == sorted(z.name for z in api.zones)
    pages = api.count("GET", "(?i)zone", 200)
    assert pages == 4, api.log()


@pytest.mark.parametrize("name", PROVIDERS)
def test_who_is_throttled_waits_and_goes_on(name, fake, dns):
    api = fake(name)
    if name == "gandi":
        api.rule(429, pattern="record.add", wait_s=0.2)
    elif name == "dnsimple":
        api.rule(429, method="POST", wait_s=1.5)
    else:
        api.rule(429, nth=2, wait_s=0.2)
    c = client(api)
    c.create(api.name, ours)
    assert c.throttled == 1, api.log()
    assert [s.status for s in api.requests if s.ruled] == [
        400 if name == "route53" else 429]
    assert shows(dns, api.name) == [ours]


@pytest.mark.parametrize("name", ASYNC)
def test_a_change_is_pending_and_then_shown(name, fake, dns):
    api = fake(name, change_s=0.6)
    done = threading.Thread(
        target=client(api).create, args=(api.name, ours))
    done.start()
    wait_for("the change", lambda: api.txt(api.name))
    assert shows(dns, api.name) == [], "shown before it is done"
    done.join()
    assert shows(dns, api.name) == [ours]
    assert api.count("GET", "change") >= 2


def test_a_zone_of_route53_takes_one_change_at_a_time(fake):
    api = fake("route53", prior=True, change_s=0.3)
    c = client(api)
    other = threading.Thread(target=client(api).create,
                             args=(api.name, ours + "2"))
    other.start()
    wait_for("the first change", lambda: api.txt(api.name))
    c.create(api.name, ours)
    other.join()
    assert c.throttled and len(api.txt(api.name)) == 2


@pytest.mark.parametrize("name", ("ovh", "gandi"))
def test_nothing_is_shown_before_it_is_activated(name, fake, dns):
    api = fake(name)
    pattern = "/refresh" if name == "ovh" else "version.set"
    rule = api.rule(500, pattern=pattern, times=None)
    with pytest.raises(ApiError):
        client(api).create(api.name, ours)
    assert shows(dns, api.name) == []
    api.rules.remove(rule)
    client(api).create(api.name, ours + "2")
    # OVH's first record waited for any refresh; Gandi's version is left over.
    assert shows(dns, api.name) == sorted(
        [ours, ours + "2"] if name == "ovh" else [ours + "2"])


@pytest.mark.parametrize("name", ("azure", "gandiv5", "gcloud", "route53"))
def test_a_concurrent_writer_is_noticed(name, fake, dns):
    api = fake(name)
    method = "PUT" if name == "azure" else "POST"
    pattern = {"gcloud": "changes", "azure": "TXT"}.get(name, "")
    api.rule(method=method, pattern=pattern,
             before=lambda: api.put(api.name, foreign))
    client(api).create(api.name, ours)
    assert shows(dns, api.name) == sorted([ours, foreign])
    expected = {"azure": 412, "route53": 400}.get(name, 409)
    assert api.count(method, status=expected) == 1, api.log()


@pytest.mark.parametrize("name", ("gcloud", "route53"))
def test_deletions_have_to_be_exact(name, fake):
    api = fake(name)
    c = client(api)
    c.create(api.name, ours)
    api.rule(method="POST", pattern="rrset|changes",
             before=lambda: api.put(api.name, foreign))
    c.remove(api.name, ours)
    assert api.txt(api.name) == [foreign]
    assert api.count("POST", status=412 if name == "gcloud" else 400) == 1


def test_private_twins_and_zones_that_are_not_delegated(fake, dns):
    for name in ("route53", "gcloud"):
        api = fake(name, way="discover" if name == "route53" else None)
        twin = Zone(api.zone_name, private=True)
        twin.id = api.new_zone_id()
        api.zones.insert(0, twin)
        client(api).create(api.name, ours)
        assert shows(dns, api.name) == [ours]
        assert twin.records == []
    api = fake("cloudflare")
    child = f"child.{api.zone_name}"
    hidden = Zone(child, served=False)
    hidden.id = api.new_zone_id()
    api.zones.append(hidden)
    client(api).create(f"_acme-challenge.{child}", ours)
    assert api.txt(f"_acme-challenge.{child}") == [ours]
    assert shows(dns, f"_acme-challenge.{child}") == []


def test_gandi_has_zones_that_cannot_be_edited(fake, dns):
    api = fake("gandi")
    api.sets[api.attached[api.zone_name]].public = True
    original = api.attached[api.zone_name]
    client(api).create(api.name, ours)
    assert api.attached[api.zone_name] != original
    assert shows(dns, api.name) == [ours]
    clone = api.attached[api.zone_name]
    c = client(api)
    with pytest.raises(ApiError, match="INUSE"):
        c.rpc("domain.zone.delete", clone)
    c.rpc("domain.zone.set", api.zone_name, original)
    assert c.rpc("domain.zone.delete", clone) is True
    assert shows(dns, api.name) == []
    api.attached.pop(api.zone_name)
    with pytest.raises(ApiError, match="LiveDNS"):
        client(api).create(api.name, ours)
    # A key of the wrong form comes back in the fault, as it does there.
    with pytest.raises(ApiError, match="NotAKey"):
        client(api, DNS_GANDI_API_KEY="NotAKey").create(api.name, ours)


def test_ovh_keys_have_grants_and_clocks_differ(fake, dns):
    api = fake("ovh", way="write-only", clock_s=7200)
    c = client(api)
    with pytest.raises(ApiError, match="not been granted"):
        c.create(api.name, ours)
    c.add(api.zone_name, api.name, ours)
    assert shows(dns, api.name) == [ours]
    c.signed("DELETE", f"/domain/zone/{api.zone_name}/record/"
                       f"{c.ids[api.name, ours]}")
    c.signed("POST", f"/domain/zone/{api.zone_name}/refresh")
    assert shows(dns, api.name) == []
    c.ahead = 0
    with pytest.raises(ApiError, match="out of time"):
        c.add(api.zone_name, api.name, ours)
    with pytest.raises(ApiError, match="not valid"):
        client(api, DNS_OVH_CONSUMER_KEY=api.unconfirmed_key).add(
            api.zone_name, api.name, ours)


def test_answers_can_get_lost(fake):
    api = fake("cloudflare")
    api.rule(method="POST", lost=True)
    with pytest.raises(OSError):
        client(api).create(api.name, ours)
    assert api.txt(api.name) == [ours]
    with pytest.raises(ApiError, match="81058"):
        client(api).create(api.name, ours)
    api.rule(500, method="POST", applied=True)
    with pytest.raises(ApiError):
        client(api).create(api.name, ours + "2")
    assert len(api.txt(api.name)) == 2
    api.rule(dropped=True)
    with pytest.raises(OSError):
        client(api).create(api.name, ours + "3")
    api.rule(html=True)
    with pytest.raises(json.JSONDecodeError):
        client(api).create(api.name, ours + "3")
    assert len(api.txt(api.name)) == 2


def test_clients_have_to_trust_the_authority(fake):
    api = fake("dnsimple")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(api.base_url + "/whoami", timeout=5)


def test_signatures_are_those_that_were_published():
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    at = "20230815T120000Z"
    assert signing_key(secret, at[:8]).hex() == (
        "457a408ccfc71fb3f730ffb4a2dcd0189f12791fb8eb5b41ca6ab1acf105eea4")
    headers = {"host": "route53.amazonaws.com", "x-amz-date": at}
    zone = "/2013-04-01/hostedzone/Z0123456789ABCDEFGHIJ/rrset"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com'
        '/doc/2013-04-01/"><ChangeBatch><Changes><Change><Action>CREATE'
        "</Action><ResourceRecordSet><Name>_acme-challenge.example.com.</Name>"
        "<Type>TXT</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>"
        '"ADw2sEd82DUgXcQ9hNBZThJs7zVJkR5v9JeSbAb9mZY"</Value>'
        "</ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"
        "</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>").encode()
    assert len(body) == 482
    for method, target, data, wanted in (
            ("GET", "/2013-04-01/hostedzonesbyname?dnsname=example.com"
             "&maxitems=10", b"",
             "0b4f3812603903fb1f1b0e2b26dc0320bca4ff1f53f64c3a4ac122716b6baadd"),
            ("GET", zone + "?name=_acme-challenge.example.com.&type=TXT"
             "&maxitems=1", b"",
             "a2bc661b7fc7794bf2ea52d8a67b79ddbdd85791f95677c77ce0c6ca0f1dc6aa"),
            ("POST", zone, body,
             "46c34ee5567293443e95125ce811c302b899c7e4bc18697b95e8a052fa9e53a1")):
        request = canonical(method, target, headers, "host;x-amz-date", data)
        assert v4_signature(secret, at, request) == wanted, target
    keys = ("EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF",
            "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1")
    assert ovh_signature(
        *keys, "GET", "https://eu.api.ovh.com/1.0/domains/", b"", 1366560945
    ) == "$1$d3705e8afb27a0d2970a322b96550abfc67bb798"
    assert ovh_signature(
        *keys, "POST", "https://eu.api.ovh.com/1.0/domain/zone/example.com/"
        "refresh", b"", 1700000000
    ) == "$1$0af36359e53aac8da29239d31020ef57abbcd182"


def test_character_strings_are_decoded():
    for text, value in (('"a" "b"', "ab"), (r'"x\"y"', 'x"y'), ("V", "V"),
                        (r'"\065"', "A"), ('"V"', "V"), ("a b", "a b")):
        assert "".join(wire.unquote(text)) == value
    assert [len(s) for s in wire.unquote("x" * 300)] == [255, 45]


def test_one_name_server_lags(session_ground, tls):
    with NameServers(session_ground.dir / "lag", lags=(0, 0.4)) as dns, \
            Resolver(dns) as resolver, \
            Fake("dnsimple", {"lag.test": []}, dns=dns, tls=tls) as api:
        name = "_acme-challenge.lag.test"
        client(api).create(name, ours)
        assert dns[0].txt(name) == [ours]
        assert dns[1].txt(name) == []
        # The resolver is pessimistic: a CA may ask any of them.
        assert resolver.ask(name, "TXT").answer == []
        wait_for("the other one", lambda: dns[1].txt(name) == [ours], 5)
        assert [r.value for r in resolver.ask(name, "TXT").answer] == [ours]
        dns[1].lag = HELD
        client(api).remove(name, ours)
        time.sleep(0.1)
        assert (dns[0].txt(name), dns[1].txt(name)) == ([], [ours])
        dns[1].catch_up()
        assert dns[1].txt(name) == []
        dns[1].stop()
        dns[1].lag = 0
        client(api).create(name, ours)
        with pytest.raises(OSError):
            dns[1].txt(name)
        assert [r.value for r in resolver.ask(name, "TXT").answer] == [ours]
        dns[1].start()
        assert dns[1].txt(name) == [ours]


def test_servers_are_found_by_their_names(fake, dns, resolver):
    api = fake("azure")
    hosts = [r.text for r in resolver.ask(api.zone_name, "NS").answer]
    assert len(hosts) == 2
    addresses = [r.text for h in hosts for r in resolver.ask(h, "A").answer]
    assert addresses == [s.ip for s in dns.servers]
    for ip in addresses:
        soa = wire.ask(api.zone_name, "SOA", (ip, dns.port))
        assert soa.answer and soa.flags & wire.AUTHORITATIVE
    # Below the zone's top the SOA is in the authority section only.
    soa = resolver.ask(f"a.{api.zone_name}", "SOA")
    assert not soa.answer and soa.authority[0].kind == "SOA"
    assert resolver.ask("nowhere.invalid", "A").rcode == wire.NXDOMAIN


def test_a_cname_leads_to_a_zone_of_another_provider(fake, dns, resolver):
    other = fake("ovh")
    api = fake("godaddy",
               f"_acme-challenge 300 CNAME x.{other.zone_name}",
               "l1 300 CNAME l2", "l2 300 CNAME l1")
    # Both are relative above: in zones, targets are as they are written.
    client(other).create(f"x.{other.zone_name}", ours)
    reply = resolver.ask(api.name, "TXT")
    assert [(r.kind, r.name) for r in reply.answer] == [
        ("CNAME", api.name), ("TXT", f"x.{other.zone_name}")]
    assert resolver.ask(api.name, "CNAME").answer[0].text == (
        f"x.{other.zone_name}")
    assert resolver.asked(api.name, "TXT") == 1
    with pytest.raises(ApiError):
        client(api).create(api.name, ours)


def test_many_values_need_tcp(fake, dns, resolver):
    api = fake("cloudflare")
    api.put(api.name, *(f"{i:043}" for i in range(40)))
    for server in dns.servers:
        assert server.ask(api.name, "TXT", tcp=False).truncated
        assert len(server.txt(api.name)) == 40
    assert resolver.ask(api.name, "TXT", tcp=False).truncated
    assert len(resolver.ask(api.name, "TXT").answer) == 40


def test_a_resolver_can_remember_what_was_not_there(fake, dns):
    api = fake("gandiv5")
    with Resolver(dns, negative_s=0.5) as resolver:
        assert not resolver.ask(api.name, "TXT").answer
        client(api).create(api.name, ours)
        assert not resolver.ask(api.name, "TXT").answer
        wait_for("it to forget",
                 lambda: resolver.ask(api.name, "TXT").answer, 5)


def test_a_server_can_have_an_address_of_ip_6(session_ground):
    try:
        servers = NameServers(session_ground.dir / "v6", v6=True)
    except Failed as e:
        pytest.skip(f"no IPv6 here: {e}")
    with servers as dns, Resolver(dns) as resolver:
        dns.add_zone("six.test", {("six.test", "TXT"): (60, ("hello",))})
        (address,) = resolver.ask(dns[1].host, "AAAA").answer
        reply = wire.ask("six.test", "TXT", (address.text, dns.port))
        assert reply.answer[0].value == "hello"


def test_a_world_of_tests_has_both_kinds_of_names(session_ground):
    world = DnsWorld(session_ground.dir / "dnsworld")
    try:
        with Fake("route53", {"w.test": ["@ 60 A 127.0.0.9"]},
                  dns=world.servers, tls=world.tls) as api:
            client(api).create("_acme-challenge.w.test", ours)
            world.dns.add_a("plain.test", "127.0.0.8")
            for name, ip in (("w.test", "127.0.0.9"),
                             ("plain.test", "127.0.0.8")):
                assert world.dns.ask(name, "A").answer[0].text == ip
            answer = world.dns.ask("_acme-challenge.w.test", "TXT").answer
            assert [r.value for r in answer] == [ours]
            assert world.pebble.running
    finally:
        world.stop()
