"""What a newer Pebble has: renewal information (RFC 9773), and profiles."""

import json
import re
import time
from datetime import datetime, timedelta, timezone

import pytest

import newer
from harness import SLOW
from node import PREFIX
from test_renewal import DAY, await_version, in_use, settings


@pytest.fixture(scope="module")
def pebble_with_ari():
    try:
        return newer.program("pebble", "pebble")
    except newer.Unavailable as e:
        pytest.skip(f"no newer Pebble: {e}")


@pytest.fixture(scope="module")
def ari(session_ground, pebble_with_ari):
    """A node whose CA has renewal information; it asks all the time."""
    world = session_ground.world("ari", command=pebble_with_ari)
    return session_ground.node(world, name="a1", settings={
        "acme": {"ari_poll_min_s": 1, "ari_poll_max_s": 2}})


def rfc3339(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def set_window(node, name, start, end, **more):
    """Make Pebble say this of the certificate that is served."""
    window = {"start": rfc3339(start), "end": rfc3339(end)}
    node.pebble.managed(
        "set-renewal-info/", certificate=node.served(name).pem,
        ariResponse=json.dumps({"suggestedWindow": window, **more}))


def await_window(node, name):
    return node.await_record(
        "the CA's window", lambda: node.record(name).get("ari_end")
        and node.record(name), 20, name)


def replacements(node):
    """How many orders the CA has taken as replacements."""
    return len(re.findall(r"ARI: order .* is a replacement of",
                          node.pebble.text()))


def test_the_cas_window_decides(ari):
    name = "window.test"
    in_use(ari, name)
    record = await_window(ari, name)
    start, end = int(record["ari_start"]), int(record["ari_end"])
    assert start <= int(record["renew_at"]) < end
    assert record["ari_id"].count(".") == 1
    # Pebble: two thirds of the lifetime, a day before and after.
    lifetime = int(record["not_after"]) - int(record["not_before"])
    middle = (start + end) / 2 - int(record["not_before"])
    assert abs(middle - lifetime * 2 / 3) < 3600 * 1000


def test_a_window_moved_into_the_past_renews_at_once(ari):
    name = "past.test"
    before = replacements(ari)
    first = in_use(ari, name)
    await_window(ari, name)
    now = datetime.now(timezone.utc)
    moved = time.time()
    set_window(ari, name, now - timedelta(days=2), now - timedelta(days=1))
    second = await_version(ari, name, 2, 15)
    assert second["serial"] != first["serial"]
    assert time.time() - moved < 10 * SLOW
    assert ari.served(name).serial == second["serial"]
    assert f"{name} order=new goes on without" not in ari.sync.text()
    assert replacements(ari) == before + 1, "the CA took it as a replacement"


def test_the_explanation_is_shown(ari):
    name = "explained.test"
    in_use(ari, name)
    await_window(ari, name)
    now = datetime.now(timezone.utc)
    url = "https://ca.test/docs/incident-7"
    set_window(ari, name, now + timedelta(days=3), now + timedelta(days=4),
               explanationURL=url)
    record = ari.await_record(
        "the explanation", lambda: ari.record(name).get("explanation_url")
        and ari.record(name), 15, name)
    assert record["explanation_url"] == url
    at = datetime.fromtimestamp(int(record["renew_at"]) / 1000, timezone.utc)
    assert timedelta(days=2.9) < at - now < timedelta(days=4)
    assert url in ari.cli("why", name).out
    status, body = ari.api("GET", f"/api/v1/domains/{name}")
    assert status == 200 and body["domain"]["explanation_url"] == url
    # It ends with the certificate it was about.
    set_window(ari, name, now - timedelta(days=2), now - timedelta(days=1))
    record = await_version(ari, name, 2, 15)
    assert "explanation_url" not in record


def test_nonsense_about_the_window_changes_nothing(ari):
    name = "nonsense.test"
    in_use(ari, name)
    before = await_window(ari, name)
    for response in ("{", "{}", json.dumps({"suggestedWindow": {
            "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}})):
        polled = ari.record(name)["ari_poll_at"]
        ari.pebble.managed("set-renewal-info/",
                           certificate=ari.served(name).pem,
                           ariResponse=response)
        ari.await_record("two more polls", lambda: int(
            ari.record(name)["ari_poll_at"]) > int(polled) + 2000, 20, name)
        record = ari.record(name)
        for field in ("renew_at", "ari_start", "ari_end", "serial", "status"):
            assert record[field] == before[field], field


def test_what_was_replaced_already_is_renewed_without_saying_so(ari):
    """As after a crash of Redis: the record is older than the CA's memory."""
    name = "again.test"
    first = in_use(ari, name)
    await_window(ari, name)
    now = datetime.now(timezone.utc)
    set_window(ari, name, now - timedelta(days=2), now - timedelta(days=1))
    await_version(ari, name, 2, 15)
    await_window(ari, name)
    with ari.redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}",
              "ari_id", first["ari_id"], "renew_at", "1")
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)
    await_version(ari, name, 3, 15)
    assert re.search(rf"domain={name} order=new goes on without: .*replace",
                     ari.sync.text()), ari.sync.tail()


# --- profiles -----------------------------------------------------------------


def test_the_profile_that_is_wanted_is_ordered(ground, pebble_with_ari):
    node = ground.node(ground.world(
        command=pebble_with_ari, profiles={"shortlived": 6 * DAY}),
        settings={"acme": {"profile": "default"}})
    name, other = "six-days.test", "no-profile.test"
    in_use(node, name)
    # It ends earlier than what is served, and is wanted all the same.
    with settings(node, profile="shortlived"):
        with node.redis_client() as redis:
            redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1")
            redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)
        record = await_version(node, name, 2, 20)
        assert node.await_served(
            name, lambda s: s.verified and s.serial == record["serial"])
    lifetime = int(record["not_after"]) - int(record["not_before"])
    assert lifetime // 1000 in range(6 * DAY - 2, 6 * DAY + 2)
    assert node.served(name).serial == record["serial"], "after a restart, too"

    orders = node.pebble.orders()
    with settings(node, profile="lasting"):
        node.point_here(other)
        node.add(other)
        record = node.await_record(
            "the attempt to fail", lambda: int(
                node.record(other).get("attempts", 0)) and node.record(other),
            20, other)
        assert 'the CA has no profile "lasting"' in record["reason"]
        assert "it offers default, shortlived" in record["reason"]
        assert node.pebble.orders() == orders
    node.await_status(other, "in_use")
