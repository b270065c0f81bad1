"""Programs of other Debian releases, for what the installed ones cannot do.

A package is fetched with the system's own mirror and archive keys into a cache
directory (CERTFLEET_CACHE, default ~/.cache/certfleet), by an apt that has its
own sources and lists and needs no root, and is unpacked there: nothing is
installed.  Whoever cannot reach a mirror gets Unavailable, with the reason.

Run as a program ("newer.py valkey sid") it prints the path of a server.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CACHE = Path(os.environ.get("CERTFLEET_CACHE")
             or Path.home() / ".cache" / "certfleet")
SECONDS = 180
# What sid's HAProxy is linked with.
HAPROXY_LIBRARIES = (
    "libc6", "libatomic1", "libcap2", "libcrypt1", "libgcc-s1", "liblua5.4-0",
    "libpcre2-8-0", "libssl3t64", "libsystemd0", "libzstd1", "zlib1g")
# What Redis and Valkey are linked with.
REDIS_LIBRARIES = (
    "libc6", "libatomic1", "libcap2", "libgcc-s1", "libjemalloc2", "liblzf1",
    "libssl3t64", "libstdc++6", "libsystemd0", "libzstd1", "zlib1g")


class Unavailable(Exception):
    """It cannot be had here; the text says why."""


def run(*args, **kw):
    try:
        done = subprocess.run(
            [str(a) for a in args], text=True, timeout=SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, **kw)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"{args[0]}: {e}") from None
    if done.returncode != 0:
        raise Unavailable(f"{args[0]} ended with {done.returncode}: "
                          + done.stdout.strip()[-400:])
    return done.stdout


def mirror():
    """The Debian mirror that this system itself uses."""
    if not shutil.which("apt-get"):
        raise Unavailable("there is no apt-get")
    targets = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(SITE)",
                  "Created-By: Packages")
    # Security updates live at a mirror of their own, which has no other suites.
    sites = re.findall(r"^Debian (\S+)$", targets, re.M) or \
        re.findall(r"(\S+)$", targets, re.M)
    for site in sites:
        if "security" not in site:
            return site
    raise Unavailable("apt has no Debian mirror, or has no lists yet")


class Suite:
    """One release of Debian, as an apt of our own knows it."""

    def __init__(self, name):
        self.name = name
        self.dir = CACHE / name
        self.conf = self.dir / "apt.conf"

    def apt(self, *args, **kw):
        env = dict(os.environ, APT_CONFIG=str(self.conf), LC_ALL="C.UTF-8")
        return run("apt-get", "-qq", *args, env=env, **kw)

    def prepare(self):
        """Sources, lists and an apt that looks at nothing but these."""
        if not KEYRING.exists():
            raise Unavailable(f"{KEYRING} is not there")
        for sub in ("lists/partial", "archives/partial", "parts", "etc"):
            (self.dir / sub).mkdir(parents=True, exist_ok=True)
        arch = run("dpkg", "--print-architecture").strip()
        (self.dir / "etc" / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {mirror()} {self.name} main\n")
        (self.dir / "status").touch()
        self.conf.write_text(
            f'Dir::Etc "{self.dir}/etc";\n'
            f'Dir::Etc::sourcelist "{self.dir}/etc/sources.list";\n'
            f'Dir::Etc::sourceparts "{self.dir}/parts";\n'
            f'Dir::Etc::parts "{self.dir}/parts";\n'
            f'Dir::State::lists "{self.dir}/lists";\n'
            f'Dir::State::status "{self.dir}/status";\n'
            f'Dir::Cache "{self.dir}";\n'
            f'Dir::Cache::archives "{self.dir}/archives";\n'
            f'APT::Architecture "{arch}";\n'
            f'APT::Architectures "{arch}";\n'
            'APT::Sandbox::User "";\n'
            # A mirror may stand still.  What it has is signed all the same.
            'Acquire::Check-Valid-Until "false";\n'
            'Acquire::GzipIndexes "true";\n'
            'Dir::Cache::pkgcache "";\n'
            'Dir::Cache::srcpkgcache "";\n'
            'Acquire::Languages "none";\n')
        self.apt("update")

    def fetch(self, package, *libraries):
        """The package's files, with those of libraries, unpacked; fetched once."""
        root = self.dir / package
        if (root / ".complete").exists():
            return root
        if not self.conf.exists():
            self.prepare()
        debs = self.dir / "debs" / package
        shutil.rmtree(debs, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        debs.mkdir(parents=True)
        try:
            self.apt("download", package, *libraries, cwd=debs)
        except Unavailable:
            self.prepare()  # the lists may be older than the mirror
            self.apt("download", package, *libraries, cwd=debs)
        found = list(debs.glob("*.deb"))
        if len(found) <= len(libraries):
            raise Unavailable(f"{self.name} has no {package}")
        for deb in found:
            run("dpkg", "-x", deb, root)
        (root / ".complete").touch()
        return root


@contextlib.contextmanager
def locked(directory):
    """Two test runs must not unpack into the same place."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def package(name, suite, *libraries):
    """Where the package of that release is unpacked."""
    try:
        with locked(CACHE):
            return Suite(suite).fetch(name, *libraries)
    except OSError as e:
        raise Unavailable(f"{CACHE}: {e}") from None


@cache
def program(name, package_name, suite="sid"):
    """A program of another release that runs with this system's libraries."""
    path = package(package_name, suite) / "usr" / "bin" / name
    if not path.exists():
        raise Unavailable(f"{package_name} of {suite} has no {name}")
    try:
        subprocess.run([path, "-h"], timeout=20, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    except OSError as e:
        raise Unavailable(f"{path} does not run here: {e}") from None
    return str(path)


def by_its_loader(package_name, path, name, suite, libraries):
    """A script that runs a program with the C library it was built for.

    name is what the program finds itself called.
    """
    root = package(package_name, suite, *libraries)
    lib, *_ = [p.parent for p in root.glob("usr/lib/*/libc.so.6")] or [None]
    if lib is None:
        raise Unavailable(
            f"{package_name} of {suite} came without its C library")
    loader, *_ = lib.glob("ld-linux*.so.*")
    script = root / name
    if not script.exists():
        script.write_text(f'#!/bin/sh\nexec "{loader}" --argv0 {name} '
                          f'--library-path "{lib}" "{root}/{path}" "$@"\n')
        script.chmod(0o755)
    run(script, "-v")
    return str(script)


@cache
def haproxy(suite="sid"):
    """HAProxy of another release.

    No master process: that would start itself anew without the loader.
    """
    return by_its_loader(
        "haproxy", "usr/sbin/haproxy", "haproxy", suite, HAPROXY_LIBRARIES)


@cache
def redis(kind, suite):
    """A server of another release; kind: redis or valkey.

    The programs are one, which looks at how it is called.
    """
    return by_its_loader(
        f"{kind}-tools", f"usr/bin/{kind}-check-rdb", f"{kind}-server", suite,
        REDIS_LIBRARIES)


@cache
def pebble(suite="sid"):
    """Pebble of another release: a Go program, which needs little of others."""
    return program("pebble", "pebble", suite)


def version_of(name, suite):
    """Its version by the package; for programs that do not tell it.

    A package of a suite that was not fetched is the installed one.
    """
    for deb in (CACHE / suite / "debs" / name).glob(f"{name}_*.deb"):
        return re.match(r"[\d.]*\d", deb.name.split("_")[1])[0]
    return re.match(r"[\d.]*\d", run(
        "dpkg-query", "-W", "-f", "${Version}", name))[0]


if __name__ == "__main__":
    try:
        print(redis(*sys.argv[1:]))
    except Unavailable as e:
        sys.exit(str(e))
