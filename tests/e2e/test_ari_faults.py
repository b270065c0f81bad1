"""Renewal windows (RFC 9773) that move, and what becomes of `replaces`.

The windows are those of tests/fakeca/ari.py: Boulder's until a test moves them.
"""

import time

import pytest

from fakeca import FakeCA, faults
from harness import SLOW


class Place:
    def __init__(self, node, ca):
        self.node = node
        self.ca = ca

    def served(self, name):
        """A domain in use, whose window the client has asked for."""
        self.node.point_here(name)
        self.node.add(name)
        record = self.node.await_status(name, "in_use", 40)
        certid = self.ca.referee.certificates(name)[-1].leaf.certid
        self.node.await_record(
            "renewalInfo to be asked",
            lambda: certid in self.ca.windows.asked, 20, name)
        return record["serial"]

    def open_window(self, name, explanation=""):
        """Any second of it may be picked: nearly all of them are over."""
        now = time.time()
        self.ca.windows.move(name, now - 3600, now + 10 * SLOW, explanation)
        self.ca.referee.due(name)

    def renewed(self, name, old, seconds=30):
        """There is a newer certificate, only one, and it is served."""
        record = self.node.await_record(
            f"another certificate of {name}",
            lambda: self.node.serial(name) not in ("", old)
            and self.node.status(name) == "in_use"
            and self.node.record(name), seconds, name)
        self.node.await_served(name, lambda s: s.serial == record["serial"])
        made = self.ca.referee.certificates(name)
        assert [o.leaf.serial for o in made] == [old, record["serial"]]
        return made[-1]


@pytest.fixture(scope="module")
def everything(session_ground):
    world = session_ground.world("ari-faults", authz_reuse=0,
                                 nonce_reject=0)
    ca = FakeCA(world.pebble, world.tls, world.dir, ari=True)
    ca.windows.retry_s = 1
    node = session_ground.node(world, name="a1", settings={"acme": {
        "directory": ca.directory, "ari_poll_min_s": 1, "ari_poll_max_s": 2,
        "retry_first_s": 1, "retry_max_s": 3}})
    yield Place(node, ca)
    node.sync.stop()
    ca.stop()


@pytest.fixture
def place(everything):
    everything.ca.reset()
    yield everything
    everything.ca.reset()


def test_a_window_in_the_past_renews_at_once_and_says_what_it_replaces(place):
    old = place.served("past.ari1.test")
    certid = place.ca.referee.certificates("past.ari1.test")[0].leaf.certid
    place.open_window("past.ari1.test", "https://ca.test/incident")
    new = place.renewed("past.ari1.test", old)
    assert place.ca.windows.replaced[certid] == new.id
    assert new.ari, "it was inside its window: no limit counts it"


def test_the_reason_that_the_ca_gives_is_kept_for_people(place):
    name = "why.ari2.test"
    place.served(name)
    now = time.time()
    place.ca.windows.move(name, now + 86400, now + 90000,
                          "https://ca.test/incident")
    place.node.await_record(
        "the explanation", lambda: "https://ca.test/incident" in
        str(place.node.record(name)) + place.node.cli("why", name).text,
        20, name)


@pytest.mark.parametrize("status, kind", (
    (409, "alreadyReplaced"), (400, "malformed"), (404, "malformed"),
    (403, "unauthorized")))
def test_a_refused_replaces_is_left_out_once(place, status, kind):
    name = f"r{status}.{kind.lower()}.test"
    old = place.served(name)
    rule = place.ca.on("newOrder", faults.already_replaced(status, kind),
                       name=name)
    place.open_window(name)
    place.renewed(name, old)
    assert rule.hits == 2, "with, and without"


def test_a_renewal_whose_reply_was_lost_replaces_once(place):
    """The CA has the order already: alreadyReplaced by ourselves."""
    name = "lost.ari3.test"
    old = place.served(name)
    place.ca.on("newOrder", faults.lost(), name=name, times=1)
    place.open_window(name)
    place.renewed(name, old)


@pytest.mark.parametrize("what", ("garbage", "server_error", "redirect", "hang",
                                  "other"))
def test_windows_that_cannot_be_had_harm_nothing(place, what):
    name = f"{what.replace('_', '-')}.ari4.test"
    action = {"garbage": faults.garbage(), "redirect": faults.redirect(),
              "server_error": faults.server_error(retry=2),
              "hang": faults.hang(3), "other": faults.other_json(
                  {"suggestedWindow": {"start": "never", "end": 7}})}[what]
    old = place.served(name)
    rule = place.ca.on("renewalInfo", action)
    asked = len(place.ca.requests)
    time.sleep(4)
    names = len(place.ca.windows.leaves)
    assert len(place.ca.requests) - asked <= 6 * names, "no hot loop"
    assert place.node.status(name) == "in_use"
    assert place.node.serial(name) == old
    assert rule.hits > 0
    place.ca.reset()
    place.open_window(name)
    place.renewed(name, old)


def test_nobody_had_a_needless_certificate(place):
    assert place.ca.referee.violations() == []
