"""renew, check, leader, config: what they say and what comes of it."""

import json
import shutil
import subprocess

import pytest

from harness import built, environment, wait_for
from ownca import OwnCA
from test_custom import upload
from test_switch import switch

OK, FAILED, USAGE, NOT_FOUND, REFUSED, UNREACHABLE, TIMEOUT = range(7)


@pytest.fixture(scope="module")
def issued(session_node):
    """A name in use, for those who only need one."""
    name = "issued.verbs.test"
    session_node.point_here(name)
    session_node.add(name)
    session_node.await_status(name, "in_use")
    return name


# --- renew ------------------------------------------------------------------------


def test_a_renewal_is_asked_for_and_waited_for(shared):
    name = "renewed.verbs.test"
    shared.point_here(name)
    shared.add(name)
    old = shared.await_status(name, "in_use")
    done = shared.cli("renew", name, code=REFUSED)
    assert "--force" in done.err and "issued only at" in done.err
    done = shared.cli("renew", name, "--force", "--dry-run")
    assert done.out.startswith(f"-----> {name}: a certificate would be ordered")
    assert shared.record(name)["version"] == old["version"]
    done = shared.cli("renew", name, "--force", "--wait=60", seconds=90)
    assert f"{name}: a certificate is ordered now" in done.out
    new = shared.record(name)
    assert int(new["version"]) == int(old["version"]) + 1
    # It came back because the other one is served.
    assert shared.served(name).serial == new["serial"] != old["serial"]
    assert int(new["renew_at"]) > int(new["not_before"])
    types = [e["type"] for e in
             shared.cli("why", name, "--json").json["domain"]["timeline"]]
    assert "renew" in types


def test_what_is_not_ours_to_renew_says_whose_it_is(shared, ground):
    name = "custom.verbs.test"
    shared.point_here(name)
    shared.add(name)
    shared.await_status(name, "in_use")
    upload(shared, name, OwnCA(ground.dir / "own-ca").leaf(name))
    shared.await_status(name, "not_used")
    done = shared.cli("renew", name, "--force", code=REFUSED)
    assert "custom certificate" in done.err and "domains-ssl" in done.err
    off = "off.verbs.test"
    shared.add(off)
    switch(shared, off, False)
    shared.await_status(off, "disabled")
    done = shared.cli("renew", off, "nobody.verbs.test", code=REFUSED)
    assert "domains-letsencrypt" in done.err
    assert "nobody.verbs.test: " in done.err and "not found" in done.err
    shared.cli("renew", "nobody.verbs.test", code=NOT_FOUND)
    code, said = shared.api("POST", f"/api/v1/domains/{off}/renew",
                            {"force": "yes", "x": 1})
    assert code == 422 and set(said["errors"]) == {"force", "x"}


def test_what_waits_is_looked_at_at_once(ground):
    """Its next look is far away: only renew can have brought it forward."""
    node = ground.node(settings={"dns": {"check_interval_ms": 3600000}})
    name = "pending.verbs.test"
    node.add(name)
    node.await_status(name, "pending_dns")
    node.await_record("the first look", lambda:
                      "next_at" in node.record(name), 20, name)
    node.point_here(name)
    done = node.cli("renew", name, "--wait=60", seconds=90)
    assert "its DNS is checked now" in done.out
    assert f"{name}: In use" in done.out


def test_the_cas_limits_are_told_and_kept(ground):
    node = ground.node(settings={"limits": {"certificates_per_set": 1}})
    name = "limited.verbs.test"
    node.point_here(name)
    node.add(name)
    old = node.await_status(name, "in_use")
    for more in (["--dry-run"], ["--wait=30"]):
        done = node.cli("renew", name, "--force", "--json", *more, code=None,
                        seconds=60)
        said = done.json["renewals"][0]
        assert said["waits_for"] == "set" and not said["now"], said
        assert said["at"] > old["not_before"] and "next one free" in \
            said["sentence"]
    # Waiting for it would take days: it says so before the 30 s are over.
    assert done.code == REFUSED and "renewal waits: " in done.err
    record = node.record(name)
    assert record["version"] == old["version"]
    assert record["status"] == "in_use"
    assert int(record["rate_limited_until"]) > 0


# --- all of them ------------------------------------------------------------------


def test_what_every_command_says_in_json_is_json(shared, issued, tmp_path):
    conf, names = str(shared.conf), tmp_path / "names"
    names.write_text("x.verbs.test\n")
    shared.cli("token", "create", "json-verbs", "--json").json
    for command in (
            "domains", "domains-add j.verbs.test", "domains-remove j.verbs.test",
            f"domains-ssl {issued} disable",
            f"domains-letsencrypt {issued} enable", "env",
            "env-set DNS_CLOUDFLARE_EMAIL=a@b.test",
            "env-unset DNS_CLOUDFLARE_EMAIL", f"renew {issued} --force --dry-run",
            "token list", "token revoke json-verbs", "audit", "status",
            f"why {issued}", f"check {issued}", "events", "nodes",
            f"nodes {issued}", "leader", "limits", f"limits {issued}",
            f"plan {names}", f"config check -f {conf}", "config show",
            f"kek list -f {conf}", f"kek backed-up -f {conf}",
            f"doctor -f {conf}"):
        done = shared.cli(*command.split(), "--json")
        assert isinstance(done.json, dict) and done.err == "", command


# --- check ------------------------------------------------------------------------


def test_a_check_tells_what_is_and_what_should_be(shared, issued):
    out = shared.cli("check", issued).out
    assert f"{issued} (app default)" in out
    assert "Verdict      an order could be made" in out
    assert f"A {shared.address}, ours" in out
    assert "HTTP         it answers a challenge" in out
    name = "elsewhere.verbs.test"
    shared.dns.add_a(name, "127.0.0.77")
    said = shared.cli("check", name, "--json", code=FAILED).json["check"]
    assert said["verdict"] == "pending" and said["status"] is None
    assert said["found"]["addresses"] == [
        {"address": "127.0.0.77", "ours": False}]
    assert said["expected"]["targets"] == [shared.address]
    assert "expected" in said["sentence"]
    out = shared.cli("check", name, code=FAILED).out
    assert "(not registered)" in out and "127.0.0.77, not ours" in out
    # Nothing was made of it.
    assert shared.record(name) == {}
    shared.dns.clear_a(name)
    out = shared.cli("check", name, code=FAILED).out
    assert "does not exist in DNS yet" in out


def test_a_check_asks_for_caa(shared):
    name = "caa.verbs.test"
    shared.point_here(name)
    shared.dns.add_caa(name, "other.test")
    said = shared.cli("check", name, "--json", code=FAILED).json["check"]
    assert said["verdict"] == "caa"
    assert said["caa"]["records"] == [
        {"flags": 0, "tag": "issue", "value": "other.test"}]
    assert said["caa"]["found_at"].rstrip(".") == name
    assert said["caa"]["ca"]["allowed"] is False
    out = shared.cli("check", name, code=FAILED).out
    assert 'CAA 0 issue "other.test"' in out
    assert "the CA (pebble.test) may not issue" in out
    shared.dns.clear_caa(name)
    assert "may issue" in shared.cli("check", name).out


def test_a_wildcard_may_point_anywhere(shared):
    out = shared.cli("check", "*.wild.verbs.test").out
    assert "dns-01" in out and "an order could be made" in out
    shared.cli("check", "not..aname", code=REFUSED)


def test_a_name_that_points_here_and_does_not_answer_is_told(ground):
    """As behind a firewall: DNS is right, and the CA would come in vain."""
    node = ground.node()
    name = "unreached.verbs.test"
    node.point_here(name)
    node.haproxy.stop()
    said = node.cli("check", name, "--json").json["check"]
    assert said["verdict"] == "ok" and said["found"]["probed"] == 1
    assert said["found"]["unreached"].startswith(f"{node.address}: ")
    out = node.cli("check", name).out
    assert f"HTTP         it does not answer a challenge: {node.address}" in out


def test_a_probe_is_made_where_dns_cannot_tell(ground):
    """Without targets only an answer through the name says that it is us."""
    node = ground.node(settings={"dns": {"targets": []}})
    name = "probed.verbs.test"
    node.point_here(name)
    said = node.cli("check", name, "--json").json["check"]
    assert said["verdict"] == "ok" and said["found"]["probed"] == 1
    assert said["expected"]["targets"] == []


# --- leader -----------------------------------------------------------------------


def test_the_leader_is_told_by_every_node(ground):
    redis = ground.redis()
    world = ground.world()
    one = ground.node(world, name="n1", redis=redis)
    two = ground.node(world, name="n2", address="127.0.0.2", redis=redis,
                      settings={"fleet": {"candidate": False}}, start=False)
    two.state_dir.mkdir(mode=0o700, parents=True)
    shutil.copy(one.state_dir / "kek", two.state_dir / "kek")
    two.start()
    said = wait_for("both to be known", lambda: next(
        (x for x in [two.cli("leader", "--json", code=None).json["leader"]]
         if x["progress"]), None), 20, explain=ground.tails)
    assert said["node"] == "n1" and not said["self"]
    assert one.cli("leader", "--json").json["leader"]["self"]
    assert said["candidates"] == [{"id": "n1", "live": True, "leads": True}]
    assert said["since"] < said["now"] < said["until"]
    assert said["overdue_s"] == 0
    assert said["progress"]["last_commit_at"] is None
    name = "led.verbs.test"
    one.point_here(name)
    one.add(name)
    one.await_status(name, "in_use")
    wait_for("the commit to be told", lambda: two.cli(
        "leader", "--json").json["leader"]["progress"]["last_commit_at"], 20)
    out = two.cli("leader").out
    assert "Leader       n1, epoch " in out and "May lead     n1" in out
    one.sync.stop()
    wait_for("nobody to lead", lambda: two.cli(
        "leader", code=None).code == FAILED, 20)
    assert "none; the last was n1" in two.cli("leader", code=FAILED).out


# --- config -----------------------------------------------------------------------


def test_the_settings_in_effect_are_shown_without_secrets(ground):
    word = ground.dir / "word"
    word.write_text("not-to-be-seen")
    word.chmod(0o600)
    node = ground.node(settings={"redis": {
        "sentinel_password": f"file:{word}"}})
    done = node.cli("config", "show", "--json")
    assert "not-to-be-seen" not in done.out
    settings = {s["name"]: s for s in done.json["settings"]}
    assert settings["redis.sentinel_password"]["value"] == "(set)"
    assert settings["redis.password"] == {
        "name": "redis.password", "value": None, "default": True,
        "secret": True}
    assert settings["dns.targets"]["value"] == [node.address]
    assert settings["dns.targets"]["default"] is False
    assert settings["acme.max_in_flight"] == {
        "name": "acme.max_in_flight", "value": 100, "default": True,
        "secret": False}
    assert settings["kek_file"]["value"] == f"{node.state_dir}/kek"
    assert settings["kek_file"]["default"] is True
    assert "provider.route53.base_url" in settings
    out = node.cli("config", "show").out
    assert any(line.split()[:2] == ["fleet.lease_ms", "3000"]
               for line in out.splitlines())
    code, _ = node.api("GET", "/api/v1/config")
    assert code == 200
    read = node.cli("token", "create", "reader", "--json").json["token"]
    assert node.by_tcp("GET", "/api/v1/config",
                       token=read["secret"]).status == 403


def test_a_configuration_is_checked_without_a_server(tmp_path):
    conf = tmp_path / "certfleet.conf"

    def check(*args):
        done = subprocess.run([built("certfleet"), *args], text=True,
                              capture_output=True, env=environment({}))
        return done.returncode, done.stdout, done.stderr

    conf.write_text('node = "n1"\n')
    for args in (["config", "check", "-f", str(conf)],
                 ["-f", str(conf), "config", "check"],
                 ["config", "check", "--config", str(conf)]):
        assert check(*args) == (OK, "Configuration file is valid\n", "")
    conf.write_text('acme {\n\tdirectry = "x"\n}\nfleet {\n\tlease_ms = 1\n}\n')
    code, out, err = check("config", "check", "-f", str(conf))
    assert code == FAILED and out == ""
    assert f"{conf}:2: " in err and f"{conf}:5: " in err
    code, out, _ = check("config", "check", "--json", "-f", str(conf))
    assert code == FAILED and json.loads(out)["valid"] is False
    assert json.loads(out)["error"].startswith(f"{conf}:2: ")
    assert check("config", "chek", "-f", str(conf))[0] == USAGE
