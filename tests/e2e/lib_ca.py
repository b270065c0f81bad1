"""A node and a CA that misbehaves on demand, and what a domain is told of it."""

import time

from fakeca import FakeCA
from harness import SLOW, wait_for

# As long as a request may take in these tests.
REQUEST_MS = int(1500 * SLOW)

STEPS = ("newOrder", "authz", "challenge", "order", "finalize", "certificate")


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

    def nothing_is_asked(self):
        """When all have their certificates."""
        wait_for("orders to end", lambda: not any(
            self.node.status(o.names[0]) == "creating"
            for o in self.ca.referee.orders.values()), 30)
        before = len(self.ca.requests)
        time.sleep(2)
        assert len(self.ca.requests) == before


def misbehaving(session_ground, name):
    """For a fixture of a file's own: a Place, and its end."""
    world = session_ground.world(name, authz_reuse=0, nonce_reject=0)
    ca = FakeCA(world.pebble, world.tls, world.dir)
    node = session_ground.node(world, name="f1", settings={"acme": {
        "directory": ca.directory, "request_timeout_ms": REQUEST_MS,
        "order_timeout_s": 30, "retry_first_s": 1, "retry_max_s": 3}})
    yield Place(node, ca)
    node.sync.stop()
    ca.stop()
