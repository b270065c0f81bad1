"""Between the agent and its Redis: a line that can go bad."""

import contextlib
import os
import signal
import socket
import threading
import time

# How Redis may be: as it should, stopped in its tracks, accepting and saying
# nothing, or a byte at a time.
TROUBLES = ("stopped", "silent", "trickling")


class Relay:
    """A unix socket that leads to another.  mode: well, silent or trickling."""

    def __init__(self, path, to):
        self.socket = path
        self.to = to
        self.mode = "well"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self.listener.accept()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(str(self.to))
                except OSError:
                    near.close()
                    continue
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=pair,
                                     daemon=True).start()

    def carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.mode == "silent":
                    time.sleep(0.01)
                while data and self.mode == "trickling":
                    target.sendall(data[:1])
                    data = data[1:]
                    time.sleep(0.2)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        os.unlink(self.socket)


@contextlib.contextmanager
def trouble(kind, redis, relay):
    """The line, or the Redis behind it, is bad meanwhile."""
    if kind == "stopped":
        redis.signal(signal.SIGSTOP)
    else:
        relay.mode = kind
    try:
        yield
    finally:
        relay.mode = "well"
        if kind == "stopped":
            redis.signal(signal.SIGCONT)
