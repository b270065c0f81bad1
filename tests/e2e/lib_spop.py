"""An agent under test with what is around it, and HAProxy's end of SPOP."""

import os
import re
import shlex
import socket
import urllib.error
import urllib.request

from harness import ROOT, Process, answers_tcp, answers_unix, built, free_port
from harness import program, wait_for
from resp import Resp

FRAMES = ROOT / "tests" / "frames"
CONF = ROOT / "haproxy" / "conf"
PREFIX = "certfleet:"
THUMBPRINT = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
PATH = "/.well-known/acme-challenge/"

HELLO, DISCONNECT, NOTIFY = 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103


def frame_file(name):
    """The bytes of tests/frames/name.hex."""
    lines = (FRAMES / f"{name}.hex").read_text().splitlines()
    return bytes.fromhex("".join(x for x in lines if not x.startswith("#")))


def varint(v):
    if v < 240:
        return bytes([v])
    out = [v & 0xff | 0xf0]
    v = (v - 240) >> 4
    while v >= 128:
        out.append(v & 0xff | 0x80)
        v = (v - 128) >> 7
    return bytes(out + [v])


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return varint(len(raw)) + raw


def frame(kind, payload=b"", stream=0, number=0, flags=1):
    body = bytes([kind]) + flags.to_bytes(4, "big") + varint(stream) \
        + varint(number) + payload
    return len(body).to_bytes(4, "big") + body


def notify(path, stream=1, number=1):
    return frame(NOTIFY, string("http01") + b"\x03"
                 + string("host") + b"\x08" + string("shop.example")
                 + string("path") + b"\x08" + string(path)
                 + string("src") + b"\x06\x7f\0\0\1", stream, number)


class Peer:
    """A connection to the agent, as HAProxy would make it."""

    def __init__(self, where, hello=True):
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), 5)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(5)
            self.socket.connect(str(where))
        self.file = self.socket.makefile("rb")
        if hello:
            self.send(frame_file("haproxy-2.6-hello"))
            kind, _ = self.read()
            assert kind == AGENT_HELLO

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next frame's type and what follows its flags; None at the end."""
        head = self.file.read(4)
        if not head:
            return None
        body = self.file.read(int.from_bytes(head, "big"))
        assert body[1:5] == b"\0\0\0\1"
        return body[0], body[5:]

    def ask(self, token, stream=1):
        """found, none or error, with the key authorization."""
        self.send(notify(PATH + token, stream))
        return self.answer()

    def answer(self):
        kind, rest = self.read()
        assert kind == ACK
        actions = rest[2:]
        if not actions:
            return "none", ""
        assert actions[:3] == b"\x01\x03\x02"
        if actions[3:] == string("error") + b"\x03\x01":
            return "error", ""
        name = string("keyauth") + b"\x08"
        assert actions[3:].startswith(name)
        value = actions[3 + len(name):]
        assert value[0] == len(value) - 1
        return "found", value[1:].decode()

    def status(self):
        """The status of the DISCONNECT that must be next, and the end."""
        kind, rest = self.read()
        assert kind == AGENT_DISCONNECT
        start = b"\0\0" + string("status-code") + b"\x03"
        assert rest.startswith(start)
        assert self.read() is None
        return rest[len(start)]

    def close(self):
        self.file.close()
        self.socket.close()


class Redis(Process):
    def __init__(self, directory):
        super().__init__("redis", directory)
        self.socket = self.dir / "redis.sock"

    def start(self):
        self.spawn(program("redis-server"), "--port", "0", "--unixsocket",
                   self.socket, "--save", "", "--appendonly", "no")
        self.wait_ready(lambda: answers_unix(self.socket))

    def do(self, *args):
        client = Resp(self.socket)
        try:
            return client(*args)
        finally:
            client.close()

    def gets(self):
        """How many GETs it has answered."""
        found = re.search(r"cmdstat_get:calls=(\d+)", self.do("INFO", "commandstats"))
        return int(found[1]) if found else 0

    def put(self, token, publish=True, value=None):
        """A challenge as the leader publishes it."""
        value = value or f"{token}.{THUMBPRINT}"
        self.do("SET", f"{PREFIX}challenge:{token}", value, "EX", 600)
        if publish:
            self.do("PUBLISH", f"{PREFIX}challenges", f"{token} {value}")
        return value

    def withdraw(self, token):
        self.do("DEL", f"{PREFIX}challenge:{token}")
        self.do("PUBLISH", f"{PREFIX}challenges", token)

    def listeners(self):
        return int(self.do("PUBSUB", "NUMSUB", f"{PREFIX}challenges")[1])


class Agent(Process):
    def __init__(self, directory, redis, log_level="debug", **settings):
        super().__init__("agent", directory)
        self.log_level = log_level
        self.redis = redis
        self.port = free_port()
        self.socket = self.dir / "agent.sock"
        self.conf = self.dir / "certfleet.conf"
        self.state = self.dir / "state"
        self.state.mkdir(exist_ok=True)
        self.settings = settings

    def write_conf(self):
        more = "".join(f"\t{k} = {v}\n" for k, v in self.settings.items())
        self.conf.write_text(
            f'state_dir = "{self.state}"\nrun_dir = "{self.dir}"\n'
            f'log_level = "{self.log_level}"\n'
            f'redis {{ url = "unix:{self.redis.socket}" }}\n'
            f'agent {{\n\tlisten = {{ "127.0.0.1:{self.port}", '
            f'"unix:{self.socket}" }}\n{more}}}\n')

    def start(self, wait=True):
        self.write_conf()
        self.spawn(built("certfleet-agent"), "-f", self.conf)
        if wait:
            self.wait_ready(lambda: answers_tcp("127.0.0.1", self.port))

    def await_redis(self):
        """It listens to published challenges."""
        wait_for("the agent's subscription",
                 lambda: self.redis.listeners() > 0, explain=self.tail)

    def peer(self, hello=True):
        return Peer(self.port, hello)

    def ask(self, token):
        peer = self.peer()
        try:
            return peer.ask(token)
        finally:
            peer.close()


class HAProxy(Process):
    """HAProxy with the two backends of the shipped configuration."""

    def __init__(self, directory, agent):
        super().__init__("haproxy", directory)
        self.agent = agent
        self.port = free_port()
        # Another HAProxy than the installed one: a command, with arguments.
        self.command = shlex.split(os.environ.get("CERTFLEET_HAPROXY", "")) \
            or [program("haproxy")]

    def section(self, name):
        text = (CONF / "haproxy.cfg").read_text()
        return re.search(rf"^backend {name}\n(?:[ \t].*\n|\n)*", text, re.M)[0]

    def shipped(self):
        """The two backends and the SPOE engine, with our ports and paths."""
        engine = self.dir / "spoe-certfleet.conf"
        engine.write_text((CONF / "spoe-certfleet.conf").read_text())
        text = self.section("certfleet_http01") + self.section("certfleet_spoa")
        text = re.sub(r"(filter spoe engine certfleet config )\S+",
                      rf"\g<1>{engine}", text)
        return re.sub(r"^(\s*server agent )\S+",
                      rf"\g<1>127.0.0.1:{self.agent.port}", text, flags=re.M)

    def start(self):
        config = self.dir / "haproxy.cfg"
        config.write_text(
            "global\n    maxconn 2000\n"
            "defaults\n    mode http\n    timeout connect 5s\n"
            "    timeout client 60s\n    timeout server 60s\n"
            f"frontend web\n    bind 127.0.0.1:{self.port}\n"
            f"    use_backend certfleet_http01 if {{ path_beg {PATH} }}\n"
            "    default_backend ordinary\n"
            "backend ordinary\n"
            "    http-request return status 200 content-type text/plain "
            'string "ordinary"\n'
            + self.shipped())
        self.spawn(*self.command, "-db", "-f", config)
        self.wait_ready(lambda: answers_tcp("127.0.0.1", self.port))

    def get(self, token, method="GET"):
        """Status, body and headers of a CA's request."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{PATH}{token}", method=method,
            headers={"Host": "shop.example"})
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return reply.status, reply.read().decode(), reply.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(), e.headers
