"""Taken at every step of a certificate's life, in a fleet, under a referee.

Of two or three nodes that share a Redis, with a canary or without, one is killed
(kill -9) or stands still for longer than its lease (SIGSTOP) at a place of
common/fault.h, while a new name gets its first certificate or another one is
renewed.  The others go on with it, or the killed one when it is back; the CA is
asked for one certificate each time, and visitors never see anything but a good
one.

Several fleets work off the cases at the same time, since cases mostly wait.
CERTFLEET_SEEDS=n does it n times, in other orders and with other names in flight.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import threading
import time
from concurrent.futures import Future, InvalidStateError

import pytest

from conftest import Ground
from harness import SLOW, wait_for
from node import PREFIX
from refereed import Referee
from test_crash import has_faults

SEEDS = int(os.environ.get("CERTFLEET_SEEDS", "1"))
FLEETS = 3
LEASE_MS = 1500
# Until somebody goes on: at once where the leader's own node is back, or its
# process was not needed.  Else when the lease has ended, half a second in which
# not all ask for it at the same moment, and half a second to begin.
AT_ONCE_S = 0.7
RESUMED_S = LEASE_MS / 1000 + 1

ISSUER = [f"F{i}" for i in range(1, 14)] + ["F18", "O1", "O2"]
NODE = ["F14", "F15", "F16", "F17"]
CANARY = ["C1"]
# An order that nobody has heard of may be made again.
EXTRA_ORDERS = {f"F{i}": 1 for i in range(1, 9)}

WORDS = ("seed", "point", "how", "when")
CASES = list(itertools.product(
    range(SEEDS), sorted(ISSUER + NODE + CANARY, key=lambda p: (p[0], int(p[1:]))),
    ("kill", "stop"), ("new", "renewal")))

LOST = "lease not renewed in time"


class Missed(Exception):
    """On a busy machine the lease can be lost, and another did the work, or all
    took longer: the case is tried again, and again."""


class Fleet:
    """Nodes with all that belongs to them, and a referee."""

    def __init__(self, ground, number):
        self.number = number
        # One of them is larger, and has its domains in several partitions.
        self.partitions, count = (4, 3) if number == FLEETS else (1, 2)
        # And in one a node proves each certificate for the others first.
        self.canary = number == 1
        self.world = ground.world(f"fleet{number}", authz_reuse=0,
                                  nonce_reject=0)
        redis = ground.redis(f"redis{number}", *self.redis_options(ground))
        addresses = [f"127.0.{number}.{i + 2}" for i in range(count)]
        self.nodes = [ground.node(
            self.world, start=False, name=f"t{number}{i}", address=address,
            redis=redis, settings={
                "redis": {"partitions": self.partitions},
                "dns": {"targets": addresses, "check_interval_ms": 200},
                "acme": {"retry_first_s": 1, "retry_max_s": 2,
                         "renewals_per_minute": 60000},
                "haproxy": {"poll_ms": 100},
                "limits": {"certificates_per_set": 0,
                           "orders_per_account": 0},
                "fleet": {"lease_ms": LEASE_MS, "renew_ms": LEASE_MS // 3,
                          "heartbeat_ms": 400, "node_ttl_ms": 1600,
                          "reconcile_ms": 1000, "canary_limit_ms": 2000,
                          **({"rollout": "canary",
                              "canary": f"t{number}1"} if self.canary else {})},
            }) for i, address in enumerate(addresses)]
        self.addresses = addresses
        self.referee = Referee(self.world, self.nodes,
                               partitions=self.partitions)
        self.redis = redis
        self.resumed = []

    def redis_options(self, ground):
        return ()

    def start(self):
        for node in self.nodes:
            if node is not self.nodes[0]:
                node.state_dir.mkdir(mode=0o700)
                shutil.copy(self.nodes[0].state_dir / "kek",
                            node.state_dir / "kek")
            node.write_conf()
            node.sync.prime()
            self.start_sync(node)
            node.agent.start()
            node.haproxy.start()
        self.referee.start()
        self.issue("steady.test")
        return self

    def takes(self, point):
        """A node that is not the canary has nothing to write there."""
        return point not in (NODE if self.canary else CANARY)

    # --- what happens -------------------------------------------------

    def fault_file(self, node):
        return node.dir / "fault"

    def arm(self, node, text=""):
        """From now on; "" is nothing."""
        new = node.dir / "fault.new"
        new.write_text(text + "\n")
        new.rename(self.fault_file(node))

    def start_sync(self, node):
        self.arm(node)
        node.sync.start(fault=f"@{self.fault_file(node)}")

    def leader(self):
        with self.redis.client() as redis:
            name = redis.hash(f"{PREFIX}leader").get("node")
        return next((n for n in self.nodes if n.name == name), None)

    def add(self, node, name):
        self.nodes[0].dns.add_a(name, *self.addresses)
        self.referee.due(name)
        self.referee.watch(name)
        node.add(name)

    def renew(self, name):
        self.referee.due(name)
        prefix = f"{PREFIX}{{p{self.nodes[0].partition(name)}}}:"
        with self.redis.client() as redis:
            redis("HSET", f"{prefix}domain:{name}", "renew_at", "1")
            redis("ZADD", f"{prefix}due", "1", name)

    def record(self, name):
        return self.nodes[0].record(name)

    def in_use(self, name, version, seconds=30):
        """That version, proven on all nodes that live."""
        def there():
            record = self.record(name)
            return record if record.get("status") == "in_use" and \
                record.get("proven") == record.get("version") == \
                str(version) else None

        return wait_for(f"version {version} of {name} to be in use", there,
                        seconds, 0.02, lambda: f"{self.record(name)}\n"
                        + self.tails())

    def issue(self, name):
        self.add(self.nodes[0], name)
        self.in_use(name, 1)
        self.settled(name)

    def settled(self, name):
        """Whatever is written after a certificate is served has been."""
        wait_for(f"{name} in all crt-lists", lambda: all(
            f"{name}.pem" in n.crt_list.read_text() for n in self.nodes), 10,
            explain=self.tails)

    def served(self, name, serial):
        for node in self.nodes:
            node.await_served(name, lambda s: s.serial == serial)

    def all_live(self):
        def there():
            with self.redis.client() as redis:
                return all(redis("EXISTS", f"{PREFIX}node:{n.name}")
                           for n in self.nodes)

        wait_for("all nodes to be live", there, 10, explain=self.tails)

    def tails(self):
        return "\n".join(n.sync.tail(40) for n in self.nodes)

    # --- a case -------------------------------------------------------

    def run(self, seed, point, how, when):
        for left in reversed(range(3)):
            try:
                self.run_once(seed, point, how, when, left)
                return
            except Missed:
                self.repair()
                if not left:
                    raise

    def run_once(self, seed, point, how, when, left):
        dice = random.Random(f"{seed} {point} {how} {when}")
        leader = wait_for("a leader", self.leader, 10, explain=self.tails)
        follower = dice.choice([n for n in self.nodes if n is not leader])
        # Followers write no files of their own: F14 is the certificate's.
        victim = follower if point == "F14" or (
            point in NODE and when == "renewal") else leader
        if point in CANARY:
            victim = self.nodes[1]
        other = follower if victim is leader else leader
        name = "steady.test" if when == "renewal" else \
            f"{point}-{how}-{seed}-{left}.test".lower()
        company = [f"c{i}-{name}" for i in range(dice.randrange(1, 3))] \
            if seed and when == "new" else []
        version = int(self.record(name).get("version", "0")) + 1
        issued = self.world.pebble.issued()
        orders = self.world.pebble.orders_made()
        lost = self.leases_lost()
        # The certificate's sealed copy, or what HAProxy reads.
        nth = dice.randrange(1, 3) if point == "F14" else 1
        self.arm(victim, f"{point}:{how}:{nth}")
        for n in company:
            self.add(other, n)
        if when == "renewal":
            self.renew(name)
        else:
            self.add(other, name)
        self.taken(victim, name, version)
        if how == "kill":
            assert victim.sync.ended() == -signal.SIGKILL, victim.sync.tail()
        itself = how == "kill" and (victim is not leader or when == "renewal")
        took = self.resumes(name, version, victim, itself)
        record = self.in_use(name, version)
        if how == "stop":
            victim.sync.signal(signal.SIGCONT)
        elif not itself:
            self.start_sync(victim)
        self.served(name, record["serial"])
        self.arm(victim)
        for n in company:
            self.in_use(n, 1)
        self.all_live()
        for n in [name, *company]:
            self.settled(n)
        lost = self.leases_lost() - lost - (how == "stop" and victim is leader)
        self.judge_case(point, name, record, issued, orders, company, lost)
        self.judge_time(took, itself)

    def judge_time(self, took, itself):
        """Each case on its own."""
        most = (AT_ONCE_S if itself else RESUMED_S) * SLOW
        self.resumed.append(took / most)
        if took > most:
            raise Missed(f"somebody went on after {took:.2f} s, not {most:.1f}"
                         f"\n{self.tails()}")

    def leases_lost(self):
        return sum(n.sync.text().count(LOST) for n in self.nodes)

    def taken(self, victim, name, version):
        def there():
            if not victim.sync.running or victim.sync.stopped:
                return True
            record = self.record(name)
            if record.get("proven") == str(version):
                raise Missed(f"{name} is in use\n{self.tails()}")
            return False

        wait_for("it to be taken", there, 30, explain=self.tails)

    def resumes(self, name, version, victim, itself):
        """How long it takes until somebody goes on with it."""
        offsets = {n: len(n.sync.text()) for n in self.nodes}
        # Passed whenever somebody begins with a name, or goes on with it.
        for node in self.nodes:
            self.arm(node, "F1:sleep=1")
        if itself:
            victim.sync.start(fault=f"@{self.fault_file(victim)}")
        began = time.monotonic()

        def there():
            record = self.record(name)
            return record.get("version") == str(version) or any(
                "fault at F1\n" in n.sync.text()[offsets[n]:]
                for n in self.nodes)

        wait_for(f"somebody to go on with {name}", there, 10, 0.02, self.tails)
        took = time.monotonic() - began
        for node in self.nodes:
            if node is not victim:
                self.arm(node)
        if not itself:
            wait_for("another leader", lambda: self.leader() is not victim, 10,
                     0.02, self.tails)
        return took

    def judge_case(self, point, name, record, issued, orders, company, lost):
        more = self.world.pebble.issued()[len(issued):]
        assert len(more) == 1 + len(company), (more, self.tails())
        assert record["serial"] in more
        made = self.world.pebble.orders_made() - orders
        # It may have been taken with another of them.
        extra = len(company) + EXTRA_ORDERS.get(point, 0) + max(0, lost)
        assert made <= 1 + len(company) + extra, (made, self.tails())
        for n in [name, *company]:
            if n != "steady.test":
                self.referee.leave(n)

    def repair(self):
        """After a case that failed: all is as at the beginning."""
        for node in self.nodes:
            self.arm(node)
            if node.sync.running:
                node.sync.signal(signal.SIGCONT)
            else:
                self.start_sync(node)
        self.all_live()


class Campaign:
    """Fleets that work off the cases; tests wait for what comes of them."""

    def __init__(self, ground, cases):
        self.futures = {case: Future() for case in cases}
        self.seed = random.randrange(1 << 30)
        random.Random(self.seed).shuffle(cases)
        self.left = sorted(cases, key=lambda c: c[0])
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.fleets = [Fleet(ground, i + 1) for i in range(FLEETS)]
        self.threads = [threading.Thread(target=self.work, args=(fleet,),
                                         daemon=True)
                        for fleet in self.fleets]
        for thread in self.threads:
            thread.start()

    def next_for(self, fleet):
        """None: there is nothing left for it."""
        with self.lock:
            # First what not everybody takes, of the same round.
            case = min((c for c in self.left if fleet.takes(c[1])),
                       key=lambda c: (c[0], c[1] in ISSUER), default=None)
            if case:
                self.left.remove(case)
        return case

    def work(self, fleet):
        try:
            fleet.start()
            while case := self.next_for(fleet):
                try:
                    fleet.run(*case)
                    self.futures[case].set_result(None)
                except Exception as e:
                    self.futures[case].set_exception(e)
                    fleet.repair()
        except Exception as e:
            # Nothing more comes of this one; whoever waits hears of it.
            for future in self.futures.values():
                with contextlib.suppress(InvalidStateError):
                    future.set_exception(e)
        # Processes die with the thread that has started them.
        self.over.wait()

    def result(self, case):
        return self.futures[case].result(600 * SLOW * SEEDS)


@pytest.fixture(scope="module")
def campaign(request):
    if not has_faults():
        pytest.skip("a build without faults")
    ground = Ground()
    # Those that were chosen from the command line.
    cases = [tuple(item.callspec.params[word] for word in WORDS)
             for item in request.session.items
             if item.function is test_taken_at]
    campaign = Campaign(ground, cases)
    failures = request.session.testsfailed
    try:
        yield campaign
    finally:
        ground.close(request.session.testsfailed > failures)
        campaign.over.set()


@pytest.mark.parametrize(", ".join(WORDS), CASES)
def test_taken_at(campaign, seed, point, how, when):
    print(f"seed {campaign.seed}")
    campaign.result((seed, point, how, when))


def test_few_had_to_be_tried_again_because_work_went_on_late(campaign):
    shares = [t for fleet in campaign.fleets for t in fleet.resumed]
    print(", ".join(f"{t:.2f}" for t in sorted(shares)))
    assert sum(t > 1 for t in shares) <= len(shares) // 4


@pytest.mark.parametrize("number", range(FLEETS))
def test_the_referee_finds_nothing(campaign, number):
    fleet = campaign.fleets[number]
    assert fleet.referee.verdict(limits=[["orders", 300, 10800]]) == []
    visits = sum(line["rounds"] for line in fleet.referee.lines("looked"))
    assert visits > 10 and fleet.referee.lines("issued")
