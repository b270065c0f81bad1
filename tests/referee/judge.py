"""What must never happen, looked for in a history.

    gap        once a node has served a name it always does, validly
    downgrade  a node, and Redis' index, never go back to an older certificate,
               unless its owner has chosen so
    foreign    nothing is served or indexed that the CA has not issued for it
    double     no more certificates than were due; missing: nor fewer
    limit      no window has more certificates or orders than the CA allows
    late       what the index says is served by every node soon
    blind      the referee looked all the time
"""

import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Rules:
    converge_s: float = 0  # from the index to every node; 0: not judged
    # A new HAProxy may have read its files before the newer one was there; so
    # long may pass until it is told.
    takeover_s: float = 2
    back_s: float = 1  # until a visit, after "back"
    hole_s: float = 10  # between two words of the referee
    complete: bool = True  # all that was due has been issued
    # [what, how many, in how many seconds]; what: domain, set or orders
    limits: list = field(default_factory=list)


def load(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def registered(name):
    return ".".join(name.removeprefix("*.").split(".")[-2:])


def fits(name, certificate):
    parent = "*." + name.partition(".")[2]
    return name in certificate["names"] or parent in certificate["names"]


def before(line):
    """When what was there before this line was last seen."""
    return line.get("before", line["at"])


def outside(start, end, intervals):
    """Is any part of start..end in none of the intervals?"""
    for a, b in sorted(intervals):
        if a <= start < b:
            start = b
    return start < end


class Judge:
    def __init__(self, history, rules):
        self.rules = rules
        self.lines = sorted(history, key=lambda line: line["at"])
        self.began = self.lines[0]["at"] if self.lines else 0
        self.end = self.lines[-1]["at"] if self.lines else 0
        self.found = []
        self.by_what = defaultdict(list)
        for line in self.lines:
            self.by_what[line["what"]].append(line)
        # The CA's list, by fingerprint; it may be read after it was served.
        self.issued = {c["sha1"]: {**c, "rank": i}
                       for i, c in enumerate(self.by_what["issued"])}
        self.nodes = sorted({line["node"] for line in self.lines
                             if "node" in line})
        self.lost = [line["at"] for line in self.by_what["lost"]]
        self.seen = self.visits()
        self.index = defaultdict(list)
        for line in self.by_what["index"]:
            self.index[line["name"]].append(line)

    def says(self, what, at, text):
        self.found.append(f"{what}: {at - self.began:.1f} s: {text}")

    # --- the history in another order ------------------------------------

    def visits(self):
        """(node, name): what was seen, in order; "left" when nobody looks."""
        seen = defaultdict(list)
        for line in self.lines:
            if line["what"] in ("served", "bad", "silent"):
                seen[line["node"], line["name"]].append(line)
            elif line["what"] == "leave":
                for node in self.nodes:
                    seen[node, line["name"]].append(line)
        return seen

    def away(self, node):
        since, spans = None, []
        for line in self.lines:
            if line.get("node") != node:
                continue
            if line["what"] == "away":
                since = since or line["at"]
            elif line["what"] == "back" and since:
                spans.append((since, line["at"] + self.rules.back_s))
                since = None
        return spans + ([(since, self.end + 1)] if since else [])

    def rank(self, sha1):
        return self.issued[sha1]["rank"] if sha1 in self.issued else -1

    # --- the rules -------------------------------------------------------

    def gaps(self):
        away = {node: self.away(node) for node in self.nodes}
        for (node, name), lines in self.seen.items():
            served = False
            ends = [line["at"] for line in lines[1:]] + [self.end]
            for line, end in zip(lines, ends):
                where = f"{name} at {node}: {line.get('why')}"
                if line["what"] == "served":
                    served = True
                elif served and line["what"] == "bad":
                    self.says("gap", line["at"], f"{where}, shown is "
                              f"{line.get('sha1')} for {end - line['at']:.1f} s")
                elif served and line["what"] == "silent" and outside(
                        line["at"], end, away[node]):
                    self.says("gap", line["at"],
                              f"{where} for {end - line['at']:.1f} s")

    def foreign(self):
        shown = [line for line in self.by_what["served"] + self.by_what["index"]]
        for line in shown:
            certificate = self.issued.get(line["sha1"])
            where = f"{line['name']} at {line.get('node', 'the index')}"
            if certificate is None:
                self.says("foreign", line["at"],
                          f"{where}: the CA knows nothing of {line['sha1']}")
            elif not fits(line["name"], certificate):
                self.says("foreign", line["at"],
                          f"{where}: {line['sha1']} is for "
                          f"{certificate['names']}")

    def commanded(self, name, older, newer):
        """Does the index say the older one after the newer one?"""
        said = [line["sha1"] for line in self.index[name]]
        return newer in said and older in said[said.index(newer):]

    def downgrades(self):
        for (node, name), lines in self.seen.items():
            # Foreign ones have no place in the order, and are told elsewhere.
            served = [line for line in lines if line["what"] == "served"
                      and line["sha1"] in self.issued
                      and fits(name, self.issued[line["sha1"]])]
            best, best_of = None, {}
            for i, line in enumerate(served):
                rank, pid = self.rank(line["sha1"]), line.get("pid", 0)
                if best is None or rank >= self.rank(best["sha1"]):
                    best = line
                elif not self.commanded(name, line["sha1"], best["sha1"]):
                    self.older(served[i:], best, best_of.get(pid, -1))
                best_of[pid] = max(rank, best_of.get(pid, -1))

    def older(self, lines, best, best_of_process):
        line, rank = lines[0], self.rank(best["sha1"])
        until = next((before(l) for l in lines
                      if self.rank(l["sha1"]) >= rank), None)
        where = f"{line['name']} at {line['node']}"
        if self.rank(line["sha1"]) < best_of_process:
            self.says("downgrade", line["at"], f"{where}: process {line['pid']} "
                      f"has shown {best['sha1']}, and then {line['sha1']}")
        elif until is None and self.end - line["at"] > self.rules.takeover_s:
            self.says("downgrade", line["at"], f"{where}: {line['sha1']} came "
                      f"after {best['sha1']}, and stayed")
        elif until and until - line["at"] > self.rules.takeover_s:
            self.says("downgrade", line["at"], f"{where}: {line['sha1']} came "
                      f"after {best['sha1']}, for {until - line['at']:.1f} s")

    def wanted(self, name, line, choices):
        """Whoever says that it is an owner's choice must be believed once."""
        told = [at for at in choices[name] if at <= line["at"]]
        if line.get("chosen") and told:
            choices[name].remove(told[0])
            return True
        return False

    def index_goes_back(self):
        choices = defaultdict(list)
        for line in self.by_what["choice"]:
            choices[line["name"]].append(line["at"])
        for name, lines in self.index.items():
            for old, new in zip(lines, lines[1:]):
                if any(old["at"] < at <= new["at"] for at in self.lost):
                    continue
                if new["version"] < old["version"]:
                    self.says("downgrade", new["at"],
                              f"{name} in the index: version {new['version']} "
                              f"after {old['version']}")
                elif -1 < self.rank(new["sha1"]) < self.rank(old["sha1"]) \
                        and not self.wanted(name, new, choices):
                    self.says("downgrade", new["at"],
                              f"{name} in the index: {new['sha1']} after "
                              f"{old['sha1']}")
        removed = {line["name"] for line in self.by_what["removed"]}
        for line in self.by_what["unindexed"]:
            if line["name"] not in removed and \
                    not any(at <= line["at"] for at in self.lost):
                self.says("downgrade", line["at"],
                          f"{line['name']} is no longer in the index")

    def doubles(self):
        due, issued = defaultdict(int), defaultdict(int)
        for line in self.lines:
            if line["what"] == "due":
                due[line["name"]] += line.get("n", 1)
            elif line["what"] == "issued":
                for name in line["names"]:
                    issued[name] += 1
                    if issued[name] > due[name]:
                        self.says("double", line["at"],
                                  f"{name}: certificate {issued[name]}, and "
                                  f"{due[name]} were due")
        for name in due:
            if self.rules.complete and issued[name] < due[name]:
                self.says("missing", self.end, f"{name}: {due[name]} were due, "
                          f"{issued[name]} are issued")

    def spends(self, what):
        """key: the moments that count."""
        spent = defaultdict(list)
        if what == "orders":
            before = 0
            for line in self.by_what["orders"]:
                spent[""] += [line["at"]] * (line["n"] - before)
                before = line["n"]
            return spent
        for line in self.by_what["issued"]:
            keys = {registered(n) for n in line["names"]} \
                if what == "domain" else {" ".join(sorted(line["names"]))}
            for key in keys:
                spent[key].append(line["at"])
        return spent

    def limits(self):
        for what, most, window in self.rules.limits:
            for key, times in self.spends(what).items():
                for i, at in enumerate(times):
                    n = i + 1 - bisect_right(times, at - window)
                    if n > most:
                        self.says("limit", at, f"{what} {key}: {n} in "
                                  f"{window:g} s, {most} are allowed")
                        break

    def late(self):
        away = {node: self.away(node) for node in self.nodes}
        for name, lines in self.index.items():
            ends = [line["at"] for line in lines[1:]] + [self.end]
            for line, end in zip(lines, ends):
                for node in self.nodes if self.rules.converge_s else ():
                    self.late_at(node, name, line, end, away[node])

    def late_at(self, node, name, line, end, away):
        seen = self.seen.get((node, name), [])
        since = line["at"]
        for a, b in away:
            if a <= since + self.rules.converge_s and since < b:
                since = b
        until = since + self.rules.converge_s
        left = [s["at"] for s in seen if s["what"] == "leave"]
        if until > end or any(line["at"] < at <= until for at in left):
            return
        early = [s for s in seen if s["at"] <= until]
        after = [s for s in seen if s["at"] > until]
        if not early or early[-1]["what"] == "leave":
            return  # nobody looked
        if after and before(after[0]) < until:
            return  # it has changed since, and that may have been in time
        if early[-1].get("sha1") != line["sha1"]:
            when = next((s["at"] for s in after
                         if s.get("sha1") == line["sha1"]), None)
            took = f"after {when - since:.1f} s" if when else "never"
            self.says("late", until, f"{name} at {node}: {line['sha1']} is in "
                      f"the index, it is served {took}")

    def blind(self):
        ready = [line["at"] for line in self.by_what["ready"]]
        for node in self.nodes if ready else ():
            looked = [line["at"] for line in self.by_what["looked"]
                      if line["node"] == node]
            for a, b in zip([ready[0]] + looked, looked + [self.end]):
                if b - a > self.rules.hole_s:
                    self.says("blind", a,
                              f"nobody looked at {node} for {b - a:.1f} s")
        if not ready:
            self.says("blind", self.began, "the referee was not there")

    def judge(self):
        for rule in (self.gaps, self.foreign, self.downgrades,
                     self.index_goes_back, self.doubles, self.limits,
                     self.late, self.blind):
            rule()
        return self.found


def judge(history, rules=None):
    """Every violation, as a sentence that begins with its kind."""
    return Judge(history, rules or Rules()).judge()
