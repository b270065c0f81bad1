"""A CA that talks nonsense, is out of order at our start, or sends a certificate
that nobody should serve.

As in test_ca_faults.py: it is told in a sentence, nothing is asked in a hot loop,
and when it is over the domain has its certificate.
"""

import time

import pytest

from fakeca import faults
from lib_ca import STEPS, misbehaving
from node import PREFIX


@pytest.fixture(scope="module")
def everything(session_ground):
    yield from misbehaving(session_ground, "nonsense")


@pytest.fixture
def place(everything):
    everything.begin()
    yield everything
    everything.ca.reset()


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
    if step == "newAccount":
        for kept in (node.state_dir / "outbox").glob("*.account"):
            kept.unlink()
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
    place.nothing_is_asked()
