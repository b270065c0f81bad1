"""Gandi LiveDNS: record sets, an API key or a personal access token."""

import secrets

from .server import Api, Reply

_TTL_MIN, _TTL_MAX, _TTL_USUAL = 300, 2592000, 10800


class Gandiv5(Api):
    NAME = "gandiv5"
    PREFIX = "/v5/livedns"
    WAYS = ("key", "pat")
    ROUTES = (
        ("GET", "/domains", "list_zones"),
        ("GET", "/domains/([^/]+)", "get_zone"),
        ("GET", "/domains/([^/]+)/records", "list_sets"),
        ("DELETE", "/domains/([^/]+)/records", "delete_everything"),
        ("DELETE", "/domains/([^/]+)/records/([^/]+)", "delete_name"),
        ("GET", "/domains/([^/]+)/records/([^/]+)/([A-Z]+)", "get_set"),
        ("POST", "/domains/([^/]+)/records/([^/]+)/([A-Z]+)", "post_set"),
        ("PUT", "/domains/([^/]+)/records/([^/]+)/([A-Z]+)", "put_set"),
        ("DELETE", "/domains/([^/]+)/records/([^/]+)/([A-Z]+)", "delete_set"),
    )

    def sign_up(self):
        self.key = self.secret(secrets.token_urlsafe(18))
        self.pat = self.secret(secrets.token_hex(20))

    @property
    def variables(self):
        name = {"key": "DNS_GANDIV5_API_KEY",
                "pat": "DNS_GANDI_PERSONAL_ACCESS_TOKEN"}[self.way]
        return {"DNS_PROVIDER": self.NAME,
                name: self.pat if self.way == "pat" else self.key}

    def problem(self, status, code="", message="", **more):
        if more.get("errors"):
            return Reply(status, {"status": "error", "errors": more["errors"]})
        kind, text = {
            400: ("HTTPBadRequest", "The request is malformed."),
            401: ("HTTPUnauthorized",
                  "The server could not verify that you authorized to access "
                  "the document you requested. Either you supplied the wrong "
                  "credentials (e.g., bad api key), or your access token has "
                  "expired"),
            403: ("HTTPForbidden", "Access was denied to this resource."),
            404: ("HTTPNotFound", "The resource could not be found."),
            409: ("HTTPConflict", "A DNS Record already exists with same "
                                  "value"),
            429: ("HTTPTooManyRequests", "Rate limit exceeded"),
        }.get(status, ("HTTPServerError", "The server has erred."))
        return Reply(status, {"code": status, "message": message or text,
                              "object": code or kind,
                              "cause": kind.removeprefix("HTTP")})

    def authenticate(self, request):
        scheme, _, key = request.headers.get(
            "Authorization", "").partition(" ")
        if scheme == "Apikey" and key == self.key:
            return
        if scheme == "Bearer" and key == self.pat:
            return
        # A token that is not known any more is "forbidden", a key "wrong".
        self.refuse(403 if scheme == "Bearer" else 401)

    def zone_object(self, zone):
        href = f"{self.base_url}/domains/{zone.name}"
        return {"fqdn": zone.name, "domain_href": href,
                "domain_keys_href": f"{href}/keys",
                "domain_records_href": f"{href}/records",
                "automatic_snapshots": False}

    def list_zones(self, _request):
        return Reply(200, [self.zone_object(z) for z in self.zones])

    def zone_named(self, name):
        for zone in self.zones:
            if zone.name == name.lower():
                return zone
        return self.refuse(404)

    def get_zone(self, _request, name):
        return Reply(200, self.zone_object(self.zone_named(name)))

    def set_object(self, zone, name, kind):
        records = zone.set_of(name, kind)
        relative = zone.relative(name)
        return {"rrset_name": relative, "rrset_type": kind,
                "rrset_ttl": records[0].ttl,
                "rrset_href": f"{self.base_url}/domains/{zone.name}/records/"
                              f"{relative}/{kind}",
                "rrset_values": [r.quoted for r in records]}

    def list_sets(self, _request, name):
        zone = self.zone_named(name)
        keys = dict.fromkeys((r.name, r.kind) for r in zone.records)
        return Reply(200, [self.set_object(zone, *key) for key in keys])

    def delete_everything(self, _request, name):
        """As the real one: so who calls it will be found out."""
        zone = self.zone_named(name)
        zone.records = []
        self.show(zone)
        return Reply(204)

    def delete_name(self, _request, name, relative):
        zone = self.zone_named(name)
        fqdn = zone.absolute(relative)
        zone.records = [r for r in zone.records if r.name != fqdn]
        self.show(zone)
        return Reply(204)

    def get_set(self, _request, name, relative, kind):
        zone = self.zone_named(name)
        fqdn = zone.absolute(relative)
        if not zone.set_of(fqdn, kind):
            self.refuse(404, "dns-record",
                        f"Can't find the DNS record {relative}/{kind} in the "
                        f"zone {zone.name}")
        return Reply(200, self.set_object(zone, fqdn, kind))

    def write(self, request, zone, fqdn, kind):
        asked = request.json()
        ttl = asked.get("rrset_ttl", _TTL_USUAL)
        for wrong, word, limit in ((ttl < _TTL_MIN, "less than minimum",
                                    _TTL_MIN),
                                   (ttl > _TTL_MAX, "more than maximum",
                                    _TTL_MAX)):
            if wrong:
                self.refuse(400, errors=[{
                    "location": "body", "name": "rrset_ttl",
                    "description": f"{ttl} is {word} value {limit}"}])
        records = [self.make(fqdn, kind, ttl, v)
                   for v in asked["rrset_values"]]
        if len({r.strings for r in records}) < len(records):
            self.refuse(400, errors=[{
                "location": "body", "name": "rrset_values",
                "description": "duplicate values"}])
        if zone.has_cname_beside(fqdn, kind):
            self.refuse(409, message="A CNAME record already exists")
        zone.replace(fqdn, kind, records)
        self.show(zone)
        return Reply(201, {"message": "DNS Record Created"})

    def post_set(self, request, name, relative, kind):
        zone = self.zone_named(name)
        fqdn = zone.absolute(relative)
        if zone.set_of(fqdn, kind):
            self.refuse(409)
        return self.write(request, zone, fqdn, kind)

    def put_set(self, request, name, relative, kind):
        zone = self.zone_named(name)
        return self.write(request, zone, zone.absolute(relative), kind)

    def delete_set(self, _request, name, relative, kind):
        zone = self.zone_named(name)
        zone.replace(zone.absolute(relative), kind, [])
        self.show(zone)
        return Reply(204)
