"""The manual pages: well formed, and complete."""
import re
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT

PAGES = ROOT / "sync/man"


@pytest.mark.skipif(shutil.which("mandoc") is None,
                    reason="mandoc is not installed")
@pytest.mark.parametrize("name", sorted(p.name for p in PAGES.iterdir()))
def test_page_is_well_formed(name):
    said = subprocess.run(["mandoc", "-Tlint", "-Wstyle", str(PAGES / name)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True).stdout
    # Whether other pages are installed here is not this page's business.
    faults = [x for x in said.splitlines()
              if "referenced manual not found" not in x and
              "outdated mandoc.db" not in x]
    assert faults == []


def test_every_setting_is_in_its_section():
    shown = {}
    section = ""
    for line in (PAGES / "certfleet.conf.5").read_text().splitlines():
        if line.startswith(".Ss "):
            section = line.split()[1]
            section = "" if section == "Outside" else section
        found = re.match(r"\.It Ic (\w+)", line)
        if found:
            shown.setdefault(section, []).append(found.group(1))
    table = (ROOT / "common/conf_table.c").read_text()
    real = {}
    for what, one, two in re.findall(
            r"\b(TOP|SET)\((\w+), (\w+)", table):
        if what == "SET" and one != "section":
            real.setdefault(one, []).append(two)
        elif what == "TOP" and one != "name":
            real.setdefault("", []).append(one)
    real["provider"] = re.findall(r'\{ "provider", "(\w+)"', table)
    assert len(real) >= 9 and sum(map(len, real.values())) > 90
    assert {s: sorted(n) for s, n in shown.items()} == \
        {s: sorted(n) for s, n in real.items()}


def test_every_command_and_option_is_there():
    said = subprocess.run([f"{BUILD}/certfleet", "--help"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    commands = re.findall(r"^  ([a-z][a-z-]+) ", said.split("\n\n")[1], re.M)
    assert len(commands) >= 18
    text = (PAGES / "certfleet.1").read_text()
    assert [c for c in commands if not re.search(
        rf"^\.(It )?Cm {c}( |$)", text, re.M)] == []
    source = (ROOT / "sync/cli/main.c").read_text()
    options = re.findall(r'\{ "([a-z-]+)", (?:no|required|optional)_argument',
                         source)
    assert len(options) >= 17
    assert [o for o in options if not re.search(
        rf"Fl -{o}\b|, -{o}\b", text)] == []


def test_every_option_of_the_daemons_is_there():
    for name in ("certfleet-sync", "certfleet-agent"):
        said = subprocess.run([f"{BUILD}/{name}", "-h"], text=True,
                              stdout=subprocess.PIPE, check=True).stdout
        text = (PAGES / f"{name}.8").read_text()
        for option in re.findall(r"^  -(-\w+|\w)", said, re.M):
            assert re.search(rf"^\.It Fl {option}\b", text, re.M), option


def test_every_route_is_there():
    source = (ROOT / "sync/api/routes.c").read_text()
    routes = [f"{m} Pa {p}" for m, p in
              re.findall(r'^\t\{ (\w+), "(/[^"]*)"', source, re.M)]
    assert len(routes) >= 29
    text = (PAGES / "certfleet-api.7").read_text()
    shown = re.findall(r"^\.It Cm (\w+ Pa \S+)", text, re.M)
    assert shown == routes


# --- sync/doc and README ------------------------------------------------------

DOCS = sorted((ROOT / "sync/doc").glob("*.md"))


def source_text():
    """All C, with its texts in one piece."""
    text = "".join(p.read_text() for d in ("common", "agent", "haproxy", "sync",
                                           "sync/api", "providers")
                   for p in sorted((ROOT / d).glob("*.c")))
    return re.sub(r'"\s*\n\s*"', "", text)


def test_links_of_the_docs_lead_somewhere():
    for path in [*DOCS, ROOT / "README.md"]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_commands_in_the_docs_exist():
    said = subprocess.run([f"{BUILD}/certfleet", "--help"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    known = set(re.findall(r"^  ([a-z][a-z-]+) ", said.split("\n\n")[1], re.M))
    for path in [*DOCS, ROOT / "README.md"]:
        used = set(re.findall(r"(?:`|^ +)certfleet (?:--app \S+ )?([a-z][a-z-]+)",
                              path.read_text(), re.M))
        assert used <= known, path.name


def test_settings_in_the_docs_exist():
    table = (ROOT / "common/conf_table.c").read_text()
    sections = {}
    for section, name in re.findall(r"\bSET\((\w+), (\w+)", table):
        sections.setdefault(section, set()).add(name)
    for path in [*DOCS, ROOT / "README.md"]:
        for section, body in re.findall(r"\b([a-z_]+) +\{([^{}]*)\}",
                                        path.read_text()):
            if section in sections:
                used = set(re.findall(r"(?:^|`|[{ ])(\w+) = ", body)) or \
                    {w for w in body.split() if w.isidentifier()}
                assert used <= sections[section], (path.name, section)


def test_what_operating_speaks_of_is_said():
    text = (ROOT / "sync/doc/operate.md").read_text()
    alarms, log = text.split("## Alarms")[1].split("## In the log")
    source = source_text()
    metrics = set(re.findall(r"certfleet_[a-z_]+", alarms))
    assert len(metrics) >= 10
    assert [m for m in metrics if f'"{m}' not in source] == []
    lines = re.findall(r"^\| `([^`]+)` \|", log.split("## ")[0], re.M)
    assert len(lines) >= 10
    assert [x for x in lines if x not in source] == []


def test_every_redis_key_is_in_the_readme():
    keys = (ROOT / "common/redis_keys.h").read_text()
    readme = (ROOT / "README.md").read_text().split("## Redis keys")[1]
    found = re.findall(r'"%s(?:\{p%d\})?:?([a-z]+)', keys)
    assert len(set(found)) >= 20
    assert [k for k in found if not re.search(rf"[:`]{k}\b", readme)] == []
