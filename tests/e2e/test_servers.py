"""One certificate's life on servers of other Debian releases.

All tests of Redis on each of them are make check-servers.
"""

import pytest

import newer
from test_redis import added_here, all_in_use


@pytest.mark.parametrize("kind, suite", [
    ("redis", "trixie"), ("valkey", "trixie"), ("valkey", "sid")])
def test_a_certificate_is_issued_served_and_removed(ground, kind, suite):
    try:
        command = newer.redis(kind, suite)
    except newer.Unavailable as e:
        pytest.skip(f"no {kind} of {suite}: {e}")
    server = ground.redis("server", command=[command])
    node = ground.node(redis=server)
    added_here(node, "life.test")
    all_in_use(node, ["life.test"])
    assert "library=" in node.sync.text()
    node.remove("life.test")
    node.await_served("life.test", lambda s: not s.verified)
