"""The packages where they go: built, installed, upgraded, removed and purged in
a fresh Debian 12 and a fresh Debian 13.

Each release is made once by debootstrap and kept in the cache directory; a test
has a copy of it, with mounts that nobody else sees.  Minutes: make package-check.
"""
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

import newer
from harness import ROOT

OPERATORS = "# ours\n"  # what an operator adds to a file of the package
OLDER = "0.0.1"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CERTFLEET_PACKAGE"),
                       reason="slow: make package-check runs it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot wants root"),
    pytest.mark.skipif(shutil.which("debootstrap") is None,
                       reason="not installed: debootstrap"),
]


def fresh(release):
    """A minimal system with what the packages are built with; made once."""
    root = newer.CACHE / "chroot" / release
    with newer.locked(newer.CACHE / "chroot"):
        if (root / ".complete").exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase",
             "--include=build-essential,debhelper,systemd", release, root,
             newer.mirror()], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=900)
        if made.returncode != 0:
            raise newer.Unavailable(f"debootstrap: {made.stdout[-600:]}")
        (root / ".complete").touch()
    return root


class Machine:
    """A system of its own below a directory."""

    def __init__(self, root):
        self.root = root
        # Nothing is started: there is no init.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        shutil.copytree(ROOT, root / "src/certfleet", ignore=shutil.ignore_patterns(
            "build", "build-*", ".git", "__pycache__", ".pytest_cache"))

    def run(self, *command, code=0):
        inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child",
             "sh", "-c", inside, self.root, *command],
            env=env, text=True, timeout=1200, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if code is not None:
            assert done.returncode == code, done.stdout[-4000:]
        return done.stdout

    def apt(self, *args):
        return self.run("apt-get", "-qq", "-y", "--no-install-recommends", *args)

    def path(self, name):
        return self.root / name.lstrip("/")

    def version(self, package):
        return self.run("dpkg-query", "-W", "-f", "${Version}", package)

    def owner(self, name):
        return self.run("stat", "-c", "%U:%G %a", name).strip()

    def build(self):
        """Built here, with the compiler and libraries of this release."""
        self.run("sh", "-c", "apt-get -qq update && cd /src/certfleet && apt-get "
                 "-qq -y --no-install-recommends build-dep . && "
                 "dpkg-buildpackage -us -uc -b")
        return sorted(f"/src/{p.name}" for p in self.path("src").glob("*.deb")
                      if "dbgsym" not in p.name)

    def older(self, deb):
        """The same package, as an earlier version."""
        self.run("sh", "-c", f"cd /src && rm -rf was && dpkg-deb -R {deb} was && "
                 f"sed -i 's/^Version: .*/Version: {OLDER}/; s/(= [^)]*)/(= {OLDER})/'"
                 f" was/DEBIAN/control"
                 f" && mkdir -p old && "
                 f"dpkg-deb --root-owner-group -b was old")
        name = Path(deb).name.split("_")[0]
        return str(next("/src/old/" + p.name for p in
                        self.path("src/old").glob(f"{name}_{OLDER}_*.deb")))


@pytest.fixture(params=["bookworm", "trixie"])
def machine(request):
    try:
        system = fresh(request.param)
    except newer.Unavailable as e:
        pytest.skip(str(e))
    where = Path(tempfile.mkdtemp(prefix="certfleet-chroot-"))
    root = where / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", system, root], check=True)
    yield Machine(root)
    shutil.rmtree(where)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_installed_upgraded_removed_and_purged(machine):
    debs = machine.build()
    assert sorted(Path(d).name.split("_")[0] for d in debs) == [
        "certfleet", "certfleet-agent"]
    machine.apt("install", *[machine.older(d) for d in debs])
    assert machine.version("certfleet") == OLDER

    # What an operator and the programs have made of it since.
    shipped = machine.path("/etc/certfleet/spoe-certfleet.conf")
    shipped.write_text(shipped.read_text() + OPERATORS)
    machine.path("/etc/certfleet/certfleet.conf").write_text(
        machine.path("/usr/share/doc/certfleet/examples/certfleet.conf").read_text())
    machine.run("sh", "-ec", "systemd-tmpfiles --create certfleet.conf; "
                "install -d -m 0700 -o certfleet -g certfleet /var/lib/certfleet; "
                "install -m 0600 -o certfleet /dev/null /var/lib/certfleet/kek")

    machine.apt("install", *debs)
    for package in ("certfleet", "certfleet-agent"):
        assert machine.version(package) != OLDER
    assert shipped.read_text().endswith(OPERATORS)
    assert machine.owner("/var/lib/certfleet/kek") == "certfleet:root 600"
    for program in ("/usr/bin/certfleet", "/usr/sbin/certfleet-sync",
                    "/usr/sbin/certfleet-agent"):
        assert re.search(r"\d+\.\d+", machine.run(program, "-V"))
    machine.run("certfleet-sync", "-c", "-f", "/etc/certfleet/certfleet.conf",
                code=None)
    units = machine.run("systemctl", "list-unit-files", "--root=/", "--no-legend",
                        "certfleet*")
    assert {"certfleet-sync.service", "certfleet-prime.service",
            "certfleet-agent.service", "certfleet-agent.socket"} <= set(units.split())

    machine.apt("remove", "certfleet", "certfleet-agent")
    assert not machine.path("/usr/sbin/certfleet-sync").exists()
    assert shipped.exists() and machine.path("/var/lib/certfleet/kek").exists()
    machine.apt("purge", "certfleet", "certfleet-agent")
    assert not shipped.exists()
    assert machine.path("/var/lib/certfleet/kek").exists()  # nothing brings it back
    assert machine.path("/etc/certfleet/certfleet.conf").exists()
