"""A CA on a bad day: what people are told, and one certificate in the end.

Pebble behind tests/fakeca, which does to one name's order what a rule says.
Each test: the fault is told in a sentence, nothing is asked in a hot loop or
before the time that the CA named, and when it is over the domain has its
certificate: one, unless the test says why there must be another.
"""

import time

import pytest

from fakeca import FakeCA, faults
from harness import SLOW
from lib_ca import REQUEST_MS, STEPS, Place, misbehaving
from test_crash import has_faults

LIMITS = ("new-orders-per-account",
          "new-certificates-per-registered-domain",
          "new-certificates-per-exact-set-of-identifiers",
          "authorization-failures-per-identifier-per-account")


@pytest.fixture(scope="module")
def everything(session_ground):
    yield from misbehaving(session_ground, "faults")


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


# --- and all of that must leave no trace -----------------------------------


def test_nothing_is_asked_when_all_have_their_certificates(place):
    place.nothing_is_asked()


# --- while nobody leads ------------------------------------------------------


def test_an_order_that_ran_out_meanwhile_is_made_anew_at_once(place):
    """It is nobody's fault, and no attempt has failed."""
    if not has_faults():
        pytest.skip("a build without faults")
    name, node = "away.test", place.node
    node.sync.stop()
    node.sync.start(fault="F5:kill")
    place.add(name)
    node.sync.ended()
    place.ca.on("order", faults.changed(lambda _, answer: answer.set_json(
        {**answer.json, "status": "invalid"})), name=name, times=1)
    node.sync.start()
    record = place.in_use(name)
    assert "last_error" not in record and "attempts" not in record, record
    asked = [kind for _, kind, names in place.ca.requests if name in names]
    assert asked.count("newOrder") == 2
    assert [e for e in node.api("GET", f"/api/v1/domains/{name}")[1][
        "domain"].get("timeline", []) if e.get("type") == "failed"] == []
