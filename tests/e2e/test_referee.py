"""The referee says no: each thing that must not happen, in a made-up history;
and it sees what is there, at a server that we change under its eyes."""

import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from harness import ROOT, free_port, wait_for
from ownca import OwnCA
from referee.judge import Rules, judge
from referee.look import Visitor

A, B, C = "A" * 40, "B" * 40, "C" * 40
DAY = 86400


def certificate(at, sha1, *names):
    return {"at": at, "what": "issued", "sha1": sha1, "serial": sha1[:8],
            "names": list(names or ("a.test",)), "notBefore": at,
            "notAfter": at + 90 * DAY}


def line(at, what, node="", **more):
    return {"at": at, "what": what, "name": "a.test",
            **({"node": node} if node else {}), **more}


def served(at, sha1, node="n1", pid=1, **more):
    return line(at, "served", node, sha1=sha1, pid=pid, **more)


def index(at, sha1, version, **more):
    return line(at, "index", sha1=sha1, version=version, **more)


def good():
    """A certificate and its renewal, at two nodes."""
    looked = [{"at": t + 0.5, "what": "looked", "node": n, "rounds": 10}
              for t in range(30) for n in ("n1", "n2")]
    return looked + [
        {"at": 0, "what": "ready"},
        line(0.1, "watch"),
        line(0.2, "bad", "n1", why="self-signed certificate", sha1=C, pid=1),
        line(0.2, "silent", "n2", why="refused"),
        line(1, "due"),
        certificate(2, A), index(2, A, 1),
        served(2.1, A), served(2.2, A, "n2", pid=2),
        line(10, "due"),
        certificate(11, B), index(11.1, B, 2),
        served(11.2, B), served(11.3, B, "n2", pid=2),
        {"at": 11, "what": "orders", "n": 2},
        {"at": 30, "what": "end"},
    ]


RULES = Rules(converge_s=2, limits=[["domain", 2, 60], ["orders", 2, 60]])


def verdict(*more, without=None, rules=RULES):
    history = [x for x in good() if without is None or not without(x)]
    return judge(history + list(more), rules)


def kinds(found):
    return sorted({text.split(":")[0] for text in found})


def test_nothing_is_wrong_with_a_good_history():
    assert verdict() == []


def test_an_empty_history_is_no_good_one():
    assert kinds(judge([])) == ["blind"]


WRONG = {
    "another name's, once it was served": (["gap"], [
        line(15, "bad", "n1", why="hostname mismatch", sha1=C, pid=1),
        served(15.1, B)]),
    "expired under our eyes": (["gap"], [
        line(20, "bad", "n2", why="certificate has expired", sha1=B, pid=2)]),
    "no answer for a moment": (["gap"], [
        line(15, "silent", "n1", why="refused"), served(15.1, B)]),
    "an older one, by the same process": (["downgrade"], [
        served(15, A), served(15.1, B)]),
    "an older one, by a process that stays so": (["downgrade"], [
        served(15, A, pid=7)]),
    "an older one for too long": (["downgrade"], [
        served(15, A, pid=7), served(18, B, pid=7)]),
    "the index goes back": (["downgrade", "late"], [index(20, A, 1)]),
    "the index has an older one as a newer version": (["downgrade", "late"], [
        index(20, A, 3)]),
    "an older one is called a choice that nobody has made": (["downgrade"], [
        index(15, A, 3, chosen=True), served(15.2, A),
        served(15.2, A, "n2", pid=2)]),
    "a choice is made once, and used twice": (["downgrade"], [
        line(14, "choice"), index(15, A, 3, chosen=True), served(15.2, A),
        served(15.2, A, "n2", pid=2), index(16, B, 4), served(16.2, B),
        served(16.2, B, "n2", pid=2), index(17, A, 5, chosen=True),
        served(17.2, A), served(17.2, A, "n2", pid=2)]),
    "the index forgets": (["downgrade"], [line(20, "unindexed")]),
    "whom the CA does not know": (["foreign"], [
        served(15, C), served(15.05, B)]),
    "indexed what the CA does not know": (["foreign", "late"], [
        index(15, C, 3)]),
    "issued for another name": (["double", "foreign"], [
        certificate(14, C, "b.test"), served(15, C), served(15.1, B)]),
    "one more than was due": (["double", "limit"], [certificate(15, C)]),
    "fewer than were due": (["missing"], [line(15, "due")]),
    "more orders than are allowed": (["limit"], [
        {"at": 20, "what": "orders", "n": 3}]),
    "a newer one reaches only one node": (["late", "limit"], [
        line(15, "due"), certificate(15, C), index(15, C, 3), served(15.1, C)]),
    "a newer one comes late": (["late", "limit"], [
        line(15, "due"), certificate(15, C), index(15, C, 3), served(15.1, C),
        served(19, C, "n2", pid=2, before=18)]),
}


@pytest.mark.parametrize("what", WRONG)
def test_it_says_no_when(what):
    expected, more = WRONG[what]
    found = verdict(*more)
    assert kinds(found) == expected, found


def test_it_says_so_when_it_did_not_look():
    def gone(x):
        return x["what"] == "looked" and x["node"] == "n2" and x["at"] > 12
    assert kinds(verdict(without=gone)) == ["blind"]
    assert kinds(verdict(without=lambda x: x["what"] == "ready")) == ["blind"]


FINE = {
    "no answer, as was said": [
        line(14, "away", "n1"), line(15, "silent", "n1", why="refused"),
        line(20, "back", "n1"), served(20.1, B)],
    "a new process has read its files before": [
        served(15, A, pid=7), served(16, B, pid=7)],
    "one for more than a name": [
        certificate(20, C, "*.other.shop"), {**line(19, "due"),
                                             "name": "*.other.shop"}],
    "an order too many that is not of this window": [
        {"at": 90, "what": "orders", "n": 3}] + [
        {"at": t + 0.5, "what": "looked", "node": n}
        for t in range(30, 90) for n in ("n1", "n2")],
    "a newer one was served before we looked again": [
        line(15, "due"), certificate(81, C), index(81, C, 3),
        served(85, C, before=82.9), served(85, C, "n2", pid=2, before=82.9)] + [
        {"at": t + 0.5, "what": "looked", "node": n}
        for t in range(30, 86) for n in ("n1", "n2")],
    "Redis lost its data": [line(14, "lost"), line(15, "unindexed"),
                            index(16, B, 1)],
    "the domain was removed": [line(14, "removed"), line(15, "unindexed")],
    "the owner wanted the older one": [
        line(14, "choice"), index(15, A, 3, chosen=True), served(15.2, A),
        served(15.2, A, "n2", pid=2)],
    "nobody looks any more": [
        line(14, "leave"), line(15, "due"), certificate(75, C),
        index(75, C, 3)] + [
        {"at": t + 0.5, "what": "looked", "node": n}
        for t in range(30, 76) for n in ("n1", "n2")],
}


@pytest.mark.parametrize("what", FINE)
def test_it_does_not_mind_when(what):
    assert verdict(*FINE[what]) == []


def test_back_is_not_for_ever():
    """It was said to be back, and does not answer."""
    assert kinds(verdict(
        line(14, "away", "n1"), line(15, "silent", "n1", why="refused"),
        line(16, "back", "n1"), served(20, B))) == ["gap"]


def test_not_even_who_is_away_shows_a_bad_one():
    assert kinds(verdict(
        line(14, "away", "n1"), line(15, "bad", "n1", why="x", sha1=C, pid=3),
        line(16, "back", "n1"), served(16, B))) == ["gap"]


# --- its eyes -------------------------------------------------------------


class Server:
    """TLS with a certificate that can be another one at the next visit."""

    def __init__(self, pair):
        self.socket = socket.create_server(("127.0.0.1", free_port()))
        self.pair = pair
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pair.cert, self.pair.key)
            try:
                with context.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(1)  # until the visitor goes
            except OSError:
                pass


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("own"))


def test_it_sees_what_is_served(own, tmp_path_factory):
    server = Server(own.leaf("a.test"))
    address = server.socket.getsockname()
    visitor = Visitor(*address, own.root, 5)
    seen = visitor.visit("a.test")
    assert (seen["what"], seen["sha1"]) == ("served", server.pair.sha1)
    assert seen["notAfter"] > time.time() and seen["pid"] > 0
    seen = visitor.visit("b.test")
    assert (seen["what"], seen["sha1"]) == ("bad", server.pair.sha1)
    assert "b.test" in seen["why"]
    server.pair = OwnCA(tmp_path_factory.mktemp("other")).leaf("a.test")
    seen = visitor.visit("a.test", seen["sha1"])
    assert (seen["what"], seen["sha1"]) == ("bad", server.pair.sha1)
    server.socket.close()
    assert Visitor(*address, own.root, 1).visit("a.test")["what"] == "silent"


def test_the_program_writes_down_what_it_sees_and_judges(own, tmp_path):
    server = Server(own.leaf("a.test"))
    setup, history = tmp_path / "setup.json", tmp_path / "history"
    port = server.socket.getsockname()[1]
    setup.write_text('{"root": "%s", "nodes": {"n1": ["127.0.0.1", %d]}}'
                     % (own.root, port))
    history.write_text('{"at": 1, "what": "watch", "name": "a.test"}\n')
    command = [sys.executable, "-m", "referee"]
    program = subprocess.Popen(
        [*command, "watch", str(setup), str(history)], cwd=ROOT / "tests")
    try:
        wait_for("a visit", lambda: '"served"' in history.read_text())
        server.pair = own.leaf("other.test")
        wait_for("another", lambda: '"bad"' in history.read_text())
    finally:
        program.terminate()
        assert program.wait(30) == 0
    done = subprocess.run([*command, "judge", str(history)], text=True,
                          cwd=ROOT / "tests", capture_output=True)
    assert done.returncode == 1
    assert kinds(done.stdout.splitlines()) == ["foreign", "gap"]
