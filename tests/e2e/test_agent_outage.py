"""Redis hangs, says nothing or trickles, and requests go on all the time."""

import threading
import time

import pytest

from harness import SLOW, wait_for
from relay import TROUBLES, Relay, trouble
from test_agent import around, settled, token  # noqa: F401

CLIENTS = 4
KNOWN = 20


class Behind:
    """What the agent is told of its Redis: the relay's socket."""

    def __init__(self, redis, relay):
        self.socket = relay.socket
        self.listeners = redis.listeners


class Requests(threading.Thread):
    """A client that asks for what is known, again and again."""

    def __init__(self, haproxy, expected):
        super().__init__(daemon=True)
        self.haproxy = haproxy
        self.expected = expected
        self.asked = 0
        self.wrong = []
        self.over = False

    def run(self):
        while not self.over:
            for wanted, keyauth in self.expected.items():
                try:
                    got = self.haproxy.get(wanted)[:2]
                except OSError as e:
                    got = e
                if got != (200, keyauth):
                    self.wrong.append((wanted, got))
                self.asked += 1


@pytest.mark.parametrize("kind", TROUBLES)
def test_what_is_in_memory_is_answered_all_the_time(around, kind):  # noqa: F811
    relay = Relay(around.dir / "relay.sock", around.redis.socket)
    real, around.redis = around.redis, Behind(around.redis, relay)
    agent = around.agent()
    haproxy = around.haproxy(agent)
    known = {token(i): real.put(token(i)) for i in range(KNOWN)}
    for wanted in known:
        settled(haproxy, 200, wanted)
    clients = [Requests(haproxy, known) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    with trouble(kind, real, relay):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            began = time.monotonic()
            status, _, headers = haproxy.get(token(KNOWN))
            assert (status, headers["retry-after"]) == (503, "1")
            assert time.monotonic() - began < SLOW
            time.sleep(0.2)
    settled(haproxy, 404, token(KNOWN))
    late = real.put(token(KNOWN + 1))
    wait_for("what is published then", lambda: haproxy.get(
        token(KNOWN + 1))[:2] == (200, late), 10, explain=agent.tail)
    for client in clients:
        client.over = True
    for client in clients:
        client.join(10 * SLOW)
        assert not client.wrong, client.wrong[:3]
        assert client.asked > KNOWN
    relay.close()
