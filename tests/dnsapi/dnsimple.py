"""DNSimple, API v2: record objects, tokens of an account or of a user."""

import secrets
import time

from .server import Api, Reply


class Dnsimple(Api):
    NAME = "dnsimple"
    PREFIX = "/v2"
    WAYS = ("account", "user")
    APEX = ""
    ROUTES = (
        ("GET", "/whoami", "whoami"),
        ("GET", "/accounts", "accounts"),
        ("GET", r"/(\d+)/zones", "list_zones"),
        ("GET", r"/(\d+)/zones/([^/]+)", "get_zone"),
        ("GET", r"/(\d+)/zones/([^/]+)/records", "list_records"),
        ("POST", r"/(\d+)/zones/([^/]+)/records", "add_record"),
        ("DELETE", r"/(\d+)/zones/([^/]+)/records/([^/]+)", "delete_record"),
        ("GET", r"/(\d+)/zones/([^/]+)/records/([^/]+)/distribution",
         "distribution"),
    )
    # The other one is the user's, too, and has no zones.
    ACCOUNT, OTHER = 1010, 999
    LIMIT = 2400

    def sign_up(self):
        self.token = self.secret(
            ("dnsimple_u_" if self.way == "user" else "dnsimple_a_")
            + secrets.token_urlsafe(24))

    @property
    def variables(self):
        return {"DNS_PROVIDER": self.NAME,
                "DNS_DNSIMPLE_OAUTH_TOKEN": self.token}

    def new_zone_id(self):
        return self.new_id()

    def problem(self, status, code="", message="", **more):
        body = {"message": message or {
            401: "Authentication failed", 403: "Permission Denied. Required "
            "Scope: zones:write", 404: "Not found", 412: "Your account is not "
            "subscribed or not in good standing", 429: "quota exceeded",
        }.get(status, "Something went wrong")}
        if more.get("errors"):
            body["errors"] = more["errors"]
        return Reply(status, b"" if status == 405 else body)

    def announce(self, _reply, wait_s):
        return {"X-RateLimit-Limit": self.LIMIT, "X-RateLimit-Remaining": 0,
                "X-RateLimit-Reset": int(time.time() + wait_s)}

    def serve(self, request):
        reply = super().serve(request)
        if reply and "X-RateLimit-Limit" not in reply.headers:
            reply.headers.update({
                "X-RateLimit-Limit": self.LIMIT,
                "X-RateLimit-Remaining":
                    max(1, self.LIMIT - len(self.requests)),
                "X-RateLimit-Reset": int(time.time()) + 3600})
        return reply

    def authenticate(self, request):
        if request.bearer != self.token:
            self.refuse(401)

    def account_object(self, ident):
        return {"id": ident, "email": "owner@example.org",
                "plan_identifier": "dnsimple-personal"}

    def whoami(self, _request):
        if self.way == "user":
            return Reply(200, {"data": {
                "user": {"id": 1, "email": "owner@example.org"},
                "account": None}})
        return Reply(200, {"data": {
            "user": None, "account": self.account_object(self.ACCOUNT)}})

    def accounts(self, _request):
        ids = ((self.OTHER, self.ACCOUNT) if self.way == "user"
               else (self.ACCOUNT,))
        return Reply(200, {"data": [self.account_object(i) for i in ids]})

    def zones_of(self, account):
        if int(account) == self.ACCOUNT:
            return self.zones
        if int(account) == self.OTHER and self.way == "user":
            return []
        return self.refuse(404, message=f"Account `{account}` not found")

    def paged(self, request, items):
        page = int(request.query.get("page", 1))
        per_page = min(int(request.query.get("per_page", 30)), 100)
        part, pages = self.pages(items, page, per_page)
        return Reply(200, {"data": part, "pagination": {
            "current_page": page,
            "per_page": min(per_page, self.page_size or per_page),
            "total_entries": len(items), "total_pages": pages}})

    def zone_object(self, zone):
        return {"id": zone.id, "account_id": self.ACCOUNT, "name": zone.name,
                "reverse": False, "secondary": False,
                "last_transferred_at": None, "active": zone.active,
                "created_at": "2015-04-23T07:40:03Z",
                "updated_at": "2015-04-23T07:40:03Z"}

    def list_zones(self, request, account):
        like = request.query.get("name_like", "")
        return self.paged(request, [
            self.zone_object(z) for z in self.zones_of(account)
            if like in z.name])

    def zone_named(self, account, name):
        for zone in self.zones_of(account):
            if zone.name == name.lower() or str(zone.id) == name:
                return zone
        return self.refuse(404, message=f"Zone `{name}` not found")

    def get_zone(self, _request, account, name):
        zone = self.zone_named(account, name)
        return Reply(200, {"data": self.zone_object(zone)})

    def record_object(self, zone, r):
        return {"id": r.id, "zone_id": zone.name, "parent_id": None,
                "name": zone.relative(r.name, ""), "content": r.written,
                "ttl": r.ttl, "priority": None, "type": r.kind,
                "regions": ["global"], "system_record": False,
                "created_at": "2016-01-07T17:45:13Z",
                "updated_at": "2016-01-07T17:45:13Z"}

    def list_records(self, request, account, name):
        zone = self.zone_named(account, name)
        wanted, kind = (request.query.get(k) for k in ("name", "type"))
        return self.paged(request, [
            o for o in (self.record_object(zone, r) for r in zone.records)
            if wanted in (None, o["name"]) and kind in (None, o["type"])])

    def add_record(self, request, account, name):
        zone = self.zone_named(account, name)
        asked = request.json()
        ttl = asked.get("ttl", 3600)
        if not isinstance(ttl, int) or ttl < 0:
            self.refuse(400, message="Validation failed",
                        errors={"ttl": ["must be a positive number"]})
        # Relative, whatever it looks like: the full name makes x.zone.zone.
        fqdn = zone.absolute(asked["name"])
        record = self.make(fqdn, asked["type"], ttl, asked["content"])
        if (zone.has_cname_beside(fqdn, record.kind) or any(
                r.strings == record.strings
                for r in zone.set_of(fqdn, record.kind))):
            self.refuse(400, message="Validation failed", errors={
                "base": ["Cannot create record, because the record already "
                         "exists or a CNAME is in its way"]})
        zone.records.append(record)
        self.show(zone)
        return Reply(201, {"data": self.record_object(zone, record)})

    def record_with(self, account, name, ident):
        zone = self.zone_named(account, name)
        record = zone.by_id(int(ident)) if ident.isdigit() else None
        if not record:
            self.refuse(404, message=f"Record `{ident}` not found")
        return zone, record

    def delete_record(self, _request, account, name, ident):
        zone, record = self.record_with(account, name, ident)
        zone.records.remove(record)
        self.show(zone)
        return Reply(204)

    def distribution(self, _request, account, name, ident):
        self.record_with(account, name, ident)
        return Reply(200, {"data": {"distributed": True}})
