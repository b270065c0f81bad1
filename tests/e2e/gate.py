"""Between a node and its Redis: what is under way can be held back, and arrives
when the world has gone on."""

import contextlib
import socket
import threading
import time

from harness import SLOW
from relay import Relay

LEASE = b"\r\ncertfleet_lease\r\n"


class Gate(Relay):
    """What is held is not lost, whatever becomes of the connection meanwhile.

    From the node: a turn's commands, from the one on that has the words we wait
    for.  From Redis: what comes by the connection that leases are asked for by.
    """

    def __init__(self, path, to):
        self.wanted = []
        self.muted = False
        self.held = threading.Event()
        self.opened = threading.Event()
        self.done = threading.Event()  # the answer is not waited for any more
        self.late = None  # the connection to Redis on which something was
        self.answer = b""  # what Redis had to say to it
        self.leases = set()  # the connections by which leases are asked for
        self.lease_at = 0  # when one was, last
        super().__init__(path, to)

    def begin(self):
        self.answer = b""
        for event in (self.held, self.opened, self.done):
            event.clear()

    def hold(self, *args):
        """The next command with these arguments does not arrive."""
        self.begin()
        self.wanted = [b"\r\n%s\r\n" % arg.encode() for arg in args]

    def mute(self):
        """The next lease is granted, and nobody hears of it."""
        self.begin()
        self.muted = True

    def open(self):
        self.wanted, self.muted = [], False
        self.opened.set()

    def end(self):
        self.open()
        self.done.set()

    def close(self):
        self.end()
        super().close()

    def from_node(self, data, redis):
        if LEASE in data:
            self.leases.add(redis)
            self.lease_at = time.monotonic()
        wanted = self.wanted
        late = wanted and all(w in data for w in wanted)
        if late:
            self.wanted = []
            self.late = redis
            self.held.set()
            self.opened.wait()
        redis.sendall(data)
        if late:
            self.done.wait(20 * SLOW)

    def from_redis(self, data, redis, node):
        if self.muted and redis in self.leases:
            self.held.set()
            self.opened.wait()
        if redis is self.late:
            self.answer += data
        node.sendall(data)

    def carry(self, source, target):
        node = source.getsockname() == str(self.socket)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if node:
                    self.from_node(data, target)
                else:
                    self.from_redis(data, source, target)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
