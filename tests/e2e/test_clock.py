"""A node whose clock is wrong says so, and orders and replaces nothing."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from harness import BUILD, built, environment, wait_for

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def preload():
    """libfaketime, behind the sanitizers' library in their builds."""
    asan = ""
    if "address" in BUILD.name:
        asan = subprocess.run(["gcc", "-print-file-name=libasan.so"],
                              capture_output=True, text=True).stdout.strip()
    return " ".join(([asan] if asan.startswith("/") else []) + [str(FAKETIME[0])])


@pytest.fixture
def faked():
    """Skips where the two libraries do not get along: some hang at start."""
    if not FAKETIME:
        pytest.skip("libfaketime is not installed")
    try:
        subprocess.run(
            [built("certfleet-sync"), "-V"], timeout=10, capture_output=True,
            env=environment({"LD_PRELOAD": preload(), "FAKETIME": "+10m"}))
    except subprocess.TimeoutExpired:
        pytest.skip("libfaketime does not work in this build")


@pytest.fixture
def node(faked, ground):
    # The embedded Redis would inherit the wrong clock, and does not like it.
    return ground.node(redis=ground.redis())


@contextlib.contextmanager
def clock(node, offset):
    """sync by another clock, from a restart to the next."""
    node.sync.stop()
    node.sync.env.update(LD_PRELOAD=preload(), FAKETIME=offset,
                         FAKETIME_DONT_FAKE_MONOTONIC="1")
    try:
        node.sync.prime()
        node.sync.start()
    finally:
        for name in ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"):
            node.sync.env.pop(name)
    yield
    node.sync.stop()
    node.sync.start()


@pytest.mark.parametrize("offset", ["+100d", "-100d"])
def test_a_wrong_clock_takes_nothing_away(node, offset):
    """By it each certificate has ended long ago, or has not begun."""
    name = "stays.test"
    node.point_here(name)
    node.add(name)
    record = node.await_status(name, "in_use")

    def state():
        return (node.haproxy.certificates(), node.served(name).serial,
                sorted(p.name for p in node.cert_dir.iterdir()),
                node.crt_list.read_text(),
                {k: v for k, v in node.record(name).items() if k != "next_at"})

    # What there is to load is written a moment after.
    wait_for("the crt-list", lambda: f"{name}.pem" in
             node.crt_list.read_text(), 10)
    before = state()
    assert before[1] == record["serial"]
    with clock(node, offset):
        time.sleep(3)
        assert "NTP" in node.cli("status", code=1).text
        assert state()[1:4] == before[1:4]
        assert node.record(name)["serial"] == record["serial"]
        node.haproxy.restart()
        wait_for("HAProxy to have it", lambda: node.served(name).serial ==
                 record["serial"], 10, explain=node.tails)
    time.sleep(1)
    assert state() == before
    assert node.pebble.issued() == [record["serial"]]


@pytest.mark.parametrize("offset, word", [("+10m", "ahead of"), ("-10m", "behind")])
def test_a_wrong_clock_is_an_alarm_and_nothing_is_ordered(node, offset, word):
    with clock(node, offset):
        node.point_here("clock.test")
        node.add("clock.test")
        status = node.cli("status", "--json", code=1).json
        assert word in status["error"] and "NTP" in status["error"], status
        assert word in node.cli("status", code=1).text
        time.sleep(3)
        assert node.pebble.issued() == []
        assert node.record("clock.test")["status"] == "pending_dns"
        assert node.sync.log.read_text().count(" error clock: ") == 1
    node.await_status("clock.test", "in_use")
    assert len(node.pebble.issued()) == 1
