"""Requests per second through HAProxy: a challenge by SPOE, and what is near.

constant  HAProxy answers with a fixed text
map       HAProxy looks the token up in a map, as its own ACME client does
SPOE      HAProxy asks certfleet-agent, with the shipped configuration
ordinary  any other request, in a HAProxy with the filter's backend
plain     the same request, in a HAProxy that has never heard of certfleet

Of each the best round counts, as in spop.py.  Ends with 1 when a target is missed.
"""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from harness import answers_tcp, free_port, kill_all, program  # noqa: E402
from harness import run, temp_dir, wait_for  # noqa: E402
from lib_spop import PATH, THUMBPRINT, Agent, HAProxy, Redis  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SECONDS = int(os.environ.get("BENCH_HTTP_SECONDS", "1"))
CLIENTS = 32
TOKENS = 1000
TOKEN = "bench-token-of-the-same-length-%012d"

MAP_MIN = 0.9  # SPOE to map, one connection per request
ORDINARY_MIN = 0.95  # ordinary to plain: no more than noise

missed = []


class Proxy(HAProxy):
    """The frontends to compare, each on a port of its own, one thread."""

    def __init__(self, directory, agent, spoe):
        super().__init__(directory, agent)
        self.name = "spoe" if spoe else "plain"
        self.log = self.dir / f"haproxy-{self.name}.log"
        self.spoe = spoe
        self.ports = {}

    def frontend(self, name, rules):
        self.ports[name] = free_port()
        rules = "".join(f"    {rule}\n" for rule in rules)
        return f"frontend {name}\n    bind 127.0.0.1:{self.ports[name]}\n{rules}"

    def returning(self, text):
        return f"http-request return status 200 content-type text/plain {text}"

    def start(self):
        base = self.dir / self.name
        map_file = base.with_suffix(".map")
        map_file.write_text("".join(
            f"{TOKEN % i} {TOKEN % i}.{THUMBPRINT}\n" for i in range(TOKENS)))
        use = "use_backend certfleet_http01 if { path_beg %s }" % PATH
        other = self.returning('string "ordinary"')
        text = (
            "global\n    maxconn 4000\n    nbthread 1\n"
            "defaults\n    mode http\n    timeout connect 5s\n"
            "    timeout client 60s\n    timeout server 60s\n"
            "backend app\n    " + other + "\n")
        if not self.spoe:
            text += self.frontend("plain", ["default_backend app"])
        else:
            found = self.returning(f'string "{TOKEN % 7}.{THUMBPRINT}"')
            mapped = self.returning(
                f'lf-string "%[path,field(-1,/),map({map_file})]"')
            text += (self.frontend("ordinary", [use, "default_backend app"])
                     + self.frontend("SPOE", [use, "default_backend app"])
                     + self.frontend("constant", [found])
                     + self.frontend("map", [mapped])
                     + self.shipped())
        base.with_suffix(".cfg").write_text(text)
        self.spawn(*self.command, "-db", "-f", base.with_suffix(".cfg"))
        self.wait_ready(lambda: all(answers_tcp("127.0.0.1", p)
                                    for p in self.ports.values()))


def wrk(proxy, name, path, close):
    """Requests per second; every answer must be a 200."""
    out = run(program("wrk"), "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s",
              *(["-H", "Connection: close"] if close else []),
              f"http://127.0.0.1:{proxy.ports[name]}{path}").stdout
    if "Non-2xx" in out:
        missed.append(f"answers of {name}: {out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def compare(spoe, plain, close):
    challenge = PATH + TOKEN % 7
    runs = (("constant", spoe, challenge), ("map", spoe, challenge),
            ("SPOE", spoe, challenge), ("plain", plain, "/"),
            ("ordinary", spoe, "/"))
    rounds = [{name: wrk(proxy, name, path, close)
               for name, proxy, path in runs} for _ in range(ROUNDS)]
    most = {name: max(r[name] for r in rounds) for name, _, _ in runs}
    how = "one connection per request" if close else "keep-alive"
    print(f"{how}, {CLIENTS} clients, best of {ROUNDS} rounds")
    for name, _, _ in runs:
        base = "plain" if name in ("plain", "ordinary") else "map"
        print(f"  {name:9} {most[name]:8.0f}/s  "
              f"{most[name] / most[base]:.2f} of {base}")
    if close and most["SPOE"] < MAP_MIN * most["map"]:
        missed.append(f"SPOE to map, {how}")
    if most["ordinary"] < ORDINARY_MIN * most["plain"]:
        missed.append(f"ordinary requests, {how}")
    sys.stdout.flush()


def main():
    directory = temp_dir()
    redis = Redis(directory)
    agent = Agent(directory, redis, log_level="info")
    spoe = Proxy(directory, agent, True)
    plain = Proxy(directory, agent, False)
    try:
        redis.start()
        agent.start()
        agent.await_redis()
        for i in range(TOKENS):
            redis.put(TOKEN % i)
        spoe.start()
        plain.start()
        wait_for("HAProxy to see the agent", lambda: "200 OK" in run(
            program("curl"), "-si", f"http://127.0.0.1:{spoe.ports['SPOE']}"
            f"{PATH}{TOKEN % 7}").stdout)
        for close in (False, True):
            compare(spoe, plain, close)
    finally:
        kill_all()
    if missed:
        print("missed: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
