"""What can go wrong at a CA.  Each function makes an action for FakeCA.on().

An action gets the exchange and returns what the client is sent; None: the
connection is closed without a word.
"""

import json
import threading
import time

from fakeca import boulder
from fakeca.boulder import Answer, problem

# --- refusals --------------------------------------------------------------


def rate_limited(anchor, retry, form="seconds"):
    """429 as Boulder says it, for the bucket that the anchor names."""

    def action(x):
        name = x.names[0] if x.names else ""
        domain = x.ca.referee.registered_domain(name)
        x.ca.referee.tell({
            "new-orders-per-account": x.account,
            "new-certificates-per-registered-domain": domain,
        }.get(anchor, name), retry)
        return x.own(boulder.rate_limited(anchor, retry, form, name, domain))

    return action


def paused(url):
    return lambda x: x.own(boulder.paused(x.names[0], url))


def server_error(retry=60):
    """Boulder's 500."""
    return lambda x: x.own(problem(
        500, "serverInternal", "Error creating new order", retry))


def unavailable(retry=None):
    """503 of the load balancer: HTML, no nonce."""

    def action(_):
        answer = Answer(503, [("Content-Type", "text/html")],
                        b"<html><h1>503 Service Temporarily Unavailable</h1>")
        return answer if retry is None else answer.set("Retry-After", retry)

    return action


def refused(status, kind, detail, retry=None):
    """Any other problem document."""
    return lambda x: x.own(problem(status, kind, detail, retry))


def bad_nonce():
    return lambda x: x.own(problem(
        400, "badNonce", "JWS has an invalid anti-replay nonce"))


def already_replaced(status=409, kind="alreadyReplaced"):
    """Of a newOrder that says `replaces`; others are served."""

    def action(x):
        certid = x.payload.get("replaces")
        if not certid:
            return x.forward()
        return x.own(problem(
            status, kind, f"Cannot indicate an order replaces certificate "
            f"{certid}, which already has a replacement order"))

    return action


def caa_at_finalize():
    """CAA forbids it by now; the order stays as it was (403)."""
    return lambda x: x.forward() if x.ca.has_issued(x.order) else \
        x.own(boulder.caa(x.names[0]))


# --- orders that take long or fail -----------------------------------------


def validation_failed(detail, kind="connection", status=400):
    """For a challenge: it looks, and the authorization becomes invalid."""

    def action(x):
        error = {"type": boulder.URN + kind, "detail": detail,
                 "status": status}
        ca = x.ca
        order = ca.order_now(x.order)
        with ca.lock:
            for url in order["authorizations"]:
                ca.dead_authzs["/" + url.split("/", 3)[3]] = error
            challenge = dict(ca.challenges[x.path], status="processing")
        ca.bury(x.order, {**error, "detail": "authorization failed"})
        ca.referee.failed(x.account, x.names[0])
        return x.json_answer(200, challenge)

    return action


def secondary_validation():
    return validation_failed(
        "During secondary validation: 192.0.2.1: Fetching http://shop.test/"
        ".well-known/acme-challenge/x: Timeout during connect (likely firewall "
        "problem)")


def order_invalid(detail, kind="serverInternal"):
    """Finalize is accepted, and nothing good comes of it."""

    def action(x):
        if x.ca.has_issued(x.order):
            return x.forward()
        x.ca.bury(x.order, {"type": boulder.URN + kind, "detail": detail})
        return x.json_answer(
            200, {**x.ca.order_now(x.order), "status": "processing"})

    return action


def processing(seconds):
    """For finalize: the certificate is ready after so many seconds."""

    def action(x):
        x.ca.busy[x.order] = time.time() + seconds
        return x.forward()

    return action


# --- replies that do not arrive as they should -----------------------------


def lost():
    """The CA has done it; nobody hears of it."""

    def action(x):
        x.forward()

    return action


def then(action, more):
    """action, and when the client has its answer: more(x)."""

    def both(x):
        threading.Timer(0.05, more, (x,)).start()
        return action(x)

    return both


def hang(seconds):
    """Nothing for so long, then the connection is closed; nothing was done."""

    def action(x):
        x.ca.stopping.wait(seconds)

    return action


def slow(seconds):
    """The right answer, that much later."""

    def action(x):
        x.ca.stopping.wait(seconds)
        return x.forward()

    return action


def trickle(bytes_per_s):
    def action(x):
        answer = x.forward()
        answer.pace = bytes_per_s
        return answer

    return action


def changed(change):
    """The CA has done it; change(x, answer) is what arrives of the answer."""

    def action(x):
        answer = x.forward()
        if answer.status < 300:
            change(x, answer)
        return answer

    return action


def garbage():
    def change(_, answer):
        answer.body = b"\x00\xff{{{ nothing"

    return changed(change)


def truncated():
    """JSON that ends in the middle, and says that this is all."""

    def change(_, answer):
        answer.body = answer.body[:len(answer.body) // 2]

    return changed(change)


def big(size=10 * 1024 * 1024):
    """The right answer, with very much more of it."""

    def change(x, answer):
        if x.kind == "certificate":
            answer.body += b"\n" * size
        else:
            answer.set_json({"padding": "x" * size, **answer.json})

    return changed(change)


def wrong_type(kind="text/html"):
    return changed(lambda _, answer: answer.set("Content-Type", kind))


def other_json(value):
    """Well-formed, and something else than was asked for."""

    def change(_, answer):
        answer.body = json.dumps(value).encode()

    return changed(change)


def redirect(to="https://elsewhere.test/"):
    return lambda x: x.own(Answer(302, [("Location", to)]))


# --- certificates that nobody should accept --------------------------------


def chain(make):
    """make(forge, csr, leaf, chain): the chain that arrives instead."""

    def action(x):
        answer = x.forward()
        if answer.status != 200:
            return answer
        leaf = x.ca.leaf(x.order)
        answer.body = make(x.ca.forge, x.ca.csrs.get(x.order), leaf,
                           answer.body)
        x.ca.referee.spoil(x.order)
        return answer

    return action


def other_name(name="other.test"):
    return chain(lambda forge, csr, leaf, _: forge.sign(
        csr, [name], leaf.not_before, leaf.not_after))


def expired():
    return chain(lambda forge, csr, leaf, _: forge.sign(
        csr, leaf.names, leaf.not_before - 2 * leaf.lifetime - 7200,
        leaf.not_before - leaf.lifetime - 7200))


def other_key():
    return chain(lambda forge, csr, leaf, _: forge.sign_other_key(
        leaf.names, leaf.not_before, leaf.not_after))


def leaf_alone():
    """The intermediate is missing: browsers would not build a chain."""
    return chain(lambda *a: a[3].split(b"-----END CERTIFICATE-----")[0]
                 + b"-----END CERTIFICATE-----\n")


def blank_lines():
    """Nothing wrong, but lines that some parsers stumble over."""

    def change(_, answer):
        answer.body = b"\r\n" + answer.body.replace(b"\n", b"\r\n").replace(
            b"-----END CERTIFICATE-----",
            b"-----END CERTIFICATE-----\r\n\r\n   \r\n")

    return changed(change)
