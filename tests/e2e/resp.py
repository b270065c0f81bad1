"""A Redis connection in the smallest form: enough to ask and to look."""
import socket


class Error(Exception):
    """An error reply; word is its first one."""

    def __init__(self, text):
        super().__init__(text)
        self.word = text.split(" ", 1)[0]


class Resp:
    def __init__(self, path=None, host="127.0.0.1", port=6379, timeout=10,
                 tls=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(path))
        else:
            self.socket = socket.create_connection((host, port), timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *args):
        out = b"*%d\r\n" % len(args)
        for arg in args:
            arg = arg if isinstance(arg, bytes) else str(arg).encode()
            out += b"$%d\r\n%s\r\n" % (len(arg), arg)
        self.socket.sendall(out)

    def read(self, raw=False):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Error(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        n = int(rest)
        if n == -1:
            return None
        if kind == b"*":
            return [self.read(raw) for _ in range(n)]
        value = self.file.read(n + 2)[:-2]
        return value if raw else value.decode("utf-8", "surrogateescape")

    def __call__(self, *args, raw=False):
        """Send a command and return its reply; raw: strings as bytes."""
        self.send(*args)
        return self.read(raw)

    def fcall(self, function, keys, *args, raw=False):
        return self("FCALL", function, len(keys), *keys, *args, raw=raw)

    def hash(self, key):
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))
