"""A referee over some nodes: a process of its own, and what we tell it."""

import contextlib
import json
import sys
import time

from harness import ROOT, SLOW, Process, wait_for
from referee.judge import Rules, judge, load


class Referee(Process):
    def __init__(self, world, nodes, directory=None, partitions=1):
        super().__init__("referee", directory or world.dir / "referee")
        self.history = self.dir / "history.jsonl"
        pebble, redis = world.pebble, nodes[0].redis
        self.setup = {
            "root": str(pebble.root),
            "nodes": {n.name: [n.address, world.https_port] for n in nodes},
            "ca": {"log": str(pebble.log), "trust": str(world.tls.ca),
                   "management": f"https://127.0.0.1:{pebble.management}"},
            "redis": {"partitions": partitions,
                      **(redis.referees if redis else
                         {"path": str(nodes[0].redis_socket)})},
            "timeout_s": 5 * SLOW,
        }

    def start(self):
        path = self.dir / "setup.json"
        path.write_text(json.dumps(self.setup, indent=1))
        self.history.touch()
        with open(self.log, "ab"):
            self.env["PYTHONPATH"] = str(ROOT / "tests")
            self.spawn(sys.executable, "-m", "referee", "watch", path,
                       self.history)
        self.wait_ready(lambda: '"ready"' in self.history.read_text())
        return self

    def tell(self, what, **more):
        with open(self.history, "a") as f:
            f.write(json.dumps({"at": time.time(), "what": what, **more}) + "\n")

    def watch(self, *names):
        for name in names:
            self.tell("watch", name=name)

    def leave(self, *names):
        for name in names:
            self.tell("leave", name=name)

    def due(self, *names):
        """A certificate is owed, from now on."""
        for name in names:
            self.tell("due", name=name)

    def uploaded(self, name, pair):
        """Its owner has a certificate from elsewhere; it is as good as ours."""
        self.due(name)
        self.tell("issued", names=[name], sha1=pair.sha1)

    def choice(self, name):
        """Its owner wants another certificate than the newest, once."""
        self.tell("choice", name=name)

    @contextlib.contextmanager
    def away(self, node):
        """Its HAProxy is not expected to answer meanwhile."""
        self.tell("away", node=node.name)
        yield
        self.tell("back", node=node.name)

    def lines(self, what):
        return [line for line in load(self.history) if line["what"] == what]

    def verdict(self, **rules):
        """Let it look a little longer, and end; what it has found."""
        time.sleep(1)
        self.stop()
        lines = load(self.history)
        assert lines[-1]["what"] == "end", self.tail()
        looked = [line for line in lines if line["what"] == "looked"]
        print(f"{self.dir}: {len(lines)} lines, the referee made "
              f"{sum(l['rounds'] for l in looked) / (len(looked) or 1):.1f} "
              "rounds a second and node")
        return judge(lines, Rules(**{"hole_s": 10 * SLOW, "back_s": SLOW,
                                     "takeover_s": 2 * SLOW, **rules}))

    def saw(self, node, name, sha1):
        """Has it seen this certificate there?"""
        return any(line["sha1"] == sha1 for line in self.lines("served")
                   if (line["node"], line["name"]) == (node.name, name))

    def await_seen(self, node, name, sha1, seconds=10):
        wait_for(f"the referee to see {name} at {node.name}",
                 lambda: self.saw(node, name, sha1), seconds, 0.1, node.tails)
