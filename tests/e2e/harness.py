"""What every server under test needs: a port, a directory, a log, an end.

Each process runs in a session of its own and dies with us, even when we are
killed; each wait has a deadline and says what it waited for; whatever a failed
wait needs to be understood (the ends of the logs) is in the exception's text.
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("CERTFLEET_BUILD", "build")

# Sanitizer builds are slower, and so are machines that others use.
SLOW = float(os.environ.get("CERTFLEET_SLOW", "1"))

# In the environment of all we start, so that what our servers start is found.
RUN_ID = "CERTFLEET_TEST_RUN"
run_id = uuid.uuid4().hex

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_ports_given = set()
_alive = []


class Failed(AssertionError):
    """Something did not happen; the text says what, and shows the logs."""


def wait_for(what, condition, seconds=10.0, every=0.02, explain=None):
    """Return condition()'s first true value, or fail after so many seconds.

    explain() may add to the failure's text why it never came true.
    """
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(
                f"after {seconds * SLOW:.0f} s still waiting for {what}"
                + (f"\n{explain()}" if explain else "")
            )
        time.sleep(every)


def free_port():
    """A port nobody listens on, by TCP or UDP, and never the same twice.

    Taken from below the range of outgoing connections, which would use up a
    port between our look and its server's bind.  Each of several workers has
    ports of its own.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    while True:
        port = random.randrange(10000 + worker, 30000, workers)
        if port in _ports_given:
            continue
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    s = stack.enter_context(socket.socket(type=kind))
                    s.bind(("0.0.0.0", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port


def answers_tcp(address, port):
    """True when somebody accepts connections there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False


def answers_unix(path):
    """True when somebody accepts connections on this unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.settimeout(1)
            s.connect(str(path))
            return True
        except OSError:
            return False


def program(name, why="is it installed?  make deps"):
    """The path of a program that Debian keeps in bin or sbin."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        raise Failed(f"{name} is not there: {why}")
    return found


def built(name):
    """One of our own programs."""
    path = BUILD / name
    if not path.exists():
        raise Failed(f"{path} is not there: make it first")
    return str(path)


def run(*args, check=True, seconds=30, **kw):
    """Run a command to its end; its output is text in .stdout."""
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    done = subprocess.run(
        [str(a) for a in args], text=True, timeout=seconds * SLOW, **kw
    )
    if check and done.returncode != 0:
        raise Failed(f"{args[0]} ended with {done.returncode}:\n{done.stdout}")
    return done


def environment(extra=None):
    """Ours, marked, with sanitizers that speak up."""
    env = dict(os.environ)
    env[RUN_ID] = run_id
    env["LC_ALL"] = "C.UTF-8"
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1")
    env.pop("NOTIFY_SOCKET", None)
    env.pop("LISTEN_FDS", None)
    env.update(extra or {})
    return env


def _prepare_child():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A server: started, watched, stopped by its pid; logs to a file."""

    def __init__(self, name, directory):
        self.name = name
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log = self.dir / f"{name}.log"
        self.popen = None
        self.env = {}

    def spawn(self, *args):
        """Start it, adding to the log there is."""
        with open(self.log, "ab") as log:
            log.write(f"# {' '.join(str(a) for a in args)}\n".encode())
            log.flush()
            self.popen = subprocess.Popen(
                [str(a) for a in args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.dir,
                env=environment(self.env),
                start_new_session=True,
                preexec_fn=_prepare_child,
            )
        _alive.append(self.popen)

    @property
    def pid(self):
        return self.popen.pid if self.popen else 0

    @property
    def stopped(self):
        """Does it stand still, by SIGSTOP?"""
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "T"

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def wait_ready(self, condition, what="to be ready", seconds=15):
        """Wait for condition(); a process that ends meanwhile fails at once."""

        def ready():
            if not self.running:
                raise Failed(
                    f"{self.name} ended with {self.popen.returncode}\n"
                    + self.tail()
                )
            return condition()

        return wait_for(f"{self.name} {what}", ready, seconds, explain=self.tail)

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9, and what it started is left alone."""
        if self.running:
            self.popen.kill()
        if self.popen:
            self.popen.wait()

    def ended(self, seconds=10):
        """Wait for its end by itself; return the exit status."""
        try:
            return self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(
                f"{self.name} did not end in {seconds} s\n{self.tail()}"
            ) from None

    def stop(self, seconds=10):
        """SIGTERM; return the exit status (None: it was not running)."""
        if not self.running:
            return None
        self.popen.terminate()
        try:
            return self.ended(seconds)
        except Failed:
            self.popen.kill()
            self.popen.wait()
            raise

    def text(self):
        """All it has logged."""
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines=25):
        text = self.text().splitlines()[-lines:]
        return f"--- end of {self.log}\n" + "\n".join(text)

    def sanitizer_report(self):
        """What a sanitizer had to say, or ""."""
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                     "runtime error:"):
            at = self.text().find(mark)
            if at >= 0:
                return self.text()[max(0, at - 200):at + 6000]
        return ""


def marked_pids():
    """Processes that we, or what we started, have started and that live."""
    mark = f"{RUN_ID}={run_id}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def kill_all():
    """The last resort: end whatever is left of ours."""
    for popen in _alive:
        if popen.poll() is None:
            popen.kill()
            popen.wait()
    _alive.clear()
    for pid in marked_pids():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def temp_dir():
    """A private directory with a path short enough for unix sockets."""
    return Path(tempfile.mkdtemp(prefix="cf-"))
