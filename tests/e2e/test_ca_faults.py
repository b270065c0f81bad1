"""A CA on a bad day: what people are told, and one certificate in the end.

Pebble behind tests/fakeca, which does to one name's order what a rule says.
Each test: the fault is told in a sentence, nothing is asked in a hot loop or
before the time that the CA named, and when it is over the domain has its
certificate: one, unless the test says why there must be another.
"""

import time

import pytest

from fakeca import FakeCA, faults
from harness import SLOW, wait_for
from node import PREFIX

# As long as a request may take in these tests.
REQUEST_MS = int(1500 * SLOW)

STEPS = ("newOrder", "authz", "challenge", "order", "finalize", "certificate")

LIMITS = ("new-orders-per-account",
          "new-certificates-per-registered-domain",
          "new-certificates-per-exact-set-of-identifiers",
          "authorization-failures-per-identifier-per-account")


class Place:
    """A node and the CA that it believes in."""

    def __init__(self, node, ca):
        self.node = node
        self.ca = ca
        self.before = []

    def begin(self):
        """What other tests have found is theirs."""
        self.ca.reset()
        self.before = self.ca.referee.violations()

    def violations(self):
        return [v for v in self.ca.referee.violations()
                if v not in self.before]

    def add(self, name):
        self.node.point_here(name)
        self.node.add(name)

    def told(self, name, *words, seconds=20):
        """The record, when a failure is in it; words: what is said of it."""

        def there():
            r = self.node.record(name)
            said = " ".join(r.get(k, "") for k in
                            ("reason", "action", "last_error"))
            # To be held back by a limit is no failure.
            held = int(r.get("attempts", 0)) or r.get("rate_limited_until")
            return r if held and all(w in said for w in words) else None

        return self.node.await_record(f"{name} to say {words}", there, seconds,
                                      name)

    def in_use(self, name, seconds=40, certificates=1):
        """The domain is served, by the only certificate that was made.

        certificates: how many there may be instead, None: more.
        """
        record = self.node.await_status(name, "in_use", seconds)
        shown = self.node.served(name)
        assert shown.verified, shown
        made = self.ca.referee.certificates(name)
        assert certificates in (None, len(made)), made
        assert shown.serial == made[-1].leaf.serial
        assert record["serial"] == shown.serial
        assert self.violations() == []
        return record


@pytest.fixture(scope="module")
def everything(session_ground):
    world = session_ground.world("faults", authz_reuse=0, nonce_reject=0)
    ca = FakeCA(world.pebble, world.tls, world.dir)
    node = session_ground.node(world, name="f1", settings={"acme": {
        "directory": ca.directory, "request_timeout_ms": REQUEST_MS,
        "order_timeout_s": 30, "retry_first_s": 1, "retry_max_s": 3}})
    yield Place(node, ca)
    node.sync.stop()
    ca.stop()


@pytest.fixture
def place(everything):
    everything.begin()
    yield everything
    everything.ca.reset()


def seconds_until(record, field):
    return int(record[field]) / 1000 - time.time()


def test_all_urls_of_the_ca_lead_to_the_fake(place):
    """Or faults would be bypassed: the referee sees every step."""
    place.add("steps.test")
    place.in_use("steps.test")
    seen = [kind for _, kind, names in place.ca.requests
            if "steps.test" in names]
    assert seen[0] == "newOrder"
    assert {"authz", "challenge", "finalize", "certificate"} <= set(seen)
    assert len(seen) <= 12, seen


# --- limits ----------------------------------------------------------------


def obeyed_to_the_second(place, wait, form, *anchors):
    """Each refuses a name; nobody asks again before its time, and then all do."""
    names = {f"www.{a[:12].rstrip('-')}-{form}-{LIMITS.index(a)}.test": a
             for a in anchors}
    for name, anchor in names.items():
        place.ca.on("newOrder", faults.rate_limited(anchor, wait, form),
                    name=name, times=1)
        place.add(name)
    for name in names:
        record = place.node.await_record("the limit to be told", lambda n=name: (
            "rate_limited_until" in place.node.record(n)
            and place.node.record(n)), 20, name)
        assert record["status"] == "creating"
        assert "CA" in record["reason"], record  # its words, or ours of it
        assert 0 < seconds_until(record, "rate_limited_until") <= wait + 1
        assert seconds_until(record, "next_at") >= \
            seconds_until(record, "rate_limited_until") - 0.1
    for name in names:
        place.in_use(name)
        asked = [at for at, kind, names in place.ca.requests
                 if kind == "newOrder" and name in names]
        assert len(asked) == 2
        assert asked[1] - asked[0] >= wait - 1.1, asked  # dates have no parts


@pytest.mark.parametrize("form", ("seconds", "date"))
def test_a_limit_of_a_name_is_obeyed_to_the_second(place, form):
    obeyed_to_the_second(place, 4, form, *LIMITS[1:])


@pytest.mark.parametrize("form", ("seconds", "date"))
def test_a_limit_of_the_account_is_obeyed_to_the_second(place, form):
    obeyed_to_the_second(place, 3, form, LIMITS[0])


def test_an_account_that_is_paused_needs_a_person(place):
    name = "paused.test"
    url = "https://sfe.ca.test/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9.e30.x"
    rule = place.ca.on("newOrder", faults.paused(url), name=name)
    place.add(name)
    record = place.told(name, url)
    assert record["status"] == "action_required", record
    assert url in record["action"]
    asked = rule.hits
    time.sleep(2)
    assert rule.hits - asked <= 3
    place.ca.reset()  # the person has followed the link
    place.in_use(name, 90)


# --- failures of the CA ----------------------------------------------------


@pytest.mark.parametrize("fault", ("server_error", "unavailable", "bad_nonce",
                                   "hang"))
def test_a_failure_that_passes_costs_no_second_certificate(place, fault):
    action = {
        "server_error": faults.server_error(retry=1),
        "unavailable": faults.unavailable(),
        "bad_nonce": faults.bad_nonce(),
        "hang": faults.hang(REQUEST_MS / 1000 + 1),
    }[fault]
    times = 1 if fault == "hang" else 2
    names = [f"{fault.replace('_', '-')}.{step.lower()}.test"
             for step in STEPS]
    for name, step in zip(names, STEPS):
        place.ca.on(step, action, name=name, times=times)
        place.add(name)
    for name in names:
        place.in_use(name)
        assert place.ca.count(name=name) <= 20


def test_a_500_with_retry_after_is_left_alone_so_long(place):
    name = "sixty.test"
    place.ca.on("newOrder", faults.server_error(retry=4), name=name, times=1)
    place.add(name)
    place.in_use(name)
    asked = [at for at, kind, names in place.ca.requests
             if kind == "newOrder" and name in names]
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 3.9


def test_a_ca_that_is_down_for_long_is_told_and_asked_again(place):
    name = "down.test"
    place.ca.close()
    try:
        place.add(name)
        record = place.told(name, "cannot reach", seconds=40)
        assert record["status"] == "creating"
    finally:
        place.ca.listen()
    place.in_use(name)
    assert place.ca.count(name=name) <= 20


def test_a_ca_that_goes_away_for_a_moment_is_not_worth_a_word(place):
    name = "moment.test"
    place.ca.on("challenge", faults.then(
        faults.lost(), lambda x: place.ca.refuse(2)), name=name, times=1)
    place.add(name)
    record = place.in_use(name)
    assert int(record.get("attempts", 0)) == 0


def test_a_storm_of_bad_nonces_passes(place):
    name = "storm.test"
    kinds = ("newOrder", "authz", "challenge", "order", "finalize",
             "certificate")
    rule = place.ca.on(kinds, faults.bad_nonce(), name=name, chance=0.6)
    place.add(name)
    place.in_use(name, 60)
    assert rule.hits > 0
    assert place.ca.count(name=name) <= 120


# --- lost replies ----------------------------------------------------------


def test_a_lost_reply_costs_no_second_certificate(place):
    names = [f"lost.{step.lower()}.test" for step in STEPS]
    for name, step in zip(names, STEPS):
        place.ca.on(step, faults.lost(), name=name, times=2)
        place.add(name)
    for name in names:
        place.in_use(name)
        assert len(place.ca.referee.of(name)) == 1


# --- slow CAs --------------------------------------------------------------


def test_a_certificate_that_takes_long_is_waited_for(place):
    name = "processing.test"
    place.ca.on("finalize", faults.processing(5), name=name)
    place.add(name)
    place.in_use(name)
    assert place.ca.count(name=name) <= 20


def test_a_certificate_that_takes_longer_than_an_order_may_is_not_ordered_twice(
        ground):
    world = ground.world(authz_reuse=0)
    ca = FakeCA(world.pebble, world.tls, world.dir)
    node = ground.node(world, settings={"acme": {
        "directory": ca.directory, "order_timeout_s": int(3 * SLOW),
        "retry_first_s": 1, "retry_max_s": 2}})
    place = Place(node, ca)
    ca.on("finalize", faults.processing(6 * SLOW), name="minutes.test")
    place.add("minutes.test")
    record = place.told("minutes.test", "did not finish the order")
    assert record["status"] == "creating"
    place.in_use("minutes.test")
    node.sync.stop()
    ca.stop()


def test_a_slow_answer_is_an_answer(place):
    name = "slow.test"
    place.ca.on(("newOrder", "finalize"), faults.slow(REQUEST_MS / 3000),
                name=name)
    place.add(name)
    place.in_use(name)
    assert len(place.ca.referee.of(name)) == 1


def test_a_trickle_is_cut_off_and_asked_for_again(place):
    names = [f"trickle.{step.lower()}.test" for step in STEPS]
    rules = []
    for name, step in zip(names, STEPS):
        rules.append(place.ca.on(step, faults.trickle(50), name=name, times=1))
        place.add(name)
    for name in names:
        place.in_use(name)
    assert all(rule.hits <= 1 for rule in rules)


# --- verdicts --------------------------------------------------------------


def test_what_only_some_can_see_is_explained(place):
    name = "secondary.test"
    place.ca.on("challenge", faults.secondary_validation(), name=name, times=1)
    place.add(name)
    record = place.told(name, "During secondary validation", "firewall")
    assert record["status"] == "creating"
    assert seconds_until(record, "next_at") > -1
    place.in_use(name)
    assert place.ca.count("newOrder", name) == 2


def test_caa_at_finalize_is_told_with_the_name(place):
    name = "caa.finalize.test"
    rule = place.ca.on("finalize", faults.caa_at_finalize(), name=name,
                       times=1)
    place.add(name)
    place.told(name, "CAA", name)
    place.in_use(name)
    assert rule.hits == 1


def test_an_order_that_fails_while_it_is_processed_is_made_again(place):
    name = "fails.test"
    place.ca.on("finalize", faults.order_invalid("Error finalizing order"),
                name=name, times=1)
    place.add(name)
    place.told(name, "Error finalizing order")
    place.in_use(name)


# --- nonsense --------------------------------------------------------------

NONSENSE = {
    "garbage": faults.garbage(),
    "truncated": faults.truncated(),
    "big": faults.big(),
    "html": faults.wrong_type(),
    "redirect": faults.redirect(),
    "list": faults.other_json([1, 2, {}]),
    "empty": faults.other_json({}),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_costs_no_second_certificate(place, what):
    names = [f"{what}.{step.lower()}.nonsense.test" for step in STEPS]
    for name, step in zip(names, STEPS):
        place.ca.on(step, NONSENSE[what], name=name, times=1)
        place.add(name)
    for name in names:
        place.in_use(name)
        assert place.ca.count(name=name) <= 25


def test_a_ca_that_stays_confused_is_not_asked_in_a_hot_loop(place):
    """What comes is wrong every time; the steps before it go well."""
    names = [f"confused.{step.lower()}.test" for step in STEPS]
    for name, step in zip(names, STEPS):
        place.ca.on(step, faults.other_json({}), name=name)
        place.add(name)
    time.sleep(5)
    for name in names:
        assert place.ca.count(name=name) <= 30, name
    place.ca.reset()
    for name in names:
        place.in_use(name, 60)


@pytest.mark.parametrize("what", ("big", "redirect"))
def test_nonsense_that_stays_is_told_and_asked_for_with_pauses(place, what):
    name = f"{what}.stays.test"
    rule = place.ca.on("newOrder", NONSENSE[what], name=name)
    place.add(name)
    record = place.told(name)
    assert record["status"] == "creating"
    assert record["last_error"]
    asked = rule.hits
    time.sleep(3)
    assert rule.hits - asked <= 4
    place.ca.reset()
    place.in_use(name)


@pytest.mark.parametrize("step, what", (
    ("directory", "garbage"), ("directory", "unavailable"),
    ("newNonce", "redirect"), ("newAccount", "lost")))
def test_a_start_with_a_ca_that_is_out_of_order(place, step, what):
    name = f"start.{step.lower()}-{what}.test"
    action = {"unavailable": faults.unavailable(), "lost": faults.lost(),
              **NONSENSE}[what]
    node, before = place.node, len(place.ca.requests)
    if step == "newAccount":
        with node.redis_client() as redis:
            keys = redis("KEYS", f"{PREFIX}account:*")
            assert keys and redis("DEL", *keys)
    node.sync.stop()
    rule = place.ca.on(step, action, times=2)
    node.sync.start()
    place.add(name)
    place.in_use(name, 60)
    assert 0 < rule.hits <= 2
    assert len(place.ca.requests) - before <= 40


# --- certificates that nobody should serve ---------------------------------

FORGED = {
    "other-name": (faults.other_name(), "does not cover"),
    "expired": (faults.expired(), "expired"),
    "other-key": (faults.other_key(), "private key does not match"),
}


def test_a_wrong_certificate_is_never_served_and_asked_for_again(place):
    """Of the same order first: it is there, and the right one."""
    names = {what: f"{what}.once.test" for what in FORGED}
    for what, name in names.items():
        place.ca.on("certificate", FORGED[what][0], name=name, times=1)
        place.add(name)
    for name in names.values():
        place.in_use(name)


def test_a_wrong_certificate_that_stays_is_told(place):
    """Until there is another order: this one is lost."""
    default = place.node.served("unknown.test").sha1
    names = {what: f"{what}.stays.test" for what in FORGED}
    for what, name in names.items():
        place.ca.on("certificate", FORGED[what][0], name=name)
        place.add(name)
    for what, name in names.items():
        record = place.told(name, FORGED[what][1], seconds=40)
        assert record["status"] == "creating"
        assert place.node.served(name).sha1 == default
    place.ca.reset()
    for name in names.values():
        place.in_use(name, certificates=None)


def test_blank_lines_and_carriage_returns_in_a_chain_do_no_harm(place):
    name = "blank.test"
    place.ca.on("certificate", faults.blank_lines(), name=name)
    place.add(name)
    place.in_use(name)
    pem = next(p for p in place.node.cert_dir.iterdir() if name in p.name)
    text = pem.read_bytes()
    assert b"\r" not in text and b"\n\n" not in text


# --- and all of that must leave no trace -----------------------------------


def test_nothing_is_asked_when_all_have_their_certificates(place):
    wait_for("orders to end", lambda: not any(
        place.node.status(o.names[0]) == "creating"
        for o in place.ca.referee.orders.values()), 30)
    before = len(place.ca.requests)
    time.sleep(2)
    assert len(place.ca.requests) == before
