"""Many certificates have to come into HAProxy at once: who visitors ask for is
first, and of those who has none before who only gets a newer one."""

import contextlib
import re
import shutil
import socket
import ssl

import pytest

from harness import wait_for
from node import PREFIX
from ownca import OwnCA
from relay import Relay

NAMES = [f"n{i}.test" for i in range(300)]
# How often each is asked for.  In no order that anything else could have.
VISITS = {"n250.test": 12, "n17.test": 9, "n131.test": 7, "n290.test": 5,
          "n64.test": 3}
HOTTEST = list(VISITS)


class Listener(Relay):
    """Between sync and HAProxy's runtime API: what is said, in its order."""

    def __init__(self, path, to):
        self.said = []
        super().__init__(path, to)

    def carry(self, source, target):
        """One entry for each conversation, of sync's side."""
        if source.getsockname() == str(self.socket):
            said = bytearray()
            self.said.append(said)
        else:
            said = None
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if said is not None:
                    said += data
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pushed(self):
        """Names whose certificates were sent, the first time of each."""
        text = b"".join(bytes(said) for said in self.said).decode()
        names = re.findall(r"^set ssl cert \S+/(\S+)\.pem <<$", text, re.M)
        return list(dict.fromkeys(names))

    def forget(self):
        self.said = []

    def stop(self):
        self.close()


def prepared(ground, name, address, **more):
    """A node that is not started yet, with a listener at its HAProxy."""
    n = ground.node(start=False, name=name, address=address, settings={
        "limits": {"orders_per_account": 0},
        "haproxy": {"hot_ms": 200, "patrol_ms": 0, "push_per_s": 0}}, **more)
    n.listener = ground.keep(
        Listener(n.dir / "relay.sock", n.haproxy.socket))
    n.settings["haproxy"]["sockets"] = [str(n.listener.socket)]
    return n


@pytest.fixture(scope="module")
def fleet(session_ground):
    return {"world": session_ground.world(
                "hot", nonce_reject=0, authz_reuse=100),
            "redis": session_ground.redis("hot-redis")}


@pytest.fixture(scope="module")
def node(session_ground, fleet):
    n = prepared(session_ground, "hot", "127.0.0.1", **fleet)
    n.start()
    n.point_here(*NAMES)
    n.add(*NAMES)
    wait_for("all to be in use", lambda: in_use(n) == len(NAMES), 120, 0.3,
             n.tails)
    return n


def in_use(node):
    with node.redis_client() as redis:
        return int(redis("HGET", f"{PREFIX}{{p0}}:counts", "in_use") or 0)


def visit(node, name, times=1):
    """As browsers do: the certificate is verified, then a page asked for."""
    context = ssl.create_default_context(cafile=node.pebble.root)
    for _ in range(times):
        with socket.create_connection(
                (node.address, node.world.https_port), 10) as plain, \
                context.wrap_socket(plain, server_hostname=name) as s:
            s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n"
                      "Connection: close\r\n\r\n".encode())
            reply = b"".join(iter(lambda: s.recv(4096), b"")).decode()
            assert reply.startswith("HTTP/1.1 200") and name in reply


def remembered(node):
    """Names in the file, the hottest first."""
    with contextlib.suppress(OSError):
        lines = (node.state_dir / "hot").read_text().splitlines()
        return [line.split()[0] for line in lines[1:]]
    return []


@pytest.fixture(scope="module")
def visited(node):
    """Who is asked for is known, and written down."""
    for name, times in VISITS.items():
        visit(node, name, times)
    wait_for("it to be written down", lambda: remembered(node) == HOTTEST, 20,
             explain=lambda: f"{remembered(node)}\n{node.tails()}")
    return node


def all_pushed(node):
    wait_for("all to be pushed",
             lambda: len(node.listener.pushed()) >= len(NAMES), 60, 0.2,
             lambda: f"{len(node.listener.pushed())}\n{node.tails()}")
    pushed = node.listener.pushed()
    assert sorted(pushed) == sorted(NAMES)
    return pushed


def test_who_only_shakes_hands_is_no_visitor(visited):
    """We do that ourselves, all the time."""
    table = visited.haproxy.ask("show table certfleet_hot")
    assert table.count("key=") == len(VISITS), table
    for _ in range(20):
        visited.served("n5.test")
    assert visited.haproxy.ask("show table certfleet_hot").count(
        "key=") == len(VISITS)


def test_names_that_nobody_has_do_not_come_into_the_table(visited):
    """They are shown the default certificate, and count as that."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    for i in range(20):
        with socket.create_connection(
                (visited.address, visited.world.https_port), 10) as plain, \
                blind.wrap_socket(plain, server_hostname=f"x{i}.bad") as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            s.recv(4096)
    table = visited.haproxy.ask("show table certfleet_hot")
    assert table.count("key=") == len(VISITS) + 1, table


def test_hot_names_are_first_into_a_haproxy_that_has_lost_all(visited):
    node = visited
    node.haproxy.stop()
    node.crt_list.write_text("")
    node.listener.forget()
    node.haproxy.start()
    for name in HOTTEST:
        node.await_served(name, seconds=60)
    assert all_pushed(node)[:len(HOTTEST)] == HOTTEST


def make_old(node, name, hours):
    """What a restored disk has for it, ended or only older."""
    pair = node.own_ca.leaf(name, hours=hours)
    (node.cert_dir / f"{name}.pem").write_text(pair.pem + pair.key_pem)
    return f"{node.cert_dir}/{name}.pem {name}\n"


def test_after_a_restart_of_both_who_sees_an_error_is_before_who_does_not(
        visited):
    """HAProxy starts with what an old disk had: two ended, four older, all
    others missing.  What was hot is known from the file."""
    node = visited
    ended = ["n131.test", "n3.test"]
    older = ["n17.test", "n5.test", "n250.test", "n6.test"]
    wait_for("the file", lambda: set(remembered(node)) >= set(HOTTEST), 10)
    node.haproxy.stop()
    node.sync.kill()
    node.own_ca = OwnCA(node.dir / "ca")
    node.crt_list.write_text(
        "".join([make_old(node, name, -0.5) for name in ended] +
                [make_old(node, name, 24) for name in older]))
    node.haproxy.start()
    node.listener.forget()
    node.sync.start()
    for name in HOTTEST:
        node.await_served(name, seconds=60)
    pushed = all_pushed(node)
    # Who has none or an ended one, the hottest first ...
    assert pushed[:3] == ["n131.test", "n290.test", "n64.test"]
    # ... then the cold ones, and last who has an older one, hot before cold.
    assert pushed[-4:-2] == ["n250.test", "n17.test"]
    assert sorted(pushed[-2:]) == ["n5.test", "n6.test"]


def test_a_new_node_begins_with_what_others_were_asked_for(
        visited, session_ground, fleet):
    """It is empty, and nobody was there yet; what comes first is fetched first."""
    new = prepared(session_ground, "new", "127.0.0.2", **fleet)
    new.settings["fleet"] = {"candidate": False}
    new.state_dir.mkdir(mode=0o700)
    shutil.copy(visited.state_dir / "kek", new.state_dir / "kek")
    new.write_conf()
    new.sync.prime()
    new.haproxy.start()
    new.sync.start()
    assert all_pushed(new)[:len(HOTTEST)] == HOTTEST
    for name in HOTTEST:
        new.await_served(name)
    for process in new.processes:
        process.stop()


def test_without_the_table_it_is_said_once_and_all_goes_on(visited):
    node = visited
    node.settings["haproxy"]["hot_table"] = "no_such_table"
    node.write_conf()
    node.sync.restart()
    said = "hot names are not known"
    wait_for("it to be said", lambda: said in node.sync.text(), 10)
    node.haproxy.stop()
    node.crt_list.write_text("")
    node.listener.forget()
    node.haproxy.start()
    # From the file they are still known.
    assert all_pushed(node)[:len(HOTTEST)] == HOTTEST
    assert node.sync.text().count(said) == 1
    assert "level=error" not in node.sync.text().split(said)[1]
