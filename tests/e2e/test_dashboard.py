"""The dashboard in a real Chromium: what customers and operators see and do.

CERTFLEET_SCREENSHOTS names a directory for pictures of it.
"""

import contextlib
import http.server
import json
import re
import subprocess
import threading
import time

import pytest

from browser import ENTER, ESCAPE, TAB, Browser
from conftest import failed
from dnsapi.world import DnsWorld
from harness import wait_for
from node import PREFIX
from peers import TlsFiles

INTERVAL = 0.3
XSS = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def settings(world):
    return {"dns": {"authoritative_port": world.servers.port,
                    "record_interval_ms": int(INTERVAL * 1000)},
            "api": {"requests_per_minute": 0}}


@pytest.fixture(scope="module")
def place(session_ground):
    """A node with name servers of its own, and domains in every status."""
    world = DnsWorld(session_ground.dir / "dash", authz_reuse=0, nonce_reject=0)
    session_ground.worlds.append(world)
    node = session_ground.node(world, name="edge-1", settings=settings(world))
    world.servers.add_zone("shop.test", {
        (f"{n}.shop.test", "A"): (60, (node.address,))
        for n in ("www", "own", "off", "gone", "renewed")})
    node.add("www.shop.test", "own.shop.test", "off.shop.test", "gone.shop.test",
             "renewed.shop.test", "lost.shop.test", app="shop")
    node.add("blog.other.test", app="blog")
    for name in ("www", "own", "off", "gone", "renewed"):
        node.await_status(f"{name}.shop.test", "in_use")
    return node


@pytest.fixture(scope="module")
def chromium(session_ground):
    browser = Browser(session_ground.dir / "browser")
    session_ground.keep(browser)
    return browser.start()


@pytest.fixture
def browser(chromium, place, request):
    """A desk with nobody logged in; at the end the console was silent."""
    chromium.go("about:blank")
    chromium.cdp("Network.clearBrowserCookies")
    chromium.prefer(color_scheme="light", reduced_motion="no-preference")
    chromium.size(1280, 900)
    chromium.complaints()
    chromium.expected = []
    yield chromium
    if failed(request):
        print(chromium.page())
        chromium.picture(f"failed-{request.node.name}")
        print(place.tails())
    else:
        assert [c for c in chromium.complaints()
                if not any(e in c for e in chromium.expected)] == []


def site(node):
    return f"http://127.0.0.1:{node.api_port}"


@pytest.fixture(scope="module")
def tokens(place):
    return {
        "admin": place.token("admin", "--role", "admin"),
        "reader": place.token("reader", "--role", "read"),
        "shop": place.token("customer", "--app", "shop", "--role", "operate"),
        "looker": place.token("looker", "--app", "shop"),
    }


def enter(browser, node, token, path=""):
    browser.go(f"{site(node)}/{path}")
    browser.one("form.login")
    browser.enter("API token", token)
    browser.press("button", "Log in")
    browser.one("#top", "certfleet")


def at(browser, path, css="h1", having=""):
    """Go to another page of the dashboard, without a reload."""
    browser.js(f"location.hash = {json.dumps('#/' + path)}")
    return browser.one(css, having)


def row(browser, name):
    """The text of that domain's line, "" when there is none."""
    return browser.js("""
        const of = [...document.querySelectorAll('tbody tr')].find(
            r => r.querySelector('a.name')?.textContent === arguments[0]);
        return of ? of.innerText : ''""", name)


def await_row(browser, name, part):
    wait_for(f"{name} to show {part!r}", lambda: part in row(browser, name),
             20, 0.05, browser.page)


# --- a customer ------------------------------------------------------------------


def test_a_customer_makes_a_wildcard_work(browser, place, tokens):
    name, zone = "*.wild.shop.test", "wild.shop.test"
    place.world.servers.add_zone(zone)
    enter(browser, place, tokens["shop"])
    browser.js("window.loaded = 'once'")
    browser.press("button", "Add a domain")
    browser.enter("Domain", name)
    browser.picture("add")
    browser.keys(ENTER)
    browser.none("dialog")
    await_row(browser, name, "Action required")
    browser.picture("domains-customer")

    assert browser.one("button.help").label == \
        f"What has to be done for {name}"
    browser.press("button.help")
    record = browser.js("""
        return Object.fromEntries([...document.querySelectorAll('dialog dl > div')].map(
            d => [d.querySelector('dt').textContent, d.querySelector('code').textContent]))""")
    kept = place.record(name)
    assert record == {"Name": kept["acme_dns_fqdn"], "TTL": "120",
                      "Type": "TXT", "Value": kept["acme_dns_value"]}
    browser.cdp("Browser.grantPermissions", origin=site(place), permissions=[
        "clipboardReadWrite", "clipboardSanitizedWrite"])
    for label, key in (("Copy Name", "Name"), ("Copy Value", "Value")):
        browser.press(f"dialog [aria-label='{label}']")
        browser.one("dialog .copy", "Copied")
        assert browser.js(
            "return await navigator.clipboard.readText()") == record[key]
    browser.picture("action-required")
    browser.keys(ESCAPE)
    browser.none("dialog")

    place.world.servers.publish(zone, {
        (record["Name"], "TXT"): (120, (f'"{record["Value"]}"',))})
    await_row(browser, name, "In use")
    assert browser.js("return window.loaded") == "once"
    assert place.served("a.wild.shop.test").verified
    wait_for("it to be said", lambda: "is now In use" in browser.js(
        "return document.getElementById('said').textContent"), 5)


def test_a_customer_sees_their_apps_and_nothing_of_the_fleet(
        browser, place, tokens):
    enter(browser, place, tokens["shop"])
    await_row(browser, "www.shop.test", "In use")
    assert row(browser, "blog.other.test") == ""
    assert browser.text("#nav") == "Domains"
    assert "customer (operate, 1 app)" in browser.text("#who")
    at(browser, "nodes", "h1", "Domains")
    at(browser, "domain/blog.other.test", ".notice", "not there")
    browser.expected = ["status of 404"]


def test_who_may_only_read_sees_no_buttons(browser, place, tokens):
    for token, pages in (("looker", "Domains"), ("reader", "Domains Renewals")):
        browser.go("about:blank")
        browser.cdp("Network.clearBrowserCookies")
        enter(browser, place, tokens[token])
        await_row(browser, "www.shop.test", "In use")
        assert browser.text("#nav").split()[:len(pages.split())] == pages.split()
        assert not any("Add" in b.text for b in browser.all("button"))
        at(browser, "domain/www.shop.test", ".timeline")
        assert [b.text for b in browser.all("main button")] == []


# --- an operator -----------------------------------------------------------------


def test_domains_are_searched_and_filtered(browser, place, tokens):
    enter(browser, place, tokens["admin"])
    await_row(browser, "blog.other.test", "Pending DNS")
    wait_for("counts", lambda: re.search(
        r"In use\s*\d", browser.text(".chips")), 10)
    browser.picture("domains")
    browser.enter("Search", "WWW.sh")
    wait_for("only that", lambda: len(browser.all("tbody tr")) == 1, 10)
    assert row(browser, "www.shop.test")
    browser.enter("Search", "no such")
    browser.one(".empty", "No domain is like that.")
    browser.enter("Search", "")
    browser.enter("App", "blog")
    wait_for("only the app", lambda: len(browser.all("tbody tr")) == 1, 10)
    browser.go("about:blank")
    browser.go(f"{site(place)}/#/domains?status=pending_dns&q=shop")
    wait_for("both", lambda: [r for r in ("lost.shop.test", "www.shop.test")
                              if row(browser, r)] == ["lost.shop.test"], 10)
    browser.press(".chips button", "All")
    await_row(browser, "www.shop.test", "In use")


def test_pages_follow_each_other(browser, place, tokens):
    names = [f"p{i:03}.pages.test" for i in range(120)]
    p = f"{PREFIX}{{p0}}:"
    with place.redis_client() as redis:
        for name in names:
            redis("HSET", f"{p}domain:{name}", "name", name, "app", "pages",
                  "status", "in_use", "letsencrypt", "1", "epoch", "0")
            redis("SADD", f"{PREFIX}app:pages", name)
        redis("ZADD", f"{p}names", *(x for n in names for x in (0, n)))
        enter(browser, place, tokens["reader"], "#/domains?q=pages")
        shown = ("return [...document.querySelectorAll('tbody a.name')]"
                 ".map(a => a.textContent)")

        def page(number, first, last):
            browser.one(".pager", f"Page {number}" if number else "")
            wait_for(f"page {number}", lambda: browser.js(shown) ==
                     names[first:last], 20, explain=browser.page)

        page(1, 0, 50)
        assert browser.one(".pager button", "Previous").attribute("disabled")
        browser.press(".pager button", "Next")
        page(2, 50, 100)
        browser.press(".pager button", "Next")
        page(3, 100, 120)
        assert browser.one(".pager button", "Next").attribute("disabled")
        browser.press(".pager button", "Previous")
        page(2, 50, 100)
        # Another search begins with its first page.
        browser.enter("Search", "p06")
        page("", 60, 70)
        redis("DEL", *(f"{p}domain:{n}" for n in names), f"{p}counts",
              f"{PREFIX}app:pages")
        redis("ZREM", f"{p}names", *names)


def test_a_custom_certificate_comes_and_goes(browser, place, tokens, tmp_path):
    name = "own.shop.test"
    ca = TlsFiles(tmp_path)
    csr, cert = tmp_path / "own.csr", tmp_path / "own.pem"
    key = tmp_path / "own.key"
    (tmp_path / "ext").write_text(f"subjectAltName = DNS:{name}\n")
    for args in (["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr,
                  "-subj", f"/CN={name}"],
                 ["x509", "-req", "-in", csr, "-CA", ca.ca, "-CAkey",
                  tmp_path / "ca.key", "-CAcreateserial", "-days", "20",
                  "-extfile", tmp_path / "ext", "-out", cert]):
        subprocess.run(["openssl", *map(str, args)], check=True,
                       capture_output=True)
    enter(browser, place, tokens["admin"], f"#/domain/{name}")
    browser.press("button", "Upload certificate")
    browser.enter("Certificate, with its chain", "not a certificate")
    browser.one("dialog textarea")
    browser.press("dialog button", "Upload")
    browser.one("dialog .wrong", " ")
    browser.expected = ["status of 422"]
    browser.picture("upload-refused")
    inputs = browser.all("dialog input[type=file]")
    inputs[0].type(str(cert))
    inputs[1].type(str(key))
    wait_for("both files", lambda: browser.js(
        "return [...document.querySelectorAll('dialog textarea')].every("
        "t => t.value.startsWith('-----BEGIN'))"), 10)
    browser.press("dialog button", "Upload")
    browser.none("dialog")
    browser.one(".state", "Not used", 30)
    browser.one("section", "RSA private key - 2048 bits")
    browser.picture("custom")
    browser.press("button", "Remove certificate")
    browser.one("dialog", "Remove the custom certificate?")
    browser.press("dialog button.danger", "Remove")
    browser.none("dialog")
    browser.one(".state", "In use", 30)


def test_lets_encrypt_is_switched_off_and_on(browser, place, tokens):
    enter(browser, place, tokens["admin"], "#/domain/off.shop.test")
    browser.press("[role=switch][aria-checked=true]")
    browser.one("dialog", "loses its certificate")
    browser.keys(ESCAPE)
    browser.none("dialog")
    browser.press("[role=switch][aria-checked=true]")
    browser.press("dialog button.danger", "Switch off")
    browser.one(".state", "Disabled")
    browser.press("[role=switch][aria-checked=false]")
    browser.one(".state", "In use", 30)


def test_a_certificate_is_renewed_when_somebody_asks(browser, place, tokens):
    enter(browser, place, tokens["admin"], "#/domain/renewed.shop.test")
    serial = place.serial("renewed.shop.test")
    browser.one("dl", serial)
    browser.press("button", "Renew now")
    browser.press("dialog button.danger", "Renew")
    browser.one("dialog .notice", "was issued only at")
    browser.press("dialog input[type=checkbox]")
    browser.press("dialog button.danger", "Renew")
    browser.none("dialog")
    browser.expected = ["status of 409"]
    browser.one(".timeline", "Renewal asked for")
    wait_for("another serial", lambda: serial not in browser.text("main") and
             place.serial("renewed.shop.test") in browser.text("main"), 30)


def test_a_domain_is_removed_after_a_question(browser, place, tokens):
    enter(browser, place, tokens["admin"], "#/domain/gone.shop.test")
    browser.press("button", "Remove domain")
    browser.one("dialog", "Remove gone.shop.test?")
    browser.press("dialog button", "Cancel")
    browser.none("dialog")
    assert place.record("gone.shop.test")
    browser.press("button", "Remove domain")
    browser.press("dialog button.danger", "Remove")
    browser.one("h1", "Domains")
    await_row(browser, "www.shop.test", "In use")
    assert row(browser, "gone.shop.test") == ""
    assert place.record("gone.shop.test") == {}
    browser.expected = ["status of 404"]  # what it asked at that moment


def test_what_is_wrong_is_said_beside_its_field(browser, place, tokens):
    enter(browser, place, tokens["admin"])
    browser.press("button", "Add a domain")
    browser.enter("Domain", "www..test")
    browser.keys(ENTER)
    said = browser.one("dialog .wrong", "label").text
    field = browser.one("dialog input[aria-invalid=true]")
    assert field.label == "Domain" and said
    browser.expected = ["status of 422"]
    browser.keys(ESCAPE)


def test_the_fleet_is_shown(browser, place, tokens):
    enter(browser, place, tokens["reader"], "#/nodes")
    browser.one(".node", "edge-1")
    assert "up to date" in browser.text(".node")
    browser.picture("nodes")
    at(browser, "renewals", ".chart svg")
    due = int(place.record("www.shop.test")["renew_at"]) / 1000
    day = time.strftime("%Y-%m-%d", time.gmtime(due))
    ahead = place.api("GET", "/api/v1/renewals")[1]
    assert len(ahead["days"]) == 90
    assert next(d for d in ahead["days"] if d["date"] == day)["renewals"] >= 1
    total = sum(d["renewals"] for d in ahead["days"])
    browser.one(".chart .hint", f"{total} in the coming 90 days")
    browser.picture("renewals")
    at(browser, "limits", ".limit", "of 300 in 3 hours")
    browser.enter("Also of a domain", "www.shop.test")
    browser.keys(ENTER)
    browser.one(".limits", "of 50 in 7 days")
    browser.picture("limits")


def test_a_full_limit_says_when_the_next_is_free(browser, place, tokens):
    name = "full.test"
    host = place.pebble.directory.split("/")[2]
    now = int(time.time() * 1000)
    at_ca = next(l for l in place.api("GET", f"/api/v1/limits?domain={name}")[1][
        "limits"] if l["limit"] == "domain")
    with place.redis_client() as redis:
        for i in range(at_ca["max"]):
            redis("ZADD", f"{PREFIX}limit:domain:{name}@{host}", now, f"x{i}")
    enter(browser, place, tokens["reader"], f"#/limits?domain={name}")
    full = browser.one(".limit", "full.test").text
    assert "50 of 50 in 7 days" in full
    assert re.search(r"next free in [67] days", full), full


# --- what strangers write ----------------------------------------------------------


@contextlib.contextmanager
def planted(node, name, **fields):
    """A domain's record that nobody looks at, so that it stays as it is."""
    p = f"{PREFIX}{{p0}}:"
    with node.redis_client() as redis:
        redis("HSET", f"{p}domain:{name}", "name", name, "app", "shop",
              "letsencrypt", "1", "epoch", "0",
              *(x for pair in fields.items() for x in pair))
        redis("ZADD", f"{p}names", 0, name)
        redis("SADD", f"{PREFIX}app:shop", name)
        redis("LPUSH", f"{p}timeline:{name}", json.dumps(
            {"type": XSS, "at": "1", "status": XSS, "reason": XSS,
             "action": XSS}))
        yield
        redis("DEL", f"{p}domain:{name}", f"{p}timeline:{name}", f"{p}counts")
        redis("ZREM", f"{p}names", name)
        redis("SREM", f"{PREFIX}app:shop", name)


def test_what_strangers_write_stays_text(browser, place, tokens):
    """Names, the CA's words and DNS answers are written by anybody."""
    name = "hostile.shop.test"
    with planted(place, name, reason=XSS, last_error=f"CA: {XSS}",
                 attempts="3", issuer=XSS, sha1="AB", serial="12", ca=XSS,
                 explanation_url="javascript:document.title='taken'",
                 status="action_required",
                 action=f"unpause it at the CA: javascript:{XSS}"):
        look_at_hostile(browser, place, tokens, name)


def look_at_hostile(browser, place, tokens, name):
    enter(browser, place, tokens["admin"], "#/domain/" + name)
    browser.one(".timeline", XSS)
    shown = browser.text("main")
    assert shown.count("<img src=x onerror=") >= 7
    browser.press("button.help")
    browser.one("dialog", "unpause it at the CA: javascript:")
    assert browser.js("""return [...document.querySelectorAll('a')].every(
        a => ['http:', 'https:'].includes(a.protocol))""")
    assert not browser.all("main img, main script, dialog img, dialog script")
    browser.picture("hostile")
    browser.keys(ESCAPE)
    at(browser, "domains")
    await_row(browser, name, "<img src=x")
    browser.enter("Search", XSS)
    browser.one(".empty", "No domain")
    browser.js("location.hash = '#/domain/' + encodeURIComponent(arguments[0])",
               XSS)
    browser.one("h1", "<img src=x")
    browser.one(".notice", "not there")
    assert "taken" not in browser.js("return document.title.replace(/<.*>/, '')")
    assert not browser.all("main img, main script")
    browser.expected = ["status of 404", "status of 400"]


def test_characters_that_hide_are_shown(browser, place, tokens):
    name = "hidden.shop.test"
    with planted(place, name, status="pending_dns",
                 reason="a\u202egnp.exe\u200b"):
        enter(browser, place, tokens["admin"])
        await_row(browser, name, "a\\u202egnp.exe\\u200b")


def test_no_markup_can_be_made_at_all(browser, place, tokens):
    """Should a script ever try: the policy refuses markup and foreign code."""
    browser.go(site(place))
    browser.one("form.login")
    for script in ("document.body.innerHTML = '<b>x</b>'",
                   "document.write('x')",
                   "document.createElement('script').text = 'x'",
                   "document.body.setAttribute('onclick', 'x')",
                   "document.body.insertAdjacentHTML('beforeend', 'x')"):
        assert browser.js(f"try {{ {script}; return '' }} "
                          "catch (e) { return e.name }") == "TypeError", script
    refused = browser.js("""
        const frame = document.createElement('iframe');
        const seen = new Promise(r => document.addEventListener(
            'securitypolicyviolation', e => r(e.effectiveDirective)));
        frame.src = 'https://evil.test/';
        document.body.append(frame);
        return await seen""")
    assert refused == "frame-src"
    browser.expected = ["requires 'Trusted", "Content Security Policy"]


# --- sessions -----------------------------------------------------------------------


def test_no_script_can_read_the_session(browser, place, tokens):
    enter(browser, place, tokens["admin"])
    assert browser.js("return document.cookie") == ""
    assert browser.js("return [localStorage.length, sessionStorage.length]") \
        == [0, 0]
    (cookie,) = browser.cdp("Network.getCookies",
                            urls=[site(place)])["cookies"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert cookie["path"] == "/" and tokens["admin"] not in cookie["value"]
    browser.reload()
    await_row(browser, "www.shop.test", "In use")
    browser.press("button", "Log out")
    browser.one("form.login", "You are logged out.")
    assert browser.cdp("Network.getCookies", urls=[site(place)])["cookies"] == []
    browser.reload()
    browser.one("form.login")


def test_a_wrong_token_is_told(browser, place):
    browser.go(site(place))
    browser.one("form.login")
    browser.picture("login")
    browser.press("button", "Log in")
    browser.one(".wrong", "A token is needed.")
    browser.enter("API token", "cft_" + "A" * 27)
    browser.keys(ENTER)
    browser.one(".wrong", "This is no valid token.")
    browser.expected = ["status of 401"]


def test_a_revoked_token_ends_its_sessions(browser, place):
    token = place.token("short", "--role", "operate")
    enter(browser, place, token)
    await_row(browser, "www.shop.test", "In use")
    place.cli("token", "revoke", "short")
    browser.js("location.hash = '#/domains?status=in_use'")
    browser.one("form.login", "The session has ended.")
    browser.expected = ["status of 401"]


class Evil(http.server.BaseHTTPRequestHandler):
    """A page of another origin, on the same machine."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>evil</title><p>evil")

    def log_message(self, *_):
        pass


@pytest.fixture
def evil():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("host", ("127.0.0.1", "localhost"))
def test_other_pages_can_do_nothing(browser, place, tokens, evil, host):
    """Of the same host they even have the user's cookie sent."""
    enter(browser, place, tokens["admin"])
    browser.go(f"http://{host}:{evil}/")
    tried = browser.js("""
        const at = arguments[0], said = [];
        const add = at + '/v1/apps/shop/domains', one = add + '/www.shop.test';
        const body = '{"domain":{"name":"evil.test"}}', marked = { 'X-Certfleet': 'x' };
        for (const [url, what] of [
          [at + '/api/v1/domains', {}],
          [add, { method: 'POST', body }],
          [add, { method: 'POST', body, mode: 'no-cors' }],
          [add, { method: 'POST', body, headers: marked }],
          [one, { method: 'DELETE' }],
          [one, { method: 'DELETE', headers: marked }],
          [at + '/api/v1/session', { method: 'POST', headers: marked }],
        ]) {
          try {
            said.push((await fetch(url, { credentials: 'include', ...what })).type);
          } catch (e) { said.push(e.name); }
        }
        return said""", site(place))
    assert tried == [*["TypeError"] * 2, "opaque", *["TypeError"] * 4]
    assert place.record("evil.test") == {} and place.record("www.shop.test")
    browser.js("""
        const form = document.createElement('form');
        form.method = 'POST';
        form.enctype = 'text/plain';
        form.action = arguments[0] + '/v1/apps/shop/domains';
        const input = document.createElement('input');
        input.name = '{"domain":{"name":"evil.test","x';
        input.value = '":1}}';
        form.append(input);
        document.body.append(form);
        setTimeout(() => form.submit(), 0)""", site(place))
    wait_for("the answer", lambda: "error" in browser.js(
        "return document.body.innerText"), 10)
    said = browser.js("return document.body.innerText")
    assert ("own page" if host == "127.0.0.1" else "token") in said, said
    assert place.record("evil.test") == {}
    browser.go(f"http://{host}:{evil}/")
    assert browser.js("""
        const frame = document.createElement('iframe');
        frame.src = arguments[0];
        document.body.append(frame);
        await new Promise(r => frame.onload = r);
        try { return frame.contentDocument === null } catch { return true }""",
                      site(place)) is True
    browser.expected = ["CORS", "ERR_FAILED", "status of 40", "frame",
                        "Refused to display", "ERR_BLOCKED_BY_RESPONSE"]


# --- for everybody ------------------------------------------------------------------

PAGES = ("domains", "domain/www.shop.test", "renewals", "limits?domain=www.shop.test",
         "nodes")

FAULTS = r"""
const faults = [];
const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
  e.getClientRects().length > 0;
const name = (e) => e.getAttribute('aria-label') ||
  (e.getAttribute('aria-labelledby') || '').split(' ').map(
    i => document.getElementById(i)?.textContent || '').join('') ||
  [...(e.labels || [])].map(l => l.textContent).join('') || e.textContent || e.title;
const say = (e) => `${e.tagName.toLowerCase()}.${e.className?.baseVal ?? e.className} ` +
  `"${e.textContent.trim().slice(0, 40)}"`;
if (document.documentElement.lang !== 'en') faults.push('no language');
if (document.title === '') faults.push('no title');
if (document.querySelectorAll('main').length !== 1) faults.push('not one main');
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('twice ' + id);
for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby], [for]'))
  for (const attribute of ['aria-describedby', 'aria-labelledby', 'for'])
    for (const id of (e.getAttribute(attribute) || '').split(' ').filter(Boolean))
      if (!document.getElementById(id)) faults.push(`${attribute} ${id} leads nowhere`);
for (const e of document.querySelectorAll('button, a, input, select, textarea, dialog, ' +
    '[role=meter], [role=switch], [role=group], svg[role=img], nav, section[aria-labelledby]'))
  if (shown(e) && name(e).trim() === '') faults.push('no name: ' + say(e));
for (const e of document.querySelectorAll('img')) if (!e.hasAttribute('alt')) faults.push('no alt');
for (const t of document.querySelectorAll('table')) {
  if (!shown(t)) continue;
  for (const h of t.querySelectorAll('th'))
    if (!h.hasAttribute('scope')) faults.push('th without scope: ' + say(h));
}
let level = 0;
for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
  if (!shown(h) || h.closest('dialog')) continue;
  const n = Number(h.tagName[1]);
  if (n > level + 1) faults.push(`${h.tagName} after h${level}: ` + say(h));
  level = n;
}
if ([...document.querySelectorAll('h1')].filter(shown).length !== 1) faults.push('not one h1');

// Contrast, as WCAG 2 has it; colours may come in as rgb(), rgba() or color().
const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
const rgba = (css) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = css;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].map((v, i) => i === 3 ? v / 255 : v);
};
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
const back = (e) => {
  if (!e) return [255, 255, 255];
  const own = rgba(getComputedStyle(e).backgroundColor);
  return own[3] === 1 ? own.slice(0, 3) : over(own, back(e.parentElement));
};
const light = (c) => c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92
  : ((v + 0.055) / 1.055) ** 2.4).reduce((n, v, i) => n + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
let looked = 0, least = 99;
const judge = (e, colour, what) => {
  const behind = back(e);
  const n = contrast(over(rgba(colour), behind), behind);
  looked += 1;
  least = Math.min(least, n);
  if (n < 4.5) faults.push(`contrast ${n.toFixed(2)} of ${what} ${say(e)}`);
};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (walk.currentNode.textContent.trim() === '' || !shown(e) || e.closest('.unseen, title') ||
      (document.querySelector('dialog') && !e.closest('dialog'))) continue;
  const style = getComputedStyle(e);
  judge(e, e instanceof SVGElement ? style.fill : style.color, 'text');
}
for (const e of document.querySelectorAll('input[placeholder], textarea[placeholder]'))
  if (shown(e)) judge(e, getComputedStyle(e, '::placeholder').color, 'placeholder');
return { faults: [...new Set(faults)], looked, least };
"""


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_everybody_can_read_it(browser, place, tokens, scheme):
    browser.prefer(color_scheme=scheme, reduced_motion="reduce")
    browser.go(site(place))
    browser.one("form.login")
    found = browser.js(FAULTS)
    assert found["faults"] == [], "login"
    enter(browser, place, tokens["admin"])
    for page in PAGES:
        at(browser, page)
        browser.one("main section, main tbody tr, main .limit")
        found = browser.js(FAULTS)
        assert found["faults"] == [], page
        assert found["looked"] > 15 and found["least"] >= 4.5
        browser.picture(f"{page.split('?')[0].replace('/', '-')}-{scheme}", True)
    at(browser, "domain/www.shop.test", ".timeline")
    for button in ("Upload certificate", "Remove domain"):
        browser.press("button", button)
        browser.one("dialog")
        assert browser.js(FAULTS)["faults"] == [], button
        browser.keys(ESCAPE)
        browser.none("dialog")
    background = browser.js(
        "return getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", background)[:3])) < 200
    assert dark == (scheme == "dark")


def test_what_is_wrong_would_be_seen(browser, place, tokens):
    """The checks above can fail."""
    enter(browser, place, tokens["admin"])
    await_row(browser, "www.shop.test", "In use")
    browser.js("""
        const main = document.querySelector('main');
        const p = document.createElement('p'), h = document.createElement('h3');
        p.textContent = 'pale';
        p.style.color = '#999';
        h.textContent = 'too deep';
        main.append(p, h, document.createElement('input'));""")
    faults = "\n".join(browser.js(FAULTS)["faults"])
    for word in ("contrast 2.", "H3 after h1", "no name: input"):
        assert word in faults, faults


def test_it_fits_a_phone(browser, place, tokens):
    browser.size(360, 740)
    enter(browser, place, tokens["admin"])
    place.world.servers.add_zone("long.test")
    long = "a-name-that-is-as-long-as-they-come." * 3 + "long.test"
    place.add(long, app="shop")
    for page in (*PAGES, "domain/" + long):
        at(browser, page)
        browser.one("main section, main tbody tr, main .limit")
        wide = browser.js("return document.documentElement.scrollWidth")
        assert wide <= 360, f"{page}: {wide} px wide"
        browser.picture(f"phone-{page.split('?')[0].replace('/', '-')[:30]}")
    at(browser, "domains")
    place.cli("--app", "shop", "domains-remove", long)
    browser.expected = ["status of 404"]


def test_the_keyboard_is_enough(browser, place, tokens):
    """From the login to a dialog and back, and one sees where one is."""
    browser.go(site(place))
    browser.one("form.login")
    where = ("const e = document.activeElement, s = getComputedStyle(e);"
             "return [e.id || e.textContent.slice(0, 20), s.outlineStyle, "
             "parseFloat(s.outlineWidth)]")
    browser.keys(*tokens["admin"], ENTER)
    await_row(browser, "www.shop.test", "In use")
    assert browser.js(where)[0] == "content"
    browser.reload()
    await_row(browser, "www.shop.test", "In use")
    seen = []
    while not seen or (seen[-1] != "Add a domain" and len(seen) < 20):
        browser.keys(TAB)
        name, style, width = browser.js(where)
        assert style != "none" and width >= 2, name
        seen.append(name)
    assert seen[0] == "skip" and seen[-2:] == ["logout", "Add a domain"], seen
    browser.keys(ENTER)
    assert browser.one("dialog input").label == "Domain"
    inside = "return document.querySelector('dialog').contains(document.activeElement)"
    for _ in range(4):
        assert browser.js(inside)
        browser.keys(TAB)
    browser.keys(ESCAPE)
    browser.none("dialog")
    assert browser.js(where)[0] == "Add a domain"
