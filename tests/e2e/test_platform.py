"""The platform certificate: HAProxy's default, an operator's own PEM."""

import os
import time

import pytest

from harness import wait_for
from ownca import OwnCA

PLATFORM = "platform.example"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("platformca"))


def write(path, pair):
    """As operators do it: all in one file, moved into its place."""
    new = path.with_suffix(".new")
    new.write_text(pair.key_pem + pair.pem)
    new.chmod(0o600)
    os.replace(new, path)


@pytest.fixture
def place(ground, world, ca):
    """A node with a platform certificate: (node, file, certificate)."""
    path = world.dir / "platform.pem"
    pair = ca.leaf(f"*.{PLATFORM}", PLATFORM)
    write(path, pair)
    node = ground.node(world, settings={
        "": {"platform_domain": PLATFORM},
        "haproxy": {"default_cert": str(path)}})
    return node, path, pair


def shows(node, name, pair, seconds=10):
    return node.await_served(name, lambda s: s.sha1 == pair.sha1, seconds)


def test_haproxy_starts_with_it_and_unknown_names_get_it(place):
    node, _, pair = place
    assert node.served("nobody.test").sha1 == pair.sha1
    assert node.served(f"app.{PLATFORM}").sha1 == pair.sha1


def test_a_changed_file_is_served_without_a_reload(place, ca):
    node, path, first = place
    pid = node.haproxy.info()["Pid"]
    shows(node, "nobody.test", first)
    second = ca.leaf(f"*.{PLATFORM}", days=20)
    write(path, second)
    shows(node, "nobody.test", second)
    assert node.haproxy.info()["Pid"] == pid
    node.haproxy.restart()
    shows(node, "nobody.test", second)


def test_a_bad_file_changes_nothing_and_is_told(place, ca):
    node, path, pair = place
    other = ca.leaf(f"*.{PLATFORM}")
    path.write_text(pair.pem + other.key_pem)
    wait_for("the complaint", lambda: "not taken" in node.sync.text(), 10)
    assert "matches no certificate" in node.sync.text()
    assert node.served("nobody.test").sha1 == pair.sha1
    old = ca.leaf(f"*.{PLATFORM}", hours=-0.5)
    write(path, old)
    wait_for("the next one", lambda: "expired at" in node.sync.text(), 10)
    assert node.served("nobody.test").sha1 == pair.sha1


def test_names_of_the_platform_are_in_use_at_once_without_an_order(place):
    node, _, pair = place
    name = f"shop.{PLATFORM}"
    node.cli("domains-add", name, "--wait")
    record = node.await_status(name, "in_use")
    assert "platform certificate" in record["reason"]
    assert node.served(name).sha1 == pair.sha1
    status, body = node.api("GET", f"/v1/apps/default/domains/{name}")
    assert status == 200 and body["domain"]["letsencrypt"] is False
    # One label deep, no more; and others have their normal life.
    deep, other = f"a.b.{PLATFORM}", "customer.test"
    node.point_here(deep, other)
    node.add(deep, other)
    for domain in (deep, other):
        node.await_status(domain, "in_use")
        assert node.served(domain).verified
    assert len(node.pebble.issued()) == 2


def test_an_upload_comes_before_the_platform_and_it_after(place, ca):
    node, _, pair = place
    name = f"own.{PLATFORM}"
    node.cli("domains-add", name, "--wait")
    own = ca.leaf(name)
    node.cli("domains-ssl", name, "--cert", str(own.cert), "--key",
             str(own.key), "--wait")
    assert node.served(name).sha1 == own.sha1
    node.cli("domains-letsencrypt", name, "disable")
    node.cli("domains-ssl", name, "disable")
    node.await_status(name, "in_use")
    shows(node, name, pair)


def test_the_default_is_no_entry_of_the_crt_list(place):
    node, _, _ = place
    node.point_here("one.test")
    node.add("one.test")
    node.await_status("one.test", "in_use")
    time.sleep(0.5)
    entries = node.haproxy.ask(f"show ssl crt-list {node.crt_list}")
    assert "default.pem" not in entries
    assert "default" not in node.crt_list.read_text()


def test_an_upload_for_one_of_its_names_is_proven_by_a_canary(ground, world,
                                                              ca):
    path, name = world.dir / "platform.pem", f"own.{PLATFORM}"
    write(path, ca.leaf(f"*.{PLATFORM}", PLATFORM))
    node = ground.node(world, settings={
        "": {"platform_domain": PLATFORM},
        "haproxy": {"default_cert": str(path)},
        "fleet": {"rollout": "canary", "heartbeat_ms": 500}})
    node.cli("domains-add", name, "--wait")
    node.await_status(name, "in_use")
    pair = ca.leaf(name)
    node.cli("domains-ssl", name, "--cert", str(pair.cert), "--key",
             str(pair.key), "--wait")
    assert node.served(name).sha1 == pair.sha1
