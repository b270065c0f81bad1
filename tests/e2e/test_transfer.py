"""A fleet's state from one Redis into another with more partitions: HAProxy
serves throughout, and nothing is ordered."""

import json
import re
import shutil
import threading

import pytest

from harness import built, environment, run
from node import PREFIX
from ownca import OwnCA
from peers import Cluster

NAMES = [f"{n}.move.test" for n in "abcdefgh"]
OWN, GONE = "own.move.test", "gone.move.test"

# What is of one Redis, or made anew.
STAYS = re.compile(r"(\{p\d+\}:(events|counts|names|gen)|leader|nodes|node:.*|"
                   r"audit|meta|challenge:[^t].*)$")


def transfer(node, *args, code=0):
    done = run(built("certfleet-sync"), "-f", node.conf, *args, check=False,
               env=environment(), cwd=node.dir)
    assert done.returncode == code, done.stdout
    return done.stdout


def flat(dump):
    """{key without its partition: value}, lists of all by their members."""
    found = {}
    for key, value in dump.items():
        key = key[len(PREFIX):]
        if STAYS.match(key):
            continue
        inside = re.match(r"\{p\d+\}:(index|due|removed|canary)$", key)
        key = re.sub(r"^\{p\d+\}:", "", key)
        if inside:
            pairs = value.items() if isinstance(value, dict) else value
            found.update({(key, name): v for name, v in pairs})
        else:
            found[key] = value
    return found


def everything(redis):
    """What each key holds, by its kind."""
    found = {}
    for key in redis("KEYS", PREFIX + "*"):
        kind = redis("TYPE", key)
        if kind == "hash":
            flat = redis("HGETALL", key, raw=True)
            found[key] = {n.decode(): v
                          for n, v in zip(flat[::2], flat[1::2])}
        elif kind == "zset":
            pairs = redis("ZRANGE", key, 0, -1, "WITHSCORES")
            found[key] = dict(zip(pairs[::2], pairs[1::2]))
        elif kind == "set":
            found[key] = sorted(redis("SMEMBERS", key))
        elif kind == "list":
            found[key] = redis("LRANGE", key, 0, -1, raw=True)
        elif kind == "string":
            found[key] = redis("GET", key, raw=True)
    return found


class Watch:
    """Looks at what HAProxy shows, all the time."""

    def __init__(self, node, expected):
        self.node, self.expected = node, expected
        self.bad, self.looks = [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            for name, sha1 in self.expected.items():
                shown = self.node.served(name)
                self.looks += 1
                if not shown or shown.sha1 != sha1:
                    self.bad.append((name, sha1, shown and shown.sha1))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.bad


@pytest.fixture(scope="module")
def moved(session_ground, tmp_path_factory):
    """A node with all kinds of state, whose sync has stopped."""
    node = session_ground.node(start=False, redis=session_ground.redis("old"),
                               world=session_ground.world("transfer"))
    node.start()
    for name in [*NAMES, OWN, GONE]:
        node.point_here(name)
    node.add(*NAMES, GONE, app="shop")
    ca = OwnCA(node.dir / "ca")
    for verb in ("domains-add", "domains-ssl"):
        own = ca.leaf(OWN)
        node.cli(verb, OWN, "--cert", str(own.cert), "--key", str(own.key),
                 "--wait")
    with node.redis_client() as redis:  # as if one was on trial
        custom, = redis("KEYS", f"*:custom:{OWN}")
        redis("COPY", custom, custom + ":next")
        redis("HSET", custom + ":staged", "kind", "custom", "at", "1")
        assert len(redis("KEYS", custom + "*")) == 5
    node.cli("--app", "shop", "env-set", "DNS_PROVIDER=cloudflare",
             "DNS_CLOUDFLARE_API_TOKEN=secret")
    node.token("ci", "--role", "read")
    for name in [*NAMES, GONE]:
        node.await_status(name, "in_use")
    node.await_status(OWN, "not_used")
    node.cli("--app", "shop", "domains-remove", GONE)
    node.sync.stop()
    node.file = tmp_path_factory.mktemp("move") / "fleet.json"
    return node


def test_an_export_holds_everything_and_no_secret(moved):
    out = transfer(moved, "--export", moved.file)
    assert "exported domains=9" in out
    assert moved.file.stat().st_mode & 0o777 == 0o600
    text = moved.file.read_text()
    assert "PRIVATE KEY" not in text and "secret" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["kind"] == "certfleet" and lines[0]["format"] == 1
    assert lines[-1]["kind"] == "end" and lines[-1]["domains"] == 9
    assert {"domain", "removed", "app", "env", "account", "limit",
            "single"} <= {line["kind"] for line in lines}
    assert "cannot make" in transfer(moved, "--export", moved.file, code=100)
    piped = transfer(moved, "--export", "-")
    assert '"kind":"end"' in piped


@pytest.fixture(scope="module")
def empty(moved, session_ground):
    """The node, with the settings of another Redis of eight partitions."""
    moved.old = moved.redis
    moved.redis = session_ground.redis("new")
    moved.settings = {**moved.settings, "redis": {"partitions": 8}}
    moved.write_conf()
    return moved


def test_what_cannot_be_restored_is_refused(moved, empty):
    text = moved.file.read_text()
    cut = moved.dir / "cut.json"
    cut.write_text(text[:len(text) // 2])
    for change, word in ((text.replace('"format":1', '"format":9'), "format"),
                         ("{}\n", "no export"),
                         ("nonsense\n", "no JSON")):
        cut.write_text(change)
        assert word in transfer(empty, "--restore", cut, code=100)
    kek = empty.state_dir / "kek"
    shutil.move(kek, empty.dir / "kek.away")
    certs = empty.state_dir / "certs"
    shutil.move(certs, empty.dir / "certs.away")
    assert "another key ring" in transfer(empty, "--restore", moved.file,
                                          code=100)
    shutil.move(empty.dir / "kek.away", kek)
    if certs.exists():
        certs.rmdir()
    shutil.move(empty.dir / "certs.away", certs)
    with empty.redis_client() as redis:
        assert redis("DBSIZE") == 0
        # One that was cut is not taken for whole, by nobody.
        cut.write_text("\n".join(text.splitlines()[:-3]) + "\n")
        assert "was cut" in transfer(empty, "--restore", cut, code=100)
        assert redis("HGET", PREFIX + "meta", "schema") == "restoring"
        assert "already" in transfer(empty, "--restore", moved.file, code=100)
        redis("FLUSHALL")
        # A line that was changed is noticed at the end.
        cut.write_text(text.replace('"app":"shop"', '"app":"shot"', 1))
        assert "begin again" in transfer(empty, "--restore", cut, code=100)
        redis("FLUSHALL")
        redis("SET", PREFIX + "txt", "1")
        assert "already" in transfer(empty, "--restore", moved.file, code=100)
        redis("FLUSHALL")


def test_into_a_cluster_and_out_of_it_again(moved, empty, session_ground):
    cluster = session_ground.keep(
        Cluster(session_ground.dir / "transfer-cluster"))
    redis, settings = empty.redis, empty.settings
    empty.redis = cluster
    empty.settings = {**settings, "redis": {**cluster.settings,
                                            "partitions": 5}}
    empty.write_conf()
    try:
        assert "partitions=5" in transfer(empty, "--restore", moved.file)
        again = empty.dir / "again.json"
        transfer(empty, "--export", again)
        assert "already" in transfer(empty, "--restore", again, code=100)
    finally:
        empty.redis, empty.settings = redis, settings
        empty.write_conf()
    first, second = ([json.loads(line) for line in f.read_text().splitlines()]
                     for f in (moved.file, again))
    assert second[-1] == first[-1]
    assert (first[0]["partitions"], second[0]["partitions"]) == (1, 5)
    assert second[0]["gens"] == first[0]["gens"] * 5


def test_from_one_partition_to_eight_without_a_gap_or_an_order(moved, empty):
    with empty.redis_client() as redis:
        assert redis("DBSIZE") == 0
    orders = empty.pebble.orders_made()
    expected = {name: empty.served(name).sha1 for name in [*NAMES, OWN]}
    watch = Watch(empty, expected)
    assert "restored domains=9" in transfer(empty, "--restore", moved.file)
    with empty.old.client() as redis:
        old = flat(everything(redis))
    with empty.redis_client() as redis:
        new = everything(redis)
        assert redis("HGET", PREFIX + "meta", "partitions") == "8"
    assert len({k for k in new if k.endswith(":index")}) > 2
    assert flat(new) == old
    empty.agent.restart()
    empty.sync.start()
    for name in NAMES:
        record = empty.await_status(name, "in_use")
        assert record["sha1"] == expected[name]
    counts = empty.api("GET", "/api/v1/status")[1]["domains"]
    assert (counts["total"], counts["in_use"], counts["not_used"]) == (9, 8, 1)
    out = empty.cli("--app", "shop", "env").out
    assert "cloudflare" in out
    assert "ci" in empty.cli("token", "list").out
    # It goes on as before.
    name = NAMES[0]
    with empty.redis_client() as redis:
        at = f"{PREFIX}{{p{empty.partition(name)}}}:"
        assert redis("ZCARD", at + "due") > 0
    bad = watch.end()
    assert bad == [] and watch.looks > 20
    assert empty.pebble.orders_made() == orders
    empty.point_here("new.move.test")
    empty.add("new.move.test")
    empty.await_status("new.move.test", "in_use")
    empty.sync.stop()
