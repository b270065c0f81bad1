"""Our providers, driven as certfleet drives them: they say what to send."""

import http.client
import json
import ssl
import subprocess
import time
import urllib.parse

from harness import Failed, built, environment

VERIFY, FIND, CREATE, REMOVE = range(4)
AGAIN, LIMITED, REFUSED, CONFIG, BUG = range(1, 6)
_TRIES = 6


class Refused(Exception):
    """What an operation failed with: .kind, .retry_ms and the sentence."""

    def __init__(self, answer):
        super().__init__(answer["text"])
        self.kind, self.retry_ms = answer["kind"], answer["retry_ms"]


class Ours:
    """A provider of ours with the variables of an app, at a fake.

    once() does an operation; create(), remove(), find() and verify() repeat
    it while that is the cure.  Waits are cut short by hurry.
    """

    def __init__(self, api, hurry=0.1, **changed):
        self.hurry = hurry
        self.tls = ssl.create_default_context(cafile=api.ca)
        self.waits = []
        self.journal = {}  # what create() has found, for remove()
        self.said = []  # sentences of failures that were tried again
        self.process = subprocess.Popen(
            [built("tests/dnsapi/ask")], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment())
        self.tell({"variables": {**api.variables, **changed},
                   "base_url": api.base_url})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait(10) != 0:
            raise Failed(f"ask ended with {self.process.returncode}")

    def tell(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed("ask has ended")
        return json.loads(line)

    def send(self, asked):
        """Send what the provider asks; a reply as the provider takes it."""
        self.waits.append(asked["wait_ms"])
        time.sleep(asked["wait_ms"] / 1000 * self.hurry)
        url = urllib.parse.urlsplit(asked["url"])
        connection = http.client.HTTPSConnection(
            url.hostname, url.port, timeout=5, context=self.tls)
        headers = dict(h.split(": ", 1) for h in asked["headers"])
        headers.setdefault("User-Agent", "certfleet")
        target = url.path + ("?" + url.query if url.query else "")
        try:
            connection.request(asked["method"], target,
                               asked["body"].encode(), headers)
            answer = connection.getresponse()
            wait = answer.headers.get("Retry-After", "0")
            return {"status": answer.status, "body": answer.read().decode(),
                    "retry_ms": int(1000 * float(wait))}
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def once(self, op, fqdn, value="", soa="", found=None):
        """Do it; a Refused, or what it has found."""
        self.tell({**(found or {}), "op": op, "fqdn": fqdn, "value": value,
                   "soa": soa})
        while True:
            said = self.hear()
            if "done" in said:
                return said
            if "kind" in said:
                raise Refused(said)
            # No reply is told as one that means nothing: it is as unclear.
            self.tell(self.send(said) or {"status": 502, "body": ""})

    def repeated(self, op, *args):
        for left in reversed(range(_TRIES)):
            try:
                return self.once(op, *args)
            except Refused as e:
                if not left or e.kind not in (AGAIN, LIMITED):
                    raise
                self.said.append(str(e))
                time.sleep(min(max(e.retry_ms, 200) / 1000 * self.hurry, 0.5))

    def verify(self, fqdn="x.test"):
        return self.repeated(VERIFY, fqdn)

    def find(self, fqdn, soa=""):
        return self.repeated(FIND, fqdn, "", soa)

    def create(self, fqdn, value, soa=""):
        found = self.repeated(CREATE, fqdn, value, soa, self.find(fqdn, soa))
        self.journal[fqdn, value] = found
        return found

    def remove(self, fqdn, value, soa=""):
        """By what the journal has; without that, the zone is looked for."""
        found = self.journal.pop((fqdn, value), None) or self.find(fqdn, soa)
        return self.repeated(REMOVE, fqdn, value, soa, found)
