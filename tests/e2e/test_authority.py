"""What certfleet learns from the name servers of a name's own zone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnsapi import HELD, NameServers, Resolver  # noqa: E402
from harness import BUILD, SLOW  # noqa: E402

VALUE = "Vv" + "x" * 41
OTHER = "Oo" + "y" * 41


@pytest.fixture(scope="module")
def dns(session_ground):
    with NameServers(session_ground.dir / "authority", v6=True) as servers:
        yield servers


@pytest.fixture(scope="module")
def resolver(dns):
    with Resolver(dns) as r:
        yield r


def txt(*values):
    return (60, tuple(values))


@pytest.fixture
def look(dns, resolver):
    def look(name, value=VALUE, timeout_ms=3000):
        run = subprocess.run(
            [BUILD / "tests/dnsapi/look", resolver.address, str(dns.port),
             name, value, str(int(timeout_ms * SLOW))],
            capture_output=True, text=True, timeout=120 * SLOW)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)
    return look


def test_every_address_of_every_server_is_asked(dns, look):
    dns.add_zone("all.test", {("_acme-challenge.all.test", "TXT"):
                              txt(OTHER, VALUE)})
    seen = look("_acme-challenge.all.test")
    assert seen["visible"], seen
    assert (seen["name"], seen["zone"]) == ("_acme-challenge.all.test", "all.test")
    assert [s["address"] for s in seen["servers"]] == ["127.0.0.2", "127.0.0.3", "::1"]
    assert all(set(s["values"]) == {OTHER, VALUE} for s in seen["servers"])
