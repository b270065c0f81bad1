"""Our providers and the fakes of their APIs, which check what they are sent."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnsapi import (  # noqa: E402
    PROVIDERS, Fake, NameServers, Ours, Refused, Zone)
from dnsapi.ours import (  # noqa: E402
    AGAIN, CONFIG, CREATE, FIND, LIMITED, REFUSED, REMOVE)
from harness import wait_for  # noqa: E402
from peers import TlsFiles  # noqa: E402

ours, foreign = "-our_value" + "x" * 33, "somebody else's"
WAYS = [*((name, "") for name in PROVIDERS), ("cloudflare", "token"),
        ("dnsimple", "user"), ("gandiv5", "pat"), ("godaddy", "large"),
        ("ovh", "write-only"), ("ovh", "records-only"),
        ("route53", "discover")]
TESTS = iter(range(1000))


@pytest.fixture(scope="module")
def tls(session_ground):
    return TlsFiles(session_ground.dir / "providers-tls")


@pytest.fixture(scope="module")
def dns(session_ground):
    with NameServers(session_ground.dir / "providers") as servers:
        yield servers


@pytest.fixture
def fake(dns, tls):
    made = []

    def make(name, *lines, more=(), way="", **options):
        zone = f"p{next(TESTS)}.test"
        api = Fake(name, [Zone(zone, *lines), *more], dns=dns, tls=tls,
                   way=way, change_s=0.1, **options).start()
        api.zone_name, api.name = zone, f"_acme-challenge.{zone}"
        made.append(api)
        return api

    yield make
    for api in made:
        api.stop()


def shows(dns, name):
    first, *others = (s.txt(name) for s in dns.servers)
    assert all(o == first for o in others)
    return first


def soon(dns, name, values):
    """After a removal nobody waits for the provider to be ready."""
    def shown():
        return all(s.txt(name) == sorted(values) for s in dns.servers)

    wait_for(f"{values} at {name}", shown, 2)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_value_is_made_beside_another_and_only_ours_is_removed(
        name, way, fake, dns):
    api = fake(name, "@ 300 A 127.0.0.1", way=way)
    api.put(api.name, foreign, ttl=700)
    before = api.snapshot()
    with Ours(api) as p:
        p.verify(api.name)
        found = p.create(api.name, ours, api.zone_name)
        assert found["zone"] == api.zone_name, api.log()
        p.create(api.name, ours + "2", api.zone_name)
        wanted = sorted([ours, ours + "2", foreign])
        assert shows(dns, api.name) == wanted, api.log()
        if way != "write-only":  # which cannot look
            p.create(api.name, ours, api.zone_name)  # once more is once
            assert shows(dns, api.name) == wanted, api.log()
            p.journal.clear()  # a restart
        p.remove(api.name, ours, api.zone_name)
        if way != "write-only":
            p.remove(api.name, ours, api.zone_name)
        soon(dns, api.name, [ours + "2", foreign])
        p.remove(api.name, ours + "2", api.zone_name)
    assert api.snapshot() == before, api.log()
    soon(dns, api.name, [foreign])
    assert api.count(status=500) == 0


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_zone_itself_can_be_the_name(name, fake, dns):
    api = fake(name, "@ 600 TXT v=spf1")
    with Ours(api) as p:
        p.create(api.zone_name, ours, api.zone_name)
        assert shows(dns, api.zone_name) == sorted([ours, "v=spf1"])
        p.remove(api.zone_name, ours, api.zone_name)
    soon(dns, api.zone_name, ["v=spf1"])


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_empty_name_is_empty_again(name, fake, dns):
    api = fake(name)
    with Ours(api) as p:
        p.create(api.name, ours)
        assert shows(dns, api.name) == [ours], api.log()
        p.remove(api.name, ours)
    soon(dns, api.name, [])
    assert api.txt(api.name) == []


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_wrong_credentials_are_said_to_be(name, way, fake):
    api = fake(name, way=way)
    before = api.snapshot()
    secrets = [v for v in api.variables
               if any(w in v for w in ("KEY", "SECRET", "TOKEN"))
               and "JSON" not in v]
    for variable in secrets:
        right = api.variables[variable]
        wrong = right[:-1] + ("b" if right.endswith("a") else "a")
        with Ours(api, **{variable: wrong}) as p:
            with pytest.raises(Refused) as refused:
                p.create(api.name, ours, api.zone_name)
            assert refused.value.kind == CONFIG, (variable, refused.value)
            assert wrong not in str(refused.value)
    assert api.snapshot() == before


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_zone_that_is_not_there_is_said_to_be(name, fake):
    api = fake(name, way="discover" if name == "route53" else "")
    with Ours(api) as p, pytest.raises(Refused) as refused:
        p.create("_acme-challenge.www.elsewhere.test", ours, "elsewhere.test")
    assert refused.value.kind == REFUSED, refused.value
    assert "elsewhere.test" in str(refused.value)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("op", (CREATE, REMOVE))
def test_whatever_request_fails_it_works_in_the_end(name, op, fake, dns):
    """Each request in turn is not answered, before or after it was done."""
    api = fake(name)
    api.put(api.name, foreign, ttl=700)
    before = api.snapshot()

    def do(p, op):
        (p.create if op == CREATE else p.remove)(api.name, ours)

    with Ours(api, hurry=0.01) as p:
        p.create(api.name, ours)
        first = len(api.requests)
        p.remove(api.name, ours)
        p.create(api.name, ours)
        if op == CREATE:
            p.remove(api.name, ours)
        each = max(len(api.requests) - first, 4) // 2 + 1
        for what in ({"dropped": True}, {"lost": True},
                     {"status": 500, "applied": True}, {"status": 429}):
            # An answer that says no is not as bad as none: one is enough.
            for nth in range(each if "status" in what else 1, each + 1):
                api.rules.clear()
                api.rule(nth=nth, **what)
                do(p, op)
                api.rules.clear()
                there = {ours, foreign} if op == CREATE else {foreign}
                assert set(api.txt(api.name)) == there, (
                    what, nth, p.said, api.log())
                # A change whose answer was lost may be pending still.
                wait_for(f"{there} after {what}", lambda there=there: all(
                    set(x.txt(api.name)) == there for x in dns.servers), 2)
                do(p, REMOVE if op == CREATE else CREATE)
        p.remove(api.name, ours)
    assert api.snapshot() == before, api.log()


@pytest.mark.parametrize("name", ("azure", "gandiv5", "gcloud", "route53"))
def test_somebody_who_is_faster_loses_nothing(name, fake, dns):
    api = fake(name)
    method = "PUT" if name == "azure" else "POST"
    pattern = {"azure": "TXT", "gcloud": "changes"}.get(name, "")
    with Ours(api) as p:
        api.rule(method=method, pattern=pattern,
                 before=lambda: api.put(api.name, foreign))
        p.create(api.name, ours)
        assert shows(dns, api.name) == sorted([ours, foreign]), api.log()
        api.rule(method=method, pattern=pattern,
                 before=lambda: api.put(api.name, foreign + "2"))
        p.remove(api.name, ours)
    if name != "gandiv5":  # which has no guard for that
        soon(dns, api.name, [foreign, foreign + "2"])


@pytest.mark.parametrize("name", ("azure", "gcloud"))
def test_tokens_are_kept_and_renewed(name, fake):
    api = fake(name)
    with Ours(api) as p:
        p.create(api.name, ours)
        p.create(api.name, ours + "2")
        assert api.count("POST", "token") == 1
        api.expire_tokens()
        p.remove(api.name, ours)
        assert api.count("POST", "token") == 2


def test_announced_waits_are_told(fake):
    for name in ("azure", "cloudflare", "gandiv5", "gcloud", "ovh"):
        api = fake(name)
        api.rule(429, wait_s=17, times=None)
        with Ours(api) as p, pytest.raises(Refused) as refused:
            p.once(FIND, api.name)
        assert (refused.value.kind, refused.value.retry_ms) == (
            LIMITED, 17000), name
    api = fake("godaddy")
    api.rule(429, wait_s=30, times=None)
    with Ours(api) as p, pytest.raises(Refused) as refused:
        p.once(FIND, api.name)
    assert (refused.value.kind, refused.value.retry_ms) == (LIMITED, 30000)


SAID = {
    401: (CONFIG, "does not accept the credentials in DNS_"),
    403: (CONFIG, "may not create the TXT record _acme-challenge."),
    404: (REFUSED, "not in this account"),
    409: (AGAIN, "was changed by somebody else meanwhile"),
    429: (LIMITED, "asks to slow down"),
    503: (AGAIN, "has a problem of its own, HTTP 503")}
SAID_BY = {  # a lock; and an API without statuses
    ("azure", 409): (REFUSED, "ScopeLocked"),
    ("gandi", 403): (CONFIG, "does not accept the credentials in DNS_"),
    ("gandi", 409): (REFUSED, "CAUSE_BADPARAMETER")}


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_refusal_has_its_sentence_and_its_retry(name, fake):
    sentences = set()
    for status, usual in SAID.items():
        api = fake(name)
        with Ours(api) as p:
            found = p.once(FIND, api.name)
            api.rule(status, wait_s=17, times=None)
            with pytest.raises(Refused) as refused:
                p.once(CREATE, api.name, ours, "", found)
        e, sentence = refused.value, str(refused.value)
        kind, part = SAID_BY.get((name, status), usual)
        assert (e.kind, part in sentence) == (kind, True), (status, sentence)
        assert sentence.startswith(name)
        assert not any(secret in sentence for secret in api.secrets)
        if kind not in (AGAIN, LIMITED):
            assert e.retry_ms == 0
        elif status == 429 and name != "route53":  # which announces nothing
            assert e.retry_ms >= 17000
        sentences.add(sentence)
    assert len(sentences) >= len(SAID) - (name == "gandi")


@pytest.mark.parametrize("name", ("gcloud", "route53"))
def test_a_clock_that_is_wrong_is_said_to_be_ours(name, fake):
    api = fake(name, clock_s=7200)
    with Ours(api) as p, pytest.raises(Refused) as refused:
        p.create(api.name, ours)
    assert refused.value.kind == CONFIG
    assert "our clock" in str(refused.value)


def test_ovh_goes_by_the_clock_of_ovh(fake, dns):
    api = fake("ovh", clock_s=7200)
    with Ours(api) as p:
        p.create(api.name, ours)
    assert shows(dns, api.name) == [ours]


def test_zones_of_gandi_that_cannot_be_edited_are_copied(fake, dns):
    api = fake("gandi")
    original = api.attached[api.zone_name]
    api.sets[original].public = True
    with Ours(api) as p:
        p.create(api.name, ours)
        assert shows(dns, api.name) == [ours]
        p.create(api.name, ours + "2")
        p.remove(api.name, ours)
        p.remove(api.name, ours + "2")
    assert shows(dns, api.name) == []


def test_private_twins_are_not_taken(fake, dns):
    for name in ("route53", "gcloud"):
        api = fake(name, way="discover" if name == "route53" else "",
                   page_size=1)
        twin = Zone(api.zone_name, private=True)
        twin.id = api.new_zone_id()
        api.zones.insert(0, twin)
        with Ours(api) as p:
            p.create(api.name, ours)
        assert shows(dns, api.name) == [ours]
        assert twin.records == []
