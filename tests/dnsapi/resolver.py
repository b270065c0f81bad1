"""A resolver that knows the authoritative servers, for the CA and for us.

It follows CNAMEs from zone to zone and caches nothing, unless it is told to
remember what is not there.  Names in none of the zones go to another server,
or do not exist.
"""

import contextlib
import socket
import threading
import time

from harness import Failed, free_port

from . import wire

_CNAMES_MAX = 16


class Resolver:
    """Answers at 127.0.0.1:port, by UDP and TCP, until stop().

    servers     the NameServers
    upstream    (host, port) of who knows other names, or None
    negative_s  how long it remembers that something is not there
    order       which server it asks first: the last one, which is the one that
                tests let lag, so that nobody gets away with asking only one

    questions is a list of (name, type) as they came.
    """

    def __init__(self, servers, upstream=None, negative_s=0, order="last"):
        self.servers = servers
        self.upstream = upstream
        self.negative_s = negative_s
        self.order = order
        self.questions = []
        self.missing = {}
        self.ending = threading.Event()
        self.host = "127.0.0.1"
        for left in reversed(range(5)):
            self.port = free_port()
            self.udp = socket.socket(type=socket.SOCK_DGRAM)
            self.tcp = socket.socket()
            try:
                self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.udp.bind((self.host, self.port))
                self.tcp.bind((self.host, self.port))
                break
            except OSError as e:
                self.udp.close()
                self.tcp.close()
                if not left:
                    raise Failed(f"no port for the resolver: {e}") from e
        self.tcp.listen()
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ending.set()
        # A thread in accept() or recv() does not see a close().
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError), \
                socket.socket(type=socket.SOCK_DGRAM) as s:
            s.sendto(b"", (self.host, self.port))
        self.tcp.close()

    def ask(self, name, kind, **how):
        return wire.ask(name, kind, (self.host, self.port), recurse=True, **how)

    def asked(self, name, kind):
        """How often somebody wanted to know that."""
        return self.questions.count((name.lower(), kind))

    def _serve_udp(self):
        with self.udp:
            while not self.ending.is_set():
                data, peer = self.udp.recvfrom(65535)
                threading.Thread(target=self._answer_udp, args=(data, peer),
                                 daemon=True).start()

    def _answer_udp(self, data, peer):
        with contextlib.suppress(wire.Malformed, OSError):
            question = wire.parse(data)
            reply = self.reply(question)
            if len(reply.to_wire()) > (question.edns or 512):
                reply.flags |= wire.TRUNCATED
                reply.answer, reply.authority = [], []
            self.udp.sendto(reply.to_wire(), peer)

    def _serve_tcp(self):
        while not self.ending.is_set():
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_tcp, args=(s,),
                             daemon=True).start()

    def _answer_tcp(self, s):
        with s, contextlib.suppress(wire.Malformed, OSError):
            s.settimeout(30)
            while data := wire.receive_tcp(s):
                wire.send_tcp(s, self.reply(wire.parse(data)).to_wire())

    def reply(self, question):
        self.questions.append((question.name, question.kind))
        reply = wire.Message(
            question.id, wire.RESPONSE | wire.RECURSES
            | question.flags & wire.RECURSE, name=question.name,
            kind=question.kind, edns=question.edns and wire.EDNS_SIZE)
        try:
            self.resolve(question.name, question.kind, reply)
        except OSError:
            reply.rcode, reply.answer = wire.SERVFAIL, []
        return reply

    def resolve(self, name, kind, reply):
        """Fill in the reply, following CNAMEs."""
        for _ in range(_CNAMES_MAX):
            known = self.look(name, kind)
            reply.rcode = known.rcode
            reply.answer += known.answer
            reply.authority = known.authority
            targets = {r.name: r.text for r in known.answer
                       if r.kind == "CNAME"}
            while name in targets:
                name = targets.pop(name)
            if not targets and kind != "CNAME" and known.answer and not any(
                    r.name == name for r in known.answer):
                continue
            return
        reply.rcode, reply.answer = wire.SERVFAIL, []

    def look(self, name, kind):
        """What the servers of the name's zone say, or have said."""
        until, known = self.missing.get((name, kind), (0, None))
        if time.monotonic() < until:
            return known
        zone = self.servers.zone_of(name)
        if not zone:
            if not self.upstream:
                return wire.Message(rcode=wire.NXDOMAIN)
            return wire.ask(name, kind, self.upstream, recurse=True)
        servers = list(self.servers.servers)
        if self.order == "last":
            servers.reverse()
        for server in servers:
            with contextlib.suppress(OSError):
                known = server.ask(name, kind, timeout=1)
                if known.rcode in (wire.NOERROR, wire.NXDOMAIN):
                    break
        else:
            raise OSError(f"no server of {zone} answers")
        if self.negative_s and not known.answer:
            self.missing[name, kind] = (
                time.monotonic() + self.negative_s, known)
        return known
