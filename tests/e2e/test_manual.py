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
