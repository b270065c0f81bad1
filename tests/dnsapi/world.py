"""A world of tests whose DNS has name servers that providers feed."""

from pathlib import Path

from harness import free_port
from peers import ChallTestSrv, Pebble, TlsFiles, World, started

from .nameservers import NameServers
from .resolver import Resolver


class _Dns(Resolver):
    """The resolver, and challtestsrv's verbs for names in none of the zones."""

    def __init__(self, servers, challtestsrv):
        self.challtestsrv = challtestsrv
        super().__init__(servers, (challtestsrv.host, challtestsrv.port))

    def __getattr__(self, name):
        return getattr(self.challtestsrv, name)

    def stop(self):
        super().stop()
        self.challtestsrv.stop()


class DnsWorld(World):
    """As World, with .servers, the NameServers; count, lags, v6 are theirs."""

    def __init__(self, directory, http_port=None, count=2, lags=(), v6=False,
                 **pebble):
        self.dir = Path(directory)
        self.tls = TlsFiles(self.dir / "tls")
        self.http_port = http_port or free_port()
        self.https_port = free_port()
        self.servers = NameServers(self.dir, count, lags, v6)
        challtestsrv = started(ChallTestSrv(self.dir))
        challtestsrv.host = "127.0.0.1"
        self.dns = _Dns(self.servers, challtestsrv)
        self.pebble = started(Pebble(
            self.dir, self.tls, self.dns, self.http_port, **pebble))

    def stop(self):
        super().stop()
        self.servers.stop()
