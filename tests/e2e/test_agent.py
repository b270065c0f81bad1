"""The agent by itself: HAProxy, Redis and hostile peers around it."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from harness import SLOW, built, environment, temp_dir, wait_for
from lib_spop import FRAMES, PATH, PREFIX, THUMBPRINT
from lib_spop import Agent, HAProxy, Peer, Redis, frame, frame_file, notify
from lib_spop import ACK, AGENT_HELLO, DISCONNECT

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
DEADLINE_MS = 50


def token(n):
    return f"a-token-that-nobody-has-seen-{n:06d}"


class Around:
    """Everything of one test, in a directory of its own."""

    def __init__(self):
        self.dir = temp_dir()
        self.redis = Redis(self.dir)
        self.all = [self.redis]

    def agent(self, name="a", start=True, **settings):
        directory = self.dir / name
        directory.mkdir(exist_ok=True)
        agent = Agent(directory, self.redis, **settings)
        self.all.append(agent)
        if start:
            agent.start()
            agent.await_redis()
        return agent

    def haproxy(self, agent):
        haproxy = HAProxy(self.dir, agent)
        self.all.append(haproxy)
        haproxy.start()
        return haproxy

    def close(self, failed):
        reports = []
        for process in reversed(self.all):
            if process.popen is None:
                continue
            if process.running:
                process.signal(signal.SIGCONT)
            code = process.stop(5)
            if isinstance(process, Agent) and code not in (None, 0):
                reports.append(f"agent ended with {code}")
            reports.append(process.sanitizer_report())
            if failed:
                print(process.tail())
        shutil.rmtree(self.dir, ignore_errors=True)
        reports = [r for r in reports if r]
        if reports and not failed:
            pytest.fail("\n".join(reports), pytrace=False)


@pytest.fixture
def around(request):
    a = Around()
    a.redis.start()
    yield a
    a.close(getattr(request.node, "report_call", None) is None
            or request.node.report_call.failed)


def settled(haproxy, status, wanted=TOKEN):
    """Wait until HAProxy's view of the agent is what it should be."""
    return wait_for(f"HAProxy to answer {status}",
                    lambda: haproxy.get(wanted)[0] == status, 5,
                    explain=haproxy.tail)


# --- through HAProxy -------------------------------------------------------

def test_a_challenge_is_answered_and_nothing_else_is(around):
    agent = around.agent()
    haproxy = around.haproxy(agent)
    keyauth = around.redis.put(TOKEN)
    settled(haproxy, 200)
    status, body, headers = haproxy.get(TOKEN)
    assert (status, body) == (200, keyauth)
    assert headers["content-type"] == "text/plain"
    assert haproxy.get(token(1))[0] == 404
    assert haproxy.get(TOKEN, "HEAD")[0] == 200
    assert haproxy.get(TOKEN, "POST")[0] == 405


def test_hostile_tokens_never_reach_redis(around):
    agent = around.agent()
    haproxy = around.haproxy(agent)
    around.redis.put(TOKEN)
    settled(haproxy, 200)
    before = around.redis.gets()
    for bad in ("", "short", "thumbprint", "a" * 21, "a" * 129, "a" * 8000,
                TOKEN + "/", TOKEN + ".txt", TOKEN + "%0d%0aFLUSHALL",
                "..%2f..%2f..%2f" + TOKEN, "../" + TOKEN, "*" * 43,
                "%00" * 43, "%F0%9F%94%92" * 10, "{p0}:domain:" + TOKEN,
                TOKEN + ";x", "$(" + TOKEN + ")"):
        assert haproxy.get(bad)[0] == 404, bad
    assert around.redis.gets() == before
    assert haproxy.get(TOKEN)[0] == 200


def test_an_agent_that_is_away_is_503_at_once_and_comes_back(around):
    agent = around.agent()
    haproxy = around.haproxy(agent)
    keyauth = around.redis.put(TOKEN)
    settled(haproxy, 200)
    assert agent.stop() == 0
    settled(haproxy, 503)
    time.sleep(0.5 * SLOW)  # by now HAProxy's check has noticed
    begin = time.monotonic()
    status, _, headers = haproxy.get(TOKEN)
    assert status == 503 and headers["retry-after"] == "1"
    assert time.monotonic() - begin < 0.3 * SLOW
    agent.start()
    settled(haproxy, 200)
    assert haproxy.get(TOKEN)[1] == keyauth


def test_redis_hangs(around):
    agent = around.agent()
    haproxy = around.haproxy(agent)
    keyauth = around.redis.put(TOKEN)
    settled(haproxy, 200)
    around.redis.signal(signal.SIGSTOP)
    for _ in range(20):
        assert haproxy.get(TOKEN)[:2] == (200, keyauth)
    begin = time.monotonic()
    status, _, headers = haproxy.get(token(2))
    assert (status, headers["retry-after"]) == (503, "1")
    assert time.monotonic() - begin < 0.5 * SLOW
    around.redis.signal(signal.SIGCONT)
    settled(haproxy, 404, token(2))


def test_redis_is_gone(around):
    agent = around.agent()
    keyauth = around.redis.put(TOKEN)
    assert agent.ask(TOKEN) == ("found", keyauth)
    around.redis.kill()
    peer = agent.peer()
    assert peer.ask(TOKEN) == ("found", keyauth)
    assert peer.ask(token(1)) == ("error", "")
    around.redis.start()
    agent.await_redis()
    assert wait_for("Redis to be asked again",
                    lambda: peer.ask(token(1))[0] == "none")


# --- from memory, from Redis ----------------------------------------------

def test_a_published_challenge_needs_no_question(around):
    agent = around.agent()
    peer = agent.peer()
    before = around.redis.gets()
    keyauth = around.redis.put(TOKEN)
    wait_for("the news", lambda: peer.ask(TOKEN) == ("found", keyauth))
    for _ in range(10):
        assert peer.ask(TOKEN) == ("found", keyauth)
    assert around.redis.gets() <= before + 1  # the news may have lost a race


def test_a_withdrawn_challenge_is_forgotten(around):
    agent = around.agent()
    peer = agent.peer()
    around.redis.put(TOKEN)
    wait_for("the news", lambda: peer.ask(TOKEN)[0] == "found")
    around.redis.withdraw(TOKEN)
    wait_for("the withdrawal", lambda: peer.ask(TOKEN)[0] == "none")


def test_what_redis_holds_is_asked_for_once(around):
    agent = around.agent()
    keyauth = around.redis.put(TOKEN, publish=False)
    before = around.redis.gets()
    peer = agent.peer()
    peer.send(b"".join(notify(PATH + TOKEN, i) for i in range(100)))
    for _ in range(100):
        assert peer.answer() == ("found", keyauth)
    assert peer.ask(TOKEN) == ("found", keyauth)
    assert around.redis.gets() == before + 1


def test_an_unknown_token_is_remembered_for_a_while(around):
    agent = around.agent(negative_ttl_ms=60000)
    peer = agent.peer()
    before = around.redis.gets()
    for _ in range(10):
        assert peer.ask(TOKEN) == ("none", "")
    assert around.redis.gets() == before + 1
    keyauth = around.redis.put(TOKEN)
    wait_for("the news", lambda: peer.ask(TOKEN) == ("found", keyauth))
    assert around.redis.gets() == before + 1


def test_an_unknown_token_is_asked_for_again_later(around):
    agent = around.agent(negative_ttl_ms=200)
    peer = agent.peer()
    assert peer.ask(TOKEN) == ("none", "")
    keyauth = around.redis.put(TOKEN, publish=False)
    wait_for("the token", lambda: peer.ask(TOKEN) == ("found", keyauth), 2)


def test_nonsense_in_redis_is_no_answer(around):
    agent = around.agent()
    peer = agent.peer()
    for n, value in enumerate((
            "x", TOKEN, f"{TOKEN}.short", f"{token(1)}.{THUMBPRINT}x",
            f"{token(9)}.{THUMBPRINT}", "a\r\nb")):
        around.redis.put(token(n), publish=True, value=value)
        assert peer.ask(token(n)) == ("none", "")
    around.redis.do("HSET", f"{PREFIX}challenge:{TOKEN}", "a", "b")
    assert peer.ask(TOKEN) == ("error", "")


def test_answers_keep_their_deadline(around):
    agent = around.agent()
    peer = agent.peer()
    around.redis.signal(signal.SIGSTOP)
    begin = time.monotonic()
    peer.send(b"".join(notify(PATH + token(i), i) for i in range(20)))
    assert [peer.answer()[0] for _ in range(20)] == ["error"] * 20
    took = (time.monotonic() - begin) * 1000
    assert DEADLINE_MS - 5 <= took < (DEADLINE_MS + 100) * SLOW
    around.redis.signal(signal.SIGCONT)


# --- stateless -------------------------------------------------------------

def test_with_a_thumbprint_any_token_is_answered(around):
    around.redis.do("SET", f"{PREFIX}challenge:thumbprint", THUMBPRINT)
    agent = around.agent(stateless_fallback="true")
    peer = agent.peer()
    saved = agent.state / "thumbprint"
    wait_for("the thumbprint", saved.exists)
    assert saved.read_text() == THUMBPRINT + "\n"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert peer.ask(token(1)) == ("none", "")  # while Redis can be asked
    around.redis.signal(signal.SIGSTOP)
    assert peer.ask(token(2)) == ("found", f"{token(2)}.{THUMBPRINT}")
    # It survives a restart of the agent, with Redis gone.
    around.redis.kill()
    assert agent.stop() == 0
    agent.start()
    assert agent.ask(token(3)) == ("found", f"{token(3)}.{THUMBPRINT}")


def test_a_new_thumbprint_is_learnt(around):
    other = "A" * 43
    agent = around.agent(stateless_fallback="true")
    around.redis.do("PUBLISH", f"{PREFIX}challenges", f"= {other}")
    saved = agent.state / "thumbprint"
    wait_for("the thumbprint", saved.exists)
    around.redis.kill()
    peer = agent.peer()
    wait_for("a stateless answer",
             lambda: peer.ask(token(1)) == ("found", f"{token(1)}.{other}"))


def test_a_damaged_thumbprint_is_not_used(around):
    agent = around.agent(start=False, stateless_fallback="true")
    (agent.state / "thumbprint").write_text("../../etc/passwd\n")
    around.redis.kill()
    agent.start()
    assert agent.ask(token(1)) == ("error", "")
    assert "is damaged" in agent.text()


# --- starting and stopping -------------------------------------------------

def test_the_first_request_is_answered(around):
    keyauth = around.redis.put(TOKEN, publish=False)
    agent = around.agent(start=False)
    for _ in range(20):
        agent.start(wait=False)
        peer = wait_for("the socket", lambda: connected(agent), every=0)
        assert peer.ask(TOKEN) == ("found", keyauth)
        peer.close()
        assert agent.stop() == 0


def connected(agent):
    try:
        return agent.peer()
    except OSError:
        return None


def test_it_is_ready_without_redis(around):
    around.redis.kill()
    agent = around.agent(start=False)
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(around.dir / "notify"))
    ready.settimeout(5 * SLOW)
    agent.write_conf()
    env = environment({"NOTIFY_SOCKET": str(around.dir / "notify")})
    agent.popen = subprocess.Popen(
        [built("certfleet-agent"), "-f", agent.conf], env=env)
    assert b"READY=1" in ready.recv(1000).splitlines()
    assert agent.ask(TOKEN) == ("error", "")
    agent.popen.terminate()
    assert b"STOPPING=1" in ready.recv(1000).splitlines()
    assert agent.popen.wait(5 * SLOW) == 0


def test_systemd_may_hold_the_sockets(around):
    agent = around.agent(start=False)
    agent.write_conf()
    keyauth = around.redis.put(TOKEN, publish=False)
    path = around.dir / "passed.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    fd = listener.fileno()
    script = ("import os, sys\n"
              f"os.dup2({fd}, 3)\n"
              "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    agent.popen = subprocess.Popen(
        [sys.executable, "-c", script, built("certfleet-agent"), "-f",
         agent.conf], env=environment(), pass_fds=[fd])
    # Connections wait in the socket until the agent is there.
    assert Peer(path).ask(TOKEN) == ("found", keyauth)
    assert not agent.socket.exists()
    agent.popen.terminate()
    assert agent.popen.wait(5 * SLOW) == 0


def test_a_unix_socket_has_its_mode_and_one_owner(around):
    agent = around.agent()
    assert stat.S_IMODE(agent.socket.stat().st_mode) == 0o660
    assert Peer(agent.socket).ask(TOKEN) == ("none", "")
    second = Agent(around.dir / "a", around.redis)
    second.spawn(built("certfleet-agent"), "-f", agent.conf)
    assert second.ended() == 100
    assert Peer(agent.socket).ask(TOKEN) == ("none", "")
    agent.kill()  # leaves a stale socket
    agent.start()
    assert Peer(agent.socket).ask(TOKEN) == ("none", "")


def test_what_is_no_socket_is_not_replaced(around):
    agent = around.agent(start=False)
    agent.socket.write_text("precious")
    agent.write_conf()
    agent.spawn(built("certfleet-agent"), "-f", agent.conf)
    assert agent.ended() == 100
    assert agent.socket.read_text() == "precious"


def test_it_says_goodbye(around):
    agent = around.agent()
    idle = agent.peer()
    asking = agent.peer()
    around.redis.signal(signal.SIGSTOP)
    asking.send(notify(PATH + TOKEN))
    time.sleep(0.01)
    agent.signal(signal.SIGTERM)
    assert asking.answer() == ("error", "")  # not lost
    assert asking.status() == 0
    assert idle.status() == 0
    assert agent.ended() == 0


def test_a_hangup_changes_nothing(around):
    agent = around.agent()
    peer = agent.peer()
    agent.signal(signal.SIGHUP)
    assert peer.ask(TOKEN) == ("none", "")
    assert agent.running


# --- hostile peers ---------------------------------------------------------

@pytest.mark.parametrize("name", sorted(p.stem for p in FRAMES.glob("*.hex")))
def test_it_survives(name, lasting):
    """Each frame, new and after HELLO, whole and byte by byte."""
    data = frame_file(name)
    for hello in (False, True):
        for pieces in (False, True):
            peer = lasting.peer(hello)
            try:
                if pieces:
                    for i in range(min(len(data), 300)):
                        peer.send(data[i:i + 1])
                else:
                    peer.send(data)
                peer.socket.shutdown(socket.SHUT_WR)
                while peer.read() is not None:
                    pass
            except OSError:
                pass  # it may close while we talk
            peer.close()
    assert lasting.ask(TOKEN) == ("none", "")


@pytest.fixture(scope="module")
def lasting():
    """One agent for all of a kind: it must live through them."""
    a = Around()
    a.redis.start()
    agent = a.agent()
    pid = agent.pid
    yield agent
    assert agent.running and agent.pid == pid
    a.close(False)


def test_status_codes_are_those_of_spop(lasting):
    for name, status in (("hello-no-version", 5), ("hello-no-frame-size", 6),
                         ("hello-no-capabilities", 7), ("hello-version-1", 8),
                         ("hello-tiny-frames", 9), ("hello-not-fin", 10),
                         ("length-huge", 3), ("length-zero", 4),
                         ("haproxy-3.2-notify", 4)):
        peer = lasting.peer(hello=False)
        peer.send(frame_file(name))
        assert peer.status() == status, name


def test_a_health_check_gets_its_hello_and_the_end(lasting):
    peer = lasting.peer(hello=False)
    peer.send(frame_file("haproxy-2.6-check"))
    assert peer.read()[0] == AGENT_HELLO
    assert peer.read() is None


def test_hello_leaves_in_one_piece(lasting):
    peer = lasting.peer(hello=False)
    peer.send(frame_file("haproxy-3.2-hello"))
    first = peer.socket.recv(4096)
    assert len(first) == 4 + int.from_bytes(first[:4], "big")


def test_goodbye_is_answered(lasting):
    peer = lasting.peer()
    peer.send(frame(DISCONNECT))
    assert peer.status() == 0


def test_who_does_not_read_is_not_read_from(lasting):
    """Millions of questions and no look at the answers: memory stays."""
    peer = lasting.peer()
    peer.socket.settimeout(0.5)
    data = frame(3, stream=1, number=1) * 5000
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200 << 20:
            sent += peer.socket.send(data)
    assert lasting.ask(TOKEN) == ("none", "")
    # What was taken is answered, once somebody reads.
    peer.socket.settimeout(5)
    for _ in range(sent // 11):
        kind, _ = peer.read()
        assert kind == ACK
    peer.close()


def test_connections_are_capped(around):
    agent = around.agent(max_connections=5)
    peers = [agent.peer() for _ in range(5)]
    for _ in range(50):
        extra = agent.peer(hello=False)
        try:
            assert extra.socket.recv(1) == b""
        except ConnectionResetError:
            pass
        extra.close()
    assert agent.text().count("max_connections is reached") <= 2
    for peer in peers:
        assert peer.ask(TOKEN) == ("none", "")
    peers.pop().close()
    wait_for("room for another", lambda: replaced(agent))


def replaced(agent):
    try:
        return agent.ask(TOKEN) == ("none", "")
    except (OSError, TypeError, AssertionError):
        return False


def test_too_many_questions_at_once_are_refused_not_lost(around):
    agent = around.agent(max_waiting=10)
    around.redis.signal(signal.SIGSTOP)
    peer = agent.peer()
    peer.send(b"".join(notify(PATH + token(i), i % 200) for i in range(600)))
    assert {peer.answer()[0] for _ in range(600)} == {"error"}
    around.redis.signal(signal.SIGCONT)


def test_more_questions_than_may_wait_are_taken_in_turn(around):
    agent = around.agent()
    for i in range(2000):
        around.redis.put(token(i), publish=False)
    peer = agent.peer()
    peer.send(b"".join(notify(PATH + token(i), i % 200) for i in range(2000)))
    answers = [peer.answer() for _ in range(2000)]
    assert answers == [("found", f"{token(i)}.{THUMBPRINT}")
                       for i in range(2000)]


def test_answers_that_come_in_two_parts_leave_no_question_behind(around):
    """Fewer wait than may, more than half: nothing is taken or forgotten."""
    agent = around.agent(redis_timeout_ms=500)
    around.redis.signal(signal.SIGSTOP)
    first = agent.peer()
    first.send(b"".join(notify(PATH + token(i), i) for i in range(100)))
    time.sleep(0.25)
    peer = agent.peer()
    peer.send(b"".join(notify(PATH + token(i), i % 200) for i in range(300)))
    assert {peer.answer()[0] for _ in range(300)} == {"error"}
    around.redis.signal(signal.SIGCONT)


def test_who_says_nothing_is_shown_the_door(around):
    agent = around.agent()
    peer = agent.peer(hello=False)
    peer.socket.settimeout(8 * SLOW)
    begin = time.monotonic()
    assert peer.socket.recv(1) == b""
    assert 4 < time.monotonic() - begin < 7 * SLOW


def test_an_idle_agent_sleeps(around):
    agent = around.agent()
    peers = [agent.peer() for _ in range(100)]

    def cpu():
        with open(f"/proc/{agent.pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e6

    before = cpu()
    time.sleep(1)
    assert cpu() - before < 20  # ms
    for peer in peers:
        peer.close()
    assert os.path.exists(f"/proc/{agent.pid}")
