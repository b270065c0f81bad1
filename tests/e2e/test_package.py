"""The Debian packages: built twice by a user, the same, and without complaint.

Takes minutes, so it has a target of its own: make package-check.
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import ROOT

TOOLS = ("dpkg-buildpackage", "dh", "fakeroot", "lintian")
ABSENT = [t for t in TOOLS if shutil.which(t) is None]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CERTFLEET_PACKAGE"),
                       reason="slow: make package-check runs it"),
    pytest.mark.skipif(ABSENT != [],
                       reason=f"not installed: {', '.join(ABSENT)}"),
]


def as_user(command, where):
    """A package must not need root: whoever is root gives that up."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody:nogroup", where.parent],
                       check=True)
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup",
                   "--clear-groups", *command]
    env = {k: v for k, v in os.environ.items()
           if k in ("PATH", "LANG") or k.startswith("LC_")}
    env["HOME"] = str(where.parent)
    return subprocess.run(command, cwd=where, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def build(base, name):
    """In a directory of its own, with a path of its own length."""
    tree = base / name / "certfleet"
    ignored = shutil.ignore_patterns("build", "build-*", ".git", "__pycache__",
                                     ".pytest_cache")
    shutil.copytree(ROOT, tree, ignore=ignored)
    done = as_user(["dpkg-buildpackage", "-us", "-uc", "-b"], tree)
    assert done.returncode == 0, done.stdout[-4000:]
    return tree.parent, done.stdout


@pytest.fixture(scope="module")
def base():
    """pytest's own directories are closed to other users."""
    where = Path(tempfile.mkdtemp(prefix="certfleet-package-"))
    where.chmod(0o755)
    yield where
    shutil.rmtree(where)


@pytest.fixture(scope="module")
def built(base):
    return build(base, "a")


def packages(where):
    return {p.name: p for p in where.glob("*.deb")}


def test_two_packages_are_built(built):
    names = {n.split("_")[0] for n in packages(built[0])}
    assert {"certfleet", "certfleet-agent"} <= names


def test_no_warning_is_given(built):
    assert re.findall(r".*warning: .*", built[1]) == []


def test_lintian_has_nothing_to_say(built):
    changes = next(built[0].glob("*.changes"))
    said = as_user(["lintian", "--fail-on", "error,warning", str(changes)],
                   built[0] / "certfleet")
    assert said.returncode == 0, said.stdout
    assert re.findall(r"^[EWP]: .*", said.stdout, re.M) == []


def test_the_version_is_the_programs(built):
    version = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(),
                        re.M).group(1)
    assert any(n.startswith(f"certfleet_{version}_")
               for n in packages(built[0]))


def test_another_path_gives_the_same_bytes(base, built):
    again, _ = build(base, "another/and-longer")
    one, two = packages(built[0]), packages(again)
    assert one.keys() == two.keys()
    assert [n for n in one if one[n].read_bytes() != two[n].read_bytes()] == []
