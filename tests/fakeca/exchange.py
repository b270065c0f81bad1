"""One request of a client: what it is for, and what the real CA answers."""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from fakeca.boulder import Answer
from fakeca.der import unb64


@dataclass(frozen=True)
class Place:
    """What a path of the CA stands for."""

    kind: str  # as in the directory, or order finalize authz challenge ...
    names: tuple = ()
    order: str = ""


class Places:
    """Which path is what: learnt from the CA's own answers."""

    def __init__(self, directory):
        self.known = {urlsplit(directory).path: Place("directory")}

    def of(self, path):
        found = self.known.get(path)
        if found is None and "/renewalInfo/" in path:
            return Place("renewalInfo")
        return found or Place("other")

    def learn(self, url, place):
        """A path keeps its first meaning: authorizations are reused."""
        if isinstance(url, str):
            self.known.setdefault(urlsplit(url).path, place)

    def learn_directory(self, directory):
        for kind, url in directory.items():
            if isinstance(url, str):
                self.learn(url, Place(kind))

    def learn_order(self, path, order):
        names = names_in(order)
        self.learn(path, Place("order", names, path))
        self.learn(order.get("finalize"), Place("finalize", names, path))
        self.learn(order.get("certificate"), Place("certificate", names, path))
        for url in order.get("authorizations", ()):
            self.learn(url, Place("authz", names, path))

    def learn_authz(self, authz, place):
        for challenge in authz.get("challenges", ()):
            self.learn(challenge.get("url"),
                       Place("challenge", place.names, place.order))


def names_in(order):
    return tuple(sorted(i.get("value", "").lower()
                        for i in order.get("identifiers", ())))


def decoded(part):
    try:
        return json.loads(unb64(part)) if part else {}
    except ValueError:
        return {}


class Exchange:
    """A request, and the way to have it answered by the real CA."""

    def __init__(self, ca, link, method, path, headers, body):
        self.ca = ca
        self.link = link
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        place = ca.places.of(path)
        jws = {}
        if method == "POST":
            try:
                jws = json.loads(body)
            except ValueError:
                jws = {}
        self.header = decoded(jws.get("protected", ""))
        self.payload = decoded(jws.get("payload", ""))
        self.kind = place.kind
        self.order = place.order
        self.names = place.names
        if self.kind == "newOrder":
            self.names = names_in(self.payload)
        self.account = self.header.get("kid", "")
        self.denied = None  # why the referee would not allow it
        self.ari = False  # it is a renewal inside its window

    def __repr__(self):
        return f"{self.kind} {','.join(self.names)}"

    def forward(self):
        """What the CA, as we pretend it to be, answers."""
        return self.ca.pretend(self)

    def upstream(self, method=None, path=None):
        """What the real one answers; with a path: to another request."""
        if path is not None:
            return self.link.ask(method, path, self.headers, b"")
        # Pebble 2.4 locks up for ever when it looks for an authorization to use
        # again, with its store locked, while another request has locked that
        # authorization and wants the store: so it gets one request at a time.
        with self.ca.asking:
            return self.ask_upstream()

    def ask_upstream(self):
        return self.link.ask(self.method, self.path, self.headers, self.body)

    def own(self, answer):
        """An answer of our own, with what every answer of a CA brings."""
        if self.method == "POST" and not answer.get("Replay-Nonce"):
            fresh = self.upstream("HEAD", self.ca.nonce_path)
            answer.set("Replay-Nonce", fresh.get("Replay-Nonce"))
        return answer

    def json_answer(self, status, value):
        return self.own(Answer(
            status, [("Content-Type", "application/json")]).set_json(value))
