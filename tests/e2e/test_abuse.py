"""Clients of the API that are slow, many, or send what is none: limits hold,
they are told in 4xx, and certificates are made meanwhile."""

import contextlib
import os
import resource
import socket
import time

import pytest

from harness import SLOW, wait_for
from peers import LOOPBACK

MOST = 8
PATIENCE_MS = 700
SHOP = "/v1/apps/abuse/domains"


@pytest.fixture(scope="module")
def node(session_ground):
    """With little room and little patience."""
    return session_ground.node(settings={"api": {
        "max_connections": MOST, "request_timeout_ms": PATIENCE_MS}})


@pytest.fixture(scope="module")
def token(node):
    return node.token("abuse", "--app", "abuse", "--role", "operate")


@pytest.fixture(autouse=True)
def still_there(node):
    """After each test it serves, by both ways, and has let everybody go."""
    pid = node.sync.pid
    yield
    assert node.sync.running and node.sync.pid == pid, node.sync.tail()
    wait_for("room by TCP",
             lambda: node.by_tcp("GET", "/healthz").status == 200)
    assert node.api("GET", "/api/v1/status")[0] == 200


def dial(node):
    return socket.create_connection((LOOPBACK, node.api_port), 20 * SLOW)


def said(s, seconds=20):
    """All that comes until the connection is closed, which it must be."""
    got, end = b"", time.monotonic() + seconds * SLOW
    with contextlib.suppress(ConnectionError):
        while more := s.recv(65536):
            got += more
            assert time.monotonic() < end, "it is not closed"
    return got


def open_files(node):
    return len(os.listdir(f"/proc/{node.sync.pid}/fd"))


def memory_kb(node):
    with open(f"/proc/{node.sync.pid}/status") as f:
        return int(next(x for x in f if x.startswith("VmRSS")).split()[1])


# --- slow ------------------------------------------------------------------------


def drip(s, seconds):
    """A byte at a time; how long it took until we were shown out."""
    begin = time.monotonic()
    s.settimeout(0.05)
    while time.monotonic() - begin < seconds * SLOW:
        with contextlib.suppress(TimeoutError):
            if not s.recv(1):
                break
        try:
            s.send(b"x")
        except ConnectionError:
            break
    return time.monotonic() - begin


@pytest.mark.parametrize("start", [
    b"", b"GET /healthz HTTP/1.1\r\nX-Slow: ",
    b"POST /v1/tokens/exchange HTTP/1.1\r\nContent-Length: 9999\r\n\r\n{"],
    ids=["nothing", "headers", "body"])
def test_who_drips_is_shown_out(node, start):
    with dial(node) as s:
        s.sendall(start)
        if start:
            assert drip(s, 15) < 15 * SLOW
        else:
            assert said(s) == b""


def test_slow_ones_keep_nobody_else_out_for_long(node):
    with contextlib.ExitStack() as stack:
        for _ in range(3 * MOST):
            s = stack.enter_context(dial(node))
            s.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert node.by_tcp("GET", "/healthz").status == 200


def test_who_does_not_take_the_answer_is_shown_out(node):
    told = node.sync.text().count("no request in")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect((LOOPBACK, node.api_port))
        one = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        s.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(200):
                s.sendall(one)
        time.sleep(3 * PATIENCE_MS / 1000)
        wait_for("the answer to be given up",
                 lambda: node.sync.text().count("no request in") > told)
        s.settimeout(20 * SLOW)
        assert len(said(s)) < 100 * 80000


def test_who_follows_events_without_a_token_is_shown_out(node):
    """One whose token is good may be silent for as long as it likes."""
    token = node.token("follower")
    ask = (f"GET /api/v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n"
           f"Authorization: Bearer {token}\r\n\r\n").encode()
    with dial(node) as s:
        s.sendall(ask)
        s.settimeout(20 * SLOW)
        assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
        end = time.monotonic() + 3 * PATIENCE_MS / 1000
        while time.monotonic() < end:
            assert s.recv(4096), "ended by itself"
        node.cli("token", "revoke", "follower")
        said(s)


# --- many ------------------------------------------------------------------------


def test_ten_thousand_connections_leave_the_socket_alone(node):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = 11000 if hard == resource.RLIM_INFINITY else min(hard, 11000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, room), hard))
    before, kb = open_files(node), memory_kb(node)
    with contextlib.ExitStack() as stack:
        for _ in range(min(10000, room - 500)):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((LOOPBACK, node.api_port))
        assert node.api("GET", "/api/v1/status")[0] == 200
        name = "busy.abuse.test"
        node.point_here(name)
        node.add(name, app="abuse")
        node.await_status(name, "in_use")
        assert open_files(node) <= before + MOST + 20
        assert memory_kb(node) < kb + 100 * 1024
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_large_bodies_are_refused_and_not_kept(node):
    kb = memory_kb(node)
    head = (b"POST /v1/apps/abuse/domains HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: %d\r\n\r\n")
    for size in (200_000, 1_500_000, 3_000_000, 1 << 40, 1 << 63):
        with dial(node) as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(head % size)
                s.sendall(b"x" * min(size, 3_000_000))
            got = said(s)
            # Whoever is refused before all was sent may find it closed.
            assert got == b"" or got.split()[1] in (b"400", b"413"), got[:80]
    assert memory_kb(node) < kb + 64 * 1024


# --- what is none ----------------------------------------------------------------


REQUESTS = {
    "no HTTP": b"hello\r\n\r\n",
    "an unknown method": b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "another version": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "a NUL": b"GET /heal\0thz HTTP/1.1\r\nHost: x\r\n\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\nHost x\r\n\r\n",
    "a minus length": b"POST %s HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a length that is none": b"POST %s HTTP/1.1\r\nContent-Length: 1x\r\n\r\nx",
    "a chunk that is none":
        b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "large headers": b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 20000,
    "many headers": b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "bytes": bytes(range(256)) * 8,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 512,
}


@pytest.mark.parametrize("what", REQUESTS)
def test_what_is_no_request_gets_nothing_done(node, what):
    before = node.api("GET", SHOP)
    with dial(node) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(REQUESTS[what].replace(b"%s", SHOP.encode()))
        got = said(s)
    # A method that nobody knows is 501, says RFC 9110.
    assert got == b"" or got.split()[1] in (
        b"400", b"404", b"413", b"431", b"501"), got[:200]
    assert node.api("GET", SHOP) == before


def test_two_lengths_do_not_smuggle_a_request(node, token):
    """What follows is never taken for a request with somebody's token."""
    inner = (f"POST {SHOP} HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n"
             f"Authorization: Bearer {token}\r\n\r\n"
             '{"domain":{"name":"smug.abuse.test"}}')
    for lines in (f"Content-Length: {len(inner)}\r\nContent-Length: 0\r\n",
                  f"Content-Length: {len(inner)}\r\n"
                  "Transfer-Encoding: identity\r\n"):
        with dial(node) as s:
            s.sendall((f"POST {SHOP} HTTP/1.1\r\nHost: x\r\n{lines}"
                       f"Connection: close\r\n\r\n{inner}").encode())
            got = said(s)
        assert got.count(b"HTTP/1.1 ") <= 1, got
    assert node.status("smug.abuse.test") == ""


FIELDS = {"name": (7, [], {}, True, None), "canonical": ("false", 0, "", []),
          "letsencrypt_enabled": ("false", 1, "no", {}),
          "tlscert": (1, [], True), "tlskey": (1, {}, False)}


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_type_is_never_coerced(node, token, field):
    for value in FIELDS[field]:
        body = {"domain": {"name": "type.abuse.test", field: value}}
        reply = node.by_tcp("POST", SHOP, body, token=token)
        assert reply.status == 422, (value, reply)
        assert field in reply.json["errors"]
    assert node.status("type.abuse.test") == ""


BODIES = {
    "a key twice": b'{"domain":{"name":"a.abuse.test","name":"b.abuse.test"}}',
    "the object twice": b'{"domain":{},"domain":{"name":"a.abuse.test"}}',
    "a field of nobody's": b'{"domain":{"name":"a.abuse.test","admin":true}}',
    "two shapes": b'{"domain":{"name":"a.abuse.test"},"name":"b.abuse.test"}',
    "two objects": b'{"domain":{"name":"a.abuse.test"}}{}',
    "a list": b'[{"domain":{"name":"a.abuse.test"}}]',
    "depth": b'{"domain":' * 9000 + b"1" + b"}" * 9000,
    "width": b'{"domain":{%s}}' % b",".join(
        b'"f%d":1' % i for i in range(9000)),
    "a huge number": b'{"domain":{"name":1e999999}}',
    "UTF-16": '{"domain":{"name":"a.abuse.test"}}'.encode("utf-16"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_none_is_told_so(node, token, what):
    reply = node.by_tcp("POST", SHOP, BODIES[what], token=token)
    assert reply.status in (400, 422), reply
    assert reply.json.get("error") or reply.json["errors"]
    assert node.status("a.abuse.test") == node.status("b.abuse.test") == ""
