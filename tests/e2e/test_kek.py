"""The key ring is rotated: everything is sealed anew, and nothing is lost."""

import base64
import re
import shutil

from harness import wait_for
from ownca import OwnCA
from test_doctor import examined

OK, FAILED, USAGE, NOT_FOUND, REFUSED = range(5)


def kek(node, *args, code=OK):
    return node.cli("-f", str(node.conf), "kek", *args, code=code,
                    seconds=60)


def listed(node):
    return kek(node, "list", "--json").json["kek"]


def counted(node):
    """Records by the id of their key, once all are counted; else None."""
    said = listed(node)["reseal"]
    return {k["id"]: k["records"] for k in said["keys"]} \
        if said and said["done"] else None


def on_disk(node):
    """The ids of the keys that have sealed this node's copies."""
    return {int.from_bytes(m, "big") for p in node.state_dir.glob("certs/*")
            for m in re.findall(rb"HCB1\x01\x00(.{4})", p.read_bytes(), re.S)}


def in_redis(node, pattern):
    """The ids of the keys that have sealed each bundle with such a key."""
    with node.redis_client() as redis:
        return {key.split(":", 2)[2]: [
            int.from_bytes(m, "big") for m in re.findall(
                rb"HCB1\x01\x00(.{4})", redis("GET", key, raw=True), re.S)]
            for key in redis("KEYS", pattern) if redis("TYPE", key) == "string"}


def states(node):
    return {int(line.split()[0]): line.split()[2]
            for line in (node.state_dir / "kek").read_text().splitlines()
            if not line.startswith("#")}


def restarted(node):
    node.sync.restart()
    wait_for("HAProxy to be seen", lambda: node.api(
        "GET", "/api/v1/status")[1]["haproxies"]["up"] == 1, 20)


def test_a_ring_is_rotated_on_a_node_alone(ground):
    node = ground.node()
    node.point_here("a.kek.test")
    node.add("a.kek.test")
    node.await_status("a.kek.test", "in_use")
    node.cli("--app", "kek", "env-set", "DNS_PROVIDER=cloudflare",
             "DNS_CLOUDFLARE_API_TOKEN=x" + "y" * 30)
    node.cli("--app", "kek", "domains-add", "w.kek.test")
    node.cli("token", "create", "some")
    own, ca = "own.kek.test", OwnCA(node.dir / "ca")
    for verb in ("domains-add", "domains-ssl"):
        pair = ca.leaf(own)
        node.cli(verb, own, "--cert", str(pair.cert), "--key",
                 str(pair.key), "--wait")
    with node.redis_client() as redis:  # as if one was on trial
        custom, = redis("KEYS", f"*:custom:{own}")
        redis("COPY", custom, custom + ":next")
    assert in_redis(node, f"*custom:{own}*") == {
        f"custom:{own}{what}": [1] for what in ("", ":previous", ":next")}
    assert listed(node)["keys"][0]["seals"] is True
    assert listed(node)["reseal"] is None
    before = (node.state_dir / "kek").stat()
    # What the key is needed for refuses to let it go.
    done = kek(node, "retire", "1", code=REFUSED)
    assert "records are sealed with it" in done.err
    assert on_disk(node) == {1}
    done = kek(node, "rotate")
    assert "key 2 seals from now on" in done.out
    assert states(node) == {1: "retired", 2: "active"}
    after = (node.state_dir / "kek").stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    serial = node.serial("a.kek.test")
    restarted(node)
    wait_for("all to be sealed anew", lambda: (counted(node) or {}).keys() ==
             {2}, 30, explain=node.tails)
    assert counted(node)[2] >= 3  # certificate, account, variables
    assert listed(node)["reseal"]["resealed"] >= 3
    assert on_disk(node) == {2}
    assert all(ids == [2] for ids in in_redis(node, "*custom:*").values())
    out = kek(node, "list").out
    assert re.search(r"^2 +active .* seals +\d+ +1 of 1", out, re.M), out
    # The old key goes, and everything can still be opened.
    done = kek(node, "retire", "1")
    assert "no longer in" in done.out
    assert states(node) == {2: "active"}
    restarted(node)
    assert node.served("a.kek.test").serial == serial
    assert "DNS_PROVIDER" in node.cli("--app", "kek", "env").out
    node.point_here("b.kek.test")
    node.add("b.kek.test")
    node.await_status("b.kek.test", "in_use")
    node.cli("renew", "a.kek.test", "--force", "--wait=60", seconds=90)
    assert "not what was sealed" not in node.sync.log.read_text()
    kek(node, "retire", "2", code=REFUSED)
    kek(node, "retire", "x", code=USAGE)


def test_in_a_fleet_every_node_has_a_key_before_one_seals_with_it(ground):
    redis = ground.redis()
    world = ground.world()
    one = ground.node(world, name="n1", redis=redis)
    two = ground.node(world, name="n2", address="127.0.0.2", redis=redis,
                      start=False)
    two.state_dir.mkdir(mode=0o700, parents=True)

    def give():
        shutil.copy(one.state_dir / "kek", two.state_dir / "kek")
    give()
    two.start()
    wait_for("both to be known", lambda: len(listed(one)["nodes"]) == 2, 20)
    name = "fleet.kek.test"
    one.point_here(name)
    one.add(name)
    one.await_status(name, "in_use")
    done = kek(one, "rotate")
    assert "kek rotate again" in done.out
    assert states(one) == {1: "active", 2: "next"}
    restarted(one)
    done = kek(one, "rotate", code=REFUSED)
    assert "node n2 has no key 2 yet" in done.err
    give()
    restarted(two)
    wait_for("n2 to tell of its ring", lambda: all(
        2 in n["keys"] for n in listed(one)["nodes"]), 20)
    assert all(n["seals"] == 1 for n in listed(one)["nodes"])
    kek(one, "rotate")
    assert states(one) == {1: "retired", 2: "active"}
    # One seals with the new key, the other with the old: each opens both.
    restarted(one)
    done = kek(one, "retire", "1", code=REFUSED)
    assert "seals with another key" in done.err
    more = "more.kek.test"
    one.point_here(more)
    one.add(more)
    one.await_status(more, "in_use")
    give()
    restarted(two)
    wait_for("both to seal with it", lambda: all(
        n["seals"] == 2 for n in listed(one)["nodes"]), 20)
    done = kek(one, "retire", "1")
    give()
    restarted(one)
    restarted(two)
    for node in (one, two):
        for domain in (name, more):
            node.await_served(domain, lambda s: s.serial ==
                              one.serial(domain))
        assert "not in the key ring" not in node.sync.tail()
    assert one.status(name) == one.status(more) == "in_use"
    # Somebody gives one node a ring of its own.
    with open(one.state_dir / "kek", "a") as ring:
        key = base64.b64encode(bytes(range(32))).decode()
        ring.write(f"9 2026-11-25T12:00:00Z active {key}\n")
    restarted(one)
    wait_for("n1 to seal with it", lambda: any(
        n["seals"] == 9 for n in listed(two)["nodes"]), 20)
    found = {r["check"]: r for r in examined(two)["results"]
             if r["level"] == "error"}
    assert "node n1 seals with key 9" in found["kek.fleet"]["is"]
