"""Alert rules and dashboard: right, and about metrics that there are."""

import http.client
import json
import re
import shutil
import subprocess

import pytest

from harness import ROOT, SLOW
from node import answered
from peers import LOOPBACK

RULES = ROOT / "sync/monitoring/certfleet.rules.yml"
DASHBOARD = ROOT / "sync/monitoring/grafana.json"
UNIT = ROOT / "tests/monitoring/rules.test.yml"
OPERATE = ROOT / "sync/doc/operate.md"

promtool = pytest.mark.skipif(
    not shutil.which("promtool"),
    reason="promtool (Debian's prometheus) is not installed")


def tool(*args, **kw):
    return subprocess.run(["promtool", *map(str, args)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120 * SLOW, **kw)


def alerts():
    """{name: its block}, for which no YAML library is needed."""
    blocks = RULES.read_text().split("      - alert: ")[1:]
    return {b.split("\n")[0]: b for b in blocks}


def expression(block):
    return re.search(r"^ +expr: '(.*)'$", block, re.M)[1].replace("''", "'")


def targets():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


# What nodes do not tell: Prometheus makes it itself.
OWN = {"up", "ALERTS"}
WORDS = {"vector", "absent", "max", "min", "sum", "count", "by", "and",
         "changes", "increase", "rate", "delta", "time", "ignoring"}


def metrics_of(expr):
    """Names of metrics in an expression, and [(name, label, value)] wanted."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|ignoring) *\([^)]*\)", " ", bare)
    names = {w for w in re.findall(r"[a-zA-Z_]\w*", bare) if w not in WORDS}
    labels = [(name, label, value)
              for name, inside in re.findall(r"(\w+)\{([^}]*)\}", expr)
              for label, value in re.findall(r'(\w+)="([^"$~]*)"', inside)]
    return names, labels


@pytest.fixture(scope="module")
def told(session_node):
    """{metric: [labels]} of the /metrics of sync and agent."""
    session_node.point_here("www.monitoring.test")
    session_node.add("www.monitoring.test")
    session_node.await_status("www.monitoring.test", "in_use")
    agent = answered(http.client.HTTPConnection(
        LOOPBACK, session_node.agent.metrics_port, timeout=10 * SLOW),
        "GET", "/metrics")
    found = {}
    for reply in (session_node.by_tcp("GET", "/metrics"), agent):
        assert reply.status == 200
        for name, labels in re.findall(
                r"^(\w+)(?:\{(.*)\})? \S+$", reply.raw.decode(), re.M):
            found.setdefault(name, []).append(
                dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return found


@promtool
def test_the_rules_are_well_formed():
    done = tool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout


@promtool
def test_the_rules_fire_when_they_should_and_else_not():
    done = tool("test", "rules", UNIT)
    assert done.returncode == 0, done.stdout
    # Each of them is made to fire there.
    text = UNIT.read_text()
    assert [a for a in alerts() if f'alertname="{a}"' not in text] == []


@pytest.mark.parametrize("name", alerts())
def test_every_rule_is_about_what_a_node_tells(told, name):
    block = alerts()[name]
    names, labels = metrics_of(expression(block))
    assert names - OWN <= told.keys(), name
    for metric, label, value in labels:
        assert any(x.get(label) == value for x in told[metric]), \
            (metric, label, value)
    for word in ("summary", "do"):
        assert re.search(rf"^ +{word}: '.{{8,}}'$", block, re.M), word
    assert re.search(r"^ +severity: (none|info|warning|critical)$", block, re.M)


def test_every_cure_is_in_operating():
    table = OPERATE.read_text().split("## Alarms")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(Certfleet\w+)` \|", table, re.M)
    assert rows == list(alerts())


def test_the_dashboard_is_about_what_a_node_tells(told):
    assert len(list(targets())) >= 20
    for title, expr in targets():
        names, labels = metrics_of(expr)
        assert names and names <= told.keys(), (title, names - told.keys())
        for metric, label, value in labels:
            assert any(x.get(label) == value for x in told[metric]), \
                (title, metric, label, value)
        # Only of the job that is chosen.
        assert expr.count("{") == expr.count('job=~"$job"'), (title, expr)


def test_the_dashboard_is_one_for_grafana():
    board = json.loads(DASHBOARD.read_text())
    assert board["schemaVersion"] >= 36
    kinds = {v["name"]: v["type"] for v in board["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "job": "query"}
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"


@promtool
def test_the_dashboards_expressions_are_expressions(tmp_path):
    rules = ["groups:", "- name: g", "  rules:"]
    for i, (_, expr) in enumerate(targets()):
        expr = expr.replace("$__rate_interval", "5m").replace("'", "''")
        rules += [f"  - record: x:{i}", f"    expr: '{expr}'"]
    (tmp_path / "x.yml").write_text("\n".join(rules) + "\n")
    done = tool("check", "rules", tmp_path / "x.yml")
    assert done.returncode == 0, done.stdout


def test_metrics_that_are_not_there_would_be_found(told):
    assert metrics_of('max by (job) (x_y{a="b"}) > 0 and sum(z[1h:1m]) == 0') \
        == ({"x_y", "z"}, [("x_y", "a", "b")])
    assert "certfleet_nonsense" not in told
