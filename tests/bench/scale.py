"""A hundred thousand domains: memory, time to find what is due, start, idling.

The domains are made by load.c with the library's own calls: issued, proven,
their renewals ahead, with real certificates as large as Let's Encrypt's.  The
large node has no HAProxy to push into (three gigabytes of it would be another
benchmark); its table of what to push is full all the same.  Idling is measured
with a real HAProxy, as a leader and as a node that follows.  Ends with 0 also
when a target is missed: it says so.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from figures import cpu_s, in_memory, memory_mib, missed, verdict  # noqa: E402
from harness import BUILD, kill_all, program, temp_dir, wait_for  # noqa: E402
from node import PREFIX, Node  # noqa: E402
from peers import LOOPBACK, RedisServer, World, started  # noqa: E402

FEW = int(os.environ.get("BENCH_SCALE_FEW", "10000"))
MANY = int(os.environ.get("BENCH_SCALE_MANY", "100000"))
IDLE_S = int(os.environ.get("BENCH_SCALE_IDLE_S", "20"))

SYNC_MIB_MAX = 100
REDIS_KB_MAX = 8
CLAIM_RATIO_MAX = 1.5
START_S_MAX = 10
IDLE_PERCENT_MAX = 0.2
LOOP_MS_MAX = 100

DUE = f"{PREFIX}{{p0}}:due"
FEWER = f"{PREFIX}{{p0}}:bench"
DAY_MS = 86400 * 1000


class Memory(RedisServer):
    """A Redis that writes nothing to disk."""

    def start(self):
        self.spawn(program("redis-server"), "--bind", LOOPBACK, "--port",
                   self.port, "--dir", self.dir, "--save", "",
                   "--appendonly", "no", "--daemonize", "no")
        self.wait_ready(self.answers)


def field(redis, section, name):
    return int(redis("INFO", section).split(f"{name}:")[1].split()[0])


def load(node, first, count, due=0):
    made = subprocess.Popen(
        [BUILD / "tests/bench/load", node.conf, str(first), str(count), str(due)],
        stdout=subprocess.PIPE)
    subprocess.run([program("redis-cli"), "-p", str(node.redis.port), "--pipe"],
                   stdin=made.stdout, stdout=subprocess.DEVNULL, check=True)
    if made.wait() != 0:
        raise RuntimeError("load failed")


def claims_us(redis, *keys):
    """Time to find a hundred names that are due, in turns for each key."""
    times = [[] for _ in keys]
    for _ in range(300):
        for key, taken in zip(keys, times):
            began = time.perf_counter()
            names = redis.fcall("certfleet_claim", [key],
                                int(time.time() * 1000), 100, 0)
            taken.append((time.perf_counter() - began) * 1e6)
            if len(names) != 100:
                raise RuntimeError(f"{len(names)} names are due, not 100")
    return [statistics.median(t) for t in times]


def new_node(world, redis, name="n1", haproxy=False, **fleet):
    node = Node(world, name, redis=redis, settings={
        "": {"log_level": "warn"},
        "haproxy": {"poll_ms": 1000} if haproxy else {
            "sockets": [str(world.dir / "nobody.sock")], "http_address": "",
            "https_address": "", "poll_ms": 1000},
        "dns": {"check_interval_ms": 60000},
        "fleet": {"lease_ms": 10000, "renew_ms": 3000, "heartbeat_ms": 5000,
                  "node_ttl_ms": 15000, "reconcile_ms": 30000, **fleet},
    })
    in_memory(node)
    node.write_conf()
    node.sync.prime()
    return node


def held(redis, node):
    beat = redis.hash(f"{PREFIX}node:{node.name}")
    return int(beat.get("wanted", 0))


def start(redis, node):
    """Seconds until sync answers, and until it leads."""
    redis("DEL", f"{PREFIX}leader")
    began = time.monotonic()
    node.sync.start()
    answers = time.monotonic() - began
    wait_for("it to lead", lambda: redis(
        "HGET", f"{PREFIX}leader", "node") == node.name, 60)
    return answers, time.monotonic() - began


def api_ms(node, path):
    times = []
    for _ in range(5):
        began = time.perf_counter()
        code, _ = node.api("GET", path)
        times.append((time.perf_counter() - began) * 1000)
        if code != 200:
            raise RuntimeError(f"{path}: {code}")
    return statistics.median(times)


def slowest_answer_ms(node, path, seconds):
    """How long the loop kept an easy question waiting, at most."""
    worst, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        node.api("GET", path)
        worst = max(worst, (time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    return worst


def large(directory):
    world = World(directory / "w")
    server = started(Memory(directory / "redis"))
    node = new_node(world, server)
    with server.client() as redis:
        library = Path(__file__).parents[2] / "common" / "library.lua"
        redis("FUNCTION", "LOAD", "REPLACE", library.read_text())
        empty = field(redis, "memory", "used_memory")
        load(node, 0, MANY, due=100)
        each = (field(redis, "memory", "used_memory") - empty) / MANY / 1000
        redis("ZRANGESTORE", FEWER, DUE, 0, FEW - 1)
        few, many = claims_us(redis, FEWER, DUE)
        redis("DEL", FEWER)
        print(f"{MANY} domains", flush=True)
        verdict(f"us to find 100 that are due: {FEW}, {MANY} domains",
                f"{few:.0f}, {many:.0f}", many <= few * CLAIM_RATIO_MAX,
                f"within {CLAIM_RATIO_MAX} times")
        verdict("kB of Redis per domain", f"{each:.2f}", each <= REDIS_KB_MAX,
                f"at most {REDIS_KB_MAX}")
        for name in redis.fcall("certfleet_claim", [DUE],
                                int(time.time() * 1000), 100, 0):
            redis("ZADD", DUE, int(time.time() * 1000) + DAY_MS, name)
        answers, leads = start(redis, node)
        verdict("s until an empty node answers, leads",
                f"{answers:.1f}, {leads:.1f}", leads < START_S_MAX,
                f"below {START_S_MAX}")
        watch_large(redis, node)
    node.sync.stop()
    server.stop()
    world.stop()


def watch_large(redis, node):
    began = time.monotonic()
    pid = node.sync.pid
    worst = slowest_answer_ms(node, "/healthz", 10)
    verdict("ms an answer waits while it fetches, at most", f"{worst:.0f}",
            worst <= LOOP_MS_MAX, f"at most {LOOP_MS_MAX}")
    wait_for("all to be held", lambda: held(redis, node) == MANY, 600, 0.5)
    print(f"  holds all after {time.monotonic() - began:.0f} s", flush=True)
    for what, path in (("status", "/api/v1/status"),
                       ("first 100", "/api/v1/domains?limit=100"),
                       ("last 100", f"/api/v1/domains?limit=100&offset={MANY - 100}")):
        print(f"  {what:9} {api_ms(node, path):6.1f} ms", flush=True)
    busy = idle_percent([pid])
    print(f"  processor of the leader, nothing due: {busy[0]:.2f} %")
    now, peak = memory_mib(pid, "VmRSS"), memory_mib(pid, "VmHWM")
    verdict("MiB of sync, leading and holding all (peak)",
            f"{now:.0f} ({peak:.0f})", now < SYNC_MIB_MAX,
            f"below {SYNC_MIB_MAX}")


def idle_percent(pids):
    before = [cpu_s(pid) for pid in pids]
    time.sleep(IDLE_S)
    return [(cpu_s(pid) - was) / IDLE_S * 100 for pid, was in zip(pids, before)]


def idling(directory, count):
    """A leader and a node that follows, each with a HAProxy of its own."""
    world = World(directory / "w")
    server = started(Memory(directory / "redis"))
    # One address each: they have the same ports.
    nodes = [new_node(world, server, "n1", True),
             new_node(world, server, "n2", True, candidate=False)]
    nodes[1].address = "127.0.0.2"
    with server.client() as redis:
        library = Path(__file__).parents[2] / "common" / "library.lua"
        redis("FUNCTION", "LOAD", "REPLACE", library.read_text())
        load(nodes[0], 0, count)
        nodes[1].state_dir.mkdir(exist_ok=True)
        (nodes[1].state_dir / "kek").write_bytes(
            (nodes[0].state_dir / "kek").read_bytes())
        for node in nodes:
            node.start()
        wait_for("all to be served", lambda: all(
            redis.hash(f"{PREFIX}node:{n.name}").get("served") == str(count)
            for n in nodes), 300, 0.5)
        time.sleep(3)
        shares = idle_percent([n.sync.pid for n in nodes])
        print(f"{count} domains, idle for {IDLE_S} s")
        print(f"  {'percent of a processor, leading':44} {shares[0]:>9.2f}")
        verdict("percent of a processor, following", f"{shares[1]:.2f}",
                shares[1] < IDLE_PERCENT_MAX, f"below {IDLE_PERCENT_MAX}")
        if count >= FEW:
            nodes[0].sync.stop()
            answers, leads = start(redis, nodes[0])
            verdict(f"s until a node that holds {count} answers, leads",
                    f"{answers:.1f}, {leads:.1f}", leads < START_S_MAX,
                    f"below {START_S_MAX}")
    for node in nodes:
        node.stop()
    server.stop()
    world.stop()


def main():
    directory = temp_dir()
    try:
        idling(directory / "one", 1)
        idling(directory / "few", FEW)
        large(directory / "many")
    finally:
        kill_all()
        shutil.rmtree(directory, ignore_errors=True)
    print("missed: " + ", ".join(missed) if missed else "all targets met")


if __name__ == "__main__":
    main()
