"""Who may do what: the socket, tokens by TCP, passes, TLS in front."""

import base64
import contextlib
import grp
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time

import pytest

from harness import ROOT, SLOW, Process, free_port, program, run, wait_for
from node import answered
from peers import LOOPBACK

TOKEN = re.compile(r"cft_[A-Za-z0-9_-]{27}")
MINE, YOURS = "/v1/apps/auth-mine/domains", "/v1/apps/auth-yours/domains"
NOT_FOUND = {"resource": "domain", "error": "not found"}


@pytest.fixture(scope="module")
def mine(session_node):
    """A token for one app, and a domain in it and in another."""
    for app, name in (("auth-mine", "mine.auth.test"),
                      ("auth-yours", "yours.auth.test")):
        session_node.add(name, app=app)
    return session_node.token("mine", "--app", "auth-mine",
                              "--role", "operate")


# --- the socket ---------------------------------------------------------------


@contextlib.contextmanager
def opened(node):
    """Somebody has opened directory and socket to everybody."""
    paths = [p for p in (node.api_socket, *node.api_socket.parents)
             if p.stat().st_uid == 0 and p != p.parent]
    before = [p.stat().st_mode for p in paths]
    try:
        for p in paths:
            p.chmod(p.stat().st_mode | 0o007)
        yield
    finally:
        for p, mode in zip(paths, before):
            p.chmod(mode)


def ask_as(node, user, group, *more):
    """The answer's first line and body for another user of this machine."""
    ask = ("import socket\ns = socket.socket(socket.AF_UNIX)\n"
           f"s.connect({str(node.api_socket)!r})\n"
           "s.sendall(b'GET /api/v1/status HTTP/1.0\\r\\n\\r\\n')\n"
           "print(s.recv(9999).decode())")
    return run("python3", "-I", "-c", ask, user=user, group=group,
               extra_groups=more).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_by_the_socket_another_user_is_told_apart_from_its_mode(shared):
    with opened(shared):
        said = ask_as(shared, 65534, 65534)
    assert said.startswith("HTTP/1.0 403 "), said
    assert "user 65534 is neither" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_who_is_in_the_sockets_group_is_let_in(ground):
    node = ground.node(settings={"api": {
        "socket_group": grp.getgrgid(65534).gr_name}})
    with opened(node):
        assert ask_as(node, 65533, 65534).startswith("HTTP/1.0 200 ")
        assert ask_as(node, 65533, 65532, 65534).startswith("HTTP/1.0 200 ")
        assert ask_as(node, 65533, 65532).startswith("HTTP/1.0 403 ")


def test_a_token_counts_by_the_socket_too(shared, mine):
    as_mine = {"Authorization": f"Bearer {mine}"}
    assert shared.request("GET", MINE, headers=as_mine).status == 200
    assert shared.request("GET", YOURS, headers=as_mine).status == 404


# --- tokens -------------------------------------------------------------------


def test_by_tcp_nothing_goes_without_a_token(shared, mine):
    for method, path in (("GET", MINE), ("POST", MINE), ("DELETE", MINE + "/x"),
                         ("GET", "/api/v1/status"), ("GET", "/v1/regions"),
                         ("POST", "/api/v1/tokens"), ("GET", "/api/v1/events")):
        reply = shared.by_tcp(method, path, {} if method == "POST" else None)
        assert reply.status == 401, path
        assert isinstance(reply.json["error"], str)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert shared.by_tcp("GET", "/healthz").status == 200
    assert shared.by_tcp("GET", MINE, token=mine[:-1] + "-").status == 401
    assert shared.by_tcp("GET", MINE, token=mine).status == 200


def test_what_is_not_yours_is_not_there(shared, mine):
    """The same answer, whether it is another's or nobody's."""
    there = ("yours.auth.test", "nobody.auth.test")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        body = {} if method in ("PATCH", "PUT") else None
        for app in (YOURS, MINE, "/v1/apps/auth-nobody/domains"):
            for name in there:
                reply = shared.by_tcp(method, f"{app}/{name}", body, token=mine)
                assert (reply.status, reply.json) == (404, NOT_FOUND)
    for name in there:
        reply = shared.by_tcp("GET", f"/api/v1/domains/{name}", token=mine)
        assert (reply.status, reply.json) == (404, NOT_FOUND)
        reply = shared.by_tcp("POST", f"/api/v1/domains/{name}/revoke", {},
                              token=mine)
        assert (reply.status, reply.json) == (404, NOT_FOUND)
    for app in (YOURS, "/v1/apps/auth-nobody/domains"):
        reply = shared.by_tcp("GET", app, token=mine)
        assert (reply.status, reply.json) == (
            404, {"resource": "app", "error": "not found"})
    listed = shared.by_tcp("GET", "/api/v1/domains", token=mine).json
    assert [d["app"] for d in listed["domains"]] == ["auth-mine"]
    assert listed["total"] == 1
    assert shared.status("yours.auth.test") != ""


def test_a_token_of_two_apps_lists_both(shared, mine):
    both = shared.token("both", "--app", "auth-mine,auth-yours")
    listed = shared.by_tcp("GET", "/api/v1/domains", token=both).json
    assert [d["name"] for d in listed["domains"]] == [
        "mine.auth.test", "yours.auth.test"]
    one = shared.by_tcp("GET", "/api/v1/domains?app=auth-yours", token=both)
    assert one.json["total"] == 1


def test_a_role_says_what_may_be_done(shared):
    role = {r: shared.token(r, "--role", r)
            for r in ("read", "operate", "admin")}
    name = {"domain": {"name": "role.auth.test"}}
    wanted = [("GET", "/api/v1/nodes", None, (200, 200, 200)),
              ("POST", "/v1/apps/auth-role/domains", name, (403, 201, 422)),
              ("GET", "/api/v1/tokens", None, (403, 403, 200)),
              ("GET", "/api/v1/audit", None, (403, 403, 200))]
    for method, path, body, codes in wanted:
        for token, code in zip(role.values(), codes):
            reply = shared.by_tcp(method, path, body, token=token)
            assert reply.status == code, (path, reply)
            if code == 403:
                assert reply.json["code"] == "forbidden"


def test_a_token_ends_when_it_is_revoked(shared):
    token = shared.token("short lived", "--app", "auth-mine", "--days", "1")
    reply = shared.by_tcp("POST", "/v1/tokens/exchange", {}, basic(token))
    jwt = reply.json["token"]
    assert shared.by_tcp("GET", MINE, token=jwt).status == 200
    shared.cli("token", "revoke", "short lived")
    assert shared.by_tcp("GET", MINE, token=token).status == 401
    assert shared.by_tcp("GET", MINE, token=jwt).status == 401
    shared.cli("token", "revoke", "short lived", code=3)


def test_a_token_is_kept_as_its_hash(shared):
    token = shared.token("hashed")
    with shared.redis_client() as redis:
        kept = redis.hash("certfleet:tokens")
        everything = str(redis.dump())
    assert hashlib.sha256(token.encode()).hexdigest().upper() in kept
    assert token not in everything and token[4:] not in everything
    assert token not in shared.sync.text()
    assert not TOKEN.search(shared.cli("token", "list", "--json").out)


def test_an_expired_token_is_none(shared):
    token = shared.token("old")
    hashed = hashlib.sha256(token.encode()).hexdigest().upper()
    with shared.redis_client() as redis:
        record = json.loads(redis.hash("certfleet:tokens")[hashed])
        record["expires_at"] = int(time.time() * 1000) - 1
        redis("HSET", "certfleet:tokens", hashed, json.dumps(record))
    reply = shared.by_tcp("GET", "/api/v1/nodes", token=token)
    assert (reply.status, reply.json["error"]) == (401, "the token has expired")
    listed = {t["name"]: t for t in
              shared.cli("token", "list", "--json").json["tokens"]}
    assert listed["old"]["expired"] is True
    shared.cli("token", "revoke", listed["old"]["id"])


def test_the_command_line_makes_and_lists_tokens(shared):
    made = shared.cli("token", "create", "by hand", "--app", "a-1,b.2",
                      "--role", "operate", "--days", "0")
    said, secret = made.out.splitlines()
    assert TOKEN.fullmatch(secret)
    assert "may operate for a-1,b.2 until it is revoked" in said
    lines = shared.cli("token", "list").out.splitlines()
    assert lines[0].split() == ["Name", "Id", "Role", "Apps", "Ends"]
    line = next(x for x in lines if x.startswith("by hand"))
    assert line.split()[-3:] == ["operate", "a-1,b.2", "never"]
    done = shared.cli("token", "create", "x", "--role", "root", code=4)
    assert "role: must be read, operate or admin" in done.err
    done = shared.cli("token", "create", "x", "--app", "a b", code=4)
    assert "apps: " in done.err
    shared.cli("token", "create", code=2)


def test_who_did_what_is_written_down(shared, mine):
    reply = shared.by_tcp("POST", MINE, {"domain": {"name": "did.auth.test"}},
                          token=mine)
    assert reply.status == 201
    shared.by_tcp("GET", MINE, token=mine)
    shared.by_tcp("DELETE", f"{MINE}/did.auth.test?x=y", token=mine)

    def entries():
        audit = shared.cli("audit", "-n", "50", "--json").json["audit"]
        mine = [e for e in audit if "mine" in e["who"].split()]
        return mine if mine and mine[-1]["method"] == "DELETE" else None

    added, removed = wait_for("the audit", entries)[-2:]
    assert re.fullmatch(r"token [0-9A-F]{16} mine", added["who"])
    assert (added["method"], added["target"], added["name"], added["answer"]) \
        == ("POST", MINE, "did.auth.test", 201)
    assert (removed["method"], removed["target"], removed["answer"]) == (
        "DELETE", f"{MINE}/did.auth.test", 204)
    assert removed["node"] == shared.name and removed["at"].endswith("Z")
    line = shared.cli("audit").out.splitlines()[-1]
    assert "204" in line and "DELETE" in line


# --- passes -------------------------------------------------------------------


def basic(token):
    text = base64.b64encode(f":{token}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def part(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_a_token_is_exchanged_for_a_pass_of_an_hour(shared, mine):
    reply = shared.by_tcp("POST", "/v1/tokens/exchange", {}, basic(mine))
    assert reply.status == 200 and list(reply.json) == ["token"]
    head, claims, _ = reply.json["token"].split(".")
    assert part(head) == {"alg": "HS256", "typ": "JWT"}
    assert abs(part(claims)["exp"] - time.time() - 3600) < 60
    jwt = reply.json["token"]
    assert shared.by_tcp("GET", MINE, token=jwt).status == 200
    assert shared.by_tcp("GET", YOURS, token=jwt).status == 404
    for bad in (head + "." + claims + ".", jwt[:-2] + "AA", "a.b.c", "x" * 3000,
                base64.urlsafe_b64encode(b'{"alg":"none"}').decode().strip("=")
                + "." + claims + "."):
        assert shared.by_tcp("GET", MINE, token=bad).status == 401
    # A pass is no token: it is not exchanged again.
    again = shared.by_tcp("POST", "/v1/tokens/exchange", {}, basic(jwt))
    assert again.status == 401


def test_a_pass_outlives_the_process(ground):
    """It is good at whichever node it comes to: its key is the fleet's."""
    node = ground.node()
    token = node.token("long")
    jwt = node.by_tcp("POST", "/v1/tokens/exchange", {},
                      basic(token)).json["token"]
    with node.redis_client() as redis:
        sealed = redis("GET", "certfleet:tokenkey")
    node.sync.restart()
    assert node.by_tcp("GET", "/api/v1/nodes", token=jwt).status == 200
    with node.redis_client() as redis:
        assert redis("GET", "certfleet:tokenkey") == sealed
        redis("DEL", "certfleet:tokenkey")
    # Another key: all passes are void, and tokens are exchanged for new ones.
    assert node.by_tcp("GET", "/api/v1/nodes", token=jwt).status == 401
    jwt = node.by_tcp("POST", "/v1/tokens/exchange", {},
                      basic(token)).json["token"]
    assert node.by_tcp("GET", "/api/v1/nodes", token=jwt).status == 200


def test_a_bad_token_is_not_exchanged(shared):
    for headers in ({}, basic(""), basic("cft_" + "A" * 27),
                    {"Authorization": "Basic %%%"},
                    {"Authorization": "Bearer x"},
                    {"Authorization": "Basic " + "A" * 4000}):
        reply = shared.by_tcp("POST", "/v1/tokens/exchange", {}, headers)
        assert reply.status == 401, headers
        assert isinstance(reply.json["error"], str)


# --- TLS in front ---------------------------------------------------------------


class Front(Process):
    """HAProxy with the shipped haproxy-api.cfg, moved to our ports."""

    def __init__(self, node):
        super().__init__("front", node.dir)
        self.port = free_port()
        text = (ROOT / "haproxy/conf/haproxy-api.cfg").read_text()
        for old, new in ((":8443 ", f"{LOOPBACK}:{self.port} "),
                         ("/run/certfleet/certs", str(node.cert_dir)),
                         ("127.0.0.1:8405 max",
                          f"127.0.0.1:{node.api_port} max"),
                         ("http-request 10s", "http-request 1s"),
                         ("rate(0) gt 1200", "rate(0) gt 60")):
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        self.config = self.dir / "front.cfg"
        self.config.write_text(text)

    def connect(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection((LOOPBACK, self.port), 10 * SLOW)
        return context.wrap_socket(plain)

    def ask(self, method, path, body=None, token=None):
        link = http.client.HTTPConnection(LOOPBACK)
        link.sock = self.connect()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return answered(link, method, path, body, headers)

    def up(self):
        with contextlib.suppress(OSError):
            return self.ask("GET", "/healthz").status == 200


@pytest.fixture(scope="module")
def front(session_node):
    front = Front(session_node)
    front.spawn(program("haproxy"), "-db", "-f", front.config)
    front.wait_ready(front.up)
    yield front
    front.stop()


def test_the_shipped_front_is_valid_without_a_warning(front):
    said = run(program("haproxy"), "-c", "-f", front.config).stdout
    assert not re.search(r"\[(WARNING|ALERT)\]", said), said


def test_haproxy_in_front_speaks_tls(front, mine):
    assert front.ask("GET", MINE, token=mine).status == 200
    reply = front.ask("GET", MINE)
    assert reply.status == 401
    assert "max-age" in reply.headers["Strict-Transport-Security"]
    for path in ("/metrics", "/readyz", "/x", "/dashboard"):
        assert front.ask("GET", path, token=mine).status == 404, path


def test_through_haproxy_a_browser_has_a_session_for_tls_alone(front, mine):
    assert front.ask("GET", "/").headers["Content-Security-Policy"]
    assert front.ask("GET", "/dashboard/main.js").status == 200
    at = f"{LOOPBACK}:{front.port}"
    mark = {"X-Certfleet": "x", "Host": at, "X-Forwarded-Proto": "http"}
    for origin, code in ((f"http://{at}", 403), (f"https://{at}", 200)):
        link = http.client.HTTPConnection(LOOPBACK)
        link.sock = front.connect()
        reply = answered(link, "POST", "/api/v1/session", {}, {
            "Authorization": f"Bearer {mine}", "Origin": origin, **mark})
        assert reply.status == code
    assert re.fullmatch(r"__Host-certfleet=[\w.-]+; Path=/; Max-Age=3600; "
                        "HttpOnly; SameSite=Strict; Secure",
                        reply.headers["Set-Cookie"])


def test_haproxy_in_front_does_not_wait_for_slow_clients(front):
    with front.connect() as s:
        s.sendall(b"POST /v1/tokens/exchange HTTP/1.1\r\nHost: x\r\n"
                  b"Content-Length: 100\r\n\r\n{")
        s.settimeout(20 * SLOW)
        assert s.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_haproxy_in_front_counts_requests_before_any_token(front):
    for _ in range(200):
        reply = front.ask("GET", "/healthz")
        if reply.status != 200:
            break
    assert reply.status == 429
    assert reply.json["code"] == "rate_limit_exceeded"
    assert reply.headers["Retry-After"] == "60"
