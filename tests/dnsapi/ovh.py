"""OVH: record objects, signed requests; nothing shows before a refresh."""

import fnmatch
import hashlib
import secrets
import time

from .server import Api, Reply

_SKEW_S = 60


def signature(application_secret, consumer_key, method, url, body, at):
    """What X-Ovh-Signature has to be; body is bytes, at a Unix time."""
    text = "+".join((application_secret, consumer_key, method, url,
                     body.decode(), str(at)))
    return "$1$" + hashlib.sha1(text.encode()).hexdigest()


class Ovh(Api):
    """write-only: a key without GET.  grants are (method, pattern of path)."""

    NAME = "ovh"
    PREFIX = "/1.0"
    WAYS = ("full", "write-only", "records-only")
    APEX = ""
    GRANTS = {
        "full": [(m, "/*") for m in ("GET", "POST", "PUT", "DELETE")],
        "write-only": [(m, "/domain/zone/*") for m in ("POST", "DELETE")],
        "records-only": [(m, "/domain/zone/*/re*")
                         for m in ("GET", "POST", "PUT", "DELETE")],
    }
    ROUTES = (
        ("GET", "/domain/zone/?", "list_zones"),
        ("GET", "/domain/zone/([^/]+)", "get_zone"),
        ("GET", "/domain/zone/([^/]+)/record", "list_records"),
        ("POST", "/domain/zone/([^/]+)/record", "add_record"),
        ("GET", "/domain/zone/([^/]+)/record/([^/]+)", "get_record"),
        ("DELETE", "/domain/zone/([^/]+)/record/([^/]+)", "delete_record"),
        ("POST", "/domain/zone/([^/]+)/refresh", "refresh"),
    )

    def __init__(self, *args, endpoint="ovh-eu", **kw):
        self.endpoint = endpoint
        self.live_records = {}
        super().__init__(*args, **kw)
        self.grants = self.GRANTS[self.way]
        for zone in self.zones:
            self.live_records[zone.id] = list(zone.records)

    def sign_up(self):
        self.application_key = secrets.token_urlsafe(12)
        self.application_secret = self.secret(secrets.token_urlsafe(24))
        self.consumer_key = self.secret(secrets.token_urlsafe(24))
        # For what the real one has, too: a key that nobody has confirmed.
        self.unconfirmed_key = self.secret(secrets.token_urlsafe(24))

    @property
    def variables(self):
        return {"DNS_PROVIDER": self.NAME,
                "DNS_OVH_ENDPOINT": self.endpoint,
                "DNS_OVH_APPLICATION_KEY": self.application_key,
                "DNS_OVH_APPLICATION_SECRET": self.application_secret,
                "DNS_OVH_CONSUMER_KEY": self.consumer_key}

    def live(self, zone):
        return self.live_records[zone.id]

    def put_in(self, zone, records):
        zone.records += records
        self.live_records[zone.id] += records

    def take_out(self, zone, which):
        super().take_out(zone, which)
        self.live_records[zone.id] = [
            r for r in self.live_records[zone.id] if not which(r)]

    def problem(self, status, code="", message="", **more):
        message = message or {
            404: "This service does not exist", 429: "Too many requests",
            403: "This call has not been granted",
        }.get(status, "Something is wrong")
        headers = {"X-Ovh-QueryID": f"EU.ext-1.{secrets.token_hex(6)}"}
        if code:
            word = {400: "Bad Request", 403: "Forbidden"}.get(status, "")
            return Reply(status, {"errorCode": code, "message": message,
                                  "httpCode": f"{status} {word}"}, headers)
        kind = {403: "Forbidden", 404: "NotFound", 409: "Conflict",
                429: "TooManyRequests"}.get(status, "BadRequest")
        if status >= 500:
            return Reply(status, {"class": "Server::InternalServerError",
                                  "message": message}, headers)
        return Reply(status, {"class": f"Client::{kind}", "message": message},
                     headers)

    def before_routing(self, request):
        if request.path != self.PREFIX + "/auth/time":
            self.authenticate(request)
            self.check_grant(request)

    def route(self, request):
        if request.path == self.PREFIX + "/auth/time":
            return Reply(200, int(self.now()))
        return super().route(request)

    def now(self):
        return time.time() + self.clock_s

    def authenticate(self, request):
        application, consumer, at, signed = (
            request.headers.get(f"X-Ovh-{x}", "") for x in (
                "Application", "Consumer", "Timestamp", "Signature"))
        if application != self.application_key:
            self.refuse(403, "INVALID_KEY",
                        "This application key is invalid")
        if consumer == self.unconfirmed_key:
            self.refuse(403, "INVALID_CREDENTIAL",
                        "This credential is not valid")
        if consumer != self.consumer_key:
            self.refuse(403, "NOT_CREDENTIAL",
                        "This credential does not exist")
        if not at.isdigit() or abs(int(at) - self.now()) > _SKEW_S:
            self.refuse(400, "QUERY_TIME_OUT", "Query out of time")
        url = f"https://{request.headers.get('Host')}{request.target}"
        if signed != signature(self.application_secret, consumer,
                               request.method, url, request.body, at):
            self.refuse(400, "INVALID_SIGNATURE", "Invalid signature")

    def check_grant(self, request):
        path = request.path[len(self.PREFIX):]
        if not any(m == request.method and fnmatch.fnmatchcase(path, p)
                   for m, p in self.grants):
            self.refuse(403, "NOT_GRANTED_CALL",
                        "This call has not been granted")

    def list_zones(self, _request):
        return Reply(200, [z.name for z in self.zones])

    def zone_named(self, name):
        for zone in self.zones:
            if zone.name == name.lower():
                return zone
        return self.refuse(404)

    def get_zone(self, _request, name):
        zone = self.zone_named(name)
        return Reply(200, {"name": zone.name, "hasDnsAnycast": False,
                           "nameServers": ["dns1.ovh.net", "ns1.ovh.net"],
                           "lastUpdate": "2024-01-01T00:00:00+00:00"})

    @staticmethod
    def record_object(zone, r):
        return {"target": r.written, "ttl": r.ttl, "zone": zone.name,
                "fieldType": r.kind, "id": r.id,
                "subDomain": zone.relative(r.name, "")}

    def list_records(self, request, name):
        zone = self.zone_named(name)
        kind, sub = (request.query.get(k) for k in ("fieldType", "subDomain"))
        return Reply(200, [
            r.id for r in zone.records if kind in (None, r.kind)
            and sub in (None, zone.relative(r.name, ""))])

    def record_with(self, name, ident):
        zone = self.zone_named(name)
        record = zone.by_id(int(ident)) if ident.isdigit() else None
        if not record:
            self.refuse(404, message="The requested object "
                        f"(id = {ident}) does not exist")
        return zone, record

    def get_record(self, _request, name, ident):
        return Reply(200, self.record_object(*self.record_with(name, ident)))

    def add_record(self, request, name):
        zone = self.zone_named(name)
        asked = request.json()
        ttl = asked.get("ttl", 0) or 3600
        if ttl < 60:
            self.refuse(400, message="Invalid ttl")
        fqdn = zone.absolute(asked.get("subDomain", ""))
        if zone.has_cname_beside(fqdn, asked["fieldType"]):
            self.refuse(409, message="A CNAME is in the way")
        # The same value again makes a second record, as there.
        record = self.make(fqdn, asked["fieldType"], ttl, asked["target"])
        zone.records.append(record)
        return Reply(200, self.record_object(zone, record))

    def delete_record(self, _request, name, ident):
        zone, record = self.record_with(name, ident)
        zone.records.remove(record)
        return Reply(200, b"null")

    def refresh(self, _request, name):
        zone = self.zone_named(name)
        self.live_records[zone.id] = list(zone.records)
        self.show(zone)
        return Reply(200, b"null")
