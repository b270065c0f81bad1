"""Certificates from a CA: by the whole product, and by what is near.

certfleet  names added to a node with everything: its own Redis, HAProxy, agent
           and sync.  "issued" ends when the last certificate is committed in
           Redis, "in use" when HAProxy has shown the last one in a handshake
apart      the same with two syncs: one leads and has no HAProxy, the other is a
           node with everything; its "sync" only serves, the leader only issues
client     the least that a client can do (acme_client.c): the CA's own ceiling
haproxy    the ACME client that HAProxy has built in since 3.2 (native.py)
lego       a process for each certificate, eight at the same time

The CA, its DNS and whoever adds the names have a processor of their own, as
they have in life, and the node, or the other client, has the others.  On the
same processors a client that does nothing besides leaves more to the CA, and
what is compared is how much else a node has to do: BENCH_ISSUE_SHARED=1 shows
that (with BENCH_ISSUE_COUNT=400: on several processors Pebble locks itself up
too often for more).

What is judged is like for like.  The ceiling, HAProxy's own client and lego have
a certificate when the CA has given it to them: so certfleet's rate is that of
"issued", with everything else of it at work on the same processors meanwhile.
And a client's processor time is that of the leader of "apart", Redis work
included.  The figures of the whole product are printed beside them.

Each certificate is some files that are synced, and what a disk and its file
system take for one is printed first: TMPDIR=/dev/shm leaves them out.

The CA is Pebble without its artificial sleep before a validation, rejecting
five of a hundred nonces as it comes, and not telling anyone when to look again.
It and HAProxy 3.2 are those of Debian sid, where a mirror can be reached; else
it is the installed one, and HAProxy is left out.  A last run looks at sync's memory with 1,000 orders
in flight.  Ends with 0 also when a target is missed: it says so.
"""

import contextlib
import http.client
import http.server
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

import newer  # noqa: E402
from figures import cpu_s, in_memory, memory_mib, missed, verdict  # noqa: E402
from harness import BUILD, Failed, environment, kill_all, program, run  # noqa: E402
from harness import temp_dir, wait_for  # noqa: E402
from native import native  # noqa: E402
from node import PREFIX, Node  # noqa: E402
from peers import RedisClient, World  # noqa: E402

COUNT = int(os.environ.get("BENCH_ISSUE_COUNT", "1000"))
ROUNDS = int(os.environ.get("BENCH_ISSUE_ROUNDS", "3"))
NATIVE = int(os.environ.get("BENCH_ISSUE_HAPROXY", "200"))
LEGO = int(os.environ.get("BENCH_ISSUE_LEGO", "8"))
FLIGHT = int(os.environ.get("BENCH_ISSUE_FLIGHT", "1000"))
NONCE_REJECT = int(os.environ.get("BENCH_NONCE_REJECT", "5"))
SHARED = bool(os.environ.get("BENCH_ISSUE_SHARED"))
AT_ONCE = 100  # the default of max_in_flight
APPS = 8  # of a platform; one alone may have three quarters of the orders

CEILING_MIN = 0.8  # certfleet to client
TRIES = 10
STILL = 15  # seconds without a certificate

NATIVE_MIN = 5  # certfleet to HAProxy's own
LEGO_MIN = 50  # certfleet to lego
CPU_MS_MAX = 2.5
REQUESTS_MAX = 8
RSS_MIB_MAX = 30


ALL = sorted(os.sched_getaffinity(0))
OUTSIDE = ALL if SHARED else ALL[:1]
INSIDE = ALL if SHARED else ALL[1:] or ALL


@contextlib.contextmanager
def processors(which):
    """What is started here runs on these."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, which)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Client:
    """One kept connection to the admin API."""

    def __init__(self, node):
        self.link = http.client.HTTPConnection("localhost", timeout=60)
        self.link.sock = socket.socket(socket.AF_UNIX)
        self.link.sock.connect(str(node.api_socket))

    def add(self, app, name):
        body = json.dumps({"domain": {"name": name}}).encode()
        self.link.request("POST", f"/v1/apps/{app}/domains", body,
                          {"Content-Type": "application/json"})
        reply = self.link.getresponse()
        text = reply.read()
        if reply.status != 201:
            raise RuntimeError(f"{name}: {reply.status} {text}")


def newest_pebble():
    """HAProxy does not get along with 2.4, which also can lock itself up."""
    try:
        return newer.program("pebble", "pebble")
    except newer.Unavailable as e:
        print(f"  (no newer Pebble: {e})")
        return None


def world(directory, count, prefix):
    # Looking for authorizations to use again can deadlock Pebble 2.4.
    with processors(OUTSIDE):
        made = World(directory, nonce_reject=NONCE_REJECT, authz_reuse=0,
                     command=newest_pebble(), retry_after=0)
    for i in range(count):
        made.dns.add_a(f"{prefix}{i}.test", "127.0.0.1")
    return made


def moving(measure, directory, *args):
    """measure() until Pebble does not stop: version 2.4 can lock itself up when
    an order is looked at while its certificate is made."""
    for attempt in range(TRIES):
        try:
            return measure(directory / f"try{attempt}", *args)
        except Failed as e:
            kill_all()
            if "no answer from" not in str(e) or attempt == TRIES - 1:
                raise
            print("  (Pebble stands still: once more)", flush=True)


def settings(acme):
    return {
        "": {"log_level": os.environ.get("BENCH_LOG", "info")},
        "acme": {"max_in_flight": AT_ONCE, "retry_first_s": 300,
                 "retry_max_s": 86400, **acme},
        "dns": {"check_interval_ms": 60000, "timeout_ms": 5000},
        "haproxy": {"poll_ms": 1000, "push_per_s": 0},
        "limits": {"orders_per_account": 1000000},
        "fleet": {"lease_ms": 10000, "renew_ms": 3000, "heartbeat_ms": 5000,
                  "node_ttl_ms": 15000, "reconcile_ms": 30000},
    }


class Lent:
    """The embedded Redis of another node."""

    def __init__(self, owner):
        self.path = owner.redis_socket
        self.settings = {"url": f"unix:{self.path}"}

    def client(self):
        return RedisClient(self.path)


def one_node(w, acme):
    node = Node(w, settings=settings(acme))
    in_memory(node)
    return node.start(), node


def leader_apart(w, acme):
    """The node with HAProxy, and the one that leads and has none."""
    leader = Node(w, "lead", settings=settings(acme))
    leader.settings["haproxy"].update(sockets=[], http_address="",
                                      https_address="")
    in_memory(leader)
    leader.write_conf()
    leader.sync.prime()
    leader.sync.start()
    with leader.redis_client() as redis:
        wait_for("a leader", lambda: redis("HGET", f"{PREFIX}leader", "node"))
    node = Node(w, redis=Lent(leader), settings=settings(acme))
    in_memory(node)
    node.state_dir.mkdir(mode=0o700)
    shutil.copy(leader.state_dir / "kek", node.state_dir / "kek")
    return node.start(), leader


class Watch:
    """How far they are, asked often and cheaply."""

    def __init__(self, redis, count):
        self.redis, self.count = redis, count
        self.gen, self.moved = 0, time.monotonic()

    def issued(self):
        gen = int(self.redis("GET", f"{PREFIX}{{p0}}:gen") or 0)
        if gen > self.gen:
            self.gen, self.moved = gen, time.monotonic()
        if time.monotonic() - self.moved > STILL:
            raise Failed("no answer from Pebble")
        return gen >= self.count

    def in_use(self):
        return int(self.redis("HGET", f"{PREFIX}{{p0}}:counts",
                              "in_use") or 0) >= self.count


def commands(redis):
    """How many Redis has done, those of its functions included."""
    stats = redis("INFO", "stats")
    return int(stats.split("commands_processed:")[1].split()[0])


def product(directory, count, acme=None, start=one_node):
    """Certificates by everything we have; figures of the run."""
    w = world(directory, count, "n")
    with processors(INSIDE):
        node, leader = start(w, acme or {})
    with node.redis_client() as redis:
        wait_for("the account", lambda: redis("EXISTS",
                 f"{PREFIX}challenge:thumbprint") or None)
        wait_for("the node", lambda: redis(
            "HGET", f"{PREFIX}node:{node.name}", "barrier") == "1")
        time.sleep(0.5)
        server = int(redis("INFO", "server").split("process_id:")[1].split()[0])
        pids = {"sync": node.sync.pid, "agent": node.agent.pid,
                "redis": server, "haproxy": node.haproxy.pid,
                "pebble": w.pebble.pid, "dns": w.dns.pid}
        if leader is not node:
            pids = {"leader": leader.sync.pid, **pids}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        asked, calls = w.pebble.requests(), commands(redis)
        began = time.monotonic()
        client = Client(leader)
        for i in range(count):
            client.add(f"bench{i % APPS}", f"n{i}.test")
        watch = Watch(redis, count)
        wait_for("all to be issued", watch.issued, 300, 0.02, node.tails)
        issued = time.monotonic() - began
        wait_for("all to be in use", watch.in_use, 60, 0.02, node.tails)
        seconds = time.monotonic() - began
        figures = {
            "rate": count / issued,
            "in_use": count / seconds,
            "requests": (w.pebble.requests() - asked) / count,
            "redis_commands": (commands(redis) - calls) / count,
            "peak": memory_mib(leader.sync.pid, "VmHWM"),
            "cpu_ms": {name: (cpu_s(pid) - before[name]) * 1000 / count
                       for name, pid in pids.items()},
        }
    node.stop()
    if leader is not node:
        leader.sync.stop()
    w.stop()
    return figures


def ceiling(directory, count):
    w = world(directory, count, "c")
    node = Node(w)
    node.write_conf()
    began = cpu_s(w.pebble.pid)
    with processors(INSIDE):
        out = run(BUILD / "tests/bench/acme_client", node.conf, w.http_port,
                  count, AT_ONCE, "c", seconds=120).stdout
    said = {k: float(v) for k, v in (s.split() for s in out.splitlines()
                                     if s[:3] in ("sec", "cpu"))}
    figures = {
        "rate": count / said["seconds"],
        "requests": w.pebble.requests() / count,
        "cpu_ms": {"client": said["cpu_s"] * 1000 / count,
                   "pebble": (cpu_s(w.pebble.pid) - began) * 1000 / count},
    }
    w.stop()
    return figures


def lego(directory, count):
    """Certificates per second, each by a lego of its own."""
    w = world(directory, count, "l")
    root = directory / "webroot"
    root.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(root))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", w.http_port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def one(i):
        subprocess.run(
            [program("lego"), "--server", w.pebble.directory, "--accept-tos",
             "--email", "ops@fleet.test", "--domains", f"l{i}.test", "--http",
             "--http.webroot", root, "--path", directory / f"lego{i}", "run"],
            env=environment({"LEGO_CA_CERTIFICATES": str(w.tls.ca)}),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
            timeout=120)

    began = time.monotonic()
    with processors(INSIDE), ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))
    seconds = time.monotonic() - began
    server.shutdown()
    server.server_close()
    figures = {"rate": count / seconds,
               "requests": w.pebble.requests() / count}
    w.stop()
    return figures


def show(name, f):
    more = "  ".join(f"{k} {v:.2f}" for k, v in f.get("cpu_ms", {}).items())
    print(f"  {name:10} {f['rate']:7.1f} certificates/s  "
          f"{f['requests']:5.2f} requests each"
          + (f"  processor ms each: {more}" if more else ""), flush=True)
    if "in_use" in f:
        print(f"  {'':10} {f['in_use']:7.1f} in use/s, "
              f"{f['redis_commands']:.1f} Redis commands each, "
              f"sync {f['peak']:.1f} MiB at most", flush=True)


def beside_native(directory, rate):
    """How many times HAProxy's own rate that is; None: it cannot be had."""
    try:
        with processors(INSIDE):
            own = moving(native, directory, NATIVE, world)
    except newer.Unavailable as e:
        print(f"  (no HAProxy with an ACME client: {e})", flush=True)
        return None
    show("haproxy", own)
    return rate / own["rate"]


def rounds(directory):
    """Figures of each round: the ceiling, the product, it with a leader apart,
    and how many times HAProxy's own rate that is."""
    least, ours, apart, natives = [], [], [], []
    for i in range(ROUNDS):
        least.append(moving(ceiling, directory / f"c{i}", COUNT))
        show("client", least[-1])
        ours.append(moving(product, directory / f"p{i}", COUNT))
        show("certfleet", ours[-1])
        apart.append(moving(product, directory / f"a{i}", COUNT, None,
                            leader_apart))
        show("apart", apart[-1])
        if NATIVE:
            natives.append(beside_native(directory / f"h{i}", ours[-1]["rate"]))
    return least, ours, apart, [n for n in natives if n]


def middle(of, what):
    return statistics.median(what(f) for f in of)


def judge(least, ours, apart, natives):
    def to_ceiling(what):
        return statistics.median(
            mine[what] / most["rate"] for mine, most in zip(ours, least))

    ratio = to_ceiling("rate")
    verdict("issued, to the ceiling", f"{ratio:.2f}", ratio >= CEILING_MIN,
            f"at least {CEILING_MIN}")
    print(f"  {'in use, to the ceiling':48} {to_ceiling('in_use'):9.2f}")
    cpu = middle(apart, lambda f: f["cpu_ms"]["leader"])
    verdict("processor ms of a leader per certificate", f"{cpu:.2f}",
            cpu < CPU_MS_MAX, f"below {CPU_MS_MAX}")
    for what, of in (("a node that does not lead", apart), ("one for all", ours)):
        print(f"  {'processor ms of the sync of ' + what:48} "
              f"{middle(of, lambda f: f['cpu_ms']['sync']):9.2f}")
    requests = middle(ours, lambda f: f["requests"])
    verdict("ACME requests per certificate", f"{requests:.2f}",
            requests <= REQUESTS_MAX, f"at most {REQUESTS_MAX}")
    if natives:
        times = statistics.median(natives)
        verdict("certfleet to HAProxy's own ACME", f"{times:.1f}",
                times >= NATIVE_MIN, f"at least {NATIVE_MIN}")


def disk(directory, count=200):
    """Files made and synced: milliseconds each, and of the processor.  They stay
    till the end: an ext4 without a journal is slow for minutes after files were
    removed, because it does not use their inodes."""
    began, used = time.monotonic(), time.process_time()
    for i in range(count):
        with open(directory / f"file{i}", "wb") as f:
            f.write(bytes(4000))
            f.flush()
            os.fsync(f.fileno())
    ms = (time.monotonic() - began) * 1000 / count
    print(f"  {'disk':10} {ms:7.2f} ms for a file, processor ms each: "
          f"{(time.process_time() - used) * 1000 / count:.2f}", flush=True)


def main():
    directory = temp_dir()
    os.sched_setaffinity(0, OUTSIDE)
    print(f"issue: {COUNT} certificates, {ROUNDS} round(s), {AT_ONCE} orders at "
          f"once, nonces rejected {NONCE_REJECT} %, processors {OUTSIDE} for the "
          f"CA, {INSIDE} for its client")
    try:
        disk(directory)
        least, ours, apart, natives = rounds(directory)
        judge(least, ours, apart, natives)
        rate = middle(ours, lambda f: f["rate"])
        if LEGO:
            peer = lego(directory / "lego", LEGO)
            show("lego", peer)
            verdict("certfleet to lego", f"{rate / peer['rate']:.0f}",
                    rate / peer["rate"] >= LEGO_MIN, f"at least {LEGO_MIN}")
        if FLIGHT:
            many = moving(product, directory / "many", FLIGHT + FLIGHT // 5, {
                "max_in_flight": FLIGHT})
            show("in flight", many)
            verdict(f"MiB of sync, {FLIGHT} orders in flight",
                    f"{many['peak']:.1f}", many["peak"] < RSS_MIB_MAX,
                    f"below {RSS_MIB_MAX}")
    finally:
        kill_all()
        shutil.rmtree(directory, ignore_errors=True)
    print("missed: " + ", ".join(missed) if missed else "all targets met")


if __name__ == "__main__":
    main()
