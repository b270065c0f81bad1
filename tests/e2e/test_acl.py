"""Redis with TLS, client certificates and the shipped ACL users."""

import shutil

import pytest

from harness import ROOT, wait_for
from node import CONF, PREFIX
from peers import GuardedRedis, Sentinel, TlsFiles, Watched, started
from resp import Error
from test_redis import KEYAUTH, TOKEN, added_here, all_in_use, challenge

SHIPPED = (CONF / "redis-users.acl").read_text()
TARGETS = ["127.0.0.2", "127.0.0.3"]
P = PREFIX + "{p0}:"


def password(user):
    return f"change-me-{user}"


@pytest.fixture(scope="module")
def redis(session_ground):
    d = session_ground.dir
    return session_ground.keep(started(GuardedRedis(
        d / "guarded", TlsFiles(d / "guarded-tls"), SHIPPED)))


@pytest.fixture(scope="module")
def nodes(session_ground, redis):
    """One that may lead and one that may not, each agent with its own user."""
    world = session_ground.world("acl")
    pair = []
    for name, address, user in (("a1", TARGETS[0], "issuer"),
                                ("a2", TARGETS[1], "node")):
        node = session_ground.node(
            world, start=False, name=name, address=address, redis=redis,
            settings={"dns": {"targets": TARGETS},
                      "fleet": {"candidate": user == "issuer"}})
        be(node, user)
        if pair:
            node.state_dir.mkdir(mode=0o700)
            shutil.copy(pair[0].state_dir / "kek", node.state_dir / "kek")
        pair.append(node.start())
    return pair


def be(node, user):
    """Its sync is that user from its next start on, its agent always agent."""
    for each in (user, "agent"):
        secret = node.dir / f"{each}.password"
        secret.write_text(password(each))
        secret.chmod(0o600)
    node.settings["redis"] = {
        "user": user, "password": f"file:{node.dir}/{user}.password"}
    node.write_conf()
    node.agent.conf = node.dir / "agent.conf"
    node.agent.conf.write_text(node.conf.read_text().replace(
        f'user = "{user}"', 'user = "agent"').replace(
        f"/{user}.password", "/agent.password"))


def serves(node, name, serial):
    node.await_served(name, lambda s: s.serial == serial)


def test_each_program_has_its_own_user_and_no_more_is_needed(nodes, redis):
    leads, serving = nodes
    for node in nodes:
        node.dns.add_a("acl.test", *TARGETS)
    leads.add("acl.test")
    all_in_use(leads, ["acl.test"])
    serves(serving, "acl.test", leads.serial("acl.test"))
    with redis.client() as admin:
        clients = admin("CLIENT", "LIST")
        assert {(f["name"], f["user"]) for f in (
            dict(w.split("=", 1) for w in line.split())
            for line in clients.splitlines()) if f["name"]} == {
            ("certfleet-agent", "agent"), ("certfleet-sync", "issuer"),
            ("certfleet-sync", "node")}
        denied = admin("ACL", "LOG")
    assert not denied, denied
    # Who may not lead has nothing of who does.
    assert (leads.state_dir / "outbox").is_dir()
    assert not (serving.state_dir / "outbox").exists()
    for node in nodes:
        assert "NOPERM" not in node.sync.text() + node.agent.text()


def test_the_doctor_looks_at_what_these_users_may(nodes, redis):
    for node in nodes:
        node.cli("-f", str(node.conf), "kek", "backed-up")
        done = node.cli("doctor", "-f", str(node.conf), "--json", code=None)
        levels = {r["check"]: r["level"] for r in done.json["results"]}
        assert "error" not in levels.values(), done.out
        assert levels["redis.library"] == levels["clock.redis"] == "ok"
        # INFO is not theirs: that is said, and no finding.
        assert levels["redis.persistence"] == "skipped"
        assert levels["kek.fleet"] == "ok"
        assert node.cli("leader", "--json").json["leader"]["node"] == "a1"
    # Who may not publish one cannot try a challenge.
    assert levels["haproxy.challenge"] == "skipped"



def test_who_only_serves_shows_and_changes_nothing(nodes, redis):
    _, serving = nodes
    assert "acl.test" in serving.cli("domains").out
    assert serving.cli("status").code == 0
    assert "a1" in serving.cli("nodes").out
    code, body = serving.api("GET", "/api/v1/events")
    assert code == 200 and body["events"]
    done = serving.cli("domains-add", "denied.test", code=None)
    assert done.code != 0
    assert "permission" in done.text.lower(), done.text
    with redis.client() as admin:
        assert not admin.hash(f"{P}domain:denied.test")
        admin("ACL", "LOG", "RESET")


def test_whose_api_takes_changes_cannot_lead(nodes, redis):
    leads, serving = nodes
    serving.sync.stop()
    be(serving, "api")
    serving.sync.start()
    serving.dns.add_a("api.test", *TARGETS)
    serving.cli("domains-add", "api.test")
    all_in_use(leads, ["api.test"])
    serves(serving, "api.test", leads.serial("api.test"))
    serving.remove("api.test")
    serving.cli("--app", "api", "env-set", "DNS_PROVIDER=cloudflare",
                "DNS_CLOUDFLARE_API_TOKEN=secret", code=None)
    serving.cli("--app", "api", "env")
    serving.cli("token", "create", "ci")
    assert "ci" in serving.cli("token", "list").out
    assert "api.test" in serving.cli("audit").out
    with redis.client() as admin:
        assert not admin("ACL", "LOG")


def test_an_agent_answers_what_is_published_and_what_is_asked(nodes, redis):
    with redis.client("issuer", password("issuer")) as issuer:
        issuer("SET", f"{PREFIX}challenge:{TOKEN}", KEYAUTH, "EX", 60)
    for node in nodes:
        assert challenge(node)[:2] == (200, KEYAUTH)


ALLOWED = {
    "agent": [("GET", PREFIX + "challenge:x"), ("PING",), ("ROLE",)],
    "node": [("GET", P + "cert:x"), ("HSCAN", P + "index", 0), ("TIME",),
             ("ZADD", PREFIX + "nodes", 1, "x"),
             ("PUBLISH", PREFIX + "ready", "x"),
             ("HGET", PREFIX + "hot", "names"),
             ("HSET", PREFIX + "hot", "scratch", "x"),
             ("HDEL", PREFIX + "hot", "scratch"),
             ("FCALL", "certfleet_beat", 1, PREFIX + "node:x", "x", 1, 1000,
              PREFIX + "acks", "0", "version", "0")],
    "api": [("SADD", PREFIX + "apps", "x"), ("GET", P + "cert:x"),
            ("HSET", P + "domain:scratch", "epoch", "0"),
            ("DEL", P + "domain:scratch")],
    "issuer": [("SET", PREFIX + "account:x", "x"),
               ("GET", PREFIX + "account:x"),
               ("PUBLISH", PREFIX + "challenges", "x")],
}

DENIED = {
    "agent": [("SET", PREFIX + "challenge:x", "y"), ("GET", P + "cert:x"),
              ("GET", PREFIX + "account:x"), ("KEYS", "*"), ("FLUSHALL",),
              ("SUBSCRIBE", PREFIX + "acks"), ("PUBLISH", PREFIX + "ready", 1),
              ("FCALL", "certfleet_version", 0), ("CONFIG", "GET", "*")],
    "node": [("SET", P + "cert:x", "y"), ("HSET", P + "domain:x", "a", "b"),
             ("HGETALL", P + "order:x"), ("GET", PREFIX + "account:x"),
             ("GET", PREFIX + "rollover"), ("HSET", P + "index", "x", "y"),
             ("FCALL", "certfleet_lease", 1, PREFIX + "leader", "x", 1000),
             ("FCALL", "certfleet_publish", 1, PREFIX + "challenge:x", "x",
              "y", 9, PREFIX + "challenges"),
             ("FUNCTION", "LOAD", "#!lua name=x\nreturn"), ("FLUSHALL",),
             ("HSET", PREFIX + "tokens", "x", "y"), ("SADD", PREFIX + "apps", "x"), ("KEYS", "*")],
    "api": [("GET", PREFIX + "account:x"), ("FLUSHALL",), ("KEYS", "*"),
            ("FCALL", "certfleet_lease", 1, PREFIX + "leader", "x", 1000),
            ("SET", PREFIX + "challenge:x", "y"), ("EVAL", "return 1", 0),
            ("HSET", PREFIX + "meta", "schema", "2"),
            ("FUNCTION", "LOAD", "#!lua name=x\nreturn")],
    "issuer": [("GET", "other:x"), ("SET", "other:x", "y"), ("FLUSHALL",),
               ("KEYS", "*"), ("EVAL", "return 1", 0), ("CONFIG", "GET", "*"),
               ("FUNCTION", "DELETE", "certfleet"), ("SHUTDOWN",),
               ("PUBLISH", "other", "x"), ("ACL", "LIST")],
}


@pytest.mark.parametrize("user", sorted(ALLOWED))
def test_the_shipped_lines_allow_and_deny(redis, nodes, user):
    with redis.client(user, password(user)) as client:
        for command in ALLOWED[user]:
            client(*command)
        for command in DENIED[user]:
            with pytest.raises(Error) as refused:
                client(*command)
            assert refused.value.word == "NOPERM", (command, refused.value)


def test_nobody_comes_in_without_certificate_or_user(redis):
    import ssl

    from peers import LOOPBACK
    from resp import Resp
    context = ssl.create_default_context(cafile=redis.tls.ca)
    with pytest.raises((OSError, ConnectionError)):
        Resp(host=LOOPBACK, port=redis.port, tls=context)("PING")
    context.load_cert_chain(redis.tls.cert, redis.tls.key)
    with pytest.raises(Error, match="NOAUTH"):
        Resp(host=LOOPBACK, port=redis.port, tls=context)("PING")


def test_the_lines_are_shipped_as_a_file_that_redis_includes():
    users = [line.split()[1] for line in SHIPPED.splitlines()
             if line.startswith("user ")]
    assert users == ["agent", "node", "api", "issuer", "replica", "sentinel",
                     "default"]
    assert "redis-users.acl" in (ROOT / "README.md").read_text()


def test_a_wrong_password_is_told(nodes):
    """And the node goes on when it is put right."""
    _, serving = nodes
    secret = serving.dir / "api.password"
    secret.write_text("wrong")
    serving.sync.stop()
    try:
        serving.sync.env.clear()
        from harness import built
        serving.sync.spawn(built("certfleet-sync"), "-f", serving.conf)
        wait_for("the log to say why", lambda: "Redis refuses logging in"
                 in serving.sync.text(), 10, explain=serving.sync.tail)
        serving.sync.stop()
    finally:
        secret.write_text(password("api"))
    serving.sync.start()


def test_sentinels_with_users_and_tls(ground):
    """All that is behind them, too; and a failover."""
    tls = TlsFiles(ground.dir / "tls")
    users = next(line[2:] for line in SHIPPED.splitlines()
                 if line.startswith("# user certfleet "))
    watched = ground.keep(Watched(
        ground.dir / "watched", lambda d: GuardedRedis(d, tls, SHIPPED),
        lambda d: Sentinel(d, tls, users)))
    node = ground.node(ground.world(), start=False, redis=watched)
    be(node, "issuer")
    secret = node.dir / "sentinel.password"
    secret.write_text("change-me-at-sentinel")
    secret.chmod(0o600)
    node.settings["redis"].update({
        "tls": True, "sentinel_tls": True, "sentinel_user": "certfleet",
        "sentinel_password": f"file:{secret}", "ca_file": str(tls.ca),
        "cert_file": str(tls.cert), "key_file": str(tls.key)})
    node.agent.conf = node.conf  # one user will do
    node.start()
    added_here(node, "secret.test")
    all_in_use(node, ["secret.test"])
    old = watched.master
    with old.client() as admin:
        assert admin("WAIT", 1, 5000) == 1
    old.kill()
    wait_for("another master", lambda: watched.master is not old, 30)
    wait_for("sync to be there", node.sync.works, 15, explain=node.sync.tail)
    added_here(node, "after.test")
    all_in_use(node, ["secret.test", "after.test"], 60)
    for server in (*watched.sentinels, watched.master):
        with server.client() as admin:
            assert not admin("ACL", "LOG"), server.log
