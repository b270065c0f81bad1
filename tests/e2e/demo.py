#!/usr/bin/python3
"""make demo: a domain's way from nothing to a served certificate.

Everything is real and on loopback: DNS, a CA that validates, Redis, HAProxy
with the shipped configuration.  ONCE=1 ends by itself; otherwise it stays, to
be played with, until Ctrl-C.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
from node import Node  # noqa: E402
from peers import World  # noqa: E402

NAME = "shop.test"
SHOW = "status", "reason"

colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
begin = time.monotonic()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if colour else text


def title(text):
    print(f"\n{paint('1;36', '== ' + text)}")


def say(text=""):
    for line in text.splitlines() or [""]:
        print(f"   {line}")


def typed(command):
    print(f"   {paint('1', '$ ' + command)}")


def moment(status, text):
    now = time.monotonic() - begin
    codes = {"in_use": "1;32", "pending_dns": "33", "creating": "34"}
    label = paint(codes.get(status, "1;31"), f"{status:<12}")
    print(f"   {now:6.2f} s  {label} {text}")


def shell(node, *words):
    """Run certfleet as a person would, output and all."""
    typed("certfleet " + " ".join(words))
    result = node.cli(*words)
    say(result.text.rstrip())


def follow(node, until, seconds, seen=[]):
    """Print every change of the domain's status until it is the last one."""

    def there():
        record = node.record(NAME)
        now = [record.get(field, "") for field in SHOW]
        if record and now != seen:
            seen[:] = now
            moment(*now)
        return bool(record) and until(record)

    harness.wait_for(f"{NAME} to go on", there, seconds, 0.02, lambda: (
        f"the record says: {node.record(NAME)}\n" + node.tails()))


def start(directory):
    title("Servers, all on loopback with ports of their own")
    world = World(directory)
    say(f"""\
DNS       pebble-challtestsrv on {world.dns.address}
CA        Pebble, validating for real: {world.pebble.directory}""")
    node = Node(world)
    node.write_conf()
    node.sync.prime()
    node.sync.start()
    say(f"""\
sync      certfleet-sync: orders, stores, pushes; with a Redis of its own
          ({node.redis_socket})""")
    node.agent.start()
    say(f"agent     certfleet-agent: answers challenges, "
        f"127.0.0.1:{node.agent.port}")
    node.haproxy.start()
    say(f"""\
HAProxy   {node.haproxy.info()['Version']}, the shipped configuration:
          http {node.address}:{world.http_port}, https {node.address}:{world.https_port}
logs      {node.dir}/{{sync,agent,haproxy}}.log
          {world.dir}/{{pebble,dns}}.log""")
    return node


def issue(node):
    title(f"{NAME} is added before its DNS is right")
    shell(node, "domains-add", NAME)
    follow(node, lambda r: r["status"] == "pending_dns"
           and "exist" in r.get("reason", ""), 20)
    shell(node, "why", NAME)

    title("Its owner fixes the DNS")
    say(f"{NAME}. A {node.address}")
    node.point_here(NAME)
    follow(node, lambda r: r["status"] == "in_use", 60)

    title("Proof: a client that trusts Pebble's root alone")
    where = f"{NAME}:{node.world.https_port}"
    curl = ["curl", "-sS", "--cacert", str(node.pebble.root), "--resolve",
            f"{where}:{node.address}", f"https://{where}/"]
    typed(" ".join(curl))
    say(harness.run(*curl).stdout.rstrip())
    shown = node.await_served(NAME)
    say(f"""\
issuer    {shown.issuer}
names     {', '.join(shown.names)}
serial    {shown.serial}
valid     {shown.not_before} .. {shown.not_after}""")
    if shown.serial not in node.pebble.issued():
        raise harness.Failed(
            f"Pebble has not issued {shown.serial}: {node.pebble.issued()}")
    shell(node, "domains")
    shell(node, "status")


def invite(node):
    """What to type to go on playing."""
    world = node.world
    title("Go on playing, in another terminal")
    print(f"""\
export PATH={harness.BUILD}:$PATH CERTFLEET_SOCKET={node.api_socket}

certfleet domains-add blog.test            # Pending DNS, until:
curl -d '{{"host":"blog.test.","addresses":["{node.address}"]}}' \\
    http://127.0.0.1:{world.dns.management}/add-a
certfleet why blog.test
certfleet events -f
curl --cacert {node.pebble.root} \\
    --resolve blog.test:{world.https_port}:{node.address} \\
    https://blog.test:{world.https_port}/
redis-cli -s {node.redis_socket} hgetall 'certfleet:{{p0}}:domain:{NAME}'
kill -HUP {os.getpid()}                   # this demo reloads HAProxy
kill -9 {node.haproxy.pid}                     # and starts it anew
tail -f {node.sync.log}
""")


def stay(node):
    """Keep everything running until Ctrl-C."""
    reload_wanted = False

    def on_hup(*_):
        nonlocal reload_wanted
        reload_wanted = True

    signal.signal(signal.SIGHUP, on_hup)
    haproxy = node.haproxy
    while True:
        if not haproxy.running:
            say("HAProxy is gone, starting it")
            haproxy.start()
        if reload_wanted:
            reload_wanted = False
            haproxy.reload()
            say(f"HAProxy reloaded, its pid is {haproxy.pid} now")
        for process in (node.sync, node.agent, node.pebble, node.dns):
            if not process.running:
                raise harness.Failed(f"{process.name} is gone\n{process.tail()}")
        time.sleep(0.2)


def demo(directory):
    node = start(directory)
    issue(node)
    if os.environ.get("ONCE"):
        node.stop()
        node.world.stop()
        title(f"Done in {time.monotonic() - begin:.1f} s")
        return
    invite(node)
    print(paint("1", "Ctrl-C ends everything."))
    stay(node)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = harness.temp_dir()
    keep = False
    try:
        demo(directory)
        return 0
    except KeyboardInterrupt:
        print()
        return 0
    except (harness.Failed, OSError, subprocess.SubprocessError) as e:
        keep = True
        print(f"\n{paint('1;31', 'demo failed')}: {e}", file=sys.stderr)
        print(f"\nAll logs are kept in {directory}", file=sys.stderr)
        return 1
    finally:
        harness.kill_all()
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
