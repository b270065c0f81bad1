"""Looks at everything at once, and writes down what changes."""

import json
import signal
import threading
import time

from referee.look import Visitor
from referee.sources import Index, Pebble

EVERY_S = 0.1


class History:
    """The file that both sides append to, and what the other side said."""

    def __init__(self, path):
        self.out = open(path, "a", buffering=1)
        self.inp = open(path)
        self.rest = ""
        self.lock = threading.Lock()

    def write(self, seen):
        with self.lock:
            self.out.write(json.dumps({"at": time.time(), **seen}) + "\n")

    def read(self):
        """Whole lines since the last call."""
        self.rest += self.inp.read()
        *lines, self.rest = self.rest.split("\n")
        return [json.loads(line) for line in lines if line]


class Watch:
    def __init__(self, setup, path):
        self.history = History(path)
        self.names = []
        self.over = threading.Event()
        self.every = setup.get("every_s", EVERY_S)
        self.threads = [
            threading.Thread(target=self.visit, daemon=True, args=(
                node, Visitor(address, port, setup["root"],
                              setup.get("timeout_s", 5))))
            for node, (address, port) in setup["nodes"].items()]
        for kind, source in (("ca", Pebble), ("redis", Index)):
            if kind in setup:
                self.threads.append(threading.Thread(
                    target=self.ask, args=(source(**setup[kind]),),
                    daemon=True))

    def ask(self, source):
        while not self.over.wait(self.every):
            try:
                for seen in source.look():
                    self.history.write(seen)
            except OSError:
                pass  # away; what it has to say it says later

    def visit(self, node, visitor):
        """Round after round; a change of what is seen is worth a line."""
        last, rounds, told = {}, 0, time.monotonic()
        while not self.over.is_set():
            began = time.monotonic()
            for name in self.names:
                before = last.get(name, {})
                at = time.time()
                seen = visitor.visit(name, before.get("sha1", ""))
                if (seen["what"], seen.get("sha1")) != \
                        (before.get("what"), before.get("sha1")):
                    last[name] = seen
                    self.history.write({
                        "node": node, "name": name, **seen,
                        "before": before.get("looked", at)})
                last[name]["looked"] = at
            last = {n: s for n, s in last.items() if n in self.names}
            rounds += 1
            if time.monotonic() - told >= 1:
                self.history.write({"what": "looked", "node": node,
                                    "rounds": rounds, "names": len(self.names)})
                told, rounds = time.monotonic(), 0
            self.over.wait(max(0, began + self.every - time.monotonic()))

    def told(self):
        for line in self.history.read():
            name = line.get("name")
            if line["what"] == "watch" and name not in self.names:
                self.names = self.names + [name]
            elif line["what"] == "leave":
                self.names = [n for n in self.names if n != name]

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.over.set())
        self.told()
        for thread in self.threads:
            thread.start()
        self.history.write({"what": "ready"})
        while not self.over.wait(0.02):
            self.told()
        for thread in self.threads:
            thread.join(10)
        self.history.write({"what": "end"})
