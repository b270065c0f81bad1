"""A year in minutes: certificates that live for a minute, and no quiet day.

Everything that a CA can do wrong happens at random (the seed is printed;
CERTFLEET_SEED repeats it), it wants certificates renewed before their time,
sync is killed, HAProxy is reloaded, an owner moves a domain away.  An observer
of its own process looks at every name all the time; a referee at the CA counts
what is asked and issued.  At the end:

- no lapse of service at any domain whose owner did nothing wrong,
- no limit exceeded, nobody asked before the time that the CA had named,
- at most one certificate for each renewal that was due,
- and no HAProxy process went back to an older certificate, or began with one
  that was not the newest on the disk when it was started.

The hours of the CA's limits are seconds here.  CERTFLEET_YEAR=1000 is the long
form, with that many domains; CERTFLEET_LIFETIME says for how many seconds its
certificates live (they share two processors with the CA, HAProxy and us).
"""

import contextlib
import json
import os
import random
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime

import pytest

from fakeca import FakeCA, Limits, Referee, faults
from harness import ROOT, SLOW, Process, wait_for
from node import PREFIX

DOMAINS = int(os.environ.get("CERTFLEET_YEAR", "60"))
LONG = DOMAINS > 100
SEED = int(os.environ.get("CERTFLEET_SEED", "0")) or random.randrange(1 << 30)

# The slack of a renewal (40 %) is longer than all the pauses of one bad day.
LIFETIME = int(float(os.environ.get("CERTFLEET_LIFETIME",
                                    "240" if LONG else "45")) * SLOW)
RENEW_PERCENT = 60
RUN_S = (1.9 if LONG else 1.35) * LIFETIME
MISCHIEF_PER_RENEWAL = 2
CAREFREE = LIFETIME * 0.5  # seconds in which a name has so much of it
PATIENCE_S = 5 if LONG else 1  # between looks at all records
LOOKS_PER_S = 150 if LONG else 0

# After a reload, until the new process is told what it has not read.
CATCH_UP_S = 3 * SLOW
REQUEST_MS = int(1500 * SLOW)
ARI_S = (30, 60) if LONG else (3, 6)  # how often it is asked, by whom it is told

# How many of what in how many seconds.  An order is counted before it is on its
# way, and arrives a moment later: the referee's window is that much shorter.
# Of many, all of them come in half a lifetime: who comes together is renewed
# together.
NEW_ORDERS_S, ON_ITS_WAY_S = 10, 3
NEW_ORDERS = int(DOMAINS * (NEW_ORDERS_S / LIFETIME * 2 if LONG else 0.75))
SAME_SET, SAME_SET_S = 5, LIFETIME
FAILURES, FAILURES_S = 1, 4
BUSY, BUSY_LIMIT, BUSY_S = 7, 3, 12

ANYWHERE = [
    faults.server_error(retry=1), faults.unavailable(), faults.bad_nonce(),
    faults.lost(), faults.hang(REQUEST_MS / 1000 + 0.5), faults.garbage(),
    faults.truncated(), faults.big(), faults.redirect(), faults.slow(0.4),
    faults.trickle(2000), faults.wrong_type("text/plain"),
]
MISCHIEF = {
    "newOrder": ANYWHERE + [
        faults.already_replaced(), faults.already_replaced(400, "malformed"),
    ] + [
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
        self.rules = [
            ca.on(tuple(MISCHIEF), self.act, chance=0.12),
            # Who is told nothing of windows renews by the clock.
            ca.on("renewalInfo", self.act_on_window, chance=0.12)]

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

    def act_on_window(self, x):
        with self.lock:
            fault = self.dice.choice(ANYWHERE)
            self.done[x.kind] += 1
        return fault(x)

    def end(self):
        for rule in self.rules:
            rule.times = 0


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
                   self.node.pebble.root, self.names, self.history,
                   LOOKS_PER_S)

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

    def written(self):
        """When which certificate was served for the first time, as sync says:
        by then it was on the disk."""
        issued, found = {}, {}
        for line in self.node.sync.text().splitlines():
            m = re.search(r"domain=(\S+) issued serial=(\S+) version=(\d+)",
                          line)
            if m:
                issued[m[1], m[3]] = m[2]
            m = re.match(r"(\S+)Z .* domain=(\S+) version=(\d+) served", line)
            if m:
                at = datetime.fromisoformat(m[1] + "+00:00").timestamp()
                found.setdefault(issued.get((m[2], m[3])), at)
        return found

    def downgrades(self, started):
        """Older certificates that were seen when they should not have been.

        A process of HAProxy never goes back.  It may begin with an older one
        when the newer was written after its start (started, by pid): then it
        had read its files.  It is brought up to date at once.
        """
        written = self.written()
        newest, shown, older = {}, {}, {}
        for s in self.seen():
            if "serial" not in s:
                continue
            name, by = s["name"], (s["name"], s["pid"])
            if s["not_after"] < shown.get(by, s)["not_after"]:
                yield "went back", shown[by], s
            shown[by] = s
            best = newest.get(name, s)
            if s["not_after"] >= best["not_after"]:
                newest[name] = s
                since = older.pop(name, s)
                if s["at"] - since["at"] > CATCH_UP_S:
                    yield "too long", since, s
                continue
            older.setdefault(name, s)
            if started[s["pid"]] > min(best["at"], written.get(
                    best["serial"], best["at"])):
                yield "started with an older one", best, s
        for name, since in older.items():
            yield "for ever", newest[name], since

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
            orders=(NEW_ORDERS, NEW_ORDERS_S - ON_ITS_WAY_S),
            exact=(SAME_SET, SAME_SET_S), failures=(FAILURES, FAILURES_S),
            domain=(50, BUSY_S), overrides={"busy.test": BUSY_LIMIT}))
        self.ca = FakeCA(world.pebble, world.tls, world.dir, ari=True,
                         referee=self.referee, seed=SEED)
        self.ca.windows.share = RENEW_PERCENT / 100
        self.ca.windows.width = 0.03
        self.ca.windows.retry_s = ARI_S[0]
        self.node = ground.node(world, settings={
            "": {"log_level": "info"},
            "acme": {
                "directory": self.ca.directory, "renew_percent": RENEW_PERCENT,
                "request_timeout_ms": REQUEST_MS, "order_timeout_s": 60,
                "retry_first_s": 1, "retry_max_s": 2, "max_in_flight": 64,
                "renewals_per_minute": 60000,
                "ari_poll_min_s": ARI_S[0], "ari_poll_max_s": ARI_S[1]},
            "limits": {
                "hour_ms": 1000,
                "domain_overrides": [f"busy.test={BUSY_LIMIT}"],
                "domain_window_h": BUSY_S,
                "certificates_per_set": SAME_SET, "set_window_h": SAME_SET_S,
                "orders_per_account": NEW_ORDERS,
                "orders_window_h": NEW_ORDERS_S,
                "failures_per_name": FAILURES,
                "failures_window_h": FAILURES_S},
            "haproxy": {"push_per_s": 0},
        }, redis=ground.redis())
        self.names = [f"shop{i}.test" for i in range(DOMAINS)]
        self.busy = [f"h{i}.busy.test" for i in range(BUSY)]
        self.observer = Observer(self.node, self.node.dir)
        self.kills = self.reloads = self.outages = self.moves = 0
        self.started = {self.node.haproxy.pid: 0}  # HAProxy's pid: when

    def begin(self):
        """Everybody gets a first certificate, from a CA that behaves."""
        self.node.point_here(*self.names, *self.busy)
        for name in self.names + self.busy:
            status, _ = self.node.api(
                "POST", "/v1/apps/default/domains", {"domain": {"name": name}})
            assert status == 201, name
        wait_for("all to be in use", lambda: all(
            r.get("status") == "in_use" for r in self.records()),
            60 + DOMAINS / 4 + LIFETIME / 2, every=PATIENCE_S, explain=self.node.tails)
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
        now = time.time()
        self.node.haproxy.reload()
        self.started[self.node.haproxy.pid] = now
        self.reloads += 1

    def close_ca(self):
        """For a moment."""
        self.ca.refuse(1.5)
        self.outages += 1

    def move_windows(self):
        """The CA wants some certificates renewed now."""
        now = time.time()
        for name in self.dice.sample(self.names[1:], DOMAINS // 30):
            # Open until its end: who has not heard of it is in a window, too.
            self.ca.windows.move(name, now - 36000, now + LIFETIME,
                                 "https://ca.test/incident")
            self.referee.due(name)
        self.moves += 1

    def go_on(self, seconds):
        """Something happens every few seconds, and faults all the time."""
        chaos = Chaos(self.ca, self.dice)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(3, 7) * SLOW)
            self.dice.choice([self.kill_sync, self.reload_haproxy,
                              self.reload_haproxy, self.close_ca,
                              self.move_windows])()
        chaos.end()
        return chaos

    def calm_down(self):
        """What went wrong last may still be put right."""
        wait_for("the last renewals", lambda: all(
            int(r.get("not_after", 0)) / 1000
            > time.time() + LIFETIME * (95 - RENEW_PERCENT) / 100 - 1
            for r in self.records()), LIFETIME / 2 / SLOW, every=PATIENCE_S)

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
              f"reloads, {year.outages} outages, {year.moves} times moved "
              f"windows, {len(year.ca.requests)} requests, {year.observer.rounds()} rounds of the observer")

        lapses = year.observer.lapses()
        assert not lapses, explained(lapses, year)
        assert list(year.observer.downgrades(year.started)) == []
        assert year.referee.violations(share=0.5) == []
        assert year.observer.rounds() > 5 and seen[-1]["at"] > \
            time.time() - 30 * SLOW
        # Whoever left costs the CA nothing, whoever is in excess waits.
        assert year.referee.times_asked(moved) - asked <= 1
        assert all(year.referee.certificates(n) for n in year.busy)
        assert sum(o.ari for o in year.referee.orders.values()) > 0
        # And it was a year: all were renewed.
        certificates = year.observer.certificates()
        assert all(len(certificates[n]) >= 2 for n in year.names), certificates
        if not LONG:
            assert sum(chaos.done.values()) > 10
            assert year.kills + year.reloads + year.outages + year.moves > 5
    finally:
        year.end()
