"""Answers in Boulder's words: clients parse them, so they are word for word."""

import json
import time
from dataclasses import dataclass, field
from email.utils import formatdate

URN = "urn:ietf:params:acme:error:"
DOCS = "https://letsencrypt.org/docs/rate-limits/"

# What a limit is called in the link of its refusal, and its sentence.
LIMITS = {
    "new-registrations-per-ip-address":
        "too many new registrations (10) from this IP address in the last "
        "3h0m0s",
    "new-orders-per-account":
        "too many new orders (300) from this account in the last 3h0m0s",
    "new-certificates-per-registered-domain":
        'too many certificates (50) already issued for "{domain}" in the last '
        "168h0m0s",
    "new-certificates-per-exact-set-of-identifiers":
        "too many certificates (5) already issued for this exact set of "
        "identifiers in the last 168h0m0s",
    "authorization-failures-per-identifier-per-account":
        'too many failed authorizations (5) for "{name}" in the last 1h0m0s',
}


@dataclass
class Answer:
    """What a client is sent.  body: bytes; pace: bytes per second, 0: at once."""

    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""
    pace: float = 0

    def get(self, name):
        """A header's value, or ""."""
        return next((v for k, v in self.headers
                     if k.lower() == name.lower()), "")

    def without(self, *names):
        lower = [n.lower() for n in names]
        self.headers = [(k, v) for k, v in self.headers
                        if k.lower() not in lower]
        return self

    def set(self, name, value):
        self.without(name)
        self.headers.append((name, str(value)))
        return self

    @property
    def json(self):
        return json.loads(self.body)

    def set_json(self, value):
        self.body = json.dumps(value).encode()
        return self


def problem(status, kind, detail, retry=None, form="seconds", **more):
    """A problem document (RFC 7807); form: of Retry-After."""
    answer = Answer(status, [("Content-Type", "application/problem+json")])
    answer.set_json({"type": URN + kind, "detail": detail, "status": status,
                     **more})
    if retry is not None:
        answer.set("Retry-After", retry_after(retry, form))
    return answer


def retry_after(seconds, form):
    """The two forms of RFC 9110 section 10.2.3."""
    if form == "date":
        return formatdate(time.time() + seconds, usegmt=True)
    return str(int(seconds))


def rate_limited(anchor, retry, form="seconds", name="", domain=""):
    until = time.strftime("%Y-%m-%d %H:%M:%S UTC",
                          time.gmtime(time.time() + retry))
    sentence = LIMITS[anchor].format(name=name, domain=domain)
    answer = problem(
        429, "rateLimited",
        f"{sentence}, retry after {until}: see {DOCS}#{anchor}", retry, form)
    return answer.set("Link", f'<{DOCS}>;rel="help"')


def paused(name, url):
    return problem(
        429, "rateLimited",
        "Your account is temporarily prevented from requesting certificates "
        f"for {name} and possibly others. Please visit: {url}")


def caa(name):
    detail = f"CAA record for {name} prevents issuance"
    return problem(
        403, "caa",
        f"Error finalizing order :: Rechecking CAA for \"{name}\"",
        subproblems=[{"type": URN + "caa", "status": 403, "detail": detail,
                      "identifier": {"type": "dns", "value": name}}])
