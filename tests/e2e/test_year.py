"""A year in minutes: certificates that live for a minute, and no quiet day.

Everything that a CA can do wrong happens at random (the seed is printed;
CERTFLEET_SEED repeats it), sync is killed, HAProxy is reloaded, owners move
their domains away and back.  An observer of its own process looks at every name
all the time; a referee at the CA counts what is asked and issued.  At the end:

- no lapse of service at any domain whose owner did nothing wrong,
- no limit exceeded, nobody asked before the time that the CA had named,
- at most one certificate for each renewal that was due, and no way back to an
  older one (but for the moment in which HAProxy is reloaded).

CERTFLEET_YEAR=1000 is the long form, with that many domains.
"""

import contextlib
import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict

import pytest

from fakeca import FakeCA, Limits, Referee, faults
from harness import ROOT, SLOW, Process, wait_for
from node import PREFIX

DOMAINS = int(os.environ.get("CERTFLEET_YEAR", "60"))
LONG = DOMAINS > 100
SEED = int(os.environ.get("CERTFLEET_SEED", "0")) or random.randrange(1 << 30)

# The slack of a renewal (40 %) is longer than all the pauses of one bad day.
LIFETIME = int((240 if LONG else 70) * SLOW)
RENEW_PERCENT = 60
RUN_S = (2.6 if LONG else 1.7) * LIFETIME
MISCHIEF_PER_RENEWAL = 2
CAREFREE = LIFETIME * 0.5  # seconds in which a name has so much of it

CATCH_UP_S = 2 * SLOW
SHARED, SHARED_LIMIT = 8, 6
REQUEST_MS = int(1500 * SLOW)

ANYWHERE = [
    faults.server_error(retry=1), faults.unavailable(), faults.bad_nonce(),
    faults.lost(), faults.hang(REQUEST_MS / 1000 + 0.5), faults.garbage(),
    faults.truncated(), faults.big(), faults.redirect(), faults.slow(0.4),
    faults.trickle(2000), faults.wrong_type("text/plain"),
]
MISCHIEF = {
    "newOrder": ANYWHERE + [
        faults.rate_limited(anchor, 2, form)
        for form in ("seconds", "date")
        for anchor in ("new-certificates-per-exact-set-of-identifiers",
                       "authorization-failures-per-identifier-per-account")],
    "authz": ANYWHERE,
    "challenge": ANYWHERE + [faults.secondary_validation()] * 3,
    "order": ANYWHERE,
    "finalize": ANYWHERE + [
        faults.processing(1), faults.processing(3), faults.caa_at_finalize(),
        faults.order_invalid("Error finalizing order")],
    "certificate": ANYWHERE + [faults.blank_lines(), faults.other_name(),
                               faults.other_key(), faults.expired()],
}


class Chaos:
    """Faults at random, but no more for a name than a bad day has."""

    def __init__(self, ca, dice):
        self.ca = ca
        self.dice = dice
        self.lock = threading.Lock()
        self.spent = defaultdict(list)
        self.done = Counter()
        self.rule = ca.on(tuple(MISCHIEF), self.act, chance=0.12)

    def act(self, x):
        now = time.time()
        with self.lock:
            mine = self.spent[x.names] = [
                t for t in self.spent[x.names] if now - t < CAREFREE]
            if len(mine) >= MISCHIEF_PER_RENEWAL:
                return x.forward()
            mine.append(now)
            fault = self.dice.choice(MISCHIEF[x.kind])
            self.done[x.kind] += 1
        return fault(x)


class Observer(Process):
    """The watcher, and what its history says."""

    def __init__(self, node, directory):
        super().__init__("watcher", directory)
        self.node = node
        self.names = self.dir / "watched.txt"
        self.history = self.dir / "history.jsonl"

    def watch(self, names):
        self.names.write_text("\n".join(names) + "\n")

    def start(self):
        self.spawn(sys.executable, ROOT / "tests" / "e2e" / "watcher.py",
                   self.node.address, self.node.world.https_port,
                   self.node.pebble.root, self.names, self.history)

    def seen(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.history) as f:
                return [json.loads(line) for line in f
                        if line.endswith("\n")]
        return []

    def rounds(self):
        return max((s["rounds"] for s in self.seen() if "rounds" in s),
                   default=0)

    def lapses(self):
        return [s for s in self.seen() if "why" in s]

    def downgrades(self):
        """Older certificates that stayed after a newer one was seen.

        While HAProxy is reloaded two processes answer, and the new one has
        read its files before the last push: it is brought up to date at once.
        """
        newest, older = {}, {}
        for s in self.seen():
            if "serial" not in s:
                continue
            name = s["name"]
            before = newest.get(name)
            if before and s["not_after"] < before["not_after"]:
                older.setdefault(name, s)
                continue
            newest[name] = s
            since = older.pop(name, s)
            if s["at"] - since["at"] > CATCH_UP_S:
                yield since, s
        for name, since in older.items():
            yield since, newest[name]

    def certificates(self):
        found = defaultdict(set)
        for s in self.seen():
            if "serial" in s:
                found[s["name"]].add(s["serial"])
        return found


class Year:
    def __init__(self, ground):
        print(f"CERTFLEET_SEED={SEED} domains={DOMAINS} lifetime={LIFETIME}")
        self.dice = random.Random(SEED)
        world = ground.world(validity=LIFETIME, authz_reuse=0, nonce_reject=2)
        self.referee = Referee(Limits(
            orders=(10 ** 6, 3600), exact=(10 ** 6, 3600),
            failures=(10 ** 6, 3600),
            overrides={"shared.test": SHARED_LIMIT}))
        self.ca = FakeCA(world.pebble, world.tls, world.dir,
                         referee=self.referee, seed=SEED)
        self.node = ground.node(world, settings={
            "acme": {
                "directory": self.ca.directory, "renew_percent": RENEW_PERCENT,
                "request_timeout_ms": REQUEST_MS, "order_timeout_s": 60,
                "retry_first_s": 1, "retry_max_s": 2, "max_in_flight": 64,
                "renewals_per_minute": 60000},
            # Hours are longer than this year; what is left counts all of it.
            "limits": {
                "domain_overrides": [f"shared.test={SHARED_LIMIT}"],
                "certificates_per_set": 0, "orders_per_account": 0,
                "failures_per_name": 0},
            "haproxy": {"push_per_s": 0},
        }, redis=ground.redis())
        self.names = [f"shop{i}.test" for i in range(DOMAINS)]
        self.shared = [f"h{i}.shared.test" for i in range(SHARED)]
        self.observer = Observer(self.node, self.node.dir)
        self.kills = self.reloads = self.outages = 0

    def begin(self):
        """Everybody gets a first certificate, from a CA that behaves."""
        self.node.point_here(*self.names, *self.shared)
        for name in self.names + self.shared:
            status, _ = self.node.api(
                "POST", "/v1/apps/default/domains", {"domain": {"name": name}})
            assert status == 201, name
        wait_for("all to be in use", lambda: all(
            r.get("status") == "in_use" for r in self.records()),
            60 + DOMAINS / 4, every=1, explain=self.node.tails)
        self.observer.watch(self.names)
        self.observer.start()

    def records(self):
        with self.node.redis_client() as redis:
            return [redis.hash(f"{PREFIX}{{p0}}:domain:{name}")
                    for name in self.names]

    def kill_sync(self):
        self.node.sync.kill()
        self.node.sync.start()
        self.kills += 1

    def reload_haproxy(self):
        self.node.haproxy.reload()
        self.reloads += 1

    def close_ca(self):
        """For a moment."""
        self.ca.refuse(1.5)
        self.outages += 1

    def go_on(self, seconds):
        """Something happens every few seconds, and faults all the time."""
        chaos = Chaos(self.ca, self.dice)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(5, 11) * SLOW)
            self.dice.choice([self.kill_sync, self.reload_haproxy,
                              self.reload_haproxy, self.close_ca])()
        chaos.rule.times = 0
        return chaos

    def calm_down(self):
        """What went wrong last may still be put right."""
        wait_for("the last renewals", lambda: all(
            int(r.get("not_after", 0)) / 1000
            > time.time() + LIFETIME * (95 - RENEW_PERCENT) / 100 - 1
            for r in self.records()), LIFETIME / 2 / SLOW, every=1)

    def end(self):
        self.observer.stop()
        self.node.sync.stop()
        self.ca.stop()


def explained(lapses, year):
    """The first lapses, with what the CA saw of these names."""
    lines = []
    for lapse in lapses[:3]:
        lines.append(f"{lapse['at']:.1f} {lapse['name']}: {lapse['why']}")
        lines += [f"\t{at:.1f} {kind}" for at, kind, names in year.ca.requests
                  if lapse["name"] in names and at > lapse["at"] - LIFETIME]
        lines.append(str(year.node.record(lapse["name"])))
    return "\n".join(lines)


@pytest.mark.slow
def test_a_year_without_a_lapse(ground):
    year = Year(ground)
    try:
        year.begin()
        moved = year.names[0]  # its owner moves it away
        asked = year.referee.times_asked(moved)
        year.observer.watch(year.names[1:])
        year.node.dns.clear_a(moved)
        chaos = year.go_on(RUN_S)
        year.names.remove(moved)
        year.calm_down()
        seen = year.observer.seen()
        issued = sum(bool(o.issued_at) for o in year.referee.orders.values())
        print(f"{issued} certificates, {sum(chaos.done.values())} faults "
              f"{dict(chaos.done)}, {year.kills} kills, {year.reloads} "
              f"reloads, {year.outages} outages, {len(year.ca.requests)} "
              f"requests, {year.observer.rounds()} rounds of the observer")

        lapses = year.observer.lapses()
        assert not lapses, explained(lapses, year)
        assert list(year.observer.downgrades()) == []
        assert year.referee.violations(share=0.5) == []
        assert year.observer.rounds() > 5 and seen[-1]["at"] > \
            time.time() - 30 * SLOW
        # Whoever left costs the CA nothing, whoever is in excess waits.
        assert year.referee.times_asked(moved) - asked <= 1
        served = [n for n in year.shared if year.referee.certificates(n)]
        assert len(served) == SHARED_LIMIT
        # And it was a year: all were renewed.
        certificates = year.observer.certificates()
        assert all(len(certificates[n]) >= 2 for n in year.names), certificates
        if not LONG:
            assert sum(chaos.done.values()) > 10
            assert year.kills + year.reloads + year.outages > 5
    finally:
        year.end()
