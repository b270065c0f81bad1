"""A fake by hand: python3 tests/dnsapi PROVIDER ZONE...  Ends with Ctrl-C."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnsapi import Fake, NameServers, Resolver  # noqa: E402
from harness import kill_all, temp_dir  # noqa: E402
from peers import TlsFiles  # noqa: E402


def main(name, *zones):
    directory = temp_dir()
    with NameServers(directory) as dns, Resolver(dns) as resolver, \
            Fake(name, {z: [] for z in zones}, dns=dns,
                 tls=TlsFiles(directory / "tls")) as api:
        print(f"base_url  {api.base_url}\nCA        {api.ca}\n"
              f"resolver  {resolver.address}\nservers   "
              + " ".join(f"{s.ip}:{s.port}" for s in dns.servers))
        for variable, value in api.variables.items():
            print(f"{variable}={value}")
        shown = 0
        while True:
            time.sleep(0.2)
            for seen in api.requests[shown:]:
                print(seen, flush=True)
                shown += 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    finally:
        kill_all()
