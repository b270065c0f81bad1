"""Certificates into HAProxy: by push, beside HAProxy's own start with them.

start    HAProxy comes up with that many certificates in its crt-list
fill     the same certificates by the runtime API, into an empty HAProxy
replace  all of them again, renewed
compare  seeing that HAProxy already has them
single   from push_want() to a handshake that shows the new certificate

Ratios are taken within a round and their median counts, since a shared machine
is never quiet.  Ends with 1 when a target is missed.
"""

import os
import shutil
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from harness import BUILD, program, run, temp_dir  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MANY = int(os.environ.get("BENCH_PUSH_MANY", "10000"))

FILL_MAX = 1.3  # fill to start
SINGLE_MAX_MS = 10  # half of all renewals are faster

missed = []


def measure(n):
    directory = temp_dir()
    try:
        text = run(BUILD / "tests/bench/push", directory, str(n), seconds=600,
                   env={**os.environ, "HAPROXY": program("haproxy")}).stdout
    finally:
        shutil.rmtree(directory)
    return {k: float(v) for k, v in (line.split() for line in
                                     text.splitlines())}


def median(rounds, what):
    return statistics.median(what(r) for r in rounds)


def report(n, rounds):
    ratio = median(rounds, lambda r: r["fill_s"] / r["start_s"])
    single = median(rounds, lambda r: r["single_ms_p50"])
    print(f"{n} certificates, {len(rounds)} round(s), medians")
    for name in ("start", "fill", "replace", "compare"):
        seconds = median(rounds, lambda r: r[name + "_s"])
        print(f"  {name:8} {seconds:7.2f} s  {n / seconds:8.0f} per second")
    print(f"  fill to start       {ratio:5.2f}  (at most {FILL_MAX})")
    print("  processor time per certificate: "
          f"HAProxy {median(rounds, lambda r: r['fill_haproxy_cpu_us']):.0f}"
          f" us (at start {median(rounds, lambda r: r['start_cpu_us']):.0f}), "
          f"ours {median(rounds, lambda r: r['fill_cpu_us']):.0f} us")
    print(f"  single renewal served  p50 {single:.1f} ms, "
          f"p95 {median(rounds, lambda r: r['single_ms_p95']):.1f}, "
          f"max {max(r['single_ms_max'] for r in rounds):.1f}  "
          f"(p50 at most {SINGLE_MAX_MS})", flush=True)
    if ratio > FILL_MAX:
        missed.append(f"filling with {n}")
    if single > SINGLE_MAX_MS:
        missed.append(f"a single renewal among {n}")


def main():
    report(1000, [measure(1000) for _ in range(ROUNDS)])
    report(MANY, [measure(MANY)])
    if missed:
        print("missed: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
