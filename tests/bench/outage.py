"""Challenges while Redis is in trouble: how long an answer from memory takes.

Requests by wrk through HAProxy, with the shipped configuration, for challenges
that the agent has in its memory, while Redis is well, is stopped (SIGSTOP), says
nothing, or trickles byte by byte; and beside it a client that asks for what
nobody knows.  Rounds are interleaved, medians count; what an answer costs the
agent is judged too, as times are this machine's as well.  Ends with 0 also when a
target is missed: it says so.
"""

import os
import re
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from figures import missed, verdict  # noqa: E402
from harness import kill_all, program, run, temp_dir, wait_for  # noqa: E402
from lib_spop import PATH, Agent, HAProxy, Redis  # noqa: E402
from relay import TROUBLES, Relay, trouble  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_HTTP_SECONDS", "2"))
CLIENTS = 8
TOKEN = "bench-token-of-the-same-length-000000000007"
P99_MAX_MS = 5
WELL_MAX = 1.5  # or so many times what it is when all is well

UNITS = {"us": 0.001, "ms": 1, "s": 1000}


class Behind:
    def __init__(self, redis, relay):
        self.socket = relay.socket
        self.listeners = redis.listeners


def cpu_s(process):
    """Seconds that it has worked."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]
    return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def wrk(haproxy, agent):
    """Milliseconds of the half and of all but one of a hundred; microseconds of
    the agent's for each."""
    began = cpu_s(agent)
    out = run(program("wrk"), "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--latency",
              f"http://127.0.0.1:{haproxy.port}{PATH}{TOKEN}").stdout
    if "Non-2xx" in out or "Socket errors" in out:
        missed.append(f"every answer right: {out}")
    found = {share: float(n) * UNITS[unit] for share, n, unit in
             re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", out)}
    answers = int(re.search(r"(\d+) requests in", out)[1])
    return found["50"], found["99"], (cpu_s(agent) - began) * 1e6 / answers


def unknown(haproxy, over):
    """Somebody asks for what only Redis could know."""
    n = 0
    while not over.is_set():
        haproxy.get(f"a-token-that-nobody-has-seen-{n:06d}")
        n += 1
        time.sleep(0.01)


def measured(haproxy, agent, kind, redis, relay):
    if kind == "well":
        return wrk(haproxy, agent)
    with trouble(kind, redis, relay):
        time.sleep(0.3)
        return wrk(haproxy, agent)


def compare(haproxy, agent, redis, relay):
    kinds = ("well", *TROUBLES)
    found = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            found[kind].append(measured(haproxy, agent, kind,
                                        redis, relay))
            time.sleep(2)  # the agent comes back to Redis
    print(f"challenges from memory, {CLIENTS} connections, {ROUNDS} rounds of "
          f"{SECONDS} s, medians")
    _, well, well_us = (statistics.median(e) for e in zip(*found["well"]))
    most = max(P99_MAX_MS, well * WELL_MAX)
    for kind, each in found.items():
        p50, p99, us = (statistics.median(e) for e in zip(*each))
        verdict(f"ms with Redis {kind}, p50, p99", f"{p50:.2f}, {p99:.2f}",
                p99 <= most, f"p99 at most {most:.1f}")
        verdict(f"us of the agent for an answer with Redis {kind}",
                f"{us:.1f}", us <= well_us * WELL_MAX,
                f"at most {WELL_MAX} times what it is when all is well")


def main():
    directory = temp_dir()
    redis = Redis(directory)
    over = threading.Event()
    try:
        redis.start()
        relay = Relay(directory / "relay.sock", redis.socket)
        agent = Agent(directory, Behind(redis, relay), log_level="info")
        haproxy = HAProxy(directory, agent)
        agent.start()
        agent.await_redis()
        redis.put(TOKEN)
        haproxy.start()
        wait_for("HAProxy to see the agent",
                 lambda: haproxy.get(TOKEN)[0] == 200)
        threading.Thread(target=unknown, args=(haproxy, over),
                         daemon=True).start()
        compare(haproxy, agent, redis, relay)
        over.set()
    finally:
        kill_all()
    print("missed: " + ", ".join(missed) if missed else "all targets met")


if __name__ == "__main__":
    main()
