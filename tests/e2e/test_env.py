"""An app's variables: set in parts, tried at the provider, never shown again."""

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from conftest import failed
from dnsapi import PROVIDERS, Fake
from harness import built, environment
from test_cli import FAILED, REFUSED, USAGE
from node import PREFIX

WAYS = [*((name, "") for name in PROVIDERS), ("cloudflare", "token"),
        ("gandiv5", "pat"), ("route53", "discover")]
PLAIN = {"DNS_PROVIDER", "DNS_OVH_ENDPOINT", "DNS_AZURE_SUBSCRIPTION_ID",
         "DNS_AZURE_RESOURCE_GROUP", "DNS_AWS_HOSTED_ZONE_ID"}


class Provider:
    """The fake that the node's section for a provider leads to at the moment.

    Each test has a fake of its own, at the port that is in the settings.
    """

    def __init__(self, name, tls):
        self.name, self.tls = name, tls
        self.port, self.servers = 0, []
        with self.fake("x.test") as first:
            self.port = first.httpd.server_address[1]
            self.settings = {"base_url": first.base_url,
                             "ca_file": str(first.ca)}

    @contextmanager
    def fake(self, *zones, **more):
        with Fake(self.name, zones or ["shop.test"], tls=self.tls,
                  port=self.port, **more) as api:
            # Connections that are kept come to this one as well.
            for server in self.servers:
                server.api = api
            yield api
            self.servers.append(api.httpd)


@pytest.fixture(scope="module")
def providers(session_ground):
    tls = session_ground.world("env").tls
    return {name: Provider(name, tls) for name in PROVIDERS}


@pytest.fixture(scope="module")
def place(session_ground, providers):
    return session_ground.node(
        session_ground.worlds[-1], name="e1",
        settings={f'provider "{p.name}"': p.settings
                  for p in providers.values()})


@pytest.fixture
def node(place, request):
    yield place
    if failed(request):
        print(place.tails())


APPS = iter(range(1000))


@pytest.fixture
def app():
    return f"app{next(APPS)}"


@pytest.fixture
def ovh(providers):
    with providers["ovh"].fake("shop.test", "other.test") as api:
        yield api


def pairs(variables):
    return [f"{name}={value}" for name, value in variables.items()]


def env_set(node, app, variables, **kw):
    return node.cli("--app", app, "env-set", *pairs(variables), **kw)


def names(node, app):
    answer = node.cli("--app", app, "env", "--json").json
    return {v["name"]: v["value"] for v in answer["variables"]}


def put(node, app, variables):
    return node.api("PUT", f"/v1/apps/{app}/variables", {
        "variables": [{"name": k, "value": v} for k, v in variables.items()]})


def stored(node, app):
    with node.redis_client() as redis:
        return redis("GET", f"{PREFIX}app:{app}:env", raw=True)


def in_clear(node, secrets):
    """Where any of the secrets is found: in Redis, in a file, in the API."""
    found = []

    def look(where, data):
        found.extend((where, s[:4] + "...") for s in secrets
                     if len(s) > 5 and s.encode() in data)

    with node.redis_client() as redis:
        for key in redis("KEYS", "*"):
            # Not compressed, whatever it is.
            kind = redis("TYPE", key)
            ask = {"string": ("GET", key), "hash": ("HGETALL", key),
                   "list": ("LRANGE", key, 0, -1), "set": ("SMEMBERS", key),
                   "zset": ("ZRANGE", key, 0, -1),
                   "stream": ("XRANGE", key, "-", "+")}[kind]
            look(key, repr(redis(*ask)).encode())
            look(key, redis("DUMP", key, raw=True))
    for path in node.world.dir.rglob("*"):
        if path.is_file():
            look(path, path.read_bytes())
    for path in ("/api/v1/events?n=1000", "/api/v1/domains"):
        look(path, json.dumps(node.api("GET", path)[1]).encode())
    return found


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_variables_come_one_by_one_and_are_tried_with_the_last(
        name, way, node, app, providers):
    with providers[name].fake("shop.test", way=way) as api:
        variables = dict(api.variables)
        provider = variables.pop("DNS_PROVIDER")
        for variable, value in variables.items():
            env_set(node, app, {variable: value})
        assert api.requests == []
        last = env_set(node, app, {"DNS_PROVIDER": provider})
        assert last.err == "", api.log()
        assert api.count() > 0
        shown = node.cli("--app", app, "env").out
        answer = json.dumps(node.api("GET", f"/v1/apps/{app}/variables"))
        for variable, value in api.variables.items():
            (line,) = [s for s in shown.splitlines()
                       if s.split()[0] == variable]
            secret = variable not in PLAIN
            assert line.split()[1] == ("****" if secret else value)
            assert (value in answer) == (not secret), variable
        before = stored(node, app)

        # One that is wrong is told before it is kept.
        for variable in variables:
            if variable in PLAIN or "JSON" in variable:
                continue
            right = variables[variable]
            wrong = right[:-1] + ("b" if right.endswith("a") else "a")
            status, body = put(node, app, {variable: wrong})
            assert status == 422, (variable, body)
            error = body["acme_dns_error"]
            assert error["dns_provider"] == api.NAME
            assert variable in error["variables"]
            assert wrong not in json.dumps(body)
        assert stored(node, app) == before
        # Without what it needs the provider is of no use.
        status, body = put(node, app, dict.fromkeys(variables))
        assert status == 422, body
        node.cli("--app", app, "env-unset", *api.variables)
        assert stored(node, app) is None
        assert in_clear(node, [*api.secrets, *(
            v for k, v in variables.items() if k not in PLAIN)]) == []


def test_what_is_missing_or_unknown_is_named(node, app, ovh):
    said = env_set(node, app, {"DNS_PROVIDER": "bind"}, code=REFUSED)
    assert "can be one of azure, cloudflare, " in said.err
    said = env_set(node, app, {"DNS_OVH_KEY": "geheim"}, code=REFUSED)
    assert "DNS_OVH_KEY is no variable of a DNS provider" in said.err
    assert "geheim" not in said.text
    variables = dict(ovh.variables)
    del variables["DNS_OVH_ENDPOINT"], variables["DNS_OVH_CONSUMER_KEY"]
    status, body = put(node, app, variables)
    assert (status, body) == (422, {
        "errors": {"DNS_PROVIDER": [
            "ovh needs DNS_OVH_ENDPOINT and DNS_OVH_CONSUMER_KEY, "
            "which are not set"]},
        "acme_dns_error": {"dns_provider": "ovh", "variables": [
            "DNS_OVH_ENDPOINT", "DNS_OVH_CONSUMER_KEY"]}})
    status, body = put(node, app, {**ovh.variables,
                                   "DNS_OVH_ENDPOINT": "ovh-us"})
    assert status == 422
    assert body["acme_dns_error"]["variables"] == ["DNS_OVH_ENDPOINT"]
    assert stored(node, app) is None
    assert ovh.requests == []


def test_bodies_are_read_strictly(node, app):
    for body in ({}, {"variables": []}, {"variables": {"A": "b"}},
                 {"variables": [{"name": "DNS_PROVIDER", "value": 1}]},
                 {"variables": [{"value": "x"}]},
                 {"variables": [{"name": "DNS_OVH_ENDPOINT", "value": " "}]}):
        status, answer = node.api("PUT", f"/v1/apps/{app}/variables", body)
        assert status == 422 and answer["errors"], (body, answer)
    assert node.api("GET", "/v1/apps/a%20b/variables")[0] == 404
    assert node.api("DELETE", f"/v1/apps/{app}/variables/DNS_PROVIDER") == (
        404, {"resource": "variable", "error": "not found"})


def test_scalingo_s_routes_for_one_variable(node, app):
    status, body = node.api("POST", f"/v1/apps/{app}/variables", {
        "variable": {"name": "DNS_OVH_ENDPOINT", "value": "ovh-eu"}})
    assert status == 201
    assert body["variable"] == {"id": "DNS_OVH_ENDPOINT", "secret": False,
                                "name": "DNS_OVH_ENDPOINT", "value": "ovh-eu"}
    status, body = node.api("POST", f"/v1/apps/{app}/variables", {
        "variable": {"name": "DNS_OVH_CONSUMER_KEY", "value": "geheim"}})
    assert (body["variable"]["value"], body["variable"]["secret"]) == (None, True)
    status, _ = node.api(
        "DELETE", f"/v1/apps/{app}/variables/DNS_OVH_CONSUMER_KEY")
    assert status == 204
    assert names(node, app) == {"DNS_OVH_ENDPOINT": "ovh-eu"}


def test_values_come_from_files_and_standard_input_too(node, app, ovh):
    secret = node.dir / "secret"
    secret.write_text(ovh.variables["DNS_OVH_APPLICATION_SECRET"] + "\n")
    read, write = os.pipe()
    os.write(write, ovh.variables["DNS_OVH_CONSUMER_KEY"].encode() + b"\n")
    os.close(write)
    said = node.cli(
        "--app", app, "env-set", "DNS_PROVIDER=ovh", "DNS_OVH_ENDPOINT=ovh-eu",
        "DNS_OVH_APPLICATION_KEY=" + ovh.variables["DNS_OVH_APPLICATION_KEY"],
        f"DNS_OVH_APPLICATION_SECRET=@{secret}", "DNS_OVH_CONSUMER_KEY=-",
        stdin=read)
    os.close(read)
    secret.unlink()
    assert "DNS_OVH_CONSUMER_KEY is set for app " + app in said.out
    assert ovh.count() > 0
    for wrong, code in (("DNS_OVH_ENDPOINT", USAGE), ("=x", USAGE),
                        ("DNS_OVH_ENDPOINT=@/nowhere", FAILED)):
        node.cli("--app", app, "env-set", wrong, code=code)


def test_a_value_on_the_command_line_is_wiped(node, app):
    """Others see a process's arguments: there they are not for long."""
    read, write = os.pipe()
    p = subprocess.Popen(
        [built("certfleet"), "env-set", "DNS_OVH_CONSUMER_KEY=geheimnis",
         "DNS_OVH_APPLICATION_KEY=-"], stdin=read, stdout=subprocess.DEVNULL,
        env=environment({"CERTFLEET_SOCKET": str(node.api_socket),
                         "CERTFLEET_APP": app}))
    try:
        for _ in range(200):
            with open(f"/proc/{p.pid}/cmdline", "rb") as f:
                seen = f.read()
            if b"DNS_OVH_CONSUMER_KEY" in seen and b"geheimnis" not in seen:
                break
            time.sleep(0.05)
        assert b"geheimnis" not in seen
    finally:
        os.write(write, b"key")
        os.close(write)
        os.close(read)
        assert p.wait(20) == 0
    assert set(names(node, app)) == {"DNS_OVH_CONSUMER_KEY",
                                     "DNS_OVH_APPLICATION_KEY"}


def test_a_provider_that_is_away_keeps_nobody_from_it(node, app, ovh):
    ovh.rule(429, wait_s=60, times=None)
    said = env_set(node, app, ovh.variables)
    assert "kept, but not checked: ovh asks to slow down" in said.err
    assert set(names(node, app)) == set(ovh.variables)
    assert put(node, app, {"DNS_OVH_ENDPOINT": "ovh-eu"})[1]["warnings"]


@pytest.mark.slow
def test_one_that_does_not_answer_is_not_waited_for_long(node, app, ovh):
    ovh.rule(delay_s=3, dropped=True, times=None)
    said = env_set(node, app, ovh.variables)
    assert "kept, but not checked: ovh: " in said.err


def test_zones_that_are_not_in_the_account_are_told(node, app, ovh):
    node.add("*.nowhere.test", app=app)
    said = env_set(node, app, ovh.variables, code=REFUSED)
    assert "nowhere.test in the ovh account" in said.err
    assert stored(node, app) is None
    # With one that is there the account is the right one.
    node.add("*.www.shop.test", app=app)
    said = env_set(node, app, ovh.variables)
    assert ("*.nowhere.test: no zone for _acme-challenge.nowhere.test in the "
            "ovh account") in said.err
    assert "shop.test" not in said.err
    node.cli("--app", app, "domains-remove", "*.nowhere.test",
             "*.www.shop.test")


def test_two_at_the_same_time_lose_nothing(node, app):
    variables = ["DNS_OVH_ENDPOINT", "DNS_OVH_APPLICATION_KEY",
                 "DNS_OVH_APPLICATION_SECRET", "DNS_OVH_CONSUMER_KEY",
                 "DNS_GODADDY_API_KEY", "DNS_GODADDY_API_SECRET"]
    answers = []

    def one(variable):
        while True:
            status, _ = put(node, app, {variable: "x"})
            answers.append(status)
            if status != 409:
                return

    threads = [threading.Thread(target=one, args=(v,)) for v in variables]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(answers) <= {200, 409}
    assert set(names(node, app)) == set(variables)


def test_another_app_s_variables_are_of_no_use(node, app):
    """Sealed for one app: what is copied to another does not open."""
    put(node, app, {"DNS_OVH_CONSUMER_KEY": "geheim"})
    with node.redis_client() as redis:
        redis("SET", f"{PREFIX}app:thief:env", stored(node, app))
    assert node.api("GET", "/v1/apps/thief/variables")[0] >= 500


def test_the_event_has_no_values(node, app):
    put(node, app, {"DNS_OVH_CONSUMER_KEY": "geheimnis"})
    events = node.api("GET", "/api/v1/events?n=20")[1]["events"]
    (event,) = [e for e in events if e.get("app") == app]
    assert event["type"] == "variables"
    assert in_clear(node, ["geheimnis"]) == []
