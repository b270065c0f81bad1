"""Names that are none: they change nothing, anywhere, and are told why."""

import json

import pytest

NAMES = {
    "a semicolon": "evil.test;show.test",
    "a newline": "evil.test\nshow.test",
    "a carriage return": "evil.test\r\nHost: x.test",
    "a parent directory": "../../etc/passwd",
    "dots in a row": "evil..test",
    "a slash": "evil.test/../x",
    "a space": "evil test.test",
    "300 characters": "a." * 148 + "test",
    "a label of 64": "a" * 64 + ".test",
    "eleven labels": ".".join("abcdefghij") + ".test",
    "an emoji": "\U0001f480.test",
    "a star in the middle": "a.*.test",
    "half a star": "a*.evil.test",
    "a star alone": "*",
    "control characters": "ev\x01il\x7f.test",
    "an escape": "\x1b[31mevil.test",
    "a percent-encoded NUL": "evil.test%00.ok.test",
    "a percent sign": "%2e%2e.test",
    "an option": "--evil.test",
    "a hyphen in front": "-evil.test",
    "quotes": "\"evil\".test",
    "a dollar": "$(id).test",
    "an underscore": "_acme-challenge.evil.test",
    "an address": "127.0.0.1",
    "an IPv6 address": "::1",
    "one label": "localhost",
    "a public suffix": "co.uk",
    "nothing": "",
    "a dot": ".",
    "an at": "user@evil.test",
    "a port": "evil.test:80",
    "right to left": "\u202eevil.test",
    "not UTF-8": "ev\udcffil.test",
}
TOLD_HERE = [k for k in NAMES if k != "not UTF-8"]


def picture(node):
    """All that a name could have changed."""
    with node.redis_client() as redis:
        # Heartbeats and lease go on by themselves, and what was refused is
        # in the audit.
        keys = sorted(k for k in redis.dump()
                      if ":node" not in k and not k.endswith(":audit"))
        apps = redis("SMEMBERS", "certfleet:apps")
    files = sorted(str(p) for d in (node.state_dir / "certs", node.cert_dir)
                   for p in d.rglob("*"))
    return (keys, apps, files, node.crt_list.read_text(),
            node.haproxy.certificates())


@pytest.fixture(scope="module")
def before(session_node):
    session_node.point_here("evil.test", "show.test", "ok.test")
    return picture(session_node)


@pytest.mark.parametrize("what", NAMES)
def test_by_command_line(shared, before, what):
    name = NAMES[what]
    done = shared.cli("domains-add", "--", name, code=None)
    assert done.code not in (0, 5), done
    assert len(done.err.strip()) > 10, f"not told why: {done}"
    assert "\x1b" not in done.text and "\x01" not in done.text
    assert done.code > 0, f"ended by a signal: {done}"


@pytest.mark.parametrize("what", TOLD_HERE)
def test_by_api(shared, before, what):
    code, body = shared.api("POST", "/v1/apps/hostile/domains",
                            {"domain": {"name": NAMES[what]}})
    assert 400 <= code < 500, (code, body)
    assert len(json.dumps(body)) > 12, "not told why"


BODIES = {
    "no JSON": b"{",
    "not UTF-8": b'{"domain":{"name":"ev\xffil.test"}}',
    "a raw NUL": b'{"domain":{"name":"evil.test\x00.ok.test"}}',
    "an escaped NUL": b'{"domain":{"name":"evil.test\\u0000.ok.test"}}',
    "a number": b'{"domain":{"name":7}}',
    "a list": b'[]',
    "no name": b'{"domain":{}}',
    "the name twice": b'{"domain":{"name":"evil.test","name":"ok.test"}}',
    "deep": b"[" * 100000,
    "nothing": b"",
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_none(shared, before, what):
    code, _ = shared.api("POST", "/v1/apps/hostile/domains", BODIES[what])
    assert 400 <= code < 500, code


@pytest.mark.parametrize("app", [
    "..%2f..", "a%0d%0ab", "%00", "a%3bb", "x" * 200, "%ff", "a%20b"])
def test_apps_that_are_none(shared, before, app):
    code, _ = shared.api("POST", f"/v1/apps/{app}/domains",
                         {"domain": {"name": "ok.test"}})
    assert 400 <= code < 500, code


@pytest.mark.parametrize("path", [
    "/v1/apps/hostile/domains/..%2f..%2fx", "/v1/apps/hostile/domains/%00",
    "/v1/apps//domains/x", "/" + "a" * 7000, "/v1/apps/hostile/domains/%0a"])
def test_paths_that_are_none(shared, before, path):
    for method in ("GET", "DELETE"):
        code, _ = shared.api(method, path)
        assert 400 <= code < 500, (method, code)


def test_nothing_has_changed(shared, before):
    """After all of the above."""
    assert picture(shared) == before
    for process in shared.processes:
        assert process.running, process.tail()
