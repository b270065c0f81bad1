"""The command line: what it says, how it ends, that it waits."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from harness import SLOW, built, environment, wait_for

OK, FAILED, USAGE, NOT_FOUND, REFUSED, UNREACHABLE, TIMEOUT = range(7)


def in_background(node, *args, **kw):
    env = environment({"CERTFLEET_SOCKET": str(node.api_socket)})
    return subprocess.Popen([built("certfleet"), *args], env=env,
                            cwd=node.dir, **kw)


def test_domains_are_a_table_and_json(shared):
    shared.cli("--app", "tables", "domains-add", "one.table.test")
    shared.cli("--app", "tables", "domains-add", "two.table.test")
    shared.await_status("one.table.test", "pending_dns")
    lines = shared.cli("domains", "--app", "tables").out.splitlines()
    assert lines[0].split()[:3] == ["Domain", "App", "Status"]
    assert [line.split()[0] for line in lines[1:]] == [
        "one.table.test", "two.table.test"]
    assert "Pending DNS" in lines[1]
    domains = shared.cli("domains", "--app", "tables", "--json").json["domains"]
    assert [d["name"] for d in domains] == ["one.table.test", "two.table.test"]
    assert domains[0]["status"] == "pending_dns"
    # Without an app: those of all.
    names = [d["name"] for d in shared.cli("--json", "domains").json["domains"]]
    assert {"one.table.test", "two.table.test"} <= set(names)


def test_an_added_domain_is_waited_for(shared):
    name = "waited.test"
    shared.point_here(name)
    done = shared.cli("domains-add", name, "--wait=60", seconds=90)
    assert f"{name} is added to app default" in done.out
    assert f"{name}: In use" in done.out
    # It says so because it is so.
    assert shared.served(name).verified
    assert done.err == "", "progress is for terminals"


def test_a_wait_in_json_is_json(shared):
    name = "json.waited.test"
    shared.point_here(name)
    done = shared.cli("domains-add", name, "--wait", "--json", seconds=90)
    assert [d["name"] for d in done.json["domains"]] == [name]
    assert shared.status(name) == "in_use"


def test_a_wait_in_vain_says_why(shared):
    done = shared.cli("domains-add", "nowhere.waited.test", "--wait=1",
                      code=TIMEOUT)
    assert "waited 1 s in vain" in done.err
    assert "Pending DNS: " in done.err
    assert "nowhere.waited.test" in done.err


def test_a_terminal_sees_each_change(shared):
    name = "seen.waited.test"
    near, far = pty.openpty()
    p = in_background(shared, "domains-add", name, "--wait=60",
                      stdout=subprocess.DEVNULL, stderr=far)
    os.close(far)
    shared.await_status(name, "pending_dns")
    time.sleep(1)
    shared.point_here(name)
    seen = b""
    while True:
        try:
            more = os.read(near, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        seen += more
    os.close(near)
    assert p.wait(60 * SLOW) == OK
    lines = seen.decode().splitlines()
    assert all(line.strip().startswith(f"{name}: ") for line in lines), lines
    said = [line.split(": ")[1].split(";")[0] for line in lines]
    assert said[0] == "Pending DNS"
    assert said[-1] == "In use"


def test_a_domain_that_is_removed_is_waited_for_no_more(shared):
    name = "removed.waited.test"
    p = in_background(shared, "domains-add", name, "--wait=60",
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shared.await_status(name, "pending_dns")
    shared.remove(name)
    _, err = p.communicate(timeout=30 * SLOW)
    assert p.returncode == NOT_FOUND
    assert b"was removed" in err


def test_a_name_is_taken_once(shared):
    shared.cli("domains-add", "once.test")
    done = shared.cli("domains-add", "once.test", code=REFUSED)
    assert "once.test: has already been taken" in done.err
    done = shared.cli("domains-add", "--app", "other", "once.test",
                      code=REFUSED)
    assert "has already been taken" in done.err


def test_of_several_names_the_good_ones_are_added(shared):
    done = shared.cli("domains-add", "good.several.test", "bad..several.test",
                      "fine.several.test", code=REFUSED)
    assert "bad..several.test: " in done.err
    assert "good.several.test is added" in done.out
    assert shared.status("fine.several.test") != ""


def test_an_app_has_only_its_own(shared):
    shared.cli("-a", "mine", "domains-add", "own.test")
    done = shared.cli("-a", "theirs", "domains-remove", "own.test",
                      code=NOT_FOUND)
    assert "not found" in done.err
    assert shared.record("own.test")["app"] == "mine"
    shared.cli("-a", "mine", "domains-remove", "OWN.test.")
    assert shared.record("own.test") == {}


def test_why_says_state_reason_and_next(shared):
    name = "why.test"
    shared.dns.add_a(name, "127.0.0.77")
    shared.add(name)
    shared.await_record("the wrong address to be seen", lambda: "127.0.0.77" in
                        shared.record(name).get("reason", ""), 20, name)
    out = shared.cli("why", name).out
    assert "State        Pending DNS since " in out
    assert "127.0.0.77" in out
    assert "Next         " in out
    assert "Certificate  none yet" in out
    shared.dns.clear_a(name)
    shared.point_here(name)
    record = shared.await_status(name, "in_use")
    out = shared.cli("why", name).out
    assert "State        In use" in out
    assert record["serial"] in out
    assert "Nodes        n1 serves it" in out
    assert shared.cli("why", name, "--json").json["domain"]["serial"] == \
        record["serial"]


def test_why_of_what_is_not_there(shared):
    assert "not found" in shared.cli("why", "none.test", code=NOT_FOUND).err
    done = shared.cli("why", "../a;b", code=NOT_FOUND)
    assert len(done.err) > 30, "not told why"


def test_status_and_nodes(shared):
    out = shared.cli("status").out
    assert "Leader    n1 (this node)" in out
    assert "Redis     up" in out
    assert "HAProxy   1 of 1 up" in out
    status = shared.cli("status", "--json").json
    assert status["leader"]["node"] == "n1"
    assert status["domains"]["total"] >= 0
    lines = shared.cli("nodes").out.splitlines()
    assert lines[0].split()[0] == "Node"
    assert lines[1].split()[:3] == ["n1", "live", "leader"]


def test_events_that_were(shared):
    shared.add("event.test")
    out = shared.cli("events", "-n", "1000").out
    assert any("added" in line and "event.test" in line
               for line in out.splitlines())
    events = shared.cli("events", "-n", "2", "--json").json["events"]
    assert len(events) == 2


def test_events_that_come(shared):
    shared.add("before.follow.test")
    p = in_background(shared, "events", "-f", "-n", "1", "--json",
                      stdout=subprocess.PIPE)
    first = json.loads(p.stdout.readline())
    assert first["id"]
    for i in range(5):
        shared.add(f"e{i}.follow.test")
    heard, wanted = [], [f"e{i}.follow.test" for i in range(5)]
    while len(heard) < 5:
        event = json.loads(p.stdout.readline())
        if event["type"] == "added" and event["name"] in wanted:
            heard.append(event["name"])
    assert heard == wanted
    p.send_signal(signal.SIGTERM)
    p.wait(5 * SLOW)
    p.stdout.close()


def test_followers_hear_of_the_end(node):
    p = in_background(node, "events", "-f", stdout=subprocess.DEVNULL,
                      stderr=subprocess.PIPE)
    time.sleep(0.5)
    node.sync.stop()
    _, err = p.communicate(timeout=20 * SLOW)
    assert p.returncode in (FAILED, UNREACHABLE)
    assert b"certfleet-sync" in err or b"server" in err
    done = node.cli("status", code=UNREACHABLE)
    assert "is certfleet-sync running?" in done.err


def test_a_redis_that_hangs_is_told_and_survived(node):
    node.add("hang.test")
    with node.redis_client() as redis:
        pid = int(dict(line.split(":", 1) for line in
                       redis("INFO", "server").splitlines()
                       if ":" in line)["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        done = node.cli("domains", code=None)
        assert done.code == FAILED, done
        assert len(done.err) > 20
        wait_for("readyz to say no", lambda: node.api(
            "GET", "/readyz")[0] == 503, 20)
        assert node.api("GET", "/healthz")[0] == 200
        assert node.cli("status", code=FAILED).out
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("readyz to say yes", lambda: node.api(
        "GET", "/readyz")[0] == 200, 30)
    assert "hang.test" in node.cli("domains").out


@pytest.mark.parametrize("args", [
    (), ("nonsense",), ("--nonsense",), ("domains", "--nonsense"),
    ("domains-add",), ("why",), ("why", "a.test", "b.test"),
    ("--color=blue", "status"), ("events", "-n", "many"),
    ("domains-add", "a.test", "--wait=soon"), ("--app",)])
def test_misuse_is_told(shared, args):
    done = shared.cli(*args, code=USAGE)
    assert "certfleet" in done.err
    assert done.out == ""


def test_help(shared):
    done = shared.cli("--help")
    assert len(done.out.splitlines()) <= 60
    assert "domains-add" in done.out and done.err == ""
    assert "--wait" in shared.cli("domains-add", "--help").out
    assert shared.cli("help").out == done.out
    assert shared.cli("--version").out.startswith("certfleet ")


def test_every_command_has_three_examples(shared):
    commands = re.findall(r"^  ([a-z][a-z-]+) ", shared.cli(
        "--help").out.split("\n\n")[1], re.M)
    assert len(commands) > 25
    for command in commands:
        said = shared.cli(command, "--help").out.splitlines()
        assert said[0].startswith(f"usage: certfleet {command}")
        examples = [line for line in said if line.startswith("  certfleet ")]
        assert len(examples) == 3, command
        for line in examples:
            assert re.search(rf"\b{command}\b", line), line


def test_a_removal_asks_on_a_terminal_only(shared):
    name = "asked.remove.test"
    shared.cli("domains-add", name)
    done = shared.cli("domains-remove", "--dry-run", name)
    assert done.out == f"-----> {name} would be removed from app default\n"
    done = shared.cli("domains-remove", "--dry-run", "--json", name,
                      "nobody.remove.test", code=NOT_FOUND)
    assert done.json == {"would_remove": [name]}
    for typed, code in ((b"no\n", USAGE), (b"yes\n", OK)):
        assert shared.record(name) != {}
        near, far = pty.openpty()
        p = in_background(shared, "domains-remove", name, stdin=far,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.write(near, typed)
        p.communicate(timeout=30 * SLOW)
        os.close(near)
        os.close(far)
        assert p.returncode == code
    assert shared.record(name) == {}


def test_nobody_there(shared):
    done = shared.cli("--socket", "/nonexistent/s", "status",
                      code=UNREACHABLE)
    assert done.err.strip() == (
        "!     cannot connect to /nonexistent/s: No such file or directory; "
        "is certfleet-sync running?")


def test_the_configuration_says_where_the_socket_is(shared):
    env = environment({})
    env.pop("CERTFLEET_SOCKET", None)
    done = subprocess.run([built("certfleet"), "-f", str(shared.conf),
                           "status"], env=env, capture_output=True,
                          check=False)
    assert done.returncode == 0, done


def test_colours_when_asked_for(shared):
    assert "\x1b[" not in shared.cli("status").out
    assert "\x1b[" in shared.cli("--color=always", "status").out
    assert "\x1b[" not in shared.cli("--color", "never", "status").out


def test_a_name_that_the_ca_refuses_is_waited_for_no_longer(ground):
    """The next attempt comes after the wait: it ends at once and says so."""
    node = ground.node(ground.world(blocklist=["refused.test"]), settings={
        "acme": {"retry_first_s": 600, "retry_max_s": 3600}})
    node.point_here("refused.test")
    started = time.monotonic()
    done = node.cli("domains-add", "refused.test", "--wait=120", code=REFUSED,
                    seconds=150)
    assert time.monotonic() - started < 60 * SLOW
    assert "tried again in" in done.err
    out = node.cli("why", "refused.test").out
    assert "State        Creating" in out
    assert "forbidden by policy" in out
