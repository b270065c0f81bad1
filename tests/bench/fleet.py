"""A fleet: twenty nodes and two with a real HAProxy, and 10,000 certificates.

The twenty are whole syncs whose HAProxy is a stub (stub.c), which answers the
runtime API and serves nothing; so they prove nothing by handshake.  The other
two have a HAProxy of their own.  Renewals are committed to Redis as the leader
does, one each second.

ack        from a commit's answer to the last node's word that it serves it
commands   what a certificate costs Redis for each node
idle       processor of a node when nothing happens
reconcile  a HAProxy is restarted with its crt-list: until sync has compared all
           of it, beside HAProxy's own start

Ends with 0 also when a target is missed: it says so.
"""

import contextlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
from figures import cpu_s, in_memory, missed, verdict  # noqa: E402
from harness import BUILD, Process, built, kill_all, temp_dir, wait_for  # noqa: E402
from node import PREFIX, Node  # noqa: E402
from peers import World, started  # noqa: E402
from scale import Memory, load  # noqa: E402

STUBS = int(os.environ.get("BENCH_FLEET_STUBS", "20"))
REAL = int(os.environ.get("BENCH_FLEET_REAL", "2"))
COUNT = int(os.environ.get("BENCH_FLEET_COUNT", "10000"))
COMMITS = int(os.environ.get("BENCH_FLEET_COMMITS", "60"))
IDLE_S = int(os.environ.get("BENCH_FLEET_IDLE_S", "20"))
EVERY_S = 1
RESTARTS = 3

ACK_P99_MAX_S = 1.5
IDLE_PERCENT_MAX = 0.2
RECONCILE_MAX = 2

# What nodes send; the rest is done by functions.
BY_NODES = ("xread", "get", "fcall", "time", "zadd", "zremrangebyscore")

LIBRARY = Path(__file__).parents[2] / "common" / "library.lua"


class Stubs(Process):
    """The runtime APIs of many HAProxys."""

    def __init__(self, directory, count):
        super().__init__("stub", directory)
        self.count = count

    def socket(self, number):
        return self.dir / f"{number}.sock"

    def start(self):
        self.spawn(BUILD / "tests/bench/stub", self.dir, self.count)
        self.wait_ready(lambda: "ready" in self.text())


def settings(**haproxy):
    return {
        "": {"log_level": "info"},
        "haproxy": {"poll_ms": 1000, **haproxy},
        "dns": {"check_interval_ms": 60000},
        "fleet": {"lease_ms": 10000, "renew_ms": 3000, "heartbeat_ms": 5000,
                  "node_ttl_ms": 15000, "reconcile_ms": 30000},
    }


def stub_node(world, redis, stubs, number):
    node = Node(world, f"s{number}", redis=redis, settings=settings(
        sockets=[str(stubs.socket(number))], http_address="",
        https_address=""))
    in_memory(node)
    (stubs.dir / f"{number}.list").symlink_to(node.crt_list)
    return node


def real_node(world, redis, number):
    # One address each: they have the same ports.
    node = Node(world, f"r{number}", f"127.0.0.{number + 2}", redis=redis,
                settings=settings())
    in_memory(node)
    return node


def served(redis, nodes):
    return all(redis.hash(f"{PREFIX}node:{n.name}").get("served") == str(COUNT)
               for n in nodes)


def filled(nodes):
    """The first node's copies are the others' too: links, that are replaced."""
    first, *rest = nodes
    for node in rest:
        shutil.copytree(first.state_dir, node.state_dir, copy_function=os.link)


def start_all(redis, nodes):
    """All serve all, and each has a life of its own."""
    first, *rest = nodes
    first.write_conf()
    first.sync.prime()
    load(first, 0, COUNT)
    first.sync.start()
    wait_for("the first node to serve all",
             lambda: served(redis, [first]), 600, 0.5)
    filled(nodes)
    for node in rest:
        node.write_conf()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: n.sync.prime(), rest))
    for node in nodes[len(nodes) - REAL:]:
        node.haproxy.start()
    # All at once: each has its copies to look through before it answers.
    for node in rest:
        node.sync.spawn(built("certfleet-sync"), "-f", node.conf)
    for node in rest:
        node.sync.wait_ready(node.sync.works, seconds=60)
    wait_for("all nodes to serve all", lambda: served(redis, nodes), 900, 0.5)
    time.sleep(5)


# --- renewals ------------------------------------------------------------------


def commands_of(node, number):
    """What load.c would send to Redis for one more certificate of a domain."""
    text = subprocess.run([BUILD / "tests/bench/load", node.conf, str(number),
                           "1", "0"], stdout=subprocess.PIPE, check=True).stdout
    while text:
        head, _, text = text.partition(b"\r\n")
        args = []
        for _ in range(int(head[1:])):
            length, _, text = text.partition(b"\r\n")
            size = int(length[1:])
            args.append(text[:size])
            text = text[size + 2:]
        yield args


def renewal(node, number, epoch):
    """The commit of a newer certificate, under the epoch of who leads."""
    commit = next(a for a in commands_of(node, number)
                  if a[:2] == [b"FCALL", b"certfleet_commit"])
    commit[3 + int(commit[2])] = str(epoch).encode()
    return commit


class Acks(threading.Thread):
    """Hears which node has got how far, and when."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.client = redis.client()
        self.client.socket.settimeout(None)
        self.client("SUBSCRIBE", f"{PREFIX}acks")
        self.heard = []

    def run(self):
        with contextlib.suppress(OSError):  # Redis ends
            while True:
                _, _, text = self.client.read()
                at = time.monotonic()
                name, gen = text.split()
                self.heard.append((at, name, int(gen)))


def calls(redis):
    """How many commands Redis has done, by name."""
    return {line.split(":")[0][len("cmdstat_"):]:
            int(line.split("calls=")[1].split(",")[0])
            for line in redis("INFO", "commandstats").splitlines()
            if line.startswith("cmdstat_")}


def difference(after, before):
    return {name: n - before.get(name, 0) for name, n in after.items()
            if n > before.get(name, 0)}


def idle(redis, nodes):
    """Shares of a processor, leading and following; commands each second."""
    leader = redis.hash(f"{PREFIX}leader")["node"]
    before, was = calls(redis), [cpu_s(n.sync.pid) for n in nodes]
    time.sleep(IDLE_S)
    shares = {n.name: (cpu_s(n.sync.pid) - t) / IDLE_S * 100
              for n, t in zip(nodes, was)}
    each = difference(calls(redis), before)
    following = [s for name, s in shares.items() if name != leader]
    print(f"{len(nodes)} nodes, {COUNT} certificates, idle for {IDLE_S} s")
    print(f"  {'percent of a processor, leading':48} {shares[leader]:>9.2f}")
    verdict("percent of a processor, following (mean, most)",
            f"{statistics.mean(following):.2f}, {max(following):.2f}",
            statistics.mean(following) < IDLE_PERCENT_MAX,
            f"below {IDLE_PERCENT_MAX}")
    total = sum(each.values()) / IDLE_S
    print(f"  {'commands of Redis per second and node':48} "
          f"{total / len(nodes):>9.2f}", flush=True)
    return {name: n / IDLE_S for name, n in each.items()}


def renew(server, redis, nodes, at_rest):
    epoch = redis.hash(f"{PREFIX}leader")["epoch"]
    acks = Acks(server)
    acks.start()
    numbers = random.sample(range(COUNT), min(COMMITS, COUNT))
    made = [renewal(nodes[0], n, epoch) for n in numbers]
    before, cpu = calls(redis), [cpu_s(n.sync.pid) for n in nodes]
    began = time.monotonic()
    committed = []
    for i, commit in enumerate(made):
        time.sleep(max(0, began + i * EVERY_S - time.monotonic()))
        _, gen = redis(*commit)
        committed.append((time.monotonic(), gen))
    wait_for("the last one to be everywhere", lambda: len(
        {n for _, n, g in list(acks.heard) if g >= committed[-1][1]})
        == len(nodes), 60)
    seconds = time.monotonic() - began
    each = difference(calls(redis), before)
    busy = sum(cpu_s(n.sync.pid) for n in nodes) - sum(cpu)
    took = []
    for at, gen in committed:
        first = {}
        for then, name, reached in acks.heard:
            if reached >= gen:
                first.setdefault(name, then)
        took.append(max(first.values()) - at)
    report(took, each, at_rest, seconds, len(nodes), busy)


def report(took, each, at_rest, seconds, nodes, busy):
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    print(f"{len(took)} renewals, one every {EVERY_S} s, on {nodes} nodes")
    verdict("s from commit to the last node's word, p50, p99",
            f"{statistics.median(took):.3f}, {p99:.3f}", p99 < ACK_P99_MAX_S,
            f"p99 below {ACK_P99_MAX_S}")
    per = {name: (n - at_rest.get(name, 0) * seconds) / len(took) / nodes
           for name, n in each.items()}
    sent = sum(n for name, n in per.items() if name in BY_NODES)
    print(f"  {'commands to Redis per certificate and node':48} {sent:>9.2f}")
    print(f"  {'the same with what functions do':48} {sum(per.values()):>9.2f}")
    print("    " + ", ".join(f"{name} {n:.2f}" for name, n in sorted(
        per.items(), key=lambda i: -i[1]) if n >= 0.05))
    print(f"  {'ms of processor per certificate and node':48} "
          f"{busy / len(took) / nodes * 1000:>9.2f}", flush=True)


# --- a HAProxy is restarted ------------------------------------------------------


def restart(node):
    """Seconds of HAProxy's own start, and until all of it is compared."""
    node.haproxy.stop()
    began = time.monotonic()
    node.haproxy.start()
    own = time.monotonic() - began
    mark = f"pid={node.haproxy.pid} "
    wait_for("it to be compared", lambda: any(
        mark in line and "compared" in line
        for line in node.sync.text().splitlines()[-50:]), 120, 0.01)
    return own, time.monotonic() - began


def reconcile(redis, node):
    measured = []
    for _ in range(RESTARTS):
        measured.append(restart(node))
        wait_for("all to be served", lambda: served(redis, [node]), 60, 0.2)
    own, whole = (statistics.median(m[i] for m in measured) for i in (0, 1))
    print(f"a HAProxy with {COUNT} certificates is restarted")
    print(f"  {'s of its own start':48} {own:>9.2f}")
    verdict("s until sync has compared it all", f"{whole:.2f}",
            whole <= own * RECONCILE_MAX, f"at most {RECONCILE_MAX} times")


def main():
    # A HAProxy with so many takes its time to start, among all the others.
    harness.SLOW = max(harness.SLOW, 10)
    directory = temp_dir()
    try:
        world = World(directory / "w")
        server = started(Memory(directory / "redis"))
        stubs = Stubs(directory / "stubs", STUBS)
        nodes = [stub_node(world, server, stubs, i) for i in range(STUBS)]
        nodes += [real_node(world, server, i) for i in range(REAL)]
        stubs.start()
        with server.client() as redis:
            redis("FUNCTION", "LOAD", "REPLACE", LIBRARY.read_text())
            start_all(redis, nodes)
            at_rest = idle(redis, nodes)
            renew(server, redis, nodes, at_rest)
            if REAL:
                reconcile(redis, nodes[-1])
    finally:
        kill_all()
        shutil.rmtree(directory, ignore_errors=True)
    print("missed: " + ", ".join(missed) if missed else "all targets met")


if __name__ == "__main__":
    main()
