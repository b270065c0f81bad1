"""What the nine fakes have in common: HTTPS, rules, a log, zones, publishing."""

import json
import re
import secrets
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from harness import temp_dir
from peers import TlsFiles

from . import wire
from .zones import Record, published, zones_of

_BODY_MAX = 1 << 20
_HTML = b"<html><body><h1>We are down for maintenance</h1></body></html>"


@dataclass
class Reply:
    status: int
    body: object = b""  # bytes, or what becomes JSON
    headers: dict = field(default_factory=dict)
    content_type: str = "application/json"

    def bytes(self):
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":")).encode()


class Refusal(Exception):
    """An answer that is an error, made by the provider's problem()."""

    def __init__(self, reply):
        super().__init__(reply.status)
        self.reply = reply


class Request:
    """What came, all of it."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        path, _, query = target.partition("?")
        self.raw_path, self.raw_query = path, query
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.what = ""  # the method of an API that has one URL

    def json(self):
        return json.loads(self.body)

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(),
                                           keep_blank_values=True))

    @property
    def bearer(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@dataclass
class Seen:
    """A line of the log: nothing in it is secret."""

    method: str
    target: str
    what: str
    status: int  # 0: no answer was given
    ruled: bool  # a rule had its hand in it
    at: float

    def __str__(self):
        ruled = ", as ruled" if self.ruled else ""
        return f"{self.method} {self.target} {self.what} -> {self.status}{ruled}"


@dataclass
class Rule:
    """What happens to some requests instead of, or beside, the usual.

    Which: those of the method, whose "target what" matches the pattern; the
    nth of them and so many (times) from there on, None for all.
    """

    status: int = 0       # answer with it; 0: as usual
    method: str = ""
    pattern: str = ""
    nth: int = 1
    times: int = 1
    headers: dict = None  # with status: instead of the provider's
    body: object = None
    wait_s: int = 1       # announced with 429 and 503
    applied: bool = False  # with status: the request is carried out all the same
    lost: bool = False    # carried out, then the connection ends without answer
    dropped: bool = False  # the connection ends, nothing was done
    html: bool = False    # a proxy's page, with status or 200
    delay_s: float = 0    # before anything
    before: object = None  # called before the request is looked at
    met: int = 0          # requests that were like it

    def takes(self, request):
        if self.method and request.method != self.method:
            return False
        if not re.search(self.pattern, f"{request.target} {request.what}"):
            return False
        self.met += 1
        return (self.met >= self.nth
                and (self.times is None or self.met < self.nth + self.times))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body in one packet: the second would wait for an ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """The log is the fake's."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > _BODY_MAX:
            self.close_connection = True
            return
        request = Request(self.command, self.path, self.headers,
                          self.rfile.read(length))
        reply = self.server.api.serve(request)
        if reply is None:
            self.close_connection = True
            return
        body = reply.bytes()
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, str(value))
            if body:
                self.send_header("Content-Type", reply.content_type)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has given up

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer


class _Https(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        """In the connection's thread: who is slow to shake hands waits alone."""
        try:
            request.settimeout(30)
            with self.context.wrap_socket(request, server_side=True) as s:
                self.RequestHandlerClass(s, client_address, self)
        except OSError:
            pass


class Api:
    """Base of the fakes; what is in capitals or raises is theirs."""

    NAME = PREFIX = ""
    BASE = None   # what of PREFIX belongs to base_url, None: all of it
    WAYS = ("",)  # of signing in or of being used; the first is the usual one
    ROUTES = ()   # (methods, pattern of the path after PREFIX, function name)
    CONTENT_TYPE = "application/json"
    APEX = "@"

    def __init__(self, zones=(), dns=None, tls=None, way=None, page_size=None,
                 publish_s=0, change_s=0.3, clock_s=0, port=0):
        self.way = way or self.WAYS[0]
        if self.way not in self.WAYS:
            raise ValueError(f"{self.NAME} has {self.WAYS}, not {way}")
        self.dns, self.tls = dns, tls
        self.page_size = page_size
        self.publish_s = publish_s
        self.change_s = change_s
        self.clock_s = clock_s
        self.port = port
        self.rules, self.requests, self.secrets = [], [], []
        self.tokens = {}
        self.published = {}  # by zone: the number of what was published last
        self.lock = threading.RLock()
        self.timers = []
        self.counter = 1553659768 + (1 << 32)
        self.zones = zones_of(zones)
        self.httpd = None
        for zone in self.zones:
            zone.id = self.new_zone_id()
            zone.fill(self.make)
        self.sign_up()

    # What each provider has of its own.

    def sign_up(self):
        """Make the account's credentials."""
        raise NotImplementedError

    @property
    def variables(self):
        """The app's variables, the right ones."""
        raise NotImplementedError

    def problem(self, status, code="", message="", **more):
        """A Reply that says so in the provider's way.  "" is the usual one."""
        raise NotImplementedError

    def authenticate(self, request):
        """Refuse who does not prove to be the account's owner."""
        raise NotImplementedError

    def new_zone_id(self):
        return secrets.token_hex(16)

    def new_id(self):
        self.counter += 1
        return self.counter

    def live(self, zone):
        """The records of a zone that are published."""
        return zone.records

    # Beginning and end.

    def start(self):
        if not self.tls:
            self.tls = TlsFiles(temp_dir())
        self.httpd = _Https(("127.0.0.1", self.port), Handler)
        self.httpd.api = self
        self.httpd.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.httpd.context.load_cert_chain(self.tls.cert, self.tls.key)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, args=(0.02,),
                         daemon=True).start()
        if self.dns:
            self.dns.add_zones({z.name: published(self.live(z))
                                for z in self.zones if z.served})
        return self

    def stop(self):
        for timer in self.timers:
            timer.cancel()
        if self.httpd:
            self.httpd.shutdown()
            self.httpd.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def origin(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def base_url(self):
        return self.origin + (self.PREFIX if self.BASE is None else self.BASE)

    @property
    def ca(self):
        """The file with the CA's certificate."""
        return str(self.tls.ca)

    # For tests.

    def rule(self, status=0, **how):
        """Add a Rule; the first that takes a request has it."""
        self.rules.append(Rule(status, **how))
        return self.rules[-1]

    def count(self, method="", pattern="", status=None):
        """How many requests there were like that."""
        return len(self.seen(method, pattern, status))

    def seen(self, method="", pattern="", status=None):
        return [s for s in self.requests
                if (not method or s.method == method)
                and re.search(pattern, f"{s.target} {s.what}")
                and status in (None, s.status)]

    def log(self):
        return "\n".join(map(str, self.requests))

    def txt(self, name):
        """The values at a name that the account has, sorted."""
        name = name.lower().rstrip(".")
        return sorted(r.value for z in self.zones for r in z.set_of(name, "TXT"))

    def snapshot(self):
        """Everything in the account, to see whether it is as it was."""
        with self.lock:
            return [(z.name, z.private, sorted(
                (r.name, r.kind, r.ttl, r.value if r.kind == "TXT" else r.quoted)
                for r in z.records)) for z in self.zones]

    def put(self, name, *values, ttl=300):
        """Somebody else adds values, and they are published."""
        with self.lock:
            zone = self.zone_for(name)
            self.put_in(zone, [self.make(name, "TXT", ttl, v) for v in values])
            self.touched(zone, name)
            self.show(zone)

    def put_in(self, zone, records):
        zone.records += records

    def drop(self, name, value):
        """Somebody else removes it."""
        with self.lock:
            zone = self.zone_for(name)
            self.take_out(zone, lambda r: (r.name, r.kind, r.value) == (
                name, "TXT", value))
            self.touched(zone, name)
            self.show(zone)

    def take_out(self, zone, which):
        zone.records = [r for r in zone.records if not which(r)]

    def expire_tokens(self):
        """Every token given out so far is too old now."""
        for token in self.tokens:
            self.tokens[token] = 0

    # For the nine.

    def zone_for(self, name):
        return max((z for z in self.zones if z.holds(name) and not z.private),
                   key=lambda z: len(z.name))

    def touched(self, zone, name):
        """A set has changed behind the API's back."""

    def make(self, name, kind, ttl, written):
        """A record; written as a client would write it."""
        text = written if isinstance(written, str) else str(written)
        strings = wire.unquote(text) if kind == "TXT" else (
            text.rstrip("."),)
        return Record(self.new_id(), name.lower().rstrip("."), kind, ttl,
                      written, strings)

    def secret(self, text):
        """Note it as one that nobody may write anywhere."""
        self.secrets.append(text)
        return text

    def new_token(self, prefix, lifetime_s):
        token = self.secret(prefix + secrets.token_urlsafe(40))
        self.tokens[token] = time.time() + lifetime_s
        return token

    def show(self, zone):
        """Publish a zone as it is now, after publish_s."""
        if not self.dns or not zone.served:
            return
        publish = self.publisher(zone, published(self.live(zone)))
        if not self.publish_s:
            publish()
        else:
            self.later(self.publish_s, publish)

    def publisher(self, zone, sets):
        """Publishes these sets; not when newer ones were faster."""
        self.counter += 1
        number = self.counter

        def publish():
            if self.published.get(zone.id, 0) < number:
                self.published[zone.id] = number
                self.dns.publish(zone.name, sets)

        return publish

    def later(self, seconds, what):
        def run():
            with self.lock:
                what()

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    def change(self, zone):
        """A change that is carried out later: .done says whether it was."""
        change = SimpleNamespace(done=False)
        publish = self.publisher(zone, published(zone.records))

        def carry_out():
            if self.dns and zone.served:
                publish()
            change.done = True

        self.later(self.change_s, carry_out)
        return change

    def refuse(self, status, code="", message="", **more):
        raise Refusal(self.problem(status, code, message, **more))

    def pages(self, items, page, per_page):
        """The items of a page (from 1), and how many pages there are."""
        per_page = min(per_page, self.page_size or per_page)
        first = (page - 1) * per_page
        return items[first:first + per_page], max(1, -(-len(items) // per_page))

    def serve(self, request):
        """A Reply, or None when there shall be none."""
        request.what = self.operation(request)
        with self.lock:
            rule = next((r for r in self.rules if r.takes(request)), None)
        if rule and rule.delay_s:
            time.sleep(rule.delay_s)
        with self.lock:
            reply = self.ruled(rule, request) if rule else self.handled(request)
            self.requests.append(Seen(
                request.method, request.target, request.what,
                reply.status if reply else 0, bool(rule), time.time()))
        return reply

    def operation(self, _request):
        return ""

    def ruled(self, rule, request):
        if rule.before:
            rule.before()
        if rule.dropped:
            return None
        if rule.lost:
            self.handled(request)
            return None
        if rule.applied:
            self.handled(request)
        if rule.html:
            return Reply(rule.status or 200, _HTML, {}, "text/html")
        if not rule.status:
            return self.handled(request)
        reply = self.problem(rule.status)
        if rule.status in (429, 503):
            reply.headers.update(self.announce(reply, rule.wait_s))
        if rule.headers is not None:
            reply.headers = rule.headers
        if rule.body is not None:
            reply.body = rule.body
        return reply

    def announce(self, _reply, wait_s):
        """The headers (or a change of the body) that say how long to wait."""
        return {"Retry-After": wait_s}

    def handled(self, request):
        try:
            self.well_formed(request)
            self.before_routing(request)
            return self.route(request)
        except Refusal as e:
            return e.reply
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            return self.problem(400, message=f"cannot read that: {e!r}")

    def well_formed(self, request):
        """What a server or a proxy in front of it may insist on."""
        content_type = request.headers.get("Content-Type", "")
        if request.body and not content_type.startswith(self.content_type_of(
                request)):
            self.refuse(415, message=f"Content-Type '{content_type}'")
        if (request.method in ("POST", "PUT")
                and "Content-Length" not in request.headers):
            self.refuse(411, message="Length Required")
        if not request.headers.get("User-Agent"):
            self.refuse(400, message="User-Agent is missing")

    def content_type_of(self, _request):
        return self.CONTENT_TYPE

    def before_routing(self, request):
        self.authenticate(request)

    def route(self, request):
        path = request.path
        if not path.startswith(self.PREFIX):
            self.refuse(404)
        found = False
        for methods, pattern, name in self.ROUTES:
            m = re.fullmatch(pattern, path[len(self.PREFIX):], self.FLAGS)
            if m and request.method in methods.split():
                return getattr(self, name)(request, *m.groups())
            found = found or bool(m)
        return self.problem(405 if found else 404)

    FLAGS = 0

    @staticmethod
    def date():
        return formatdate(usegmt=True)
