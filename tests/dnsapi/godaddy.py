"""GoDaddy Domains API v1: record sets without any guard."""

import secrets

from .server import Api, Reply

_TTL_MIN, _TTL_MAX = 600, 604800


class Godaddy(Api):
    """small: an account as most are, which may only make the calls that are
    about one record set."""

    NAME = "godaddy"
    PREFIX = "/v1"
    WAYS = ("small", "large")
    ROUTES = (
        ("GET", "/domains", "list_zones"),
        ("GET", "/domains/([^/]+)", "get_zone"),
        ("GET PATCH", "/domains/([^/]+)/records", "zone_wide"),
        ("GET PUT", "/domains/([^/]+)/records/([A-Z]+)", "zone_wide"),
        ("GET", "/domains/([^/]+)/records/([A-Z]+)/([^/]+)", "get_set"),
        ("PUT", "/domains/([^/]+)/records/([A-Z]+)/([^/]+)", "put_set"),
        ("DELETE", "/domains/([^/]+)/records/([A-Z]+)/([^/]+)", "delete_set"),
    )

    def sign_up(self):
        self.key = self.secret("dKD" + secrets.token_urlsafe(24))
        self.key_secret = self.secret(secrets.token_urlsafe(16))

    @property
    def variables(self):
        return {"DNS_PROVIDER": self.NAME,
                "DNS_GODADDY_API_KEY": self.key,
                "DNS_GODADDY_API_SECRET": self.key_secret}

    def problem(self, status, code="", message="", **more):
        usual, text = {
            400: ("INVALID", "Request is invalid"),
            401: ("UNABLE_TO_AUTHENTICATE", "Unauthorized : Could not "
                                            "authenticate API key/secret"),
            403: ("ACCESS_DENIED", "Authenticated user is not allowed access"),
            404: ("UNKNOWN_DOMAIN", "The given domain is not registered, or "
                                    "does not have a zone file"),
            409: ("CONFLICTING_STATUS", "The domain is being changed"),
            422: ("INVALID_BODY", "Request body doesn't fulfill schema"),
            429: ("TOO_MANY_REQUESTS", "Too many requests received within "
                                       "interval"),
        }.get(status, ("ERROR_INTERNAL", "Internal server error"))
        body = {"code": code or usual, "message": message or text}
        if more.get("fields"):
            body["fields"] = more["fields"]
        return Reply(status, body)

    def announce(self, reply, wait_s):
        reply.body["retryAfterSec"] = wait_s
        return {}

    def authenticate(self, request):
        scheme, _, pair = request.headers.get("Authorization", "").partition(
            " ")
        if not scheme:
            self.refuse(401, "MISSING_CREDENTIALS",
                        "Unauthorized : Credentials must be specified")
        key, colon, key_secret = pair.partition(":")
        if scheme != "sso-key" or not colon or not key or not key_secret:
            self.refuse(400, "MALFORMED_CREDENTIALS",
                        "Unauthorized : Malformed credentials")
        if (key, key_secret) != (self.key, self.key_secret):
            self.refuse(401)

    def zone_named(self, name):
        for zone in self.zones:
            if zone.name == name.lower():
                return zone
        return self.refuse(404)

    def only_large(self):
        if self.way != "large":
            self.refuse(403)

    def list_zones(self, _request):
        self.only_large()
        return Reply(200, [{"domain": z.name, "status": "ACTIVE"}
                           for z in self.zones])

    def get_zone(self, _request, name):
        self.only_large()
        return Reply(200, {"domain": self.zone_named(name).name,
                           "status": "ACTIVE"})

    def zone_wide(self, request, name, kind=None):
        self.only_large()
        zone = self.zone_named(name)
        if request.method != "GET":
            self.refuse(403, message="This changes more than one record set")
        return Reply(200, [self.record_object(zone, r) for r in zone.records
                           if kind in (None, r.kind)])

    @staticmethod
    def record_object(zone, r):
        data = r.value if r.kind == "TXT" else r.quoted
        return {"data": data, "name": zone.relative(r.name), "ttl": r.ttl,
                "type": r.kind}

    def get_set(self, _request, name, kind, relative):
        zone = self.zone_named(name)
        return Reply(200, [
            self.record_object(zone, r)
            for r in zone.set_of(zone.absolute(relative), kind)])

    def put_set(self, request, name, kind, relative):
        zone = self.zone_named(name)
        fqdn = zone.absolute(relative)
        asked = request.json()
        if not isinstance(asked, list) or not asked:
            self.refuse(422)
        records = []
        for i, item in enumerate(asked):
            ttl = item.get("ttl", 3600)
            if not _TTL_MIN <= ttl <= _TTL_MAX:
                self.refuse(422, fields=[{
                    "code": "OUT_OF_RANGE", "path": f"records[{i}].ttl",
                    "message": f"is not between {_TTL_MIN} and {_TTL_MAX}",
                    "pathRelated": ""}])
            if item.get("type", kind) != kind:
                self.refuse(422)
            records.append(self.make(fqdn, kind, ttl, item["data"]))
        if len({r.strings for r in records}) < len(records):
            self.refuse(422, "DUPLICATE_RECORD",
                        "Another record with the same attributes already "
                        "exists")
        if zone.has_cname_beside(fqdn, kind):
            self.refuse(422, "INVALID_BODY", "A CNAME is at that name")
        zone.replace(fqdn, kind, records)
        self.show(zone)
        return Reply(200)

    def delete_set(self, _request, name, kind, relative):
        zone = self.zone_named(name)
        fqdn = zone.absolute(relative)
        if not zone.set_of(fqdn, kind):
            self.refuse(404, "NOT_FOUND", "No such record")
        zone.replace(fqdn, kind, [])
        self.show(zone)
        return Reply(204)
