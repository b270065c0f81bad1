"""Route 53: REST and XML, requests signed with SigV4, changes in batches."""

import hashlib
import hmac
import re
import secrets
import string
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from .server import Api, Reply

_XMLNS = "https://route53.amazonaws.com/doc/2013-04-01/"
_SKEW_S = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/]+)/([^/]+)/"
    r"aws4_request, *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{64})")


def _encode(text):
    return urllib.parse.quote(text, safe="-_.~")


def canonical(method, target, headers, signed_headers, body):
    """The canonical request of SigV4; headers is get()-able."""
    path, _, query = target.partition("?")
    # Each segment once more: what the wire has is encoded already.
    path = "/".join(map(_encode, path.split("/"))) or "/"
    pairs = [p.partition("=") for p in query.split("&") if p]
    pairs = sorted((_encode(urllib.parse.unquote(k)),
                    _encode(urllib.parse.unquote(v))) for k, _, v in pairs)
    lines = [method, path, "&".join(f"{k}={v}" for k, v in pairs)]
    for name in signed_headers.split(";"):
        value = " ".join((headers.get(name) or "").split())
        lines.append(f"{name}:{value}")
    lines += ["", signed_headers, hashlib.sha256(body).hexdigest()]
    return "\n".join(lines)


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, day, region="us-east-1", service="route53"):
    key = ("AWS4" + secret).encode()
    for piece in (day, region, service, "aws4_request"):
        key = _hmac(key, piece)
    return key


def signature(secret, at, request, region="us-east-1", service="route53"):
    """The hex signature of a canonical request at YYYYMMDD'T'HHMMSS'Z'."""
    day = at[:8]
    to_sign = "\n".join((
        "AWS4-HMAC-SHA256", at, f"{day}/{region}/{service}/aws4_request",
        hashlib.sha256(request.encode()).hexdigest()))
    return _hmac(signing_key(secret, day, region, service), to_sign).hex()


def _element(name, *children):
    return f"<{name}>" + "".join(children) + f"</{name}>"


def _leaf(name, text):
    # Values come as the real one sends them, with the quotes as entities.
    text = escape(str(text), {'"': "&quot;"})
    return f"<{name}>{text}</{name}>"


def _on_wire(name):
    return name.replace("*", "\\052") + "."


class Route53(Api):
    """zone: the app says the id of its zone; discover: it does not.

    prior: answers PriorRequestNotComplete while a zone's change is pending.
    """

    NAME = "route53"
    PREFIX, BASE = "/2013-04-01", ""
    WAYS = ("zone", "discover")
    CONTENT_TYPE = ""  # anything: the vendor's own clients send none
    ROUTES = (
        ("GET", "/hostedzonesbyname", "by_name"),
        ("GET", "/hostedzone", "list_zones"),
        ("GET", "/hostedzone/([^/]+)", "get_zone"),
        ("GET", "/hostedzone/([^/]+)/rrset", "list_sets"),
        ("POST", "/hostedzone/([^/]+)/rrset/?", "post_changes"),
        ("GET", "/change/([^/]+)", "get_change"),
    )

    def __init__(self, *args, prior=False, **kw):
        self.prior = prior
        self.changes = {}
        super().__init__(*args, **kw)

    def sign_up(self):
        alphabet = string.ascii_uppercase + string.digits
        self.key_id = "AKIA" + "".join(
            secrets.choice(alphabet) for _ in range(16))
        self.key_secret = self.secret(secrets.token_urlsafe(27) + "/+=a")

    @property
    def variables(self):
        found = {"DNS_PROVIDER": self.NAME,
                 "DNS_AWS_ACCESS_KEY_ID": self.key_id,
                 "DNS_AWS_SECRET_ACCESS_KEY": self.key_secret}
        if self.way == "zone":
            found["DNS_AWS_HOSTED_ZONE_ID"] = next(
                (z.id for z in self.zones if not z.private), "Z0")
        return found

    @staticmethod
    def some_id(prefix, n=20):
        alphabet = string.ascii_uppercase + string.digits
        return prefix + "".join(secrets.choice(alphabet) for _ in range(n))

    def new_zone_id(self):
        return self.some_id("Z0")

    def xml(self, status, name, *children):
        return Reply(status, (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<{name} xmlns="{_XMLNS}">' + "".join(children)
            + f"</{name}>").encode(), {}, "text/xml")

    def problem(self, status, code="", message="", **more):
        if status == 429:
            status, code, message = 400, "Throttling", "Rate exceeded"
        code = code or {400: "InvalidInput", 403: "AccessDenied",
                        404: "NoSuchHostedZone"}.get(status, "InternalFailure")
        message = message or {
            403: "User: arn:aws:iam::1:user/app is not authorized to perform: "
                 "route53:ChangeResourceRecordSets on resource"}.get(
                     status, f"This is {code}.")
        request_id = _leaf("RequestId", secrets.token_hex(16))
        if more.get("messages"):
            return self.xml(status, "InvalidChangeBatch", _element(
                "Messages", *(_leaf("Message", m) for m in more["messages"])),
                request_id)
        return self.xml(status, "ErrorResponse", _element(
            "Error", _leaf("Type", "Sender"), _leaf("Code", code),
            _leaf("Message", message)), request_id)

    def announce(self, _reply, _wait_s):
        return {}  # it never says

    def authenticate(self, request):
        authorization = request.headers.get("Authorization")
        if not authorization:
            self.refuse(403, "MissingAuthenticationToken",
                        "Missing Authentication Token")
        m = _AUTHORIZATION.fullmatch(authorization)
        at = request.headers.get("X-Amz-Date", "")
        if not m or not re.fullmatch(r"\d{8}T\d{6}Z", at):
            self.refuse(400, "IncompleteSignature",
                        "Authorization header or date is malformed")
        key_id, day, region, service, signed, found = m.groups()
        if key_id != self.key_id:
            self.refuse(403, "InvalidClientTokenId", "The security token "
                        "included in the request is invalid.")
        problem = self.scope_problem(request, at, day, region, service, signed)
        if problem:
            self.refuse(403, "SignatureDoesNotMatch", problem)
        wanted = signature(self.key_secret, at, canonical(
            request.method, request.target, request.headers, signed,
            request.body))
        if found != wanted:
            self.refuse(403, "SignatureDoesNotMatch",
                        "The request signature we calculated does not match "
                        "the signature you provided.")

    def scope_problem(self, request, at, day, region, service, signed):
        names = signed.split(";")
        must = {"host"} | {h.lower() for h in request.headers
                           if h.lower().startswith("x-amz-")}
        if names != sorted(names) or not must <= set(names):
            return f"These headers must be signed: {sorted(must)}"
        if (region, service) != ("us-east-1", "route53"):
            return "Credential should be scoped to a valid region."
        if day != at[:8]:
            return "Date in Credential scope does not match that of the date."
        then = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=timezone.utc).timestamp()
        now = time.time() + self.clock_s
        if abs(then - now) > _SKEW_S:
            return f"Signature expired: {at} is now earlier than the clock"
        return ""

    # Zones.

    def sorted_zones(self):
        """By reversed labels; a private one before its public twin."""
        return sorted(self.zones, key=lambda z: (
            z.name.split(".")[::-1], not z.private))

    def zone_xml(self, zone):
        return _element(
            "HostedZone", _leaf("Id", f"/hostedzone/{zone.id}"),
            _leaf("Name", _on_wire(zone.name)),
            _leaf("CallerReference", "r"),
            _element("Config", _leaf("PrivateZone",
                                     str(zone.private).lower())),
            _leaf("ResourceRecordSetCount", 2 + len(zone.records)))

    def by_name(self, request):
        name = request.query.get("dnsname", "").rstrip(".").lower()
        first = request.query.get("hostedzoneid", "")
        most = self.most(request)
        zones = [z for z in self.sorted_zones()
                 if z.name.split(".")[::-1] >= name.split(".")[::-1]
                 or not name]
        if first:
            ids = [z.id for z in zones]
            zones = zones[ids.index(first):] if first in ids else []
        more = []
        if len(zones) > most:
            following = zones[most]
            more = [_leaf("NextDNSName", _on_wire(following.name)),
                    _leaf("NextHostedZoneId", following.id)]
        return self.xml(
            200, "ListHostedZonesByNameResponse",
            _element("HostedZones", *map(self.zone_xml, zones[:most])),
            _leaf("DNSName", name + "."),
            _leaf("IsTruncated", str(bool(more)).lower()), *more,
            _leaf("MaxItems", most))

    def most(self, request, usual=100):
        asked = int(request.query.get("maxitems", usual))
        return min(asked, usual, self.page_size or usual)

    def list_zones(self, request):
        zones = list(self.zones)
        marker = request.query.get("marker")
        if marker:
            ids = [z.id for z in zones]
            zones = zones[ids.index(marker):]
        most = self.most(request)
        more = ([_leaf("NextMarker", zones[most].id)]
                if len(zones) > most else [])
        return self.xml(
            200, "ListHostedZonesResponse",
            _element("HostedZones", *map(self.zone_xml, zones[:most])),
            _leaf("IsTruncated", str(bool(more)).lower()), *more,
            _leaf("MaxItems", most))

    def zone_with(self, ident):
        for zone in self.zones:
            if zone.id == ident:
                return zone
        return self.refuse(404, "NoSuchHostedZone",
                           f"No hosted zone found with ID: {ident}")

    def get_zone(self, _request, ident):
        return self.xml(200, "GetHostedZoneResponse",
                        self.zone_xml(self.zone_with(ident)))

    # Record sets.

    def set_xml(self, zone, name, kind):
        records = zone.set_of(name, kind)
        return _element(
            "ResourceRecordSet", _leaf("Name", _on_wire(name)),
            _leaf("Type", kind), _leaf("TTL", records[0].ttl),
            _element("ResourceRecords", *(
                _element("ResourceRecord", _leaf("Value", r.quoted))
                for r in records)))

    def list_sets(self, request, ident):
        zone = self.zone_with(ident)

        def order(key):
            return key[0].split(".")[::-1], key[1]

        keys = sorted({(r.name, r.kind) for r in zone.records}, key=order)
        name = request.query.get("name", "").rstrip(".").lower()
        kind = request.query.get("type", "")
        if kind and not name:
            self.refuse(400, "InvalidInput", "type needs name")
        if name:
            name = name.replace("\\052", "*")
            keys = [k for k in keys if order(k) >= order((name, kind))]
        most = self.most(request, 300)
        more = []
        if len(keys) > most:
            more = [_leaf("NextRecordName", _on_wire(keys[most][0])),
                    _leaf("NextRecordType", keys[most][1])]
        return self.xml(
            200, "ListResourceRecordSetsResponse",
            _element("ResourceRecordSets",
                     *(self.set_xml(zone, *k) for k in keys[:most])),
            _leaf("IsTruncated", str(bool(more)).lower()), *more,
            _leaf("MaxItems", most))

    def post_changes(self, request, ident):
        zone = self.zone_with(ident)
        if self.prior and any(not c.done and c.zone is zone
                              for c in self.changes.values()):
            self.refuse(400, "PriorRequestNotComplete",
                        "The request was rejected because Route 53 was still "
                        "processing a prior request.")
        try:
            root = ElementTree.fromstring(request.body)
        except ElementTree.ParseError as e:
            self.refuse(400, "InvalidInput", f"Invalid XML: {e}")
        ns = "{" + _XMLNS + "}"
        if root.tag != ns + "ChangeResourceRecordSetsRequest":
            self.refuse(400, "InvalidInput", "Invalid XML: not the namespace")
        changes = root.findall(f"{ns}ChangeBatch/{ns}Changes/{ns}Change")
        if not changes:
            self.refuse(400, "InvalidInput", "Invalid XML: no Change")
        before = list(zone.records)
        try:
            for change in changes:
                self.apply(zone, change, ns)
        except Exception:
            zone.records = before  # all or nothing
            raise
        made = self.change(zone)
        made.zone = zone
        change_id = self.some_id("C")
        self.changes[change_id] = made
        return self.change_xml("ChangeResourceRecordSetsResponse", change_id)

    def bad_batch(self, *messages):
        self.refuse(400, messages=[f"[{m}]" for m in messages])

    def apply(self, zone, change, ns):
        action = change.findtext(ns + "Action")
        of = change.find(ns + "ResourceRecordSet")
        name = of.findtext(ns + "Name").rstrip(".").lower().replace(
            "\\052", "*")
        kind, ttl = of.findtext(ns + "Type"), int(of.findtext(ns + "TTL"))
        values = [v.text for v in of.iterfind(
            f"{ns}ResourceRecords/{ns}ResourceRecord/{ns}Value")]
        label = f"resource record set [name='{name}.', type='{kind}']"
        if not zone.holds(name):
            self.bad_batch(f"RRSet with DNS name {name}. is not permitted in "
                           f"zone {zone.name}.")
        if kind == "TXT":
            for v in values:
                if not re.fullmatch(r'"[^"]*"( "[^"]*")*', v):
                    self.bad_batch(
                        "Invalid Resource Record: 'FATAL problem: "
                        "InvalidCharacterString (Value should be enclosed in "
                        f"quotation marks) encountered with '{v}''")
        records = [self.make(name, kind, ttl, v) for v in values]
        if len({r.strings for r in records}) < len(records):
            self.bad_batch(f"Duplicate Resource Record: '{values[0]}'")
        there = zone.set_of(name, kind)
        if action == "DELETE":
            self.check_delete(label, there, records, ttl)
            records = []
        elif action == "CREATE" and there:
            self.bad_batch(f"Tried to create {label} but it already exists")
        elif action not in ("CREATE", "UPSERT"):
            self.refuse(400, "InvalidInput", f"Invalid action '{action}'")
        elif not records:
            self.refuse(400, "InvalidInput", "no ResourceRecords")
        elif zone.has_cname_beside(name, kind):
            self.bad_batch(f"RRSet of type {kind} with DNS name {name}. is not "
                           "permitted as it conflicts with other records")
        zone.replace(name, kind, records)

    def check_delete(self, label, there, records, ttl):
        if not there:
            self.bad_batch(f"Tried to delete {label} but it was not found")
        if there[0].ttl != ttl or (sorted(r.strings for r in there)
                                   != sorted(r.strings for r in records)):
            self.bad_batch(f"Tried to delete {label} but the values provided "
                           "do not match the current values")

    def change_xml(self, name, ident):
        status = "INSYNC" if self.changes[ident].done else "PENDING"
        return self.xml(200, name, _element(
            "ChangeInfo", _leaf("Id", f"/change/{ident}"),
            _leaf("Status", status),
            _leaf("SubmittedAt", "2024-01-01T00:00:00.000Z")))

    def get_change(self, _request, ident):
        if ident not in self.changes:
            self.refuse(404, "NoSuchChange",
                        f"Could not find resource with ID: {ident}")
        return self.change_xml("GetChangeResponse", ident)
