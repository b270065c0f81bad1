"""The same end-to-end tests with the servers of other Debian releases.

Each combination is a run of pytest with other programs; one line tells how it
went, and a table at the end all of them.  What the mirror does not give is said,
and that combination left out.

    matrix.py [--few] [PYTEST OPTIONS...]

--few: the newest of each, and the files that meet them all.
"""

import os
import re
import subprocess
import sys
import time

import newer

# HAProxy, Redis or Valkey, Pebble; each as the suite of Debian that has it.  The
# first is what bookworm itself has.  Every version stands beside several others.
HERE = "bookworm"
MATRIX = (
    (HERE, ("redis", HERE), HERE),
    ("trixie", ("redis", "trixie"), "trixie"),
    ("sid", ("valkey", "sid"), "sid"),
    (HERE, ("valkey", "trixie"), "sid"),
    ("sid", ("redis", HERE), "trixie"),
    ("trixie", ("valkey", "sid"), HERE),
)
FEW = (("sid", ("valkey", "sid"), "sid"),)

# Where the servers are met.  What concerns nothing of ours but a parser, the
# command line or packaging is the same with all of them.
FILES = ("issue", "haproxy", "fleet", "custom", "switch", "revoke", "reload",
         "crash", "redis", "library", "acl", "partitions", "sentinel", "cluster",
         "agent", "rollover", "ari", "shipped_conf", "dual", "heal", "hot")
FEW_FILES = ("issue", "haproxy", "library", "shipped_conf")


class Program:
    """A server of some release: the environment that selects it, its version."""

    def __init__(self, what, variable, command, version):
        self.env = {variable: command} if command else {}
        said = subprocess.run([command or what, *version.split()], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, timeout=30).stdout
        found = re.search(r"(?:version |v=)(\d+(?:\.\d+)+)", said)
        self.version = found[1] if found else "?"


def haproxy(suite):
    command = newer.haproxy(suite) if suite != HERE else None
    return Program("/usr/sbin/haproxy", "CERTFLEET_HAPROXY", command, "-v")


def redis(kind, suite):
    command = newer.redis(kind, suite) if suite != HERE else None
    return Program("redis-server", "CERTFLEET_REDIS", command, "-v")


def pebble(suite):
    command = newer.pebble(suite) if suite != HERE else None
    found = Program("pebble", "CERTFLEET_PEBBLE", command, "-version")
    if found.version == "?":
        found.version = newer.version_of("pebble", suite)
    return found


def programs(wanted):
    """The servers of a combination; raises newer.Unavailable."""
    proxy, (kind, suite), ca = wanted
    return haproxy(proxy), redis(kind, suite), pebble(ca)


def name_of(wanted, found):
    _, (kind, _), _ = wanted
    proxy, store, ca = (p.version for p in found)
    return f"HAProxy {proxy:9} {kind:6} {store:7} Pebble {ca:7}"


def counts(text):
    """What pytest says at its end: "5 passed, 1 skipped"."""
    ends = re.findall(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s", text, re.M)
    return ends[-1] if ends else "no result"


def pytest(found, *args):
    env = dict(os.environ)
    for program in found:
        env.update(program.env)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *args],
        text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False)
    return done.returncode, done.stdout


def run(found, files, options):
    """One combination: exit status, what pytest counts, its output.

    As in make e2e: real servers on a busy machine can be late, so the files of
    what failed are run once more, by themselves.
    """
    code, text = pytest(found, "--dist", "loadfile", *files, *options)
    result = counts(text)
    late = sorted(set(re.findall(r"^(?:FAILED|ERROR) ([^:\s]+)", text, re.M)))
    if code == 1 and late:
        code, again = pytest(found, "--maxfail=8", *late)
        result += f"; {' '.join(late)} once more: {counts(again)}"
        text += again
    return code, result, text


def main(args):
    few = "--few" in args
    options = [a for a in args if a != "--few"]
    files = [f"tests/e2e/test_{name}.py" for name in
             (FEW_FILES if few else FILES)]
    table, bad = [], 0
    for wanted in FEW if few else MATRIX:
        began = time.monotonic()
        try:
            found = programs(wanted)
        except newer.Unavailable as e:
            proxy, (kind, suite), ca = wanted
            table.append(f"HAProxy of {proxy}, {kind} of {suite}, Pebble of {ca}: "
                         f"not run: {e}")
            print(table[-1], flush=True)
            continue
        name = name_of(wanted, found)
        code, result, text = run(found, files, options)
        if code != 0:
            bad += 1
            print(text[-20000:])
        table.append(f"{'ok  ' if code == 0 else 'FAIL'} {name} {result} "
                     f"({time.monotonic() - began:.0f} s)")
        print(table[-1], flush=True)
    if len(table) > 1:
        print("\n# the matrix\n" + "\n".join(table))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
