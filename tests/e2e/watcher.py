"""Looks at what is served, all the time, and knows nothing of how it came.

usage: watcher.py ADDRESS PORT ROOT NAMES HISTORY PER_S

Each name of the file NAMES (read again when it changes) gets a TLS handshake by
a client that trusts ROOT alone, round after round, PER_S handshakes a second
(0: as many as can be).  HISTORY is one JSON object per change and per failure:
name, at, and either serial, not_after and the pid of the HAProxy that answered,
or why.
"""

import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "referee"))

from look import answered_by  # noqa: E402

PAUSE_S = 0.2  # after a round
TRIES = 3  # to connect: a reload of HAProxy resets what it had not accepted


def look(name, address, port, context, last):
    """The certificate as the ssl module tells it, and who showed it when it is
    not the last one; or a sentence."""
    why = ""
    for _ in range(TRIES):
        try:
            with socket.create_connection((address, port), timeout=5) as plain:
                with context.wrap_socket(plain, server_hostname=name) as tls:
                    cert = tls.getpeercert()
                    if cert["serialNumber"] == last:
                        return cert, 0, ""
                    pid = answered_by(tls)
                    if pid:
                        return cert, pid, ""
                    why = "nobody is at the other end"
        except ssl.SSLCertVerificationError as e:
            return None, 0, e.verify_message
        except OSError as e:
            why = str(e)
            time.sleep(0.1)
    return None, 0, why


def main(address, port, root, names_file, history, per_s):
    context = ssl.create_default_context(cafile=root)
    pause = 1 / int(per_s) if int(per_s) else 0
    read_at, names, last, rounds, turn = 0, [], {}, 0, 0
    with open(history, "a", buffering=1) as out:
        while True:
            changed = os.stat(names_file).st_mtime_ns
            if changed != read_at:
                read_at = changed
                with open(names_file) as f:
                    names = f.read().split()
            for name in names:
                turn = max(turn + pause, time.monotonic() - 1)
                time.sleep(max(0, turn - time.monotonic()))
                before = last.get(name)
                cert, pid, why = look(name, address, int(port), context, before)
                seen = {"name": name, "at": time.time()}
                if cert:
                    seen["serial"] = cert["serialNumber"]
                    seen["not_after"] = ssl.cert_time_to_seconds(
                        cert["notAfter"])
                    seen["pid"] = pid
                    if before == seen["serial"]:
                        continue
                    last[name] = seen["serial"]
                else:
                    seen["why"] = why
                    last[name] = None
                out.write(json.dumps(seen) + "\n")
            time.sleep(PAUSE_S)
            rounds += 1
            out.write(json.dumps({"rounds": rounds, "at": time.time()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
