"""What certfleet learns from the name servers of a name's own zone."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnsapi import HELD, HOME, NameServers, Resolver, wire  # noqa: E402
from harness import BUILD, SLOW  # noqa: E402

VALUE = "Vv" + "x" * 41
OTHER = "Oo" + "y" * 41
V4 = ["127.0.0.2", "127.0.0.3"]


@pytest.fixture(scope="module")
def dns(session_ground):
    with NameServers(session_ground.dir / "authority", v6=True) as servers:
        yield servers


@pytest.fixture(scope="module")
def resolver(dns):
    with Resolver(dns) as r:
        yield r


def txt(*values):
    return (60, tuple(values))


def lines(seen):
    return {s["address"]: s for s in seen["servers"]}


@pytest.fixture
def look(dns, resolver):
    """What the program says of _acme-challenge.NAME."""
    def look(name, value=VALUE, timeout_ms=3000):
        run = subprocess.run(
            [BUILD / "tests/dnsapi/look", resolver.address, str(dns.port),
             f"_acme-challenge.{name}", value, str(int(timeout_ms * SLOW))],
            capture_output=True, text=True, timeout=120 * SLOW)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)
    return look


def test_every_address_of_every_server_is_asked(dns, resolver, look):
    dns.add_zone("all.test", {("_acme-challenge.all.test", "TXT"):
                              txt(OTHER, VALUE)})
    seen = look("all.test")
    assert seen["visible"], seen
    assert (seen["name"], seen["zone"]) == ("_acme-challenge.all.test", "all.test")
    assert list(lines(seen)) == [*V4, "::1"]
    assert all(set(s["values"]) == {OTHER, VALUE} for s in seen["servers"])
    # The resolver's cache must not learn that it is not there yet.
    assert not [q for q in resolver.questions if q[0].startswith("_acme")]


def test_one_server_lags(dns, look):
    name = "_acme-challenge.lag.test"
    dns.add_zone("lag.test")
    assert look("lag.test")["why"] == f"there is no TXT record at {name} yet"
    dns[1].lag = HELD
    try:
        dns.publish("lag.test", {(name, "TXT"): txt(VALUE)})
        seen = look("lag.test")
        assert not seen["visible"]
        assert seen["why"] in {
            f"{dns[1].host} ({a}) and 1 more do not have it yet"
            for a in ("127.0.0.3", "::1")}
        dns[1].catch_up()
        assert look("lag.test")["visible"]
    finally:
        dns[1].catch_up()
        dns[1].lag = 0
    assert look("lag.test", OTHER)["why"] == (
        f"found {VALUE} at {name}, expected {OTHER}")


def test_a_reply_that_does_not_fit_comes_by_tcp(dns, look):
    values = [f"{i:02}" + "z" * 41 for i in range(20)] + ["x" * 600, VALUE]
    dns.add_zone("long.test", {("_acme-challenge.long.test", "TXT"):
                               txt(*values)})
    seen = look("long.test")
    assert seen["visible"], seen
    for server in seen["servers"]:
        assert set(server["values"]) == {v[:255] for v in values}


def test_a_cname_leads_to_another_zone(dns, look):
    """The resolver never hears of it: no cache can have an older one."""
    dns.add_zone("alias.test", {
        ("_acme-challenge.alias.test", "CNAME"): (60, ("a.b.target.test",)),
        ("_acme-challenge.loop.alias.test", "CNAME"): (60, ("l.alias.test",)),
        ("l.alias.test", "CNAME"): (60, ("_acme-challenge.loop.alias.test",)),
        ("_acme-challenge.gone.alias.test", "CNAME"): (60, ("x.nowhere.test",)),
    })
    dns.add_zone("target.test", {("a.b.target.test", "TXT"): txt(VALUE)})
    seen = look("alias.test")
    assert seen["visible"], seen
    assert (seen["name"], seen["zone"]) == ("a.b.target.test", "target.test")
    dns.publish("target.test", {})
    assert look("alias.test")["why"] == (
        "there is no TXT record at a.b.target.test yet, where "
        "_acme-challenge.alias.test leads")
    seen = look("loop.alias.test")
    assert not seen["ok"] and not seen["visible"]
    assert seen["why"] == (
        "the CNAMEs run in a loop: _acme-challenge.loop.alias.test")
    assert look("gone.alias.test")["why"] == "no zone in DNS has x.nowhere.test"


def test_the_zone_may_be_further_up_or_further_down(dns, look):
    dns.add_zone("up.test", {
        ("_acme-challenge.a.b.up.test", "TXT"): txt(VALUE),
        ("sub.up.test", "NS"): (60, (dns[0].host,)),
    })
    dns.add_zone("sub.up.test", {
        ("_acme-challenge.w.sub.up.test", "TXT"): txt(VALUE)})
    # A zone for the challenges alone, on the same servers: nobody refers.
    dns.add_zone("_acme-challenge.own.up.test", {
        ("_acme-challenge.own.up.test", "TXT"): txt(VALUE)})
    for name, zone in (("a.b.up.test", "up.test"),
                       ("w.sub.up.test", "sub.up.test"),
                       ("own.up.test", "_acme-challenge.own.up.test")):
        seen = look(name)
        assert seen["visible"], seen
        assert seen["zone"] == zone


def test_a_delegation_leads_to_other_servers(dns, look):
    """Only one of the servers has the zone; both refer to that one."""
    name = "_acme-challenge.cut.test"
    dns.add_zone("cut.test", {(name, "NS"): (60, (dns[0].host,))})
    dns[0].add_zones({name: {**dns.frame(name),
                             (name, "NS"): (60, (dns[0].host,)),
                             (name, "TXT"): txt(VALUE)}})
    dns[1].zones.pop(name, None)
    seen = look("cut.test")
    assert seen["visible"], seen
    assert seen["zone"] == name
    assert list(lines(seen)) == V4[:1]


def test_a_server_that_does_not_have_the_zone_is_named(dns, look):
    dns.zones.add("lame.test")
    dns[0].add_zones({"lame.test": {
        **dns.frame("lame.test"),
        ("_acme-challenge.lame.test", "TXT"): txt(VALUE)}})
    seen = look("lame.test")
    assert not seen["visible"]
    assert seen["why"] in {
        f"{dns[1].host} ({a}) refuses to answer for the zone (REFUSED)"
        for a in ("127.0.0.3", "::1")}


def test_a_server_that_is_not_there_is_named(dns, look):
    """One that is out of service, and addresses where nobody can be."""
    dns.add_zone(f"odd.{HOME}", {
        (f"both.odd.{HOME}", "A"): (60, (dns[0].ip,)),
        # Discard prefix: a route or none, nobody answers.
        (f"both.odd.{HOME}", "AAAA"): (60, ("100::1",)),
    })
    dns.add_zone("odd.test", {
        ("odd.test", "NS"): (60, (f"both.odd.{HOME}", f"none.odd.{HOME}")),
        ("_acme-challenge.odd.test", "TXT"): txt(VALUE)})
    seen = look("odd.test", timeout_ms=600)
    assert list(lines(seen)) == ["127.0.0.2", "100::1"]
    assert lines(seen)["100::1"]["result"] == "fail"
    assert seen["visible"], seen
    dns.add_zone("down.test", {("_acme-challenge.down.test", "TXT"): txt(VALUE)})
    dns[1].stop()
    try:
        seen = look("down.test", timeout_ms=1000)
    finally:
        dns[1].start()
    assert not seen["visible"]
    assert seen["why"].startswith(f"{dns[1].host} (")
    assert "does not answer" in seen["why"]


class Scripted:
    """A name server at 127.0.0.9 that answers by UDP as told, or not at all."""

    def __init__(self, port, reply):
        self.asked = []
        self.reply = reply
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.9", port))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            data, peer = self.udp.recvfrom(4096)
            if not data:
                return self.udp.close()
            question = wire.parse(data)
            self.asked.append(question)
            for message in self.reply(question, len(self.asked)):
                self.udp.sendto(message, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.udp.getsockname())
        self.thread.join()  # and the address is free


def answer(question, value, **changed):
    data = bytes([len(value)]) + value.encode()
    fields = {"id": question.id, "flags": wire.RESPONSE | wire.AUTHORITATIVE,
              "name": question.name, "kind": question.kind,
              "answer": [wire.Record(question.name, "TXT", 60, data)]}
    return wire.Message(**{**fields, **changed}).to_wire()


@pytest.fixture
def scripted(dns):
    dns.add_zone(f"s.{HOME}", {(f"ns.s.{HOME}", "A"): (60, ("127.0.0.9",))})
    dns.add_zone("scripted.test", {
        ("scripted.test", "NS"): (60, (f"ns.s.{HOME}",))})
    return lambda reply: Scripted(dns.port, reply)


def test_a_question_is_asked_again_and_then_given_up(scripted, look):
    with scripted(lambda q, n: [answer(q, VALUE)] if n > 2 else []) as s:
        seen = look("scripted.test", timeout_ms=900)
        assert seen["visible"], seen
        # Its TXT three times, then whether a zone begins there.
        assert [q.kind for q in s.asked][:4] == ["TXT", "TXT", "TXT", "SOA"]
        assert not any(q.flags & wire.RECURSE for q in s.asked)
    with scripted(lambda q, n: []) as s:
        began = time.monotonic()
        seen = look("scripted.test", timeout_ms=900)
        assert time.monotonic() - began < 20 * SLOW
        assert len(s.asked) == 3
    assert seen["why"] == f"ns.s.{HOME} (127.0.0.9) does not answer"


def test_where_udp_is_filtered_tcp_gets_through(scripted, look, dns):
    """Also when there is a REJECT: one that is told as a closed port."""
    def serve(tcp):
        while True:
            peer, _ = tcp.accept()
            with peer:
                size = peer.recv(2)
                if not size:
                    return
                question = wire.parse(peer.recv(int.from_bytes(size, "big")))
                reply = answer(question, VALUE)
                peer.sendall(len(reply).to_bytes(2, "big") + reply)

    with socket.create_server(("127.0.0.9", dns.port)) as tcp:
        thread = threading.Thread(target=serve, args=(tcp,), daemon=True)
        thread.start()
        with scripted(lambda q, n: []) as s:
            dropped = look("scripted.test", timeout_ms=900)
            assert s.asked, "by UDP first"
        rejected = look("scripted.test", timeout_ms=900)
        with socket.create_connection(tcp.getsockname()):
            pass
        thread.join()
    for seen in (dropped, rejected):
        assert seen["visible"], seen
        assert lines(seen)["127.0.0.9"]["values"] == [VALUE]


def test_what_answers_another_question_is_passed_over(scripted, look):
    def reply(q, _):
        return [b"", b"x" * 11,
                answer(q, OTHER, id=q.id ^ 1),
                answer(q, OTHER, name="_acme-challenge.other.test"),
                answer(q, OTHER, kind="A"),
                answer(q, OTHER, flags=0),
                answer(q, VALUE)]
    with scripted(reply):
        seen = look("scripted.test")
        assert lines(seen)["127.0.0.9"]["values"] == [VALUE], seen


def test_no_tcp_where_a_reply_is_cut_short_is_no_answer(scripted, look):
    def reply(q, _):
        return [answer(q, "half", flags=wire.RESPONSE | wire.AUTHORITATIVE
                       | wire.TRUNCATED)]
    with scripted(reply):
        seen = look("scripted.test")
        assert lines(seen)["127.0.0.9"]["values"] == []
        assert seen["why"] == f"ns.s.{HOME} (127.0.0.9) does not answer by TCP"
