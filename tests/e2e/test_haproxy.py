"""HAProxy is reloaded, killed, away: the newest certificate is served."""

import threading
import time

import pytest

from harness import SLOW, wait_for


@pytest.fixture(scope="module")
def node(session_ground):
    return session_ground.node(session_ground.world("haproxy"), name="h1")


def added_here(node, *names):
    node.point_here(*names)
    node.add(*names)


def all_served(node, names, seconds=40):
    for name in names:
        record = node.await_status(name, "in_use", seconds)
        shown = node.await_served(name)
        assert shown.serial == record["serial"], name


def test_the_shipped_configuration_has_no_warnings(node):
    from harness import run
    done = run(*node.haproxy.command, "-c", "-V", "-f", node.haproxy.config)
    assert "WARNING" not in done.stdout.upper(), done.stdout


def test_a_restarted_haproxy_serves_at_once(node):
    """From its files: nobody has pushed anything to it yet."""
    added_here(node, "files.test")
    record = node.await_status("files.test", "in_use")
    node.sync.stop()
    node.haproxy.restart()
    assert node.served("files.test").serial == record["serial"]
    node.sync.start()


def test_reloads_in_the_middle_of_pushes(node):
    names = [f"reload{i}.test" for i in range(8)]
    added_here(node, *names)
    for _ in range(5):
        time.sleep(0.4)
        node.haproxy.reload()
    all_served(node, names)


def test_kills_in_the_middle_of_pushes(node):
    names = [f"kill{i}.test" for i in range(8)]
    added_here(node, *names)
    for _ in range(3):
        time.sleep(0.7)
        node.haproxy.kill()
        node.haproxy.start()
    all_served(node, names)


def test_haproxy_is_away_while_a_domain_is_added(node):
    """No order before the challenge can be answered; then all by itself."""
    before = len(node.pebble.issued())
    node.haproxy.stop()
    added_here(node, "away.test")
    time.sleep(3)
    assert node.status("away.test") != "in_use"
    assert len(node.pebble.issued()) == before
    node.haproxy.start()
    all_served(node, ["away.test"], 60)
    assert len(node.pebble.issued()) - before == 1


def test_the_agent_is_away_while_a_domain_is_added(node):
    before = len(node.pebble.issued())
    node.agent.stop()
    added_here(node, "agentless.test")
    time.sleep(2)
    assert node.status("agentless.test") != "in_use"
    node.agent.start()
    all_served(node, ["agentless.test"], 60)
    assert len(node.pebble.issued()) - before == 1


class Referee:
    """Looks at one name all the time and keeps what it saw."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.seen = []
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()

    def look(self):
        while not self.end.wait(0.1):
            shown = self.node.served(self.name)
            if shown:
                self.seen.append(shown)


@pytest.mark.slow
def test_renewals_while_haproxy_reloads_and_dies(ground):
    """Certificates of half a minute: the served one is never worse."""
    import ssl
    world = ground.world(validity=int(30 * SLOW))
    node = ground.node(world, settings={"acme": {"renew_percent": 40}})
    name = "renewed.test"
    added_here(node, name)
    node.await_status(name, "in_use")
    with Referee(node, name) as referee:
        for version in (2, 3):
            def renewed():
                return int(node.record(name)["version"]) >= version
            turn = 0
            end = time.monotonic() + 40 * SLOW
            while not renewed():
                assert time.monotonic() < end, node.tails()
                time.sleep(0.5)
                turn += 1
                if turn % 4 == 0:
                    node.haproxy.reload()
                elif turn % 4 == 2:
                    node.haproxy.kill()
                    node.haproxy.start()
        newest = node.record(name)["sha1"]
        wait_for("the newest to be served",
                 lambda: referee.seen and referee.seen[-1].sha1 == newest, 10)
    assert not [s for s in referee.seen if not s.verified]
    ends = [ssl.cert_time_to_seconds(s.not_after) for s in referee.seen]
    assert ends == sorted(ends), "a worse certificate came back"
    assert len(set(ends)) >= 3
