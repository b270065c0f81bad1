"""The proxy: connections of clients, the way to Pebble, rules in between.

Pebble takes its own name from the request's Host, and compares the URL that is
signed with it: so Host is passed on as it came, and all URLs that Pebble gives
lead to us.
"""

import contextlib
import http.client
import http.server
import random
import socket
import ssl
import threading
import time
from email.utils import formatdate
from urllib.parse import urlsplit

from fakeca import boulder
from fakeca.ari import Windows
from fakeca.boulder import Answer
from fakeca.der import leaf_of, unb64
from fakeca.exchange import Exchange, Places, names_in
from fakeca.forge import Forge
from fakeca.referee import Referee

LOOPBACK = "127.0.0.1"
HOP_BY_HOP = ("connection", "content-length", "transfer-encoding", "keep-alive")


class Rule:
    """When, and what then.  hits: how often it was so."""

    def __init__(self, kinds, action, name, times, skip, chance, dice):
        self.kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        self.action = action
        self.name = name
        self.times = times
        self.skip = skip
        self.chance = chance
        self.dice = dice
        self.hits = 0

    def takes(self, x):
        if x.kind not in self.kinds or self.hits >= self.times:
            return False
        if self.name is not None and self.name not in x.names:
            return False
        if self.chance < 1 and self.dice.random() >= self.chance:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True


class Link:
    """A connection's own connection to Pebble, kept."""

    def __init__(self, host, port, trust):
        self.where = (host, port, trust)
        self.http = None

    def ask(self, method, path, headers, body):
        fresh = self.http is None
        try:
            return self.once(method, path, headers, body)
        except (http.client.HTTPException, OSError):
            self.close()
            if fresh:
                raise
        return self.once(method, path, headers, body)

    def once(self, method, path, headers, body):
        if self.http is None:
            host, port, trust = self.where
            self.http = http.client.HTTPSConnection(
                host, port, timeout=30, context=trust)
        c = self.http
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                c.putheader(name, value)
        if body:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body or None)
        r = c.getresponse()
        raw = r.read()
        return Answer(r.status, [
            (k, v) for k, v in r.getheaders() if k.lower() not in HOP_BY_HOP],
            raw)

    def close(self):
        if self.http is not None:
            self.http.close()
        self.http = None


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    ca = None

    def setup(self):
        self.request.settimeout(30)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = self.ca.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.link = Link(LOOPBACK, self.ca.pebble.port, self.ca.trust)
        self.ca.connections.add(self.request)

    def finish(self):
        self.ca.connections.discard(self.request)
        self.link.close()
        super().finish()
        self.request.close()

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        x = Exchange(self.ca, self.link, self.command, self.path,
                     self.headers, body)
        answer = self.ca.handle(x)
        if answer is None:
            self.close_connection = True
        else:
            self.send(answer)

    do_GET = do_HEAD = do_POST = handle_any

    def send(self, answer):
        lines = [f"HTTP/1.1 {answer.status} "
                 f"{http.client.responses.get(answer.status, 'Status')}"]
        if not answer.get("Date"):
            answer.set("Date", formatdate(usegmt=True))
        lines += [f"{k}: {v}" for k, v in answer.headers]
        lines.append(f"Content-Length: {len(answer.body)}")
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if self.command != "HEAD":
            raw += answer.body
        if not answer.pace:
            self.wfile.write(raw)
            return
        step = max(1, int(answer.pace / 20))
        for at in range(0, len(raw), step):
            self.wfile.write(raw[at:at + step])
            if self.ca.stopping.wait(step / answer.pace):
                break


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that go away are daily business."""


class FakeCA:
    """See the package.  pebble: has .port, .directory; tls: .ca .cert .key."""

    def __init__(self, pebble, tls, directory, ari=False, reuse=True,
                 referee=None, seed=None):
        self.pebble = pebble
        self.referee = referee or Referee()
        self.forge = Forge(directory)
        self.windows = Windows() if ari else None
        self.reuse = reuse
        self.dice = random.Random(seed)
        self.trust = ssl.create_default_context(cafile=tls.ca)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(tls.cert, tls.key)
        self.places = Places(pebble.directory)
        self.path = urlsplit(pebble.directory).path
        self.nonce_path = None
        self.lock = threading.RLock()
        self.asking = threading.Lock()
        self.rules = []
        self.requests = []  # (at, kind, names)
        self.orders = {}  # path: the newest order object that was seen
        self.paths = {}  # names: the paths of their orders
        self.owners = {}  # path: account
        self.csrs = {}  # path of the order: DER
        self.dead_orders = {}  # path: problem
        self.dead_authzs = {}  # path: problem
        self.busy = {}  # path of the order: until
        self.challenges = {}  # path: the newest challenge object
        self.connections = set()
        self.stopping = threading.Event()
        self.server = None
        self.port = 0
        self.listen()

    # --- being there, or not -------------------------------------------

    @property
    def directory(self):
        return f"https://{LOOPBACK}:{self.port}{self.path}"

    def listen(self):
        handler = type("BoundHandler", (Handler,), {"ca": self})
        self.server = Server((LOOPBACK, self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def close(self):
        """Connections are refused from now on, and those there are cut."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def refuse(self, seconds):
        self.close()
        time.sleep(seconds)
        self.listen()

    def stop(self):
        self.stopping.set()
        self.close()

    # --- rules ---------------------------------------------------------

    def on(self, kinds, action, name=None, times=1 << 30, skip=0, chance=1):
        """From now on: action for these requests; returns the rule."""
        rule = Rule(kinds, action, name, times, skip, chance, self.dice)
        with self.lock:
            self.rules.append(rule)
        return rule

    def reset(self):
        """Behave, from now on."""
        with self.lock:
            self.rules.clear()

    def count(self, kind=None, name=None, since=0):
        """How many requests of a kind, for a name, have arrived since."""
        with self.lock:
            return sum(1 for at, k, names in self.requests
                       if at >= since and kind in (None, k)
                       and (name is None or name in names))

    def handle(self, x):
        with self.lock:
            self.requests.append((time.time(), x.kind, x.names))
            rule = next((r for r in self.rules if r.takes(x)), None)
        if x.kind == "newOrder":
            x.ari = self.within_window(x)
            # What `replaces` is refused for never comes to the limits.
            certid = x.payload.get("replaces")
            refused = certid and self.windows and \
                self.windows.refusal(certid, x.names)
            x.denied = self.referee.wants(x.account, x.names,
                                          x.ari or bool(refused))
        return rule.action(x) if rule else x.forward()

    # --- the CA that we pretend to be ----------------------------------

    def pretend(self, x):
        if x.kind == "renewalInfo" and self.windows:
            return self.windows.answer(x.path.rsplit("/", 1)[1])
        if x.kind == "newOrder":
            answer = self.refusal(x) or self.open_order(x)
            if answer:
                return x.own(answer)
        if x.kind == "finalize" and x.payload.get("csr"):
            self.csrs[x.order] = unb64(x.payload["csr"])
        answer = x.upstream()
        if answer.status < 300:
            self.learn(x, answer)
            self.overlay(x, answer)
        return answer

    def within_window(self, x):
        """Is it a renewal that is exempt from limits?"""
        certid = x.payload.get("replaces")
        if not certid or not self.windows or self.windows.refusal(
                certid, x.names):
            return False
        return self.windows.of(certid).holds(time.time())

    def refusal(self, x):
        """Of a newOrder."""
        certid = x.payload.get("replaces")
        if certid and self.windows:
            answer = self.windows.refusal(certid, x.names)
            if answer:
                return answer
        if not x.denied:
            return None
        anchor, what, seconds = x.denied
        seconds = int(seconds) + 1
        self.referee.tell(what, seconds)
        return boulder.rate_limited(anchor, seconds, name=what, domain=what)

    def open_order(self, x):
        """Boulder gives an account the order that it has for these names."""
        if not self.reuse:
            return None
        with self.lock:
            for path in self.paths.get(x.names, ()):
                order = self.orders[path]
                if order["status"] in ("pending", "ready") and \
                        self.owners.get(path) == x.account and \
                        path not in self.dead_orders and \
                        path not in self.csrs:
                    self.referee.ordered(path, x.account, x.names)
                    url = f"https://{x.headers['Host']}{path}"
                    return Answer(201, [
                        ("Content-Type", "application/json"),
                        ("Location", url)]).set_json(order)
        return None

    def learn(self, x, answer):
        """What this answer says of the CA and its orders."""
        if x.kind == "directory":
            self.places.learn_directory(answer.json)
            self.nonce_path = urlsplit(answer.json["newNonce"]).path
        elif x.kind == "newOrder":
            self.learn_new_order(x, answer)
        elif x.kind in ("order", "finalize"):
            self.learn_order(x.order, answer.json)
            if x.kind == "finalize" or answer.json["status"] == "valid":
                self.referee.issued(x.order)
        elif x.kind == "authz":
            self.learn_authz(x, answer.json)
        elif x.kind == "certificate":
            leaf = leaf_of(answer.body)
            self.referee.delivered(x.order, leaf)
            if self.windows:
                self.windows.know(leaf)

    def learn_new_order(self, x, answer):
        path = urlsplit(answer.get("Location")).path
        certid = x.payload.get("replaces")
        with self.lock:
            self.owners[path] = x.account
        if certid and self.windows:
            self.windows.replace(certid, path)
        self.learn_order(path, answer.json)
        self.referee.ordered(path, x.account, x.names, x.ari)

    def learn_order(self, path, order):
        self.places.learn_order(path, order)
        with self.lock:
            if path not in self.orders:
                self.paths.setdefault(names_in(order), []).append(path)
            self.orders[path] = order

    def learn_authz(self, x, authz):
        self.places.learn_authz(authz, self.places.of(x.path))
        with self.lock:
            for challenge in authz.get("challenges", ()):
                self.challenges[urlsplit(challenge["url"]).path] = challenge
            if authz["status"] == "invalid" and x.order in self.orders and \
                    x.order not in self.dead_orders:
                self.bury(x.order, {"type": boulder.URN + "malformed",
                                    "detail": "authorization failed"})
                self.referee.failed(x.account, x.names[0])

    def bury(self, order, problem):
        """From now on this order is invalid."""
        with self.lock:
            self.dead_orders[order] = problem
        if self.windows:
            self.windows.unreplace(order)

    def overlay(self, x, answer):
        """The truth as Pebble has it, and what we want it to be."""
        if x.kind == "directory" and self.windows:
            base = f"https://{x.headers['Host']}"
            answer.set_json({**answer.json,
                             "renewalInfo": f"{base}/renewalInfo"})
        elif x.kind in ("order", "finalize"):
            self.overlay_order(x, answer)
        elif x.kind == "authz" and x.path in self.dead_authzs:
            error = self.dead_authzs[x.path]
            authz = {**answer.json, "status": "invalid"}
            authz["challenges"] = [
                {**c, "status": "invalid", "error": error}
                for c in authz["challenges"] if c["type"] == "http-01"]
            answer.set_json(authz)

    def overlay_order(self, x, answer):
        left = self.busy.get(x.order, 0) - time.time()
        if x.order in self.dead_orders:
            answer.set_json({**answer.json, "status": "invalid",
                             "error": self.dead_orders[x.order]})
        elif left > 0:
            order = {**answer.json, "status": "processing"}
            order.pop("certificate", None)
            answer.set_json(order).set("Retry-After", min(3, int(left) + 1))

    def leaf(self, order):
        """The certificate of this order, as the CA made it."""
        return self.referee.orders[order].leaf

    def has_issued(self, order):
        """Then it is too late for a verdict."""
        found = self.referee.orders.get(order)
        return found is not None and found.issued_at > 0

    def order_now(self, path):
        with self.lock:
            return dict(self.orders[path])
