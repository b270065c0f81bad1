"""What was really asked and issued, judged as Boulder would.

Boulder's limits are token buckets; here they are sliding windows of the same
size, which is the stricter reading ("never 51 in any 7 days").  Exempt are, as
there: renewals with an accepted `replaces` inside the window (from all but the
exact set), and sets issued before (from orders per account and certificates per
domain).  Windows are in seconds, so that a compressed year can have short ones.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

HOUR = 3600
DAY = 24 * HOUR


@dataclass
class Limits:
    """(how many, in how many seconds)"""

    orders: tuple = (300, 3 * HOUR)
    domain: tuple = (50, 7 * DAY)
    exact: tuple = (5, 7 * DAY)
    failures: tuple = (5, HOUR)
    renewal_s: float = 120 * DAY  # a set issued in that time is a renewal
    overrides: dict = field(default_factory=dict)  # domain: how many

    def of_domain(self, domain):
        many, window = self.domain
        return self.overrides.get(domain, many), window


@dataclass
class Order:
    id: str
    account: str
    names: tuple
    at: float
    exempt: bool  # from limits of orders and domains
    ari: bool  # from all limits that are checked before
    issued_at: float = 0
    leaf: object = None
    spoiled: bool = False  # the client got something else instead


class Window:
    """Moments, and how many of them the window before a moment held."""

    def __init__(self):
        self.at = []

    def add(self, at):
        self.at.append(at)

    def count(self, at, window):
        return sum(1 for t in self.at if at - window < t <= at)

    def free_at(self, at, many, window):
        """When one more would be allowed."""
        recent = sorted(t for t in self.at if at - window < t <= at)
        return at if len(recent) < many else recent[-many] + window


class Referee:
    def __init__(self, limits=None, enforce=False, suffixes=("test",),
                 clock=time.time):
        self.limits = limits or Limits()
        self.enforce = enforce
        self.suffixes = tuple(suffixes)
        self.clock = clock
        self.lock = threading.RLock()
        self.orders = {}
        self.sets = defaultdict(list)  # names: their orders
        self.asked = []  # (at, account, names, what became of it)
        self.told = []  # (what, until, since): when we said "not before"
        self.found = []
        self.wanted = []  # (name, at): the CA wants another certificate
        self.windows = defaultdict(Window)

    # --- names ---------------------------------------------------------

    def registered_domain(self, name):
        """One label more than the longest public suffix."""
        labels = name.removeprefix("*.").split(".")
        for i in range(len(labels)):
            if ".".join(labels[i:]) in self.suffixes:
                return ".".join(labels[max(0, i - 1):])
        return ".".join(labels[-2:])

    def domains(self, names):
        return sorted({self.registered_domain(n) for n in names})

    # --- what happens --------------------------------------------------

    def violation(self, text):
        with self.lock:
            self.found.append(text)

    def issued_before(self, names, at):
        return any(o.issued_at and at - self.limits.renewal_s < o.issued_at
                   for o in self.sets[names])

    def wants(self, account, names, ari=False):
        """newOrder arrives.  (anchor, domain or name, seconds) or None."""
        now = self.clock()
        with self.lock:
            self.asked.append((now, account, names))
            self._was_it_told_to_wait(now, account, names)
            failures = self._failures(account, names, now)
            if failures and not ari:
                self.violation(f"{names} was ordered with {failures} failed "
                               "authorizations in the window")
            if ari or not self.enforce:
                return None
            return self._denied(account, names, now)

    def _was_it_told_to_wait(self, now, account, names):
        keys = {account, *names, *self.domains(names)}
        for what, until, since in self.told:
            # One that was under way when the other was refused is no crime.
            if what in keys and since + 1 < now < until - 1:
                self.violation(
                    f"{names} was ordered {until - now:.1f} s before the time "
                    f"that the CA had told for {what}")

    def tell(self, what, seconds):
        """The CA has said: not for what (account, name, domain) before."""
        now = self.clock()
        with self.lock:
            self.told.append((what, now + seconds, now))

    def due(self, name):
        """The CA has moved the window: a certificate is due before its time."""
        with self.lock:
            self.wanted.append((name, self.clock()))

    def _failures(self, account, names, now):
        many, window = self.limits.failures
        return max((n for n in (
            self.windows["failures", account, name].count(now, window)
            for name in names) if n >= many), default=0)

    def _denied(self, account, names, now):
        checks = [("new-certificates-per-exact-set-of-identifiers",
                   ("exact", names), self.limits.exact, names[0])]
        if not self.issued_before(names, now):
            checks += [("new-orders-per-account", ("orders", account),
                        self.limits.orders, account)]
            checks += [("new-certificates-per-registered-domain",
                        ("domain", d), self.limits.of_domain(d), d)
                       for d in self.domains(names)]
        checks += [("authorization-failures-per-identifier-per-account",
                    ("failures", account, n), self.limits.failures, n)
                   for n in names]
        worst = max(
            ((self.windows[key].free_at(now, *limit) - now, anchor, what)
             for anchor, key, limit, what in checks), key=lambda c: c[0])
        return (worst[1], worst[2], worst[0]) if worst[0] > 0 else None

    def ordered(self, order, account, names, ari=False):
        """The CA made an order, or gave one that it had made before."""
        now = self.clock()
        with self.lock:
            exempt = ari or self.issued_before(names, now)
            if not exempt:
                self._spend("orders", account, now, self.limits.orders)
            if order not in self.orders:
                self.orders[order] = Order(
                    order, account, names, now, exempt, ari)
                self.sets[names].append(self.orders[order])

    def failed(self, account, name):
        """An authorization became invalid."""
        with self.lock:
            self.windows["failures", account, name].add(self.clock())

    def issued(self, order):
        """The CA signed a certificate: this is when Boulder spends."""
        now = self.clock()
        with self.lock:
            o = self.orders.get(order)
            if o is None or o.issued_at:
                return
            self._spend("exact", o.names, now, self.limits.exact)
            if not o.exempt:
                for domain in self.domains(o.names):
                    self._spend("domain", domain, now,
                                self.limits.of_domain(domain))
            o.issued_at = now

    def delivered(self, order, leaf):
        """The client was sent the certificate, as the CA made it."""
        with self.lock:
            if order in self.orders:
                self.orders[order].leaf = leaf
                self.orders[order].spoiled = False

    def spoil(self, order):
        """On its way it became another one."""
        with self.lock:
            if order in self.orders:
                self.orders[order].spoiled = True

    def _spend(self, kind, key, now, limit):
        window = self.windows[kind, key]
        window.add(now)
        n = window.count(now, limit[1])
        if n > limit[0]:
            self.violation(f"{kind} {key}: {n} in {limit[1]:.0f} s, "
                           f"{limit[0]} are allowed")

    # --- the verdict ---------------------------------------------------

    def of(self, name):
        """The orders of a name, oldest first."""
        with self.lock:
            return sorted((o for o in self.orders.values()
                           if name in o.names), key=lambda o: o.at)

    def certificates(self, name):
        return [o for o in self.of(name) if o.issued_at]

    def times_asked(self, name):
        with self.lock:
            return sum(1 for _, _, names in self.asked if name in names)

    def too_early(self, share):
        """Certificates for a set that had one in the first share of its life.

        One that was spoiled on its way was never there.
        """
        sets = defaultdict(list)
        with self.lock:
            for o in self.orders.values():
                if o.issued_at:
                    sets[o.names].append(o)
        for names, orders in sets.items():
            orders.sort(key=lambda o: o.issued_at)
            for old, new in zip(orders, orders[1:]):
                if old.leaf is None:
                    yield (f"{names}: issued, never taken by the client, and "
                           f"issued again after "
                           f"{new.issued_at - old.issued_at:.1f} s")
                elif any(name in names and old.issued_at < at <= new.issued_at
                         for name, at in self.wanted):
                    continue
                elif not old.spoiled and new.at < \
                        old.leaf.not_before + share * old.leaf.lifetime:
                    yield (f"{names}: issued again after "
                           f"{new.at - old.leaf.not_before:.1f} s of "
                           f"{old.leaf.lifetime:.0f} s")

    def violations(self, share=0.5):
        """Every limit that was exceeded and every needless certificate."""
        with self.lock:
            return self.found + list(self.too_early(share))
