"""A CA that misbehaves on demand, and a referee that counts like Boulder.

An HTTPS proxy in front of Pebble: Pebble issues for real, and never limits,
pauses, delays, loses a reply or changes its mind; this does, when a rule says
so, and writes down what was really asked and issued.

	ca = FakeCA(pebble, tls, directory)         # ca.directory is for clients
	ca.on("newOrder", faults.rate_limited("new-orders-per-account", retry=3),
	      name="shop.test", times=1)
	...
	assert ca.referee.violations() == []

server.py    connections, and the way to Pebble
exchange.py  one request: what it is, whom it is for, what is answered
faults.py    what can go wrong: each an action for a rule
boulder.py   the words that Boulder uses
forge.py     certificates that nobody should accept
ari.py       renewal windows (RFC 9773)
referee.py   what was asked and issued, and whether a CA would have minded
der.py       as much of X.509 as all that needs
"""

from fakeca.referee import Limits, Referee
from fakeca.server import FakeCA

__all__ = ["FakeCA", "Limits", "Referee"]
