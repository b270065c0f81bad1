"""DNS messages as far as tests need them: RFC 1035, EDNS (6891).

Names are text in lower case without the dot at the end; "" is the root.  What
a record says is text as in a zone file, except where a client has to pass it
on unread.
"""

import ipaddress
import itertools
import socket
import struct
from dataclasses import dataclass, field

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16,
         "AAAA": 28, "OPT": 41, "ANY": 255, "CAA": 257}
NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
RESPONSE, AUTHORITATIVE, TRUNCATED = 0x8000, 0x0400, 0x0200
RECURSE, RECURSES = 0x0100, 0x0080
EDNS_SIZE = 1232
_IN = 1
_ids = itertools.count(1)


class Malformed(ValueError):
    """Bytes that are no DNS message."""


def name_to_wire(name):
    labels = [x.encode() for x in name.rstrip(".").split(".") if x]
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


def name_from_wire(data, at):
    """The name there and where it ends."""
    labels, end, jumps = [], None, 0
    while True:
        n = data[at]
        if n >= 0xC0:
            end = end or at + 2
            at = (n & 0x3F) << 8 | data[at + 1]
            jumps += 1
            if jumps > 64:
                raise Malformed("pointers in circles")
            continue
        at += 1
        if n == 0:
            return ".".join(labels).lower(), end or at
        labels.append(data[at:at + n].decode("latin-1"))
        at += n


def quote(text):
    """One character-string as zone files have it."""
    out = []
    for c in text:
        if c in '"\\':
            out.append("\\" + c)
        elif " " <= c <= "~":
            out.append(c)
        else:
            out.append("".join(f"\\{b:03d}" for b in c.encode("latin-1")))
    return '"' + "".join(out) + '"'


def unquote(text):
    """The character-strings of '"a" "b"'; anything else is one, literally.

    Literal text longer than a character-string can be is cut into several.
    """
    text = text.strip()
    if not text.startswith('"'):
        return tuple(text[i:i + 255] for i in range(0, len(text), 255)) or ("",)
    strings, at = [], 0
    while at < len(text):
        if text[at] != '"':
            at += 1
            continue
        at += 1
        piece = []
        while at < len(text) and text[at] != '"':
            if text[at] == "\\" and text[at + 1:at + 4].isdigit():
                piece.append(chr(int(text[at + 1:at + 4])))
                at += 4
            elif text[at] == "\\":
                piece.append(text[at + 1:at + 2])
                at += 2
            else:
                piece.append(text[at])
                at += 1
        at += 1
        strings.append("".join(piece))
    return tuple(strings)


def _data_to_text(kind, data):
    if kind == "TXT":
        strings, at = [], 0
        while at < len(data):
            strings.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
            at += 1 + data[at]
        return " ".join(quote(s) for s in strings)
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(data))
    if kind in ("CNAME", "NS"):
        return name_from_wire(data, 0)[0]
    if kind == "SOA":
        mname, at = name_from_wire(data, 0)
        rname, at = name_from_wire(data, at)
        return " ".join([mname, rname, *map(str, struct.unpack_from("!5I", data, at))])
    return data.hex()


@dataclass
class Record:
    name: str
    kind: str
    ttl: int
    data: bytes
    klass: int = _IN

    @property
    def text(self):
        return _data_to_text(self.kind, self.data)

    @property
    def value(self):
        """Of a TXT record: its strings joined."""
        return "".join(unquote(self.text))

    def to_wire(self):
        return name_to_wire(self.name) + struct.pack(
            "!HHIH", TYPES.get(self.kind) or int(self.kind), self.klass,
            self.ttl, len(self.data)) + self.data


@dataclass
class Message:
    id: int = 0
    flags: int = 0
    rcode: int = 0
    name: str = ""
    kind: str = "A"
    klass: int = _IN
    answer: list = field(default_factory=list)
    authority: list = field(default_factory=list)
    additional: list = field(default_factory=list)
    edns: int = 0  # the sender's UDP size; 0: speaks no EDNS

    @property
    def truncated(self):
        return bool(self.flags & TRUNCATED)

    def to_wire(self):
        additional = list(self.additional)
        if self.edns:
            additional.append(Record("", "OPT", 0, b"", self.edns))
        sections = (self.answer, self.authority, additional)
        head = struct.pack("!6H", self.id, self.flags | self.rcode, 1,
                           *map(len, sections))
        question = name_to_wire(self.name) + struct.pack(
            "!HH", TYPES.get(self.kind) or int(self.kind), self.klass)
        return head + question + b"".join(
            r.to_wire() for section in sections for r in section)


def _record(data, at):
    name, at = name_from_wire(data, at)
    number, klass, ttl, n = struct.unpack_from("!HHIH", data, at)
    at += 10
    kind = NAMES.get(number, str(number))
    raw = data[at:at + n]
    # Names in there may point to elsewhere in this message: not in ours.
    if kind in ("CNAME", "NS"):
        raw = name_to_wire(name_from_wire(data, at)[0])
    elif kind == "MX":
        raw = raw[:2] + name_to_wire(name_from_wire(data, at + 2)[0])
    elif kind == "SOA":
        mname, next_at = name_from_wire(data, at)
        rname, next_at = name_from_wire(data, next_at)
        raw = (name_to_wire(mname) + name_to_wire(rname)
               + data[next_at:next_at + 20])
    return Record(name, kind, ttl, raw, klass), at + n


def parse(data):
    """The message these bytes are."""
    try:
        ident, flags, nquestions, *counts = struct.unpack_from("!6H", data)
        m = Message(ident, flags & ~0xF, flags & 0xF)
        at = 12
        if nquestions != 1:
            raise Malformed(f"{nquestions} questions")
        m.name, at = name_from_wire(data, at)
        number, m.klass = struct.unpack_from("!HH", data, at)
        m.kind = NAMES.get(number, str(number))
        at += 4
        for section, n in zip((m.answer, m.authority, m.additional), counts):
            for _ in range(n):
                record, at = _record(data, at)
                if record.kind == "OPT":
                    m.edns = max(512, record.klass)
                else:
                    section.append(record)
        return m
    except (struct.error, IndexError, ValueError) as e:
        raise Malformed(str(e)) from e


def _exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise OSError("the other side has closed")
        data += more
    return data


def receive_tcp(s):
    """The next message of a TCP connection, b"" at its end."""
    first = s.recv(1)
    if not first:
        return b""
    return _exactly(s, struct.unpack("!H", first + _exactly(s, 1))[0])


def send_tcp(s, data):
    s.sendall(struct.pack("!H", len(data)) + data)


def exchange(message, address, timeout=2.0, tcp=False):
    """Send to (host, port), return the reply.  OSError when there is none."""
    message.id = next(_ids) & 0xFFFF
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(family, kind) as s:
        s.settimeout(timeout)
        s.connect(address)
        if tcp:
            send_tcp(s, message.to_wire())
        else:
            s.send(message.to_wire())
        while True:
            reply = parse(receive_tcp(s) if tcp else s.recv(65535))
            if reply.id == message.id:
                return reply


def ask(name, kind, address, timeout=2.0, recurse=False, tcp=None,
        edns=EDNS_SIZE):
    """Ask; by TCP when UDP was too small (tcp None), always, or never."""
    question = Message(name=name.rstrip(".").lower(), kind=kind, edns=edns,
                       flags=RECURSE if recurse else 0)
    reply = exchange(question, address, timeout, bool(tcp))
    if tcp is None and reply.truncated:
        reply = exchange(question, address, timeout, True)
    return reply
