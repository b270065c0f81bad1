"""The APIs of nine DNS providers, and the name servers that they feed.

    from dnsapi import Fake, NameServers, Resolver, Zone

    with NameServers(directory) as dns, \\
            Resolver(dns) as resolver, \\
            Fake("ovh", {"example.test": ["@ 60 A 127.0.0.1",
                                          "_acme-challenge 300 TXT other"]},
                 dns=dns, tls=world.tls) as api:
        api.base_url         "https://127.0.0.1:34567/1.0": for the operator's
                             provider "ovh" { base_url = ... }
        api.ca               the CA's certificate, for its CA file
        api.variables        {"DNS_PROVIDER": "ovh", "DNS_OVH_...": ...}: right
        api.txt("_acme-challenge.example.test")     ["other"]: in the account
        dns[0].txt("_acme-challenge.example.test")  ["other"]: what DNS shows
        resolver.address     "127.0.0.1:23456", for certfleet and for the CA
        dns.port             the port of all authoritative servers

Fakes
    NAME is one of azure cloudflare dnsimple gandi gandiv5 gcloud godaddy ovh
    route53.  Each one checks the credentials for real (signatures are computed
    again, tokens expire), has record sets or objects, quotation marks and
    errors as the provider has, and answers what it does not know with 404, as
    the provider would.  Hosts that are two in the world are one here: the
    tokens of azure and gcloud are given out at base_url, too, as
    /TENANT/oauth2/v2.0/token and /token.  gcloud's key file names Google's
    token_uri, and a JWT has to be for that (token_uri= makes it another).

    zones     {"name": [lines]} or Zones in a row.  Zone("x.test", *lines,
              served=False) is in the account but not delegated, private=True
              a twin in somebody's network, active=False pending.
    dns       the NameServers that show what is published; None: nobody does
    tls       TlsFiles of the harness; None: some of its own
    way       of signing in or of being used (WAYS, the first is the usual):
              cloudflare key, token; gandiv5 key, pat; dnsimple account, user
              (a token of a user, with two accounts); godaddy small, large
              (may list zones); ovh full, write-only, records-only (what the
              consumer key is granted); route53 zone, discover
    page_size how many of a list are on a page, at most
    publish_s how long after a change the name servers get it
    change_s  gcloud, route53: how long a change is pending (and not shown)
    clock_s   how much its clock is ahead of ours (ovh, route53, gcloud)
    port      to listen at; 0: a free one
    more      azure, gcloud token_s (lifetime of a token); gandi public and
              livedns (names of such domains); ovh endpoint; route53 prior
              (PriorRequestNotComplete while a change is pending)

    api.txt(name), api.snapshot()  what is in the account; everything in it
    api.put(name, *values), drop(name, value)   somebody else changes it
    api.expire_tokens()
    api.secrets                    what must not be found in any log or file
    api.requests, count(), log()   what came: method, target, status; no
                                   headers and no bodies, so nothing secret
    api.rule(...)                  what happens to some requests instead:
        api.rule(429, wait_s=1)                    the next one is throttled
                                   (as the provider says that: route53's 400
                                   Throttling, godaddy's retryAfterSec, ...)
        api.rule(503, method="POST", nth=2, times=3)   the 2nd to 4th POST
        api.rule(500, method="POST", applied=True)     carried out, and 500
        api.rule(method="POST", lost=True)         carried out, no answer
        api.rule(dropped=True), rule(html=True)    no answer; a proxy's page
        api.rule(delay_s=5, times=None)            each one hangs
        api.rule(403, pattern="/change/", times=None)
        api.rule(method="PUT", before=lambda: api.put(name, "x"))
                                   somebody is faster: 412, 409, ...
        api.rule(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    409, 412 and such are the provider's own answers; rule(409) says it anyway.

Name servers
    NameServers(directory, count=2, lags=(), v6=False): Knot DNS, each on an
    address of its own (127.0.0.2, 127.0.0.3, ...) and all at one free port,
    by UDP and TCP.  All have the same zones, with SOA (negative TTL 60), NS
    ns1.nameservers.test ..., and A records of those in the zone
    nameservers.test, which they have, too.  v6: the last one is at ::1 as well,
    and has AAAA.  Who looks up NS and A as in the world needs to be told only
    the port: certfleet's dns.authoritative_port = dns.port.

    dns[1].lag = 2.5      seconds until it shows a change (also lags=(0, 2.5))
    dns[1].lag = HELD     not before dns[1].catch_up()
    dns[1].stop(), start()  out of service, and back
    dns[1].txt(name), dns[1].ask(name, type)  what it says, without a cache
    dns.add_zone("x.test", {("www.x.test", "A"): (60, ("127.0.0.1",))})
    dns.publish(zone, sets) the whole content of a zone, without SOA and NS

Resolver
    Resolver(dns, upstream=None, negative_s=0, order="last"): one address for
    everything: asks the authoritative servers (the last one first, which is
    the one that tests let lag: so who tells the CA too early fails), follows
    CNAMEs between zones, and passes names in none of the zones on to upstream,
    a (host, port).  negative_s: remembers that long what was not there.
    resolver.questions, asked(name, type): what it was asked.

World
    DnsWorld(directory): a harness World whose resolver is such a one:
    world.dns has .add_a() and so on for other names (challtestsrv's), and
    world.servers are the NameServers.  Pebble asks it, too.

Ours
    Ours(api) does what certfleet's providers do, with a fake: create(name,
    value) and so on, see ours.py; ask.c is the program that it talks to.

By hand: python3 tests/dnsapi ovh example.test
"""

import importlib
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "e2e"))

from .nameservers import HELD, HOME, NameServers  # noqa: E402
from .ours import Ours, Refused  # noqa: E402
from .resolver import Resolver  # noqa: E402
from .world import DnsWorld  # noqa: E402
from .zones import Zone  # noqa: E402

__all__ = ["Fake", "PROVIDERS", "NameServers", "Resolver", "Zone", "DnsWorld",
           "HELD", "HOME", "Ours", "Refused"]

PROVIDERS = ("azure", "cloudflare", "dnsimple", "gandi", "gandiv5", "gcloud",
             "godaddy", "ovh", "route53")


def kind_of(name):
    """The class of a provider's fake."""
    if name not in PROVIDERS:
        raise ValueError(f"{name} is none of {', '.join(PROVIDERS)}")
    module = importlib.import_module(f".{name}", __package__)
    return getattr(module, name.capitalize())


def Fake(name, zones=(), **options):  # noqa: N802
    """A fake of that provider; see above.  It serves within a with."""
    return kind_of(name)(zones, **options)
