"""The referee and the fake CA, before they judge anybody."""

import time
from types import SimpleNamespace

import pytest

from fakeca import Limits, Referee, ari, boulder, der, faults
from fakeca.exchange import Places
from fakeca.forge import Forge
from fakeca.referee import DAY, HOUR
from fakeca.server import Rule

A = "https://ca.test/acct/1"


class Year:
    """A referee whose time we make, and a client that does as it is told."""

    def __init__(self, **kw):
        self.now = 1_000_000.0
        self.referee = Referee(clock=lambda: self.now, **kw)
        self.n = 0

    def order(self, *names, account=A, issue=True, ari=False):
        """newOrder, and the certificate; what the referee objects."""
        denied = self.referee.wants(account, names, ari)
        if denied and self.referee.enforce:
            return denied
        self.n += 1
        self.referee.ordered(str(self.n), account, names, ari)
        if issue:
            self.referee.issued(str(self.n))
            self.referee.delivered(str(self.n), der.Leaf(
                "01", self.now, self.now + 90 * DAY, names, b""))
        return None


@pytest.fixture
def year():
    return Year()


@pytest.mark.parametrize("name, domain", (
    ("shop.test", "shop.test"), ("a.b.shop.test", "shop.test"),
    ("*.shop.test", "shop.test"), ("a.shop.co.uk", "shop.co.uk"),
    ("unknown.example", "unknown.example")))
def test_the_registered_domain_is_one_label_more_than_the_suffix(name, domain):
    assert Referee(suffixes=("test", "uk", "co.uk")).registered_domain(
        name) == domain


def test_fifty_certificates_of_a_domain_are_no_violation_but_one_more_is(year):
    for i in range(50):
        year.order(f"h{i}.shop.test")
        year.now += HOUR
    assert year.referee.violations() == []
    year.order("more.shop.test")
    assert "domain shop.test: 51 in" in year.referee.violations()[0]


def test_the_window_slides(year):
    for week in range(3):
        for i in range(50):
            year.order(f"w{week}-{i}.shop.test")
        year.now += 7 * DAY
    assert year.referee.violations() == []


def test_a_renewal_counts_for_its_exact_set_alone(year):
    for i in range(50):
        year.order(f"h{i}.shop.test")
    year.now += 60 * DAY
    for i in range(50):
        year.order(f"n{i}.shop.test")
    year.order("h1.shop.test")
    assert year.referee.violations() == []


def test_five_of_the_same_set_are_allowed_and_needless(year):
    for _ in range(6):
        year.order("shop.test")
    found = year.referee.violations()
    assert [v for v in found if v.startswith("exact")] == [
        "exact ('shop.test',): 6 in 604800 s, 5 are allowed"]
    assert len([v for v in found if "issued again" in v]) == 5


def test_a_certificate_that_was_spoiled_may_be_had_again(year):
    year.order("shop.test")
    year.referee.spoil("1")
    year.order("shop.test")
    assert year.referee.violations() == []


def test_a_certificate_that_the_ca_wants_early_is_not_needless(year):
    year.order("shop.test")
    year.now += DAY
    year.referee.due("shop.test")
    year.order("shop.test")
    assert year.referee.violations() == []
    year.now += DAY
    year.order("shop.test")
    assert len(year.referee.violations()) == 1


def test_one_that_nobody_took_is_found(year):
    year.order("shop.test", issue=False)
    year.referee.issued("1")
    year.now += 5
    year.order("shop.test")
    assert "never taken" in year.referee.violations()[0]


def test_orders_of_an_account_are_counted_when_they_are_made(year):
    for i in range(301):
        year.order(f"a{i}.test", issue=False)
    assert year.referee.violations() == [
        f"orders {A}: 301 in 10800 s, 300 are allowed"]


def test_overrides_are_for_one_domain():
    year = Year(limits=Limits(domain=(2, DAY), overrides={"big.test": 4}))
    for i in range(4):
        year.order(f"h{i}.big.test")
    assert year.referee.violations() == []
    for i in range(3):
        year.order(f"h{i}.small.test")
    assert len(year.referee.violations()) == 1


def test_after_five_failures_there_is_no_order_for_an_hour(year):
    for _ in range(5):
        year.order("shop.test", issue=False)
        year.referee.failed(A, "shop.test")
    assert year.referee.violations() == []
    year.order("shop.test", issue=False)
    assert "5 failed authorizations" in year.referee.violations()[0]
    year.now += HOUR
    year.order("shop.test", issue=False)
    assert len(year.referee.violations()) == 1


def test_who_comes_before_the_time_that_was_told_is_seen(year):
    year.referee.tell("shop.test", 60)
    year.now += 0.5  # was on its way
    year.order("shop.test", issue=False)
    assert year.referee.violations() == []
    year.now += 30
    year.order("a.shop.test", issue=False)
    assert "before the time" in year.referee.violations()[0]
    year.now += 31
    year.order("b.shop.test", issue=False)
    assert len(year.referee.violations()) == 1


def test_an_enforcing_referee_says_when(year):
    year.referee.enforce = True
    for i in range(50):
        assert year.order(f"h{i}.shop.test") is None
        year.now += 60
    anchor, what, seconds = year.order("more.shop.test")
    assert anchor == "new-certificates-per-registered-domain"
    assert what == "shop.test"
    assert seconds == 7 * DAY - 50 * 60
    year.now += seconds
    assert year.order("more.shop.test") is None
    assert year.referee.violations() == []


def test_renewals_within_their_window_are_exempt():
    year = Year(enforce=True, limits=Limits(orders=(1, DAY)))
    year.order("a.test")
    assert year.order("b.test")[0] == "new-orders-per-account"
    assert year.order("b.test", ari=True) is None


# --- rules, words, certificates --------------------------------------------


def test_a_rule_is_for_kinds_names_and_times():
    rule = Rule("newOrder", None, "shop.test", 2, 1, 1, None)
    mine = SimpleNamespace(kind="newOrder", names=("shop.test",))
    assert not rule.takes(SimpleNamespace(kind="authz", names=("shop.test",)))
    assert not rule.takes(SimpleNamespace(kind="newOrder", names=("x.test",)))
    assert [rule.takes(mine) for _ in range(4)] == [False, True, True, False]
    assert rule.hits == 2


def test_places_are_learnt_from_answers():
    places = Places("https://127.0.0.1:1/dir")
    places.learn_directory({"newOrder": "https://127.0.0.1:1/o", "meta": {}})
    places.learn_order("/my/1", {
        "identifiers": [{"type": "dns", "value": "Shop.test"}],
        "finalize": "https://127.0.0.1:1/f/1",
        "authorizations": ["https://127.0.0.1:1/a/1"]})
    places.learn_authz({"challenges": [{"url": "https://127.0.0.1:1/c/1"}]},
                       places.of("/a/1"))
    assert places.of("/dir").kind == "directory"
    assert places.of("/o").kind == "newOrder"
    assert places.of("/c/1").kind == "challenge"
    assert places.of("/f/1").names == ("shop.test",)
    assert places.of("/elsewhere").kind == "other"


def test_limits_are_told_in_boulders_words():
    answer = boulder.rate_limited(
        "new-certificates-per-registered-domain", 60, domain="shop.test")
    assert answer.status == 429
    assert answer.get("retry-after") == "60"
    assert answer.json["type"] == "urn:ietf:params:acme:error:rateLimited"
    assert answer.json["detail"].startswith(
        'too many certificates (50) already issued for "shop.test" in the '
        "last 168h0m0s, retry after 20")
    assert answer.json["detail"].endswith(
        "#new-certificates-per-registered-domain")
    dated = boulder.rate_limited("new-orders-per-account", 60, "date")
    assert dated.get("Retry-After").endswith(" GMT")


def test_forged_certificates_are_what_they_are_to_be(tmp_path):
    now = int(time.time())
    pem = Forge(tmp_path).sign_other_key(
        ["a.test", "b.test"], now - 7200, now - 3600)
    leaf = der.leaf_of(pem)
    assert leaf.names == ("a.test", "b.test")
    assert (leaf.not_before, leaf.not_after) == (now - 7200, now - 3600)
    assert leaf.lifetime == 3600
    assert pem.count(b"BEGIN CERTIFICATE") == 2


def test_renewal_windows_are_boulders_until_moved():
    windows = ari.Windows()
    leaf = der.Leaf("8765", 1000.0, 2000.0, ("shop.test",), b"\x01\x02")
    assert leaf.certid == "AQI.AIdl"
    windows.know(leaf)
    assert windows.answer("AQI.AAAA").status == 404
    said = windows.answer(leaf.certid).json["suggestedWindow"]
    assert said == {"start": "1970-01-01T00:27:36.666Z",
                    "end": "1970-01-01T00:27:56.666Z"}
    windows.move("shop.test", 5.0, 6.0, "https://ca.test/why")
    said = windows.answer(leaf.certid).json
    assert said["suggestedWindow"]["end"] == "1970-01-01T00:00:06.000Z"
    assert said["explanationURL"] == "https://ca.test/why"
    assert windows.refusal(leaf.certid, ("other.test",)).status == 400
    assert windows.refusal(leaf.certid, ("shop.test",)) is None
    windows.replace(leaf.certid, "/order/1")
    assert windows.refusal(leaf.certid, ("shop.test",)).status == 409
    windows.unreplace("/order/1")
    assert windows.refusal(leaf.certid, ("shop.test",)) is None


def test_actions_are_made_without_a_ca():
    for make in (faults.garbage, faults.truncated, faults.big, faults.lost,
                 faults.redirect, faults.blank_lines, faults.other_key):
        assert callable(make())
