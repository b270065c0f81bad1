"""Gandi v4: XML-RPC, zones with versions, of which one is active."""

import copy
import itertools
import re
import secrets
import string
import xmlrpc.client

from .server import Api, Reply

_TTL_MIN, _TTL_MAX = 300, 2592000


class _Set:
    """What Gandi calls a zone: versions of records, for some domains."""

    def __init__(self, ident, name, apex, records, public=False):
        self.id, self.name, self.public = ident, name, public
        self.apex = apex  # what its relative names are relative to
        self.versions = {1: records}
        self.active = 1

    @property
    def records(self):
        return self.versions[self.active]


class Gandi(Api):
    """More options: public, names of zones that use Gandi's default zone,
    which cannot be edited; livedns, names that have no v4 zone."""

    NAME = "gandi"
    PREFIX, BASE = "/xmlrpc/", "/xmlrpc"
    CONTENT_TYPE = "text/xml"

    def __init__(self, *args, public=(), livedns=(), **kw):
        self.sets, self.attached = {}, {}
        self.livedns = set(livedns)
        self.numbers = itertools.count(3386877)
        super().__init__(*args, **kw)
        for zone in self.zones:
            if zone.name in self.livedns:
                continue
            made = _Set(next(self.numbers), "my zone", zone.name,
                        zone.records, zone.name in public)
            self.sets[made.id] = made
            self.attached[zone.name] = made.id
            self.follow(zone)

    def sign_up(self):
        alphabet = string.ascii_lowercase + string.digits
        self.key = self.secret(
            "".join(secrets.choice(alphabet) for _ in range(24)))

    @property
    def variables(self):
        return {"DNS_PROVIDER": self.NAME, "DNS_GANDI_API_KEY": self.key}

    def new_id(self):
        return str(super().new_id())

    def put_in(self, zone, records):
        self.sets[self.attached[zone.name]].records.extend(records)
        self.follow(zone)

    def take_out(self, zone, which):
        records = self.sets[self.attached[zone.name]].records
        records[:] = [r for r in records if not which(r)]
        self.follow(zone)

    def follow(self, zone):
        """A domain shows the active version of the set it is attached to."""
        if zone.name in self.attached:
            zone.records = self.sets[self.attached[zone.name]].records

    def followed(self, changed):
        for zone in self.zones:
            if self.attached.get(zone.name) == changed.id:
                self.follow(zone)
                self.show(zone)

    def problem(self, status, code="", message="", **more):
        """By HTTP everything is fine; 429 and 5xx come from before the API."""
        if status in (411, 415, 429) or status >= 500:
            return Reply(status, b"<html><body>gandi</body></html>", {},
                         "text/html")
        number = code or {401: 510150, 403: 510150, 404: 510042}.get(
            status, 500000)
        text = message or {
            510150: "Error on object : OBJECT_ACCOUNT (CAUSE_NORIGHT) "
                    "[Invalid API key]",
            510042: "Error on object : OBJECT_DOMAIN (CAUSE_NOTFOUND) "
                    "[Domain doesn't exist.]",
        }.get(number, "Error on object : OBJECT_ZONE (CAUSE_BADPARAMETER) "
                      "[no]")
        return self.xml(xmlrpc.client.Fault(number, text))

    @staticmethod
    def xml(result):
        if not isinstance(result, xmlrpc.client.Fault):
            result = (result,)
        return Reply(200, xmlrpc.client.dumps(
            result, methodresponse=True, allow_none=True,
            encoding="utf-8").encode(), {}, "text/xml")

    def operation(self, request):
        m = re.search(rb"<methodName>\s*([\w.]+)\s*<", request.body)
        return m[1].decode() if m else "?"

    def before_routing(self, request):
        if request.path != self.PREFIX or request.method != "POST":
            self.refuse(500)
        try:
            request.params, request.what = xmlrpc.client.loads(request.body)
        except Exception:
            self.refuse(400, 500000, "Error on object : OBJECT_XML "
                                     "(CAUSE_BADPARAMETER) [not XML-RPC]")
        self.authenticate(request)

    def authenticate(self, request):
        key = request.params[0] if request.params else ""
        if not isinstance(key, str) or not re.fullmatch("[a-z0-9]{24}", key):
            # This is how Gandi says it: with the key.
            self.refuse(400, 500001,
                        "Error on object : OBJECT_STRING (CAUSE_BADPARAMETER) "
                        f"[string '{key}' does not match '^[a-z0-9]{{24}}$']")
        if key != self.key:
            self.refuse(401)

    def route(self, request):
        name = request.what.replace(".", "_")
        if not re.fullmatch(r"domain\w*_\w+", name) or not hasattr(self, name):
            self.refuse(400, 500002, f"Unknown method {request.what}")
        return self.xml(getattr(self, name)(*request.params[1:]))

    # The methods, by their names.

    def domain(self, fqdn):
        for zone in self.zones:
            if zone.name == fqdn.lower().rstrip("."):
                return zone
        return self.refuse(404, 510042, "Error on object : OBJECT_DOMAIN "
                           f"(CAUSE_NOTFOUND) [Domain '{fqdn}' doesn't exist.]")

    def set_with(self, ident, write=False):
        found = self.sets.get(ident)
        if not found:
            self.refuse(404, 581042, "Error on object : OBJECT_ZONE "
                        f"(CAUSE_NOTFOUND) [Zone '{ident}' doesn't exist.]")
        if write and found.public:
            self.refuse(403, 581104, "Error on object : OBJECT_ZONE "
                        "(CAUSE_NORIGHT) [You are not the owner]")
        return found

    def version_of(self, found, number, write=False):
        number = number or (0 if write else found.active)
        if number not in found.versions:
            self.refuse(404, 582042, "Error on object : OBJECT_VERSION "
                        f"(CAUSE_NOTFOUND) [no version {number}]")
        if write and number == found.active:
            self.refuse(400, 582100, "Error on object : OBJECT_VERSION "
                        "(CAUSE_BADPARAMETER) [the active version]")
        return found.versions[number]

    def domain_info(self, fqdn):
        zone = self.domain(fqdn)
        return {
            # A struct in a struct, with a member of a name we know.
            "contacts": {"owner": {"handle": "AB1-GANDI", "id": 5,
                                   "zone_id": 6}},
            "fqdn": zone.name, "id": 1234567,
            "nameservers": ["a.dns.gandi.net", "b.dns.gandi.net"],
            "date_created": xmlrpc.client.DateTime("20150101T00:00:00"),
            "zone_id": self.attached.get(zone.name), "status": []}

    def info_of(self, found):
        return {"owner": {"id": 77, "name": "AB1-GANDI"}, "id": found.id,
                "name": found.name, "version": found.active,
                "versions": sorted(found.versions), "public": found.public,
                "domains": list(self.attached.values()).count(found.id),
                "date_updated": xmlrpc.client.DateTime("20150101T00:00:00")}

    def domain_zone_info(self, ident):
        return self.info_of(self.set_with(ident))

    def domain_zone_clone(self, ident, number=0, params=None):
        found = self.set_with(ident)
        records = self.copied(self.version_of(found, number))
        made = _Set(next(self.numbers), (params or {}).get(
            "name", found.name + " copy"), found.apex, records)
        self.sets[made.id] = made
        return self.info_of(made)

    def domain_zone_set(self, fqdn, ident):
        zone = self.domain(fqdn)
        found = self.set_with(ident)
        self.attached[zone.name] = found.id
        self.follow(zone)
        self.show(zone)
        return self.domain_info(fqdn)

    def domain_zone_delete(self, ident):
        found = self.set_with(ident, True)
        if found.id in self.attached.values():
            self.refuse(400, 581100, "Error on object : OBJECT_ZONE "
                        "(CAUSE_INUSE) [a domain uses it]")
        del self.sets[ident]
        return True

    def copied(self, records):
        records = copy.deepcopy(records)
        for r in records:
            r.id = self.new_id()
        return records

    def domain_zone_version_new(self, ident, number=0):
        found = self.set_with(ident, True)
        made = max(found.versions) + 1
        found.versions[made] = self.copied(self.version_of(found, number))
        return made

    def domain_zone_version_set(self, ident, number):
        found = self.set_with(ident, True)
        self.version_of(found, number)
        found.active = number
        self.followed(found)
        return True

    def domain_zone_version_list(self, ident):
        found = self.set_with(ident)
        return [{"id": n, "date_created":
                 xmlrpc.client.DateTime("20150101T00:00:00")}
                for n in sorted(found.versions)]

    def domain_zone_version_delete(self, ident, number):
        found = self.set_with(ident, True)
        self.version_of(found, number, True)
        del found.versions[number]
        return True

    def struct(self, found, r):
        apex = found.apex
        name = "@" if r.name == apex else r.name[:-len(apex) - 1]
        return {"name": name, "type": r.kind, "value": r.quoted, "id": r.id,
                "ttl": r.ttl}

    def wanted(self, found, records, filters):
        """The records that a filter takes; its values are stored forms."""
        def takes(shown):
            return all(shown.get(k) in (v if isinstance(v, list) else [v])
                       for k, v in (filters or {}).items()
                       if k in ("name", "type", "value", "ttl", "id"))
        return [r for r in records if takes(self.struct(found, r))]

    def domain_zone_record_list(self, ident, number=0, filters=None):
        found = self.set_with(ident)
        records = self.version_of(found, number)
        return [self.struct(found, r)
                for r in self.wanted(found, records, filters)]

    def domain_zone_record_add(self, ident, number, params):
        found = self.set_with(ident, True)
        records = self.version_of(found, number, True)
        apex = found.apex
        name, kind = params["name"].lower(), params["type"]
        ttl = params.get("ttl", 10800)
        if not _TTL_MIN <= ttl <= _TTL_MAX:
            self.refuse(400, 500003, "Error on object : OBJECT_INT "
                        f"(CAUSE_BADPARAMETER) [{ttl} is not a ttl]")
        fqdn = apex if name == "@" else f"{name}.{apex}"
        record = self.make(fqdn, kind, ttl, params["value"])
        kinds = [r.kind for r in records if r.name == fqdn]
        if "CNAME" in kinds or any(
                (r.name, r.kind, r.strings) == (fqdn, kind, record.strings)
                for r in records):
            self.refuse(409, 581091, "Error on object : OBJECT_RECORD "
                        "(CAUSE_EXISTS) [it is there, or a CNAME is]")
        records.append(record)
        return self.struct(found, record)

    def domain_zone_record_delete(self, ident, number, filters=None):
        found = self.set_with(ident, True)
        records = self.version_of(found, number, True)
        gone = self.wanted(found, records, filters)
        for r in gone:
            records.remove(r)
        return len(gone)
