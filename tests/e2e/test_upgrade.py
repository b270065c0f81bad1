"""Two nodes of one fleet with different versions: a whole life of a domain,
whoever of them leads; and what a newer fleet has to say to an older program."""

import os
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT, run, wait_for
from node import PREFIX

# It speaks this schema.  When that changes, so does this.
COMMITS_AGO = 120
NAMES = ["one.upgrade.test", "two.upgrade.test"]


def git(*args):
    done = subprocess.run(["git", "-C", str(ROOT), *args], text=True,
                          capture_output=True)
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture(scope="module")
def older():
    """The programs of some time ago, built from this repository's history."""
    commit = git("rev-parse", "--verify", "-q", f"HEAD~{COMMITS_AGO}")
    if not commit:
        pytest.skip(f"this clone has no history of {COMMITS_AGO} commits")
    built = BUILD / f"older-{commit[:12]}"
    programs = built / "build"
    if not (programs / "done").exists():
        shutil.rmtree(built, ignore_errors=True)
        built.mkdir(parents=True)
        tar = subprocess.run(["git", "-C", str(ROOT), "archive", commit],
                             stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(built)], input=tar, check=True)
        env = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        run("make", "-s", "-j2", "-C", built, "BUILD=build", "SAN=",
            "CFLAGS=-O0", "build/certfleet-sync", "build/certfleet-agent",
            env=env, seconds=300)
        (programs / "done").touch()
    return programs


@pytest.fixture(scope="module")
def pair(session_ground, older):
    """The older one leads."""
    redis = session_ground.redis("upgrade")
    world = session_ground.world("upgrade")
    nodes = [session_ground.node(
        world, start=False, name=name, address=address, redis=redis,
        settings={"dns": {"targets": ["127.0.0.31", "127.0.0.32"]}})
        for name, address in (("old", "127.0.0.31"), ("new", "127.0.0.32"))]
    old, new = nodes
    old.programs = older
    old.start()
    wait_for("the older one to lead", lambda: leader(old) == "old", 30)
    new.state_dir.mkdir(mode=0o700)
    shutil.copy(old.state_dir / "kek", new.state_dir / "kek")
    new.start()
    for name in NAMES:
        old.dns.add_a(name, old.address, new.address)
    return nodes


def leader(node):
    with node.redis_client() as redis:
        return redis.hash(f"{PREFIX}leader").get("node")


def renewed(nodes, name):
    """Make it due; when both serve another one, its record."""
    old = nodes[0].record(name)["sha1"]
    with nodes[0].redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1",
              "from_the_future", "kept")
        redis("HDEL", f"{PREFIX}{{p0}}:domain:{name}", "ari_poll_at")
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)

    def there():
        record = nodes[0].record(name)
        return record if record["sha1"] != old and \
            record["status"] == "in_use" and \
            record.get("proven") == record["version"] else None

    record = nodes[0].await_record(f"{name} to be renewed", there, 30, name)
    both_serve(nodes, record)
    assert record["from_the_future"] == "kept"
    return record


def both_serve(nodes, record):
    for node in nodes:
        node.await_served(record["name"], lambda s: s.sha1 == record["sha1"])


def test_the_older_one_leads_and_the_newer_serves(pair):
    old, new = pair
    for name in NAMES:
        new.add(name)
        both_serve(pair, old.await_status(name, "in_use"))
    renewed(pair, NAMES[0])
    assert leader(old) == "old"
    out = new.cli("nodes").out
    assert "old" in out and "new" in out
    # One that does not know the question is no reason to wait for ever.
    shown = new.cli("nodes", NAMES[0], "--json").json["domain"]["nodes"]
    assert shown[0]["shown"]["sha1"] == old.record(NAMES[0])["sha1"]


def test_the_newer_one_leads_and_the_older_serves(pair):
    old, new = pair
    old.sync.stop()
    wait_for("the newer one to lead", lambda: leader(new) == "new", 30)
    old.sync.start()
    record = renewed(pair, NAMES[0])
    before = record["sha1"]
    # A choice of the newer one is taken by the older one, too.
    new.cli("rollback", NAMES[0], "--yes")
    rolled = old.await_record("the one of before", lambda: (
        r := old.record(NAMES[0])) and r["sha1"] != before and
        r["status"] == "in_use" and r, 30, NAMES[0])
    both_serve(pair, rolled)
    status, _ = old.api("DELETE", f"/v1/apps/default/domains/{NAMES[1]}")
    assert status == 204
    for node in pair:
        node.await_served(NAMES[1], lambda s: not s.verified)


def test_the_older_one_is_upgraded_and_nobody_notices(pair):
    old, new = pair
    record = old.record(NAMES[0])
    orders = old.pebble.orders_made()
    old.sync.stop()
    old.agent.stop()
    old.programs = None
    old.agent.start()
    old.sync.start()
    both_serve(pair, record)
    wait_for("both to say that they serve it", lambda: [
        n["served"] for n in new.cli("nodes", "--json").json["nodes"]] ==
        [1, 1], 30)
    assert old.record(NAMES[0])["status"] == "in_use"
    assert old.pebble.orders_made() == orders


def test_a_fleet_that_wants_newer_writers_is_served_and_not_changed(
        session_node):
    node, name = session_node, "writer.upgrade.test"
    node.point_here(name)
    node.add(name)
    sha1 = node.await_status(name, "in_use")["sha1"]
    key = f"{PREFIX}meta"
    with node.redis_client() as redis:
        redis("HSET", key, "schema", "2", "min_writer", "2")
    try:
        node.sync.restart()
        assert node.served(name).sha1 == sha1
        status, body = node.api("GET", "/api/v1/status")
        assert status == 200 and "min_writer" in body["error"]
        assert not body["leader"]["self"]
        assert node.cli("domains").out.count(name) == 1
        status, body = node.api("POST", "/v1/apps/default/domains",
                                {"domain": {"name": "x.upgrade.test"}})
        assert status == 503 and "upgrade it" in body["error"]
        assert node.request("POST", "/api/v1/plan",
                            {"names": [name]}).status != 503
    finally:
        with node.redis_client() as redis:
            redis("HSET", key, "schema", "1", "min_writer", "1")
        node.sync.restart()


def test_a_fleet_that_wants_newer_readers_is_left_alone(session_node):
    node, name = session_node, "writer.upgrade.test"
    sha1 = node.record(name)["sha1"]
    key = f"{PREFIX}meta"
    with node.redis_client() as redis:
        redis("HSET", key, "schema", "2", "min_reader", "2",
              "min_writer", "2")
    node.sync.stop()
    at = len(node.sync.text())
    try:
        node.sync.start()
        wait_for("it to say why it does not work",
                 lambda: "min_reader" in node.sync.text()[at:])
        assert node.served(name).sha1 == sha1
        assert node.request("GET", "/healthz").status == 200
    finally:
        with node.redis_client() as redis:
            redis("HSET", key, "schema", "1", "min_reader", "1",
                  "min_writer", "1")
    node.await_status(name, "in_use")
    wait_for("it to lead again", lambda: leader(node) == node.name, 20)
