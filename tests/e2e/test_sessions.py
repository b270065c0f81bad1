"""What browsers are answered, by the bytes: files, cookies, names, origins."""

import base64
import json
import re
import socket
import time

import pytest

from harness import ROOT, SLOW, wait_for
from node import PREFIX
from peers import LOOPBACK

FILES = sorted(p.name for p in (ROOT / "sync/dashboard").iterdir())
MARK = {"X-Certfleet": "dashboard"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; "
          "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")


@pytest.fixture(scope="module")
def node(session_node):
    session_node.add("www.session.test", app="session")
    session_node.add("www.elsewhere.test", app="elsewhere")
    return session_node


@pytest.fixture(scope="module")
def operator(node):
    return node.token("session operator", "--role", "operate")


@pytest.fixture(scope="module")
def customer(node):
    return node.token("session customer", "--app", "session")


def here(node):
    return {"Origin": f"http://{LOOPBACK}:{node.api_port}"}


def login(node, token, **more):
    return node.by_tcp("POST", "/api/v1/session", {},
                       {**here(node), **MARK, **more}, token)


def cookie_of(reply):
    """The cookie, as a browser sends it back."""
    return {"Cookie": reply.headers["Set-Cookie"].split(";")[0]}


def entered(node, token):
    reply = login(node, token)
    assert reply.status == 200, reply
    return cookie_of(reply)


# --- files --------------------------------------------------------------------


def test_every_file_is_served_and_guarded(node):
    for name in FILES:
        path = "/" if name == "index.html" else f"/dashboard/{name}"
        reply = node.by_tcp("GET", path)
        assert reply.status == 200
        assert reply.raw == (ROOT / "sync/dashboard" / name).read_bytes()
        kind = {"html": "text/html; charset=utf-8", "svg": "image/svg+xml",
                "css": "text/css; charset=utf-8",
                "js": "text/javascript; charset=utf-8"}[name.split(".")[-1]]
        head = reply.headers
        assert head["Content-Type"] == kind
        assert head["Content-Security-Policy"].startswith(POLICY)
        assert "require-trusted-types-for 'script'" in \
            head["Content-Security-Policy"]
        assert head["X-Content-Type-Options"] == "nosniff"
        assert head["X-Frame-Options"] == "DENY"
        assert head["Referrer-Policy"] == "no-referrer"
        assert head["Cross-Origin-Resource-Policy"] == "same-origin"
        assert head.get_all("Cache-Control") == ["no-cache"]
        assert "Set-Cookie" not in head
        again = node.by_tcp("GET", path, headers={"If-None-Match": head["ETag"]})
        assert (again.status, again.raw) == (304, b"")
        assert again.headers["ETag"] == head["ETag"]
        other = node.by_tcp("GET", path, headers={"If-None-Match": '"x"'})
        assert other.status == 200
        looked = node.by_tcp("HEAD", path)
        assert (looked.status, looked.raw) == (200, b"")


def test_the_files_name_each_other_and_nothing_else():
    """No request goes to other sites, and nothing is made of text."""
    for name in FILES:
        text = (ROOT / "sync/dashboard" / name).read_text()
        for used in re.findall(r'"(?:\./|/dashboard/)([\w.]+)"', text):
            assert used in FILES, f"{name}: {used}"
        urls = set(re.findall(r"https?://[\w./-]+", text))
        assert urls <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|"
                             r"document\.write|new Function|localStorage|"
                             r"sessionStorage|\bstyle=|\bon[a-z]+=\"", text), name


def test_other_paths_and_methods_are_not_there(node):
    for path in ("/dashboard", "/dashboard/", "/dashboard/x.js", "//",
                 "/dashboard/..%2Fopenapi.json", "/dashboard/%2e%2e/api.c",
                 "/index.html", "/dashboard/main.js/x"):
        assert node.by_tcp("GET", path).status == 404, path
    for path in ("/", "/dashboard/main.js"):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            reply = node.by_tcp(method, path, headers=MARK)
            assert reply.status == 405, (method, path)
            assert reply.headers["Allow"] == "GET"
    reply = node.by_tcp("PUT", "/api/v1/session", {}, MARK)
    assert reply.status == 405
    assert set(reply.headers["Allow"].split(", ")) == {"GET", "POST", "DELETE"}


# --- names ----------------------------------------------------------------------

OTHERS = ("evil.test", f"evil.test:{8405}", "127.0.0.1.evil.test",
          "certs.session.test.evil.test", "[::2]", "")


def test_under_other_names_there_is_no_dashboard(node, operator):
    cookie = entered(node, operator)
    for host in OTHERS:
        for method, path in (("GET", "/"), ("GET", "/dashboard/main.js"),
                             ("GET", "/api/v1/session"),
                             ("POST", "/api/v1/session"),
                             ("DELETE", "/api/v1/session"),
                             ("GET", "/api/v1/domains")):
            origin = {"Origin": f"http://{host}"}
            reply = node.by_tcp(
                method, path, {} if method == "POST" else None,
                {"Host": host, **cookie, **origin, **MARK})
            assert reply.status == 421, (host, method, path)
            assert "Set-Cookie" not in reply.headers
    # A token is nothing that a browser sends by itself.
    assert node.by_tcp("GET", "/api/v1/domains", token=operator,
                       headers={"Host": "any.test"}).status == 200


def test_names_that_an_operator_gives_are_known(ground):
    node = ground.node(settings={"api": {
        "url": "https://certs.session.test:8443",
        "hosts": ["console.session.test"]}})
    token = node.token("by name")
    for host in ("certs.session.test:8443", "console.session.test"):
        assert node.by_tcp("GET", "/", headers={"Host": host}).status == 200
    assert node.by_tcp("GET", "/", headers={
        "Host": "certs.session.test"}).status == 421
    # By its https URL, and where who is in front says so: for TLS alone.
    for host, more in (("certs.session.test:8443", {}),
                       ("console.session.test", {"X-Forwarded-Proto": "https"})):
        asked = {"Host": host, **more}
        plain = login(node, token, **asked, Origin=f"http://{host}")
        assert plain.status == 403
        reply = login(node, token, **asked, Origin=f"https://{host}")
        assert reply.status == 200
        line = reply.headers["Set-Cookie"]
        assert line.startswith("__Host-certfleet=ey")
        assert "; Secure" in line and "; Path=/;" in line
        assert "Domain" not in line
        got = node.by_tcp("GET", "/api/v1/domains",
                          headers={**asked, **cookie_of(reply)})
        assert got.status == 200
        # The same under the name of the one without TLS is none.
        other = cookie_of(reply)["Cookie"].replace("__Host-", "")
        assert node.by_tcp("GET", "/api/v1/domains", headers={
            **asked, "Cookie": other}).status == 401


# --- sessions -------------------------------------------------------------------


def test_a_token_becomes_a_session(node, customer):
    reply = login(node, customer)
    session = reply.json["session"]
    assert (session["name"], session["role"], session["apps"]) == (
        "session customer", "read", ["session"])
    line = reply.headers["Set-Cookie"]
    assert re.fullmatch(r"certfleet=[\w.-]+; Path=/; Max-Age=3600; HttpOnly; "
                        r"SameSite=Strict", line)
    assert customer not in line
    cookie = cookie_of(reply)
    shown = node.by_tcp("GET", "/api/v1/session", headers=cookie).json
    assert shown["session"] == session
    mine = node.by_tcp("GET", "/api/v1/domains?after=", headers=cookie).json
    assert [d["name"] for d in mine["domains"]] == ["www.session.test"]
    assert node.by_tcp("GET", "/api/v1/domains/www.elsewhere.test",
                       headers=cookie).status == 404
    assert node.by_tcp("GET", "/api/v1/nodes", headers=cookie).status == 403
    # A cookie among others; and what is not ours is none.
    both = {"Cookie": f"a=b; {cookie['Cookie']}; c=d"}
    assert node.by_tcp("GET", "/api/v1/domains", headers=both).status == 200
    for bad in ("certfleet=x", "certfleet=", cookie["Cookie"][:-2] + "AA",
                f"certfleet={customer}"):
        reply = node.by_tcp("GET", "/api/v1/domains", headers={"Cookie": bad})
        assert reply.status == 401, bad
        reply = node.by_tcp("GET", "/api/v1/session", headers={"Cookie": bad})
        assert (reply.status, reply.json) == (200, {"session": None})


def test_a_session_is_no_pass_and_a_pass_no_session(node, operator):
    cookie = entered(node, operator)
    text = cookie["Cookie"].split("=", 1)[1]
    assert node.by_tcp("GET", "/api/v1/domains", token=text).status == 401
    basic = base64.b64encode(f":{operator}".encode()).decode()
    jwt = node.by_tcp("POST", "/v1/tokens/exchange", {},
                      {"Authorization": f"Basic {basic}"}).json["token"]
    assert node.by_tcp("GET", "/api/v1/domains", token=jwt).status == 200
    assert node.by_tcp("GET", "/api/v1/domains", headers={
        "Cookie": f"certfleet={jwt}"}).status == 401
    for bad in (jwt, text, "cft_" + "A" * 27, ""):
        assert login(node, bad).status == 401


def test_logging_out_takes_the_cookie(node, operator):
    cookie = entered(node, operator)
    reply = node.by_tcp("DELETE", "/api/v1/session",
                        headers={**cookie, **here(node), **MARK})
    assert reply.status == 204
    assert reply.headers["Set-Cookie"].startswith("certfleet=; Path=/; Max-Age=0;")
    again = node.by_tcp("DELETE", "/api/v1/session", headers={**here(node), **MARK})
    assert again.status == 204


def test_a_revoked_token_ends_its_sessions(node):
    cookie = entered(node, node.token("session short"))
    assert node.by_tcp("GET", "/api/v1/domains", headers=cookie).status == 200
    node.cli("token", "revoke", "session short")
    assert node.by_tcp("GET", "/api/v1/domains", headers=cookie).status == 401


# --- where it comes from ----------------------------------------------------------


def test_what_changes_something_must_come_from_our_page(node, operator):
    cookie = entered(node, operator)
    own = here(node)
    path, body = "/v1/apps/session/domains", {"domain": {"name": "x.session.test"}}
    one = path + "/www.session.test"
    foreign = ({}, MARK, own, {**MARK, "Origin": "http://evil.test"},
               {**MARK, "Origin": "null"},
               {**MARK, "Origin": f"http://{LOOPBACK}:1"},
               {**MARK, "Origin": f"http://{LOOPBACK}"},
               {**MARK, "Origin": f"ws://{LOOPBACK}:{node.api_port}"},
               {**MARK, **own, "Sec-Fetch-Site": "cross-site"},
               {**MARK, **own, "Sec-Fetch-Site": "same-site"},
               {**MARK, **own, "Sec-Fetch-Site": "none"})
    for headers in foreign:
        for method, at, what in (("POST", path, body), ("PATCH", one, {}),
                                 ("PUT", one, {"name": "www.session.test"}),
                                 ("DELETE", one, None),
                                 ("POST", "/api/v1/plan", {"names": ["a.test"]}),
                                 ("DELETE", "/api/v1/session", None)):
            reply = node.by_tcp(method, at, what, {**cookie, **headers})
            assert (reply.status, reply.json["code"]) == (403, "foreign"), (
                method, at, headers)
    assert node.record("x.session.test") == {} and node.record("www.session.test")
    # Looking from elsewhere is refused, too; scripts could not read it anyway.
    for headers in ({"Origin": "http://evil.test"},
                    {"Sec-Fetch-Site": "cross-site"}):
        assert node.by_tcp("GET", "/api/v1/domains",
                           headers={**cookie, **headers}).status == 403
    reply = node.by_tcp("POST", path, body, {
        **cookie, **own, **MARK, "Sec-Fetch-Site": "same-origin"})
    assert reply.status == 201
    assert node.by_tcp("DELETE", path + "/x.session.test", headers={
        **cookie, **own, **MARK}).status == 204


def test_a_login_from_elsewhere_is_refused(node, operator):
    for headers in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        reply = login(node, operator, **headers)
        assert reply.status == 403 and "Set-Cookie" not in reply.headers
    reply = node.by_tcp("POST", "/api/v1/session", {}, here(node), operator)
    assert reply.status == 403


def test_what_a_session_does_is_written_down(node, operator):
    cookie = entered(node, operator)
    node.by_tcp("POST", "/v1/apps/session/domains",
                {"domain": {"name": "audit.session.test"}},
                {**cookie, **here(node), **MARK})

    def entry():
        audit = node.cli("audit", "-n", "20", "--json").json["audit"]
        return [e for e in audit if e.get("name") == "audit.session.test"]

    assert "session operator" in wait_for("the audit", entry)[0]["who"]
    node.cli("--app", "session", "domains-remove", "audit.session.test")


# --- events -----------------------------------------------------------------------


def followed(node, cookie, names):
    """Add these domains, (name, app), while following; what is told of them.

    It ends when the last one has been told.
    """
    with socket.create_connection((LOOPBACK, node.api_port), 10 * SLOW) as s:
        s.sendall(f"GET /api/v1/events?follow=1 HTTP/1.1\r\n"
                  f"Host: {LOOPBACK}:{node.api_port}\r\n"
                  f"Accept: text/event-stream\r\n"
                  f"Cookie: {cookie['Cookie']}\r\n\r\n".encode())
        said = b""
        while b"\r\n\r\n" not in said:
            said += s.recv(4096)
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"Content-Type: text/event-stream\r\n" in said
        for name, app in names:
            node.add(name, app=app)
        end = time.monotonic() + 10 * SLOW
        while names[-1][0].encode() not in said and time.monotonic() < end:
            said += s.recv(4096)
    for name, app in names:
        node.cli("--app", app, "domains-remove", name)
    events = [json.loads(e) for e in re.findall(
        rb"^data: (.*)\n\r?\n", said, re.M)]
    return {e["name"]: e for e in events if "name" in e}


TOLD = (("told.elsewhere.test", "elsewhere"), ("told.session.test", "session"))


def test_events_are_followed_by_a_session(node, operator):
    told = followed(node, entered(node, operator), TOLD)
    assert set(told) >= {name for name, _ in TOLD}
    assert told["told.session.test"]["type"] in ("added", "status")


def test_who_is_for_some_apps_is_told_what_of_theirs_has_changed(
        node, customer):
    told = followed(node, entered(node, customer), TOLD)
    assert {e["app"] for e in told.values()} == {"session"}
    event = told["told.session.test"]
    assert (event["type"], event["status"]) == ("changed", "pending_dns")
    for more in ("", "?n=5", "?follow=1&n=5"):
        assert node.by_tcp("GET", f"/api/v1/events{more}",
                           token=customer).status == 403


# --- searches and what is ahead -----------------------------------------------------


@pytest.fixture(scope="module", params=(1, 4), ids=("one", "four partitions"))
def many(request, session_ground):
    """Records of 3,000 domains, that nothing is due for."""
    node = session_ground.node(settings={"redis": {"partitions": request.param}})
    day = 86400000
    now = int(time.time() * 1000)
    today = now - now % day
    with node.redis_client() as redis:
        for i in range(3000):
            name = f"n{i:04}.{'rare' if i % 500 == 7 else 'many'}.test"
            p = f"{PREFIX}{{p{node.partition(name)}}}:"
            app = "big" if i % 3 else "small"
            redis("HSET", f"{p}domain:{name}", "name", name, "app", app,
                  "status", "action_required" if i % 1000 == 999 else "in_use",
                  "letsencrypt", "0" if i % 100 == 50 else "1",
                  "renew_at", today + i % 100 * day + 5,
                  "not_after", today + (30 + i % 100) * day + 5,
                  *(("custom_sha1", "AB", "custom_not_after", now - day)
                    if i == 77 else ()), "epoch", "0")
            redis("ZADD", f"{p}names", 0, name)
            redis("SADD", f"{PREFIX}app:{app}", name)
        redis("SADD", f"{PREFIX}apps", "big", "small")
    node.today, node.day = today, day
    return node


def walked(node, query, limit=100, token=None):
    """All names, a page at a time."""
    names, after = [], ""
    while True:
        path = f"/api/v1/domains?limit={limit}&after={after}&{query}"
        reply = node.by_tcp("GET", path, token=token) if token else \
            node.request("GET", path)
        assert reply.status == 200, reply
        page = [d["name"] for d in reply.json["domains"]]
        assert len(page) <= limit
        names += page
        after = reply.json["next"]
        if after is None:
            return names


def test_a_walk_sees_each_domain_once_in_order(many):
    names = walked(many, "", 500)
    assert len(names) == 3000 and names == sorted(set(names))
    assert walked(many, "", 7)[:50] == names[:50]
    assert walked(many, "app=small", 300) == names[::3]
    rare = [n for n in names if "rare" in n]
    assert len(rare) == 6
    assert walked(many, "q=RARE", 4) == rare == walked(many, "q=rare.te", 6)
    needing = names[999::1000]
    for limit in (1, 2, 3, 100):
        assert walked(many, "status=action_required", limit) == needing
    assert walked(many, "status=action_required&app=small", 1) == [
        n for n in needing if n in set(names[::3])]
    assert walked(many, "q=n000&app=big&status=in_use", 3) == [
        n for i, n in enumerate(names[:10]) if i % 3]
    for odd in ("q=%25", "q=.*", "q=%5B", "q=none", "status=creating"):
        assert walked(many, odd) == []
    for query, code in (("q=" + "x" * 254, 400), ("after=" + "x" * 300, 400),
                        ("q=x&status=nothing", 400), ("after=zzz", 200)):
        assert many.request("GET", f"/api/v1/domains?{query}").status == code


def test_a_status_is_counted_without_holding_all(many):
    names = walked(many, "", 500)
    for status, wanted in (("action_required", names[999::1000]),
                           ("in_use", [n for i, n in enumerate(names)
                                       if i % 1000 != 999])):
        page = many.api("GET", f"/api/v1/domains?status={status}&limit=20"
                               "&offset=1")[1]
        assert page["total"] == len(wanted)
        assert [d["name"] for d in page["domains"]] == wanted[1:21]
    both = many.token("both", "--app", "small,big")
    page = many.by_tcp("GET", "/api/v1/domains?limit=30&offset=2990",
                       token=both).json
    assert page["total"] == 3000
    assert [d["name"] for d in page["domains"]] == names[2990:]


def test_a_walk_shows_no_others_domains(many):
    token = many.token("walker", "--app", "small,none")
    assert len(walked(many, "", 500, token)) == 1000
    reply = many.by_tcp("GET", "/api/v1/domains?app=big&after=", token=token)
    assert reply.json["domains"] == []


def test_what_is_ahead_is_counted_by_day(many):
    if int(time.time() * 1000) >= many.today + many.day:
        pytest.skip("it is another day now")
    ahead = many.api("GET", "/api/v1/renewals?days=90")[1]
    days = ahead["days"]
    assert [d["date"] for d in days] == [
        time.strftime("%Y-%m-%d", time.gmtime((many.today + i * many.day) / 1000))
        for i in range(90)]
    # Thirty a day, but for those whose Let's Encrypt is off.
    assert [d["renewals"] for d in days] == [0 if i == 50 else 30
                                             for i in range(90)]
    assert [d["ends"] for d in days] == [0 if i < 30 or i == 80 else 30
                                         for i in range(90)]
    assert ahead["before"] == {"renewals": 0, "ends": 0, "custom_ends": 1}
    again = many.api("GET", "/api/v1/renewals?days=90")[1]
    assert again["at"] == ahead["at"]
    assert len(many.api("GET", "/api/v1/renewals?days=1")[1]["days"]) == 1
    for days in ("0", "401", "x"):
        assert many.request("GET", f"/api/v1/renewals?days={days}").status == 400
