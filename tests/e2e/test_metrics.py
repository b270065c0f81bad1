"""/metrics of sync and agent, as Prometheus reads it."""

import http.client
import re
import shutil
import subprocess

import pytest

from harness import SLOW, wait_for
from node import answered
from peers import LOOPBACK

LINE = re.compile(r'([a-z_]+)(\{[^}]*\})? (\S+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def of_agent(node, path="/metrics"):
    return answered(http.client.HTTPConnection(
        LOOPBACK, node.agent.metrics_port, timeout=10 * SLOW), "GET", path)


def of_sync(node):
    return node.by_tcp("GET", "/metrics")


def read(reply):
    """{(name, labels): value}, with what the format wants checked."""
    assert reply.status == 200
    assert reply.headers["Content-Type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    text, values, kinds, name = reply.raw.decode(), {}, {}, ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in kinds, f"{name} twice"
        elif line.startswith("# TYPE "):
            assert line.split()[2] == name, line
            kinds[name] = line.split()[3]
        else:
            m = LINE.fullmatch(line)
            assert m, line
            assert m[1].startswith(name), f"{line} after {name}"
            labels = tuple(sorted(LABEL.findall(m[2] or "")))
            assert (m[1], labels) not in values, line
            values[m[1], labels] = float(m[3])
    for name, kind in kinds.items():
        assert (kind == "counter") == name.endswith("_total"), name
    return values


def value(values, name, **labels):
    return values[name, tuple(sorted(labels.items()))]


@pytest.fixture(scope="module")
def served(session_node):
    session_node.point_here("www.metrics.test")
    session_node.add("www.metrics.test")
    session_node.await_status("www.metrics.test", "in_use")
    return session_node


def test_the_syncs_tell_how_the_fleet_is(served, shared):
    m = read(of_sync(shared))
    assert value(m, "certfleet_redis_up") == 1
    assert value(m, "certfleet_leader") == 1
    assert value(m, "certfleet_epoch") > 0
    assert value(m, "certfleet_nodes_live") == 1
    assert value(m, "certfleet_haproxies_up") == 1
    status = shared.api("GET", "/api/v1/status")[1]["domains"]
    for word in ("in_use", "pending_dns", "action_required"):
        assert value(m, "certfleet_domains", status=word) == status[word]
    held = value(m, "certfleet_certificates", state="served")
    assert held >= 1
    assert value(m, "certfleet_certificate_remaining_seconds_count") == held
    assert value(m, "certfleet_certificate_remaining_seconds_bucket",
                 le="+Inf") == held
    assert value(m, "certfleet_budget_remaining", limit="orders") > 0
    assert value(m, "certfleet_due_overdue_seconds") >= 0
    assert value(m, "process_resident_memory_bytes") > 1000000
    assert ("certfleet_build_info", (("version", "0.1.0"),)) in m


def test_counters_count(served, shared):
    before = read(of_sync(shared))
    asked = value(read(of_agent(shared)), "certfleet_spop_requests_total",
                  result="found")
    name = "count.metrics.test"
    shared.point_here(name)
    shared.add(name)
    shared.await_status(name, "in_use")
    shared.api("GET", "/nowhere")

    def more(counter, **labels):
        now = read(of_sync(shared))
        return value(now, counter, **labels) - value(before, counter, **labels)

    assert more("certfleet_orders_total", result="issued") == 1
    assert more("certfleet_push_total", result="ok") >= 1
    assert more("certfleet_ca_requests_total", endpoint="newOrder",
                code="2xx") == 1
    assert more("certfleet_ca_requests_total", endpoint="other",
                code="2xx") >= 3
    assert more("certfleet_api_requests_total", code="4xx") == 1
    assert value(read(of_agent(shared)), "certfleet_spop_requests_total",
                 result="found") > asked


def test_the_agent_tells_how_it_is(served, shared):
    m = read(of_agent(shared))
    assert value(m, "certfleet_redis_up") == 1
    assert value(m, "certfleet_agent_connections") >= 1
    assert value(m, "certfleet_agent_lookups_total", source="memory") >= 1
    assert of_agent(shared, "/").status == 404


def test_no_name_is_told_to_those_without_a_token(served, shared):
    for reply in (of_sync(shared), of_agent(shared)):
        assert b"metrics.test" not in reply.raw


def test_without_redis_there_are_still_metrics(ground):
    redis = ground.redis()
    node = ground.node(redis=redis)
    assert value(read(of_sync(node)), "certfleet_redis_up") == 1
    redis.stop()
    m = wait_for("the outage to be told", lambda: (
        lambda m: m if not value(m, "certfleet_redis_up") else None)(
            read(of_sync(node))))
    assert not any(n.startswith("certfleet_domains") for n, _ in m)
    assert value(m, "certfleet_healthy") in (0, 1)
    wait_for("the agent to tell, too", lambda: not value(
        read(of_agent(node)), "certfleet_redis_up"))


@pytest.mark.skipif(not shutil.which("promtool"),
                    reason="promtool (Debian's prometheus) is not installed")
def test_promtool_has_nothing_against_them(served, shared):
    for reply in (of_sync(shared), of_agent(shared)):
        done = subprocess.run(["promtool", "check", "metrics"],
                              input=reply.raw, capture_output=True)
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
