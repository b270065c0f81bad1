"""A leader of before has something under way, and it arrives late.

It is held on its way to Redis, where no clock of the sender's can help, or its
process stands still right before it sends it.  Meanwhile another leads, does the
work, and the owner goes on with the domain; then what is late arrives, and nothing
of it may be applied: Redis is as it was, and visitors, whom a referee plays, are
shown nothing older.
"""

import signal
import time

import pytest

from conftest import Ground
from gate import Gate
from harness import wait_for
from node import PREFIX
from ownca import OwnCA
from test_crash import has_faults
from test_custom import served_is, upload
from test_faults import LEASE_MS, LOST, Fleet

AT = f"{PREFIX}{{p0}}:"
LEAD_S = LEASE_MS / 1000 * 4 / 5  # so long a lease is acted upon
TIMEOUT_MS = 2000  # of a command; longer than that


class Through:
    """A Redis by a gate."""

    def __init__(self, redis, gate):
        self.settings = {"url": f"unix:{gate.socket}"}
        self.client = redis.client
        self.referees = redis.referees


class Gated(Fleet):
    def __init__(self, ground):
        self.socket = ground.dir / "redis.sock"
        super().__init__(ground, 2)
        self.gates = {}
        for node in self.nodes:
            gate = ground.keep(Gate(node.dir / "gate.sock", self.socket))
            gate.stop = gate.close
            self.gates[node] = gate
            node.redis = Through(self.redis, gate)
            node.settings["redis"]["command_timeout_ms"] = TIMEOUT_MS
            del node.settings["limits"]
        self.ca = OwnCA(ground.dir / "ownca")
        both = ground.dir / "roots.pem"
        both.write_text(self.world.pebble.root.read_text()
                        + self.ca.root.read_text())
        self.referee.setup["root"] = str(both)

    def redis_options(self, ground):
        return "--unixsocket", self.socket

    def leads(self):
        """Who does, and the other one."""
        old = wait_for("a leader", self.leader, 10, explain=self.tails)
        return old, next(n for n in self.nodes if n is not old)

    def taken_over(self, new):
        wait_for("another leader", lambda: self.leader() is new, 10, 0.02,
                 self.tails)

    def lease(self):
        with self.redis.client() as redis:
            return redis.hash(f"{PREFIX}leader")

    # --- Redis ---------------------------------------------------------

    def state(self):
        """All that is about domains and budgets."""
        with self.redis.client() as redis:
            found = {k: v for k, v in redis.dump().items()
                     if k.startswith(AT) or k.startswith(f"{PREFIX}limit:")}
        # The same order's spend counts once, whoever has spent it last.
        return {k: sorted(v[::2]) if ":limit:" in k else v
                for k, v in found.items()}

    def quiet(self):
        def same():
            was = self.state()
            time.sleep(0.3)
            return was if self.state() == was else None

        return wait_for("nothing to happen", same, 10, 0, self.tails)

    def let_go(self, gate, word):
        """It arrives, and Redis says so to it."""
        was = self.quiet()
        gate.open()
        wait_for("an answer to what was late", lambda: gate.answer,
                 explain=self.tails)
        time.sleep(0.3)
        assert self.state() == was
        wait_for(f"{word} as an answer", lambda: word in gate.answer)
        gate.end()

    def renewed_by_hand(self, node, name, version):
        self.referee.due(name)
        node.cli("renew", name, "--force")
        return self.in_use(name, version)


@pytest.fixture(scope="module")
def fleet(request):
    if not has_faults():
        pytest.skip("a build without faults")
    ground = Ground()
    failures = request.session.testsfailed
    try:
        yield Gated(ground).start()
    finally:
        ground.close(request.session.testsfailed > failures)


@pytest.fixture
def sides(fleet):
    """Who leads, who will, and the way of the former to Redis."""
    old, new = fleet.leads()
    gate = fleet.gates[old]
    yield old, new, gate
    gate.end()
    fleet.repair()


def newest_is_served(fleet, name, version):
    record = fleet.record(name)
    assert record["version"] == str(version)
    fleet.served(name, record["serial"])


def test_a_certificate_that_was_renewed_since(fleet, sides):
    old, new, gate = sides
    name = "commit.test"
    fleet.issue(name)
    gate.hold("certfleet_commit", name)
    fleet.renew(name)
    wait_for("the certificate to be held", gate.held.is_set, 20,
             explain=fleet.tails)
    fleet.taken_over(new)
    fleet.in_use(name, 2)
    fleet.renewed_by_hand(new, name, 3)
    fleet.let_go(gate, b"-FENCED ")
    newest_is_served(fleet, name, 3)


def test_a_certificate_by_who_stood_still(fleet, sides):
    old, new, _ = sides
    name = "stopped.test"
    fleet.issue(name)
    fleet.arm(old, "F12:stop")
    fleet.renew(name)
    wait_for("it to stand still", lambda: old.sync.stopped, 20,
             explain=fleet.tails)
    fleet.taken_over(new)
    fleet.in_use(name, 2)
    fleet.renewed_by_hand(new, name, 3)
    was = fleet.quiet()
    said = len(old.sync.text())
    fleet.arm(old)
    old.sync.signal(signal.SIGCONT)
    # It has sent its certificate by then.
    wait_for("it to notice", lambda: "stops leading" in
             old.sync.text()[said:], explain=fleet.tails)
    time.sleep(0.3)
    assert fleet.state() == was
    # Nor does it come with what it has on its disk when it leads again.
    new.sync.stop()
    fleet.taken_over(old)
    fleet.add(old, "afterwards.test")
    fleet.in_use("afterwards.test", 1)
    fleet.start_sync(new)
    newest_is_served(fleet, name, 3)


def test_the_key_of_an_order_that_is_over(fleet, sides):
    old, new, gate = sides
    name = "journal.test"
    gate.hold("certfleet_journal", "key")
    fleet.add(new, name)
    wait_for("the key to be held", gate.held.is_set, 20, explain=fleet.tails)
    fleet.taken_over(new)
    fleet.in_use(name, 1)
    fleet.let_go(gate, b"-FENCED ")
    newest_is_served(fleet, name, 1)


def test_what_was_written_of_a_domain_that_is_no_longer(fleet, sides):
    old, new, gate = sides
    name = "update.test"
    gate.hold("certfleet_update", "in_use", name)
    fleet.add(new, name)
    wait_for("the status to be held", gate.held.is_set, 20,
             explain=fleet.tails)
    fleet.taken_over(new)
    fleet.in_use(name, 1)
    fleet.referee.leave(name)
    fleet.referee.tell("removed", name=name)
    new.remove(name)
    fleet.let_go(gate, b"-GONE ")
    assert not fleet.record(name)


def test_the_end_of_an_upload_that_another_has_followed(fleet, sides):
    old, new, gate = sides
    name = "upload.test"
    fleet.issue(name)
    managed = fleet.record(name)
    gate.hold("certfleet_custom_clear", name)
    # It ends soon, and the managed one is there to follow it.
    first = fleet.ca.leaf(name, hours=8)
    fleet.referee.uploaded(name, first)
    upload(new, name, first)
    wait_for("its end to be held", gate.held.is_set, 20, explain=fleet.tails)
    served_is(new, name, first)
    fleet.taken_over(new)
    fleet.referee.choice(name)
    fleet.served(name, managed["serial"])
    second = fleet.ca.leaf(name)
    fleet.referee.uploaded(name, second)
    upload(new, name, second)
    new.await_status(name, "not_used")
    fleet.let_go(gate, b"-FENCED ")
    for node in fleet.nodes:
        assert served_is(node, name, second)


def test_a_spend_for_an_order_that_another_has_made(fleet, sides):
    old, new, gate = sides
    name = "spend.test"
    made = fleet.world.pebble.orders_made()
    gate.hold("certfleet_limits_spend")
    fleet.add(new, name)
    wait_for("the spend to be held", gate.held.is_set, 20,
             explain=fleet.tails)
    fleet.taken_over(new)
    fleet.in_use(name, 1)
    fleet.let_go(gate, b"*")
    assert fleet.world.pebble.orders_made() == made + 1


def test_an_answer_that_another_has_published_as_well(fleet, sides):
    """Who does not lead any more does not take it away."""
    old, new, _ = sides
    name = "answer.test"
    made = fleet.world.pebble.orders_made()
    fleet.arm(old, "F7:stop")
    fleet.arm(new, "F7:stop")
    fleet.add(new, name)
    wait_for("the first to stand still", lambda: old.sync.stopped, 20,
             explain=fleet.tails)
    wait_for("the second, too", lambda: new.sync.stopped, 20,
             explain=fleet.tails)
    with fleet.redis.client() as redis:
        (token,) = set(redis("KEYS", f"{PREFIX}challenge:*")) - {
            f"{PREFIX}challenge:thumbprint"}
        fleet.arm(old)
        said = len(old.sync.text())
        old.sync.signal(signal.SIGCONT)
        wait_for("it to give up", lambda: "stops leading" in
                 old.sync.text()[said:], explain=fleet.tails)
        time.sleep(0.2)
        assert redis("EXISTS", token)
    fleet.arm(new)
    new.sync.signal(signal.SIGCONT)
    fleet.in_use(name, 1)
    assert fleet.world.pebble.orders_made() == made + 1


def test_a_lease_is_acted_upon_for_less_than_its_time(fleet, sides):
    """Who hears nothing of Redis stops before another may begin, and a grant that
    comes late is none."""
    old, new, gate = sides
    epoch = fleet.lease()["epoch"]
    said = len(old.sync.text())
    gate.mute()
    wait_for("it to stop by itself", lambda: f"{LOST}\n" in
             old.sync.text()[said:], 5, 0.01, fleet.tails)
    with fleet.redis.client() as redis:
        seconds, micros = map(int, redis("TIME"))
        lease = redis.hash(f"{PREFIX}leader")
    assert lease["node"] == old.name
    assert int(lease["until"]) > seconds * 1000 + micros // 1000
    # Granted it was, though nobody has heard of it.
    time.sleep(max(0, gate.lease_at + LEAD_S + 0.1 - time.monotonic()))
    asked = gate.lease_at
    gate.open()
    wait_for("it to ask again", lambda: gate.lease_at != asked, 10,
             explain=fleet.tails)
    assert f"epoch={epoch} leads" not in old.sync.text()[said:]


def test_the_referee_finds_nothing(fleet):
    assert fleet.referee.verdict(limits=[["orders", 300, 10800]]) == []
