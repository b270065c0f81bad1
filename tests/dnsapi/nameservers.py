"""The authoritative servers: real ones (Knot DNS), fed by the fakes.

All listen at one port, on addresses of loopback that are their own, so that a
client that is told the port finds them by NS and A records as in the world.
"""

import contextlib
import threading

from harness import Failed, Process, free_port, program, run, wait_for

from . import wire

# Where the servers' own names live.
HOME = "nameservers.test"
HELD = None

_CONF = """\
server:
    rundir: "{dir}/run"
    listen: [ {listen} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: "{dir}/control"
log:
  - target: stderr
    any: info
database:
    storage: "{dir}/db"
    journal-db-mode: asynchronous
template:
  - id: default
    storage: "{dir}/zones"
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
{zones}
"""


class NameServer(Process):
    """One instance.

    lag says how much later than the API it shows a change: in seconds, or HELD
    for not before catch_up().
    """

    def __init__(self, directory, number, address, port, lag=0, v6=False):
        super().__init__(f"knot{number}", directory / f"knot{number}")
        self.host = f"ns{number}.{HOME}"
        self.ip, self.port = address, port
        self.v6 = v6
        self.lag = lag
        self.zones = {}    # what it should show when it has caught up
        self.shown = {}    # what it has
        self.waiting = []  # changes that it will show later
        self.lock = threading.RLock()
        for sub in ("run", "db", "zones"):
            (self.dir / sub).mkdir(parents=True, exist_ok=True)

    @property
    def address(self):
        return (self.ip, self.port)

    def start(self):
        with self.lock:
            self.shown = {}
            for zone in self.zones:
                self.write_zone(zone)
            self.write_conf()
            self.spawn(program("knotd"), "-c", self.dir / "knot.conf")
        self.wait_ready(lambda: self.serves(self.zones), "to serve")

    def serves(self, zones):
        try:
            return all(
                wire.ask(z, "SOA", self.address, timeout=0.5).answer
                for z in zones)
        except OSError:
            return False

    def write_conf(self):
        listen = [f"{self.ip}@{self.port}"]
        if self.v6:
            listen.append(f"::1@{self.port}")
        (self.dir / "knot.conf").write_text(_CONF.format(
            dir=self.dir, listen=", ".join(listen),
            zones="\n".join(f"  - domain: {z}." for z in self.zones)))

    def write_zone(self, zone):
        lines = []
        for (name, kind), (ttl, texts) in self.zones[zone].items():
            lines += [f"{name}. {ttl} {kind} {_absolute(kind, t)}" for t in texts]
        (self.dir / "zones" / f"{zone}.zone").write_text("\n".join(lines) + "\n")
        self.shown[zone] = dict(self.zones[zone])

    def add_zones(self, zones):
        """Serve these, without lag: they were there before the test."""
        with self.lock:
            self.zones.update(zones)
            if not self.running:
                return
            for zone in zones:
                self.write_zone(zone)
            self.write_conf()
            self.control("reload")
        wait_for(f"{self.name} to serve {', '.join(zones)}",
                 lambda: self.serves(zones), explain=self.tail)

    def control(self, *commands):
        """Give knotc's commands, all at once: starting it is what takes time."""
        said = run(program("knotc"), "-s", self.dir / "control",
                   input="\n".join(commands) + "\n").stdout
        if "error:" in said:
            raise Failed(f"{self.name}: {commands}\n{said}")

    def publish(self, zone, sets):
        """Show these sets in zone, when the lag is over."""
        with self.lock:
            if self.lag == 0 and not self.waiting:
                self.show(zone, sets)
                return
            change = (zone, sets)
            self.waiting.append(change)
            if self.lag is not HELD:
                timer = threading.Timer(self.lag, self._due, (change,))
                timer.daemon = True
                timer.start()

    def _due(self, change):
        with self.lock:
            # In the order they were made; those before are due, too.
            while change in self.waiting:
                self.show(*self.waiting.pop(0))

    def catch_up(self):
        """Show everything now."""
        with self.lock:
            while self.waiting:
                self.show(*self.waiting.pop(0))

    def show(self, zone, sets):
        self.zones[zone] = dict(sets)
        if not self.running:
            return
        gone, new = _difference(self.shown[zone], sets)
        if not gone and not new:
            return
        # Not by dynamic updates: Knot lets some of those wait for a second.
        self.control(
            f"zone-begin {zone}",
            *(f"zone-unset {zone} {name}. {kind} {wire.quote(text)}"
              for name, _, kind, text in gone),
            *(f"zone-set {zone} {name}. {ttl} {kind} {wire.quote(text)}"
              for name, ttl, kind, text in new),
            f"zone-commit {zone}")
        self.shown[zone] = dict(sets)

    def ask(self, name, kind, **how):
        return wire.ask(name, kind, self.address, **how)

    def txt(self, name):
        """The values of the TXT records it shows, sorted."""
        return sorted(r.value for r in self.ask(name, "TXT").answer
                      if r.kind == "TXT")


def _absolute(kind, text):
    return text + "." if kind in ("CNAME", "NS", "MX") else text


def _difference(old, new):
    """The records that only one of them has: (name, ttl, type, text)."""
    def records(sets):
        return {(name, ttl, kind, _absolute(kind, text)): None
                for (name, kind), (ttl, texts) in sets.items()
                if kind != "SOA" for text in texts}
    old, new = records(old), records(new)
    return ([r for r in old if r not in new],
            [r for r in new if r not in old])


class NameServers:
    """Servers that have the same zones.  See the package's description."""

    def __init__(self, directory, count=2, lags=(), v6=False):
        self.dir = directory
        self.zones = set()
        for left in reversed(range(5)):
            self.port = free_port()
            self.servers = [
                NameServer(directory, i + 1, f"127.0.0.{i + 2}", self.port,
                           lags[i] if i < len(lags) else 0,
                           v6 and i == count - 1)
                for i in range(count)]
            self.add_zone(HOME, {
                (s.host, kind): (60, (ip,)) for s in self.servers
                for kind, ip in self.addresses_of(s)})
            try:
                for s in self.servers:
                    s.start()
                return
            except Failed as e:
                self.stop()
                if not left or "address already in use" not in str(e).lower():
                    raise

    @staticmethod
    def addresses_of(server):
        yield "A", server.ip
        if server.v6:
            yield "AAAA", "::1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __getitem__(self, i):
        return self.servers[i]

    def stop(self):
        for s in self.servers:
            s.lag = HELD
            s.waiting.clear()
            with contextlib.suppress(Failed):
                s.stop()

    def frame(self, zone):
        """What each zone has at its top: SOA and NS."""
        soa = f"{self.servers[0].host}. admin.{HOME}. 1 3600 600 86400 60"
        return {(zone, "SOA"): (60, (soa,)),
                (zone, "NS"): (60, tuple(s.host for s in self.servers))}

    def add_zone(self, zone, sets=None):
        """Serve a zone, or change what is in it, on all servers at once."""
        self.add_zones({zone: sets or {}})

    def add_zones(self, zones):
        framed = {z: {**self.frame(z), **sets} for z, sets in zones.items()}
        for s in self.servers:
            s.add_zones(framed)
        self.zones.update(zones)

    def publish(self, zone, sets):
        """Change what is in a zone, as the servers' lags are."""
        if zone not in self.zones:
            return self.add_zone(zone, sets)
        for s in self.servers:
            s.publish(zone, {**self.frame(zone), **sets})

    def zone_of(self, name):
        """The longest of the zones that has the name, "" for none."""
        return max((z for z in self.zones
                    if name == z or name.endswith("." + z)),
                   key=len, default="")
