"""A world of tests whose DNS has name servers that providers feed."""

from pathlib import Path

from peers import ChallTestSrv, World, started

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

    def __init__(self, directory, *args, count=2, lags=(), v6=False, **kw):
        self.servers = NameServers(Path(directory), count, lags, v6)
        super().__init__(directory, *args, **kw)

    def start_dns(self):
        challtestsrv = started(ChallTestSrv(self.dir))
        challtestsrv.host = "127.0.0.1"
        return _Dns(self.servers, challtestsrv)

    def stop(self):
        super().stop()
        self.servers.stop()
