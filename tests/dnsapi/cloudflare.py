"""Cloudflare, API v4: record objects; a key with an address, or a token."""

import re
import secrets

from .server import Api, Reply

_HEX32 = re.compile(r"[0-9a-f]{32}")


class Cloudflare(Api):
    NAME = "cloudflare"
    PREFIX = "/client/v4"
    WAYS = ("key", "token")
    ROUTES = (
        ("GET", "/zones", "list_zones"),
        ("GET", "/zones/([^/]+)", "get_zone"),
        ("GET", "/zones/([^/]+)/dns_records", "list_records"),
        ("POST", "/zones/([^/]+)/dns_records", "add_record"),
        ("DELETE", "/zones/([^/]+)/dns_records/([^/]+)", "delete_record"),
        ("GET", "/user/tokens/verify", "verify_token"),
    )

    def sign_up(self):
        self.email = "owner@example.org"
        self.key = self.secret(secrets.token_hex(19)[:37])
        self.api_token = self.secret(secrets.token_urlsafe(30))

    def new_id(self):
        return secrets.token_hex(16)

    @property
    def variables(self):
        if self.way == "token":
            return {"DNS_PROVIDER": self.NAME,
                    "DNS_CLOUDFLARE_API_TOKEN": self.api_token}
        return {"DNS_PROVIDER": self.NAME,
                "DNS_CLOUDFLARE_EMAIL": self.email,
                "DNS_CLOUDFLARE_API_KEY": self.key}

    def problem(self, status, code="", message="", **more):
        if status >= 500:
            return Reply(status, b"<html><body>cloudflare</body></html>", {},
                         "text/html")
        usual = {400: (1004, "DNS Validation Error"),
                 401: (10000, "Authentication error"),
                 403: (10000, "Authentication error"),
                 404: (7003, "Could not route to that"),
                 409: (81057, "The record already exists."),
                 429: (10013, "More than 1200 requests per 300 seconds "
                              "reached. Please wait and consider throttling "
                              "your request speed")}
        usual_code, usual_message = usual.get(status, (1000, "No"))
        error = {"code": code or usual_code,
                 "message": message or usual_message}
        if more.get("chain"):
            error["error_chain"] = [
                {"code": c, "message": m} for c, m in more["chain"]]
        return Reply(status, {
            "result": None, "success": False,
            "errors": [error, *more.get("also", ())], "messages": []})

    def ok(self, result, info=None):
        answer = {"result": result, "success": True, "errors": [],
                  "messages": []}
        if info:
            answer["result_info"] = info
        return Reply(200, answer)

    def paged(self, request, items, default, most):
        page = int(request.query.get("page", 1))
        per_page = min(int(request.query.get("per_page", default)), most)
        part, pages = self.pages(items, page, per_page)
        return self.ok(part, {
            "page": page, "per_page": min(per_page, self.page_size or per_page),
            "count": len(part), "total_count": len(items),
            "total_pages": pages})

    def authenticate(self, request):
        email = request.headers.get("X-Auth-Email")
        key = request.headers.get("X-Auth-Key")
        authorization = request.headers.get("Authorization")
        invalid = (400, 6003, "Invalid request headers")
        if authorization is not None:
            if email is not None or key is not None:
                self.refuse(*invalid, chain=[
                    (6111, "Two kinds of credentials at once")])
            token = request.bearer
            if not token or not re.fullmatch(r"[\w-]{40}", token):
                self.refuse(*invalid, chain=[
                    (6111, "Invalid format for Authorization header")])
            if token != self.api_token:
                self.refuse(403, 9109, "Invalid access token")
            return
        if email is None or key is None:
            self.refuse(400, 9106, "Missing X-Auth-Key, X-Auth-Email or "
                                   "Authorization headers")
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            self.refuse(*invalid, chain=[
                (6102, "Invalid format for X-Auth-Email header")])
        if not re.fullmatch(r"[0-9a-f]{37}", key):
            self.refuse(*invalid, chain=[
                (6103, "Invalid format for X-Auth-Key header")])
        if (email, key) != (self.email, self.key):
            self.refuse(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")

    def verify_token(self, request):
        if request.bearer is None:
            self.refuse(400, 6003, "Invalid request headers")
        return self.ok({"id": "1", "status": "active"})

    def zone_object(self, zone):
        return {"id": zone.id, "name": zone.name,
                "status": "active" if zone.active else "pending",
                "paused": False, "type": "full",
                "name_servers": ["a.ns.cloudflare.com", "b.ns.cloudflare.com"]}

    def list_zones(self, request):
        name, status = (request.query.get(k) for k in ("name", "status"))
        zones = [self.zone_object(z) for z in self.zones]
        return self.paged(request, [
            z for z in zones if name in (None, z["name"])
            and status in (None, z["status"])], 20, 50)

    def zone_with(self, ident):
        if not _HEX32.fullmatch(ident):
            self.refuse(
                400, 7003, f"Could not route to /zones/{ident}, perhaps your "
                "object identifier is invalid?",
                also=[{"code": 7000, "message": "No route for that URI"}])
        for zone in self.zones:
            if zone.id == ident:
                return zone
        self.refuse(403, 9109, "Unauthorized to access requested resource")

    def get_zone(self, _request, ident):
        return self.ok(self.zone_object(self.zone_with(ident)))

    def record_object(self, r):
        return {"id": r.id, "name": r.name, "type": r.kind,
                "content": r.written, "ttl": r.ttl, "proxiable": False,
                "proxied": False, "settings": {}, "meta": {}, "comment": None,
                "tags": [], "created_on": "2024-01-01T00:00:00.000000Z",
                "modified_on": "2024-01-01T00:00:00.000000Z"}

    def list_records(self, request, ident):
        zone = self.zone_with(ident)
        kind, name = (request.query.get(k) for k in ("type", "name"))
        return self.paged(request, [
            self.record_object(r) for r in zone.records
            if kind in (None, r.kind) and name in (None, r.name)], 100, 5000)

    def add_record(self, request, ident):
        zone = self.zone_with(ident)
        asked = request.json()
        name, kind, ttl = asked["name"].lower(), asked["type"], asked["ttl"]
        if not zone.holds(name):
            name = f"{name}.{zone.name}"
        if ttl != 1 and not 60 <= ttl <= 86400:
            self.refuse(400, 9021, "Invalid TTL. Must be between 60 and 86400 "
                                   "seconds, or 1 for Automatic.")
        record = self.make(name, kind, ttl, asked["content"])
        if not record.value:
            self.refuse(400, 9101, "content is a required data field.")
        if any(r.strings == record.strings for r in zone.set_of(name, kind)):
            self.refuse(400, 81058, "An identical record already exists.")
        if zone.has_cname_beside(name, kind):
            self.refuse(400, 81053, "An A, AAAA, or CNAME record with that "
                                    "host already exists.")
        zone.records.append(record)
        self.show(zone)
        return self.ok(self.record_object(record))

    def delete_record(self, _request, ident, record):
        zone = self.zone_with(ident)
        if not zone.by_id(record):
            self.refuse(404, 81044, "Record does not exist.")
        zone.records.remove(zone.by_id(record))
        self.show(zone)
        return self.ok({"id": record})

