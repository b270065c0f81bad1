"""The API with a hundred thousand domains: pages, one domain, adding one.

Each is asked by one client over a kept connection of the admin socket, first
with nothing else to do and then while as many orders run as are allowed, and
stands beside what Redis alone takes for the same records: read by the same
client, or written with the same function.  The domains are made by load.c; the
leader has no HAProxy to fill (see scale.py), one beside it answers the CA.
There is no target but that orders go on; it fails when they do not.
"""

import http.client
import json
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from fakeca import FakeCA  # noqa: E402
from figures import cpu_s, memory_mib  # noqa: E402
from harness import Failed, kill_all, temp_dir, wait_for  # noqa: E402
from node import PREFIX, Node  # noqa: E402
from peers import World, started  # noqa: E402
from scale import Memory, held, load, new_node  # noqa: E402

MANY = int(os.environ.get("BENCH_API_DOMAINS", "100000"))
ORDERS = int(os.environ.get("BENCH_API_ORDERS", "32"))
SECONDS = float(os.environ.get("BENCH_API_SECONDS", "4"))
WAITING = 8000  # names of four apps that want a certificate meanwhile
LIBRARY = Path(__file__).parents[2] / "common" / "library.lua"


class Client:
    """One kept connection to the admin API."""

    def __init__(self, node):
        self.link = http.client.HTTPConnection("localhost", timeout=60)
        self.link.sock = socket.socket(socket.AF_UNIX)
        self.link.sock.connect(str(node.api_socket))

    def __call__(self, method, path, body=None, status=200):
        self.link.request(method, path, body and json.dumps(body).encode(),
                          {"Content-Type": "application/json"} if body else {})
        reply = self.link.getresponse()
        text = reply.read()
        if reply.status != status:
            raise RuntimeError(f"{method} {path}: {reply.status} {text[:200]}")
        return text

    def add(self, app, name):
        self("POST", f"/v1/apps/{app}/domains", {"domain": {"name": name}}, 201)


def times_ms(call):
    """What each of the calls took that fit into SECONDS, sorted."""
    times, end = [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        call(len(times))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def at(times, share):
    return times[min(len(times) - 1, int(len(times) * share))]


def questions(client, redis, prefix):
    """What is asked, and the same of Redis alone."""
    record = f"{PREFIX}{{p0}}:domain:d%d.example.com"

    def page(offset):
        return lambda i: client(
            "GET", f"/api/v1/domains?limit=100&offset={offset}")

    def records(i):
        names = redis("ZRANGE", f"{PREFIX}{{p0}}:names", 0, 99)
        for name in names:
            redis("HGETALL", f"{PREFIX}{{p0}}:domain:{name}")

    def one(i):
        client("GET", f"/api/v1/domains/d{i * 7919 % MANY}.example.com")

    def app(i):
        client("GET", f"/v1/apps/app-{i % 500}/domains")

    def add(i):  # its DNS points nowhere: there is no order for it
        client.add("added", f"{prefix}{i}.nowhere.test")

    return [
        ("first 100 domains", page(0), records),
        ("last 100 domains", page(MANY - 100), None),
        ("an app's 200 domains", app, None),
        ("one domain with its timeline", one,
         lambda i: redis("HGETALL", record % (i * 7919 % MANY))),
        ("add", add, None),
    ]


def measured(client, redis, prefix):
    return {what: (times_ms(ask), beside and times_ms(beside))
            for what, ask, beside in questions(client, redis, prefix)}


def tell(quiet, busy):
    print(f"  {'ms, p50 and p99':30} {'quiet':>14} {f'{ORDERS} orders':>16}"
          f" {'Redis alone':>14}")
    for what, (idle, beside) in quiet.items():
        under = busy[what][0]
        alone = (f"{at(beside, .5):6.2f} {at(beside, .99):7.2f}"
                 if beside else "")
        print(f"  {what:30} {at(idle, .5):6.2f} {at(idle, .99):7.2f} "
              f"{at(under, .5):8.2f} {at(under, .99):7.2f} {alone:>14}",
              flush=True)


class Orders:
    """Names that get certificates while there is something to measure."""

    def __init__(self, node, redis):
        self.node, self.redis = node, redis
        client = Client(node)
        self.before = self.issued()
        self.began = time.monotonic()
        for i in range(WAITING):
            client.add(f"orders-{i % 4}", f"o{i}.test")

    def issued(self):
        return int(self.redis("GET", f"{PREFIX}{{p0}}:gen") or 0)

    def running(self):
        return len(self.redis("KEYS", f"{PREFIX}{{p0}}:order:*"))

    def still_move(self):
        """Names are left, and one more is issued now."""
        so_far = self.issued()
        if so_far - self.before >= WAITING:
            raise Failed(f"{WAITING} names were too few: all have theirs")
        try:
            wait_for("one more", lambda: self.issued() > so_far, 15)
        except Failed:
            raise Failed(f"orders stand still\n{self.node.tails()}") from None

    def figures(self):
        made = self.issued() - self.before
        return made, made / (time.monotonic() - self.began)


def bench(directory):
    world = World(directory / "w", nonce_reject=0, authz_reuse=0)
    # Pebble locks itself up when it is asked several things at the same time.
    ca = FakeCA(world.pebble, world.tls, world.dir)
    for i in range(WAITING):
        world.dns.add_a(f"o{i}.test", "127.0.0.1")
    server = started(Memory(directory / "redis"))
    node = new_node(world, server)
    node.settings["acme"] = {"directory": ca.directory, "max_in_flight": ORDERS}
    node.settings["limits"] = {"orders_per_account": 1000000}
    node.write_conf()
    front = Node(world, "front", redis=server)
    front.write_conf()
    front.sync.prime()
    front.agent.start()
    front.haproxy.start()
    with server.client() as redis:
        redis("FUNCTION", "LOAD", "REPLACE", LIBRARY.read_text())
        load(node, 0, MANY)
        node.sync.start()
        wait_for("all to be held", lambda: held(redis, node) == MANY, 600, 0.5)
        pid = node.sync.pid
        print(f"{MANY} domains, one client", flush=True)
        quiet = measured(Client(node), redis, "q")
        orders = Orders(node, redis)
        wait_for("orders to run", lambda: orders.running() >= ORDERS, 60, 0.05,
                 lambda: f"{orders.running()} run, {orders.issued()}")
        cpu, began = cpu_s(pid), time.monotonic()
        busy = measured(Client(node), redis, "b")  # it was silent for long
        share = (cpu_s(pid) - cpu) / (time.monotonic() - began) * 100
        made, rate = orders.figures()
        orders.still_move()
        tell(quiet, busy)
        print(f"  {made} certificates meanwhile, {rate:.0f} a second; "
              f"sync {memory_mib(pid, 'VmRSS'):.0f} MiB, {share:.0f} % of a "
              f"processor")
    for process in (node.sync, front.agent, front.haproxy):
        process.stop()
    server.stop()
    ca.stop()
    world.stop()


def main():
    directory = temp_dir()
    try:
        bench(directory)
    finally:
        kill_all()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
