"""doctor: each thing that is set up wrong is found, and nothing else.

Every finding is provoked for real: on the session's node where it can be put
right again at once, else on one of its own.
"""

import contextlib
import json
import os
import re
import subprocess

import pytest

from harness import built, environment, program, wait_for
from node import PREFIX
from test_clock import clock, faked, preload  # noqa: F401
from test_disk import mounts

OK, FAILED = 0, 1


def examined(node, *args, code=None):
    """What the doctor says of the node."""
    env = environment({})
    done = subprocess.run(
        [built("certfleet"), "-f", node.conf, "doctor", "--json", *args],
        capture_output=True, text=True, env=env, cwd=node.dir)
    assert done.returncode in ((OK, FAILED) if code is None else (code,)), \
        done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["healthy"] == (done.returncode == OK)
    return said


def wrong(node, *args):
    """What is not as it should be, by the name of the check."""
    found = {}
    for r in examined(node, *args)["results"]:
        if r["level"] in ("error", "warning"):
            assert r["should"] and r["cure"], r
            found.setdefault(r["check"], r)
    return found


def ready(node):
    """The node with its key ring backed up and its HAProxy seen."""
    node.cli("-f", str(node.conf), "kek", "backed-up")
    wait_for("HAProxy to be seen", lambda: node.api(
        "GET", "/api/v1/status")[1]["haproxies"]["up"] == 1, 20)
    return node


@pytest.fixture
def healthy(shared):
    return ready(shared)


@contextlib.contextmanager
def mode(path, bits):
    before = os.stat(path).st_mode & 0o777
    os.chmod(path, bits)
    try:
        yield
    finally:
        os.chmod(path, before)


@contextlib.contextmanager
def told_otherwise(node, change):
    """The doctor reads another certfleet.conf than the node does."""
    text = node.conf.read_text()
    changed = change(text)
    assert changed != text
    node.conf.write_text(changed)
    try:
        yield
    finally:
        node.conf.write_text(text)


def takes_any(node):
    """From 3.4 on a payload may be larger than HAProxy's buffer."""
    version = node.haproxy.info()["Version"].split(".")
    return (int(version[0]), int(version[1])) >= (3, 4)


def test_a_healthy_node_has_nothing_wrong(healthy):
    said = examined(healthy, code=OK)
    assert (said["errors"], said["warnings"]) == (0, 0)
    well = {r["check"] for r in said["results"] if r["level"] == "ok"}
    # Nothing was passed over.
    assert well >= {
        "config.valid", "files.state_dir", "files.run_dir",
        "files.certificates", "kek.file", "kek.ring", "kek.backup",
        "files.room", "sync.socket", "sync.running", "haproxy.version",
        "haproxy.level", "haproxy.bufsize", "haproxy.crt_list",
        "haproxy.filter", "haproxy.challenge", "agent.listen", "redis.server",
        "redis.library", "redis.persistence", "redis.eviction",
        "clock.redis", "dns.targets", "ca.directory", "ca.terms",
        "ca.contact", "clock.ca"}
    done = healthy.cli("doctor", "-f", str(healthy.conf))
    assert done.out.splitlines()[-1] == "-----> nothing is wrong"
    # What was published for the question is gone.
    with healthy.redis_client() as redis:
        assert [k for k in redis("KEYS", f"{PREFIX}challenge:*")
                if not k.endswith(":thumbprint")] == []


def test_modes_that_let_others_in_are_found(healthy):
    pem = next(healthy.cert_dir.glob("*.pem"))
    for path, bits, check in (
            (healthy.state_dir, 0o755, "files.state_dir"),
            (healthy.run_dir, 0o777, "files.run_dir"),
            (healthy.state_dir / "kek", 0o644, "kek.file"),
            (pem, 0o644, "files.certificates"),
            (healthy.api_socket, 0o666, "sync.socket"),
            (healthy.haproxy.socket, 0o666, "haproxy.mode")):
        with mode(path, bits):
            found = wrong(healthy)
        assert check in found and str(path) in found[check]["is"], found
        assert set(found) <= {check, "kek.ring"}
    assert wrong(healthy) == {}


def test_a_key_ring_that_is_not_backed_up_is_found(healthy):
    marker = healthy.state_dir / "kek.backed-up"
    marker.unlink()
    found = wrong(healthy)
    assert set(found) == {"kek.backup"}
    assert "certfleet kek backed-up" in found["kek.backup"]["cure"]
    marker.write_text("0" * 64 + "\n")
    assert "has changed since" in wrong(healthy)["kek.backup"]["is"]
    marker.chmod(0o644)
    healthy.cli("-f", str(healthy.conf), "kek", "backed-up")
    assert marker.stat().st_mode & 0o777 == 0o600
    assert wrong(healthy) == {}


def test_what_certfleet_conf_lacks_is_found(healthy):
    def without(name):
        return lambda text: re.sub(rf"\n\s*{name} = .*", "", text)

    for change, check, word in (
            (without("targets"), "dns.targets", "empty"),
            (without("agree_tos"), "ca.terms", "agree_tos"),
            (without("contact"), "ca.contact", "contact"),
            (lambda t: t.replace("targets = { ", 'targets = { "no.where.test", '),
             "dns.targets", "no.where.test has no address"),
            (lambda t: re.sub(r'listen = \{ "127\.0\.0\.1:\d+" \}',
                              'listen = { "127.0.0.1:1" }', t, count=1),
             "agent.listen", "127.0.0.1:1: "),
            (lambda t: t.replace("bufsize = 32768", "bufsize = 1048576"),
             "haproxy.bufsize", "1048448 bytes"),
            (lambda t: t.replace("crt-list.txt", "other.txt"),
             "haproxy.crt_list", "other.txt"),
            (lambda t: t.replace("haproxy.sock\"", "nobody.sock\""),
             "haproxy.socket", "nobody.sock")):
        if check == "haproxy.bufsize" and takes_any(healthy):
            continue
        with told_otherwise(healthy, change):
            found = wrong(healthy)
        assert set(found) == {check}, (check, found)
        assert word in found[check]["is"]
    with told_otherwise(healthy, lambda t: t + "\nlaese_ms = 1\n"):
        said = wrong(healthy)
    assert "laese_ms" in said["config.valid"]["is"]


@pytest.fixture(scope="module")
def beside(session_node):
    """Run the node's HAProxy with another configuration for a while."""
    node = session_node

    @contextlib.contextmanager
    def run(*changes):
        kept = node.haproxy.write_config

        def write():
            kept()
            text = node.haproxy.config.read_text()
            for pattern, by in changes:
                text, n = re.subn(pattern, by, text, flags=re.M)
                assert n > 0, pattern
            node.haproxy.config.write_text(text)
        node.haproxy.write_config = write

        def restart():
            node.haproxy.restart()
            ready(node)
        try:
            restart()
            yield
        finally:
            node.haproxy.write_config = kept
            restart()
    return run


def test_a_haproxy_without_the_filter_is_found(healthy, beside):
    with beside((r"^\s*filter spoe .*\n", ""),
                (r"^\s*http-request send-spoe-group .*\n", "")):
        found = wrong(healthy)
    assert set(found) == {"haproxy.filter", "haproxy.challenge"}, found
    assert "no SPOE filter" in found["haproxy.filter"]["is"]
    assert "with 404" in found["haproxy.challenge"]["is"]


def test_a_haproxy_that_redirects_challenges_is_found(healthy, beside):
    with beside((r" unless acme_challenge$", "")):
        found = wrong(healthy)
    assert set(found) == {"haproxy.challenge"}, found
    assert "with 308" in found["haproxy.challenge"]["is"]
    assert "redirect" in found["haproxy.challenge"]["cure"]


def test_a_haproxy_with_a_small_buffer_is_found(healthy, beside):
    if takes_any(healthy):
        pytest.skip("HAProxy 3.4 takes larger ones all the same")
    with beside((r"tune\.bufsize 32768", "tune.bufsize 16384")):
        found = wrong(healthy)
    assert set(found) == {"haproxy.bufsize"}, found
    assert "tune.bufsize 32768" in found["haproxy.bufsize"]["cure"]


def test_a_haproxy_that_may_not_be_changed_is_found(healthy, beside):
    with beside((r"level admin", "level operator")):
        found = wrong(healthy)
    assert "haproxy.level" in found, found
    assert set(found) <= {"haproxy.level", "sync.error", "sync.haproxy"}


def test_an_agent_that_is_gone_is_found(healthy):
    healthy.agent.stop()
    try:
        found = wrong(healthy)
    finally:
        healthy.agent.start()
    assert set(found) == {"agent.listen", "haproxy.challenge"}, found
    assert "with 503" in found["haproxy.challenge"]["is"]
    wait_for("the agent to be used again", lambda: wrong(healthy) == {}, 10)


def test_the_configuration_of_haproxy_can_be_named(healthy, tmp_path):
    other = tmp_path / "haproxy.cfg"
    other.write_text("global\n")
    found = wrong(healthy, "--haproxy-config", str(other))
    assert set(found) == {"haproxy.filter"}
    other.write_text(healthy.haproxy.config.read_text().replace(
        "backend certfleet_spoa", "backend renamed"))
    found = wrong(healthy, "--haproxy-config", str(other))
    assert "certfleet_spoa" in found["haproxy.filter"]["is"]


def test_a_redis_that_forgets_or_evicts_is_found(ground):
    redis = ground.redis()
    node = ready(ground.node(redis=redis))
    with redis.client() as r:
        r("CONFIG", "SET", "appendonly", "yes")
        assert wrong(node) == {}
        notes = [x["check"] for x in examined(node)["results"]
                 if x["level"] == "note"]
        assert notes == ["redis.replicas"]
        for settings, check, level, word in (
                (("appendonly", "no", "save", ""), "redis.persistence",
                 "error", "keeps nothing"),
                (("appendonly", "no", "save", "3600 1"), "redis.persistence",
                 "warning", "snapshots only"),
                (("appendonly", "yes", "maxmemory-policy", "allkeys-lru"),
                 "redis.eviction", "error", "allkeys-lru")):
            r("CONFIG", "SET", *settings)
            found = wrong(node)
            assert set(found) == {check}, found
            assert found[check]["level"] == level
            assert word in found[check]["is"]
        r("CONFIG", "SET", "maxmemory-policy", "noeviction")
        # certfleet-sync would load the library again.
        node.sync.stop()
        r("FUNCTION", "FLUSH")
        assert set(wrong(node)) == {"redis.library", "sync.running"}
    node.sync.start()
    assert wrong(node) == {}
    redis.stop()
    wait_for("certfleet-sync to miss its Redis",
             lambda: "sync.redis" in wrong(node), 20)
    found = wrong(node)
    assert "redis.server" in found and "haproxy.challenge" not in found, found


def test_a_node_that_is_down_is_examined_all_the_same(ground):
    node = ready(ground.node())
    node.sync.stop()
    said = examined(node, code=FAILED)
    levels = {}
    for r in said["results"]:
        levels.setdefault(r["check"], r["level"])
    assert levels["sync.running"] == "error"
    assert levels["redis.server"] == levels["ca.directory"] == "skipped"
    assert levels["haproxy.level"] == levels["haproxy.filter"] == "ok"
    assert levels["kek.ring"] == levels["agent.listen"] == "ok"
    (node.state_dir / "kek").unlink()
    assert "kek.file" in wrong(node)
    out = node.cli("doctor", "-f", str(node.conf), code=FAILED)
    assert "systemctl start certfleet-sync" in out.out
    assert re.search(r"!     \d errors", out.err)


def test_a_ca_that_is_away_is_found(ground):
    node = ready(ground.node())
    node.pebble.stop()
    found = wrong(node)
    assert set(found) == {"ca.directory"}, found
    assert node.pebble.directory in found["ca.directory"]["is"]


def test_a_clock_that_is_wrong_is_found(faked, healthy):
    done = subprocess.run(
        [built("certfleet"), "-f", healthy.conf, "doctor", "--json"],
        capture_output=True, text=True, env=environment({
            "LD_PRELOAD": preload(), "FAKETIME": "+5m",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}))
    assert done.returncode == FAILED, done.stderr
    found = {r["check"]: r for r in json.loads(done.stdout)["results"]
             if r["level"] in ("warning", "error")}
    assert set(found) == {"clock.redis"}, found
    assert re.search(r"(299|300|301) s ahead of", found["clock.redis"]["is"])


def test_a_daemon_whose_clock_is_wrong_is_found(faked, ground):
    """certfleet-sync has heard the CA, and says itself that it is not right."""
    node = ready(ground.node(redis=ground.redis()))
    with clock(node, "+10m"):
        wait_for("the clock to be told", lambda:
                 "sync.error" in wrong(node), 20, explain=node.tails)
        found = wrong(node)
    assert re.search(r"(599|600|601|602) s ahead of", found["clock.ca"]["is"])


def test_a_disk_that_is_full_is_found(healthy):
    """The same state directory on a small disk, for the doctor alone."""
    why = mounts()
    if why:
        pytest.skip(f"no mount namespaces here: {why}")
    script = ('mount -t tmpfs -o size=24m,mode=0700 none /mnt && '
              'cp -a "$0/kek" "$0/kek.backed-up" /mnt && mount --bind /mnt "$0" && '
              '(cat /dev/zero > "$0/fill" || true) 2>/dev/null && '
              'exec "$1" -f "$2" doctor --json')
    done = subprocess.run(
        [program("unshare"), "-m", "sh", "-c", script, healthy.state_dir,
         built("certfleet"), healthy.conf], capture_output=True, text=True,
        env=environment({}))
    assert done.returncode == FAILED, done.stderr
    found = [r for r in json.loads(done.stdout)["results"]
             if r["level"] in ("warning", "error")]
    assert [(r["check"], r["level"]) for r in found] == [
        ("files.room", "error")], found
    assert str(healthy.state_dir) in found[0]["is"]
