"""A Redis Cluster while all certificates are renewed: a slot moves, and a master
is lost; a referee looks on.

CERTFLEET_RENEWALS=200 is the long form.
"""

import os

import pytest

from conftest import Ground
from harness import wait_for
from node import PREFIX
from peers import Cluster
from refereed import Referee
from resp import Error
from test_cluster import PARTITIONS, begin_move, end_move, migrate, slot, spread

MOVES, STAYS = 0, 3  # partitions: of two masters, the second has a replica
MANY = int(os.environ.get("CERTFLEET_RENEWALS", "40"))


class Batch:
    """Certificates in use, to be renewed all at once."""

    def __init__(self, node, redis):
        self.node = node
        self.redis = redis
        self.names = spread(node, "batch", [MOVES, STAYS], MANY // 2)
        self.versions = dict.fromkeys(self.names, 0)
        self.referee = Referee(node.world, [node], partitions=PARTITIONS)

    def key(self, name, what):
        return f"{PREFIX}{{p{self.node.partition(name)}}}:{what}"

    def start(self):
        for name in self.names:
            self.node.point_here(name)
            self.referee.due(name)
            status, body = self.node.api(
                "POST", "/v1/apps/batch/domains", {"domain": {"name": name}})
            assert status == 201, body
        self.await_all()
        self.referee.start()
        self.referee.watch(*self.names)
        return self

    def begin(self):
        self.referee.due(*self.names)
        self.issued = len(self.node.pebble.issued())
        with self.redis.client() as client:
            for name in self.names:
                client("HSET", self.key(name, f"domain:{name}"),
                       "renew_at", "1")
                client("ZADD", self.key(name, "due"), "1", name)

    def renewed(self, names=None):
        """How many have another version in the index."""
        found = {}
        for partition in (MOVES, STAYS):
            try:
                with self.redis.client() as client:
                    found |= client.hash(f"{PREFIX}{{p{partition}}}:index")
            except (OSError, Error):
                pass  # in between
        return sum(n in found and
                   found[n].split(":")[0] != str(self.versions[n])
                   for n in names or self.names)

    def await_renewed(self, n, names=None):
        wait_for(f"{n} to be renewed", lambda: self.renewed(names) >= n, 90,
                 0.05, self.node.tails)

    def await_all(self):
        """Every one is in use, and served."""
        for name in self.names:
            def there(n=name):
                record = self.node.record(n)
                return record if record.get("status") == "in_use" and \
                    record.get("proven") == record["version"] > "0" else None

            record = self.node.await_record(f"{name} to be in use", there, 90,
                                            name)
            self.versions[name] = int(record["version"])
            self.node.await_served(
                name, lambda s, r=record: s.serial == r["serial"])

    def end(self):
        self.await_renewed(len(self.names))
        self.await_all()
        assert len(self.node.pebble.issued()) - self.issued == len(self.names)


@pytest.fixture(scope="module")
def batch(request):
    ground = Ground()
    failures = request.session.testsfailed
    try:
        redis = ground.keep(Cluster(ground.dir / "cluster"))
        node = ground.node(ground.world(nonce_reject=0), redis=redis, settings={
            "redis": {"partitions": PARTITIONS},
            # More at a time can lock up Pebble 2.4 (see tests/fakeca).
            "acme": {"renewals_per_minute": 60000, "max_requests": 1},
            "haproxy": {"push_per_s": 0}})
        yield Batch(node, redis).start()
    finally:
        ground.close(request.session.testsfailed > failures)


def test_a_slot_moves_in_the_middle_of_renewals(batch):
    """Keys of names that are being renewed go one by one; functions that need
    keys of both sides are told to try again."""
    node, redis = batch.node, batch.redis
    moving = [n for n in batch.names if node.partition(n) == MOVES]
    number = slot(MOVES)
    source = redis.owner(number)
    target = redis.owner(slot(2))
    batch.begin()
    batch.await_renewed(len(moving) // 4, moving)
    begin_move(redis, source, target, number)
    migrate(source, target, number)
    end_move(redis, source, target, number)
    assert batch.renewed(moving) < len(moving), "too late"
    batch.end()
    assert redis.owner(number) is target


def test_a_master_is_lost_in_the_middle_of_renewals(batch):
    node, redis = batch.node, batch.redis
    lost, replica = redis.pair
    theirs = [n for n in batch.names
              if redis.owner(slot(node.partition(n))) is lost]
    assert theirs
    batch.begin()
    batch.await_renewed(len(theirs) // 4, theirs)
    assert batch.renewed(theirs) < len(theirs), "too late"
    lost.kill()
    wait_for("the replica to take over", lambda: "role:master" in
             redis.replication(replica), 30, 0.1)
    batch.end()
    lost.start()


def test_the_referee_finds_nothing(batch):
    assert batch.referee.verdict() == []
