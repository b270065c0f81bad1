"""What a provider keeps: zones with records, and what they publish."""

from dataclasses import dataclass

from . import wire


@dataclass
class Record:
    """One value at a name.

    written is what the client sent, strings what is published: a tuple of
    character-strings for TXT, one text for everything else.
    """

    id: object
    name: str
    kind: str
    ttl: int
    written: object
    strings: tuple

    @property
    def quoted(self):
        """The value as zone files have it."""
        if self.kind != "TXT":
            return self.strings[0]
        return " ".join(wire.quote(s) for s in self.strings)

    @property
    def value(self):
        return "".join(self.strings)


def published(records):
    """{(name, type): (ttl, (text, ...))} of records."""
    sets = {}
    for r in records:
        ttl, texts = sets.get((r.name, r.kind), (r.ttl, ()))
        sets[r.name, r.kind] = (ttl, texts + (r.quoted,))
    return sets


class Zone:
    """A zone of an account.

    lines are records, "NAME TTL TYPE DATA" with names relative to the zone and
    "@" for itself.  served: the name servers have it (a zone that was made but
    not delegated is in the account only); private: seen by no public resolver;
    active: as opposed to pending or suspended.
    """

    def __init__(self, name, *lines, served=True, private=False, active=True):
        self.name = name.lower().rstrip(".")
        self.served = served and not private and active
        self.private = private
        self.active = active
        self.id = None
        self.records = []
        self.lines = lines

    def fill(self, make):
        """Turn the lines into records, by make(name, type, ttl, data)."""
        for line in self.lines:
            name, ttl, kind, data = line.split(None, 3)
            self.records.append(make(self.absolute(name), kind, int(ttl), data))

    def absolute(self, relative):
        """The full name; "" and "@" are the zone itself."""
        relative = relative.lower().rstrip(".")
        return self.name if relative in ("", "@") else f"{relative}.{self.name}"

    def relative(self, name, apex="@"):
        return apex if name == self.name else name[:-len(self.name) - 1]

    def holds(self, name):
        return name == self.name or name.endswith("." + self.name)

    def set_of(self, name, kind):
        return [r for r in self.records if r.name == name and r.kind == kind]

    def replace(self, name, kind, records):
        """Put records where the set of that name and type is."""
        self.records = [r for r in self.records
                        if (r.name, r.kind) != (name, kind)] + list(records)

    def has_cname_beside(self, name, kind):
        """A CNAME must be alone."""
        other = [r.kind for r in self.records if r.name == name]
        return "CNAME" in other if kind != "CNAME" else any(
            k != "CNAME" for k in other)

    def by_id(self, ident):
        return next((r for r in self.records if r.id == ident), None)


def zones_of(given):
    """Zones from {"name": [lines]}, or from names and Zones in a row."""
    if isinstance(given, dict):
        return [Zone(name, *lines) for name, lines in given.items()]
    return [z if isinstance(z, Zone) else Zone(z) for z in given]
