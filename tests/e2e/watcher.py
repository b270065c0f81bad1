"""Looks at what is served, all the time, and knows nothing of how it came.

usage: watcher.py ADDRESS PORT ROOT NAMES HISTORY

Each name of the file NAMES (read again when it changes) gets a TLS handshake by
a client that trusts ROOT alone, round after round.  HISTORY is one JSON object
per change and per failure: name, at, and serial and not_after or why.
"""

import json
import os
import socket
import ssl
import sys
import time

PAUSE_S = 0.2  # after a round
TRIES = 3  # to connect: a reload of HAProxy resets what it had not accepted


def look(name, address, port, context):
    """The certificate as the ssl module tells it, or a sentence."""
    why = ""
    for _ in range(TRIES):
        try:
            with socket.create_connection((address, port), timeout=5) as plain:
                with context.wrap_socket(plain, server_hostname=name) as tls:
                    return tls.getpeercert(), ""
        except ssl.SSLCertVerificationError as e:
            return None, e.verify_message
        except OSError as e:
            why = str(e)
            time.sleep(0.1)
    return None, why


def main(address, port, root, names_file, history):
    context = ssl.create_default_context(cafile=root)
    read_at, names, last, rounds = 0, [], {}, 0
    with open(history, "a", buffering=1) as out:
        while True:
            changed = os.stat(names_file).st_mtime_ns
            if changed != read_at:
                read_at = changed
                with open(names_file) as f:
                    names = f.read().split()
            for name in names:
                cert, why = look(name, address, int(port), context)
                seen = {"name": name, "at": time.time()}
                if cert:
                    seen["serial"] = cert["serialNumber"]
                    seen["not_after"] = ssl.cert_time_to_seconds(
                        cert["notAfter"])
                    if last.get(name) == seen["serial"]:
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
