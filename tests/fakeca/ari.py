"""Renewal windows (RFC 9773), which people may move."""

import json
import threading
import time
from dataclasses import dataclass

from fakeca.boulder import Answer, problem


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + \
        f".{int(at % 1 * 1000):03d}Z"


@dataclass
class Window:
    start: float
    end: float
    explanation: str = ""

    def holds(self, at):
        return self.start <= at < self.end


class Windows:
    """What renewalInfo says of each certificate.

    By itself as Boulder: two thirds of the lifetime, a hundredth either way.
    """

    share = 2 / 3
    width = 1 / 100

    def __init__(self, retry_s=21600):
        self.retry_s = retry_s
        self.lock = threading.Lock()
        self.leaves = {}  # certid: Leaf
        self.moved = {}  # certid: Window
        self.replaced = {}  # certid: order
        self.asked = []

    def know(self, leaf):
        with self.lock:
            self.leaves[leaf.certid] = leaf

    def of(self, certid):
        with self.lock:
            leaf = self.leaves.get(certid)
            if leaf is None:
                return None
            ideal = leaf.not_before + leaf.lifetime * self.share
            return self.moved.get(certid) or Window(
                ideal - leaf.lifetime * self.width,
                ideal + leaf.lifetime * self.width)

    def move(self, name, start, end, explanation=""):
        """From now on, of the newest certificate that names this name."""
        with self.lock:
            mine = [leaf for leaf in self.leaves.values() if name in leaf.names]
            newest = max(mine, key=lambda leaf: leaf.not_before)
            self.moved[newest.certid] = Window(start, end, explanation)

    def answer(self, certid):
        """To GET renewalInfo/certid."""
        window = self.of(certid)
        with self.lock:
            self.asked.append(certid)
        if window is None:
            return problem(404, "malformed", "Certificate not found")
        said = {"suggestedWindow": {"start": stamp(window.start),
                                    "end": stamp(window.end)}}
        if window.explanation:
            said["explanationURL"] = window.explanation
        return Answer(200, [("Content-Type", "application/json"),
                            ("Retry-After", str(self.retry_s))],
                      json.dumps(said).encode())

    def refusal(self, certid, names):
        """Why `replaces` is not accepted, or None."""
        with self.lock:
            leaf = self.leaves.get(certid)
            if leaf is None:
                return problem(404, "malformed",
                               "Could not find an order to replace")
            if not set(leaf.names) & set(names):
                return problem(400, "malformed", "Certificate replaced by "
                               "this order has no identifier in common")
            if certid in self.replaced:
                return problem(
                    409, "alreadyReplaced", f"Cannot indicate an order "
                    f"replaces certificate {certid}, which already has a "
                    f"replacement order")
        return None

    def replace(self, certid, order):
        with self.lock:
            self.replaced[certid] = order

    def unreplace(self, order):
        """An order that became invalid replaces nothing."""
        with self.lock:
            self.replaced = {c: o for c, o in self.replaced.items()
                             if o != order}
