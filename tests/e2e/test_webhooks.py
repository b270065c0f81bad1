"""Webhooks: a real server of somebody's is told, at least once, and signed."""

import base64
import hashlib
import hmac
import http.server
import json
import shutil
import ssl
import threading
import time

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from peers import TlsFiles

CF = "ssl.custom_hostname_certificate."
KEY = b"sixteen bytes and more of a key!"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """Takes what comes; status and delay are what it does with it."""

    def __init__(self, tls=None):
        self.got = []      # (headers, body) of what was answered with 2xx
        self.refused = []  # webhook-ids of the rest
        self.status = 200
        self.hang = threading.Event()  # while it is not set nothing hangs
        self.waiting = 0
        self.free = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks?of=certfleet"

    def take(self, request):
        headers = dict(request.headers)
        body = request.rfile.read(int(headers["Content-Length"]))
        assert request.path == "/hooks?of=certfleet"
        if self.hang.is_set():
            self.waiting += 1
            self.free.wait(60)
            return
        if self.status // 100 == 2:
            self.got.append((headers, body))
        else:
            self.refused.append(headers["webhook-id"])
        request.send_response(self.status)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"ok")

    def stop(self):
        self.free.set()
        self.server.shutdown()
        self.server.server_close()

    def of(self, name):
        """[(event's name, body)] of a domain, in the order they came."""
        told = [json.loads(b) for _, b in self.got]
        return [(t["type"], t) for t in told if t["data"]["hostname"] == name]

    def await_event(self, name, event, seconds=20):
        return wait_for(f"{event} of {name}", lambda: next(
            (b for t, b in self.of(name) if t == event), None), seconds,
            explain=lambda: str([t for t, _ in self.of(name)]))


def verified(headers, body):
    """As the libraries of Standard Webhooks do it."""
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
    mac = base64.b64encode(hmac.new(KEY, text + body, hashlib.sha256).digest())
    assert headers["webhook-signature"] == "v1," + mac.decode()
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300 * SLOW
    assert headers["Content-Type"] == "application/json"
    return json.loads(body)


def settings(directory, receiver, **more):
    directory.mkdir(parents=True, exist_ok=True)
    secret = directory / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return {"webhook": {"url": receiver.url, "secret": f"file:{secret}",
                        "allow_private": True, "timeout_ms": 2000,
                        "retry_max_s": 1, **more}}


@pytest.fixture(scope="module")
def receiver(session_ground):
    return session_ground.keep(Receiver())


@pytest.fixture(scope="module")
def told(session_ground, receiver, tmp_path_factory):
    return session_ground.node(settings=settings(
        tmp_path_factory.mktemp("hook"), receiver))


@pytest.fixture(autouse=True)
def well(request):
    """The receiver is as it was for the next test."""
    yield
    if "receiver" in request.fixturenames:
        r = request.getfixturevalue("receiver")
        r.status = 200
        r.hang.clear()


def metric(node, name):
    text = node.by_tcp("GET", "/metrics").raw.decode()
    return next(float(x.split()[-1]) for x in text.splitlines()
                if x.startswith(name + " ") or x.startswith(name + "{"))


def webhooks(node, result):
    return metric(node, f'certfleet_webhooks_total{{result="{result}"}}')


def test_a_domains_life_is_told_in_order_and_signed(told, receiver):
    name = "life.hook.test"
    told.add(name, app="hooked")
    receiver.await_event(name, CF + "validation.failed")
    told.point_here(name)
    told.await_status(name, "in_use")
    receiver.await_event(name, CF + "deployment.succeeded")
    told.cli("--app", "hooked", "domains-remove", name)
    gone = receiver.await_event(name, CF + "deletion.succeeded")
    order = [t for t, _ in receiver.of(name)]
    milestones = [CF + t for t in ("validation.failed", "issuance.succeeded",
                                   "deployment.succeeded",
                                   "deletion.succeeded")]
    assert [t for t in order if t in milestones] == milestones
    assert order[0] == "certfleet.domain.added"
    bodies = [verified(h, b) for h, b in receiver.got]
    for headers, body in receiver.got:
        told_id = json.loads(body)["metadata"]["event"]["id"]
        assert headers["webhook-id"] == told_id
        assert b"PRIVATE KEY" not in body
    ids = [b["metadata"]["event"]["id"] for b in bodies]
    assert len(ids) == len(set(ids))
    active = dict(receiver.of(name))[CF + "deployment.succeeded"]["data"]
    assert active["app"] == "hooked" and active["ssl"]["status"] == "active"
    assert active["certfleet"]["status"] == "in_use"
    assert active["ssl"]["expires_on"] > time.strftime("%Y-%m-%d")
    # Also of what is no longer there it says whose it was.
    assert gone["data"]["app"] == "hooked"
    assert gone["data"]["ssl"]["status"] == "deleted"


def test_what_is_refused_is_sent_again_with_the_same_id(told, receiver):
    name = "again.hook.test"
    retried = webhooks(told, "retried")
    receiver.status = 500
    told.add(name)
    wait_for("two refusals", lambda: len(receiver.refused) >= 2, 20)
    first = receiver.refused[-1]
    assert set(receiver.refused[-2:]) == {first}, "it went on to the next"
    assert metric(told, "certfleet_webhook_lag_seconds") > 0
    receiver.status = 204
    body = receiver.await_event(name, "certfleet.domain.added")
    assert body["metadata"]["event"]["id"] == first
    assert webhooks(told, "retried") >= retried + 2
    receiver.await_event(name, CF + "validation.failed")
    wait_for("nothing to wait", lambda: metric(
        told, "certfleet_webhook_lag_seconds") == 0)


def test_a_server_that_hangs_delays_no_certificate(told, receiver):
    names = [f"slow{i}.hook.test" for i in range(3)]
    before = len(receiver.got)
    receiver.hang.set()
    told.point_here(*names)
    told.add(*names)
    for name in names:
        told.await_status(name, "in_use")
    wait_for("it to hang", lambda: receiver.waiting > 0)
    assert len(receiver.got) == before
    receiver.hang.clear()
    receiver.free.set()
    for name in names:
        receiver.await_event(name, CF + "deployment.succeeded")


def test_events_that_the_stream_has_dropped_are_missed_aloud(told, receiver):
    receiver.status = 500
    refused = len(receiver.refused)
    told.add(*(f"lost{i}.hook.test" for i in range(4)))
    wait_for("a refusal", lambda: len(receiver.refused) > refused, 20)
    # So much has happened meanwhile.
    told.add("last.hook.test")
    with told.redis_client() as redis:
        redis("XTRIM", PREFIX + "{p0}:events", "MAXLEN", 1)
    receiver.status = 200
    wait_for("its being said", lambda: "some are lost" in told.sync.text(), 20)
    assert webhooks(told, "lost") >= 1
    told.add("after.hook.test")
    receiver.await_event("after.hook.test", "certfleet.domain.added")


def test_the_next_leader_goes_on_after_kill_9(session_ground, tmp_path):
    receiver = session_ground.keep(Receiver())
    redis = session_ground.redis("hooked")
    world = session_ground.world("hooked")
    nodes = [session_ground.node(
        world, start=False, name=f"h{i}", address=f"127.0.0.{i + 1}",
        redis=redis, settings={
            **settings(tmp_path, receiver),
            "dns": {"targets": ["127.0.0.2", "127.0.0.3"]}})
        for i in (1, 2)]
    first, second = nodes
    first.start()
    second.state_dir.mkdir(mode=0o700)
    shutil.copy(first.state_dir / "kek", second.state_dir / "kek")
    second.start()
    leads = first if "h1" in first.cli("status", "--json").out and \
        redis_leader(first) == "h1" else second
    other = second if leads is first else first
    other.add("before.killed.test")
    receiver.await_event("before.killed.test", "certfleet.domain.added")

    # Nothing gets through, and more happens than is in its memory.
    receiver.status = 503
    names = [f"d{i}.killed.test" for i in range(40)]
    other.add(*names[:20])
    wait_for("a refusal", lambda: receiver.refused, 20)
    leads.sync.kill()
    other.add(*names[20:])
    receiver.status = 200
    for name in names:
        receiver.await_event(name, "certfleet.domain.added", 40)
    with other.redis_client() as client:
        stream = client("XRANGE", PREFIX + "{p0}:events", "-", "+")
        cursor = client("HGET", PREFIX + "webhook", "p0")
    for headers, body in receiver.got:
        verified(headers, body)
    # Every entry since the beginning, in order; twice at the most at the break.
    ids = ["p0-" + i for i, f in stream if "name" in f[::2]]
    seen = list(dict.fromkeys(h["webhook-id"] for h, _ in receiver.got))
    start = ids.index(seen[0])
    assert [i for i in ids[start:] if i in seen] == seen
    assert not [i for i in ids[start:ids.index("p0-" + cursor)]
                if i not in seen], "an event was left out"


def redis_leader(node):
    with node.redis_client() as redis:
        return redis.hash(PREFIX + "leader").get("node")


def test_where_it_is_not_allowed_nothing_goes(ground, tmp_path):
    tls = TlsFiles(tmp_path / "tls")
    receiver = ground.keep(Receiver(tls))
    given = settings(tmp_path, receiver, ca_file=str(tls.ca),
                     events=[CF + "deletion.*"])
    given["webhook"]["allow_private"] = False
    node = ground.node(settings=given)
    node.add("private.hook.test")
    node.remove("private.hook.test")
    wait_for("its refusal", lambda: "leads to a private address"
             in node.sync.text(), 20)
    assert receiver.got == [] and receiver.refused == []
    # By TLS, of a CA that is trusted; and of all that happens only that.
    node.settings["webhook"]["allow_private"] = True
    node.sync.stop()
    node.write_conf()
    node.sync.start()
    receiver.await_event("private.hook.test", CF + "deletion.succeeded")
    assert {t for t, _ in receiver.of("private.hook.test")} == \
        {CF + "deletion.succeeded"}
