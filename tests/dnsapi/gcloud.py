"""Google Cloud DNS v1: atomic changes; tokens for signed JWTs."""

import base64
import json
import secrets
import time

from . import rsa
from .server import Api, Reply

_SCOPES = {"https://www.googleapis.com/auth/ndev.clouddns.readwrite",
           "https://www.googleapis.com/auth/cloud-platform"}
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_PATHS = ("/token", "/o/oauth2/token", "/oauth2/v4/token",
                "/dns/v1/token")
_TOKEN_URI = "https://oauth2.googleapis.com/token"


class Gcloud(Api):
    """token_uri is what the key file says, and the JWT's audience.  The token
    is given out here all the same: a client is told by its operator where."""

    NAME = "gcloud"
    PREFIX = "/dns/v1"
    ROUTES = (
        ("GET", "/projects/([^/]+)/managedZones", "list_zones"),
        ("GET", "/projects/([^/]+)/managedZones/([^/]+)", "get_zone"),
        ("GET", "/projects/([^/]+)/managedZones/([^/]+)/rrsets", "list_sets"),
        ("POST", "/projects/([^/]+)/managedZones/([^/]+)/changes",
         "post_change"),
        ("GET", "/projects/([^/]+)/managedZones/([^/]+)/changes/([^/]+)",
         "get_change"),
    )
    _key = None

    def __init__(self, *args, token_s=3599, token_uri=_TOKEN_URI, **kw):
        self.token_s, self.token_uri = token_s, token_uri
        self.changes = {}
        super().__init__(*args, **kw)

    def sign_up(self):
        # One key for all fakes of a run: making it is the slow part.
        if not Gcloud._key:
            Gcloud._key = rsa.new_key()
        self.pem, self.modulus = Gcloud._key
        self.project = f"certfleet-{secrets.token_hex(3)}"
        self.client_email = f"dns@{self.project}.iam.gserviceaccount.com"
        self.key_id = secrets.token_hex(20)
        # Lines of it would be found in a log, too.
        self.secrets += [x for x in self.pem.splitlines()
                         if not x.startswith("-")]
        self.secret(self.variables["DNS_GCLOUD_JSON_KEYS"])

    @property
    def key_file(self):
        return {
            "type": "service_account", "project_id": self.project,
            "private_key_id": self.key_id, "private_key": self.pem,
            "client_email": self.client_email, "client_id": "117",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
        }

    @property
    def variables(self):
        return {"DNS_PROVIDER": self.NAME,
                "DNS_GCLOUD_JSON_KEYS": base64.b64encode(
                    json.dumps(self.key_file, indent=2).encode()).decode()}

    def new_zone_id(self):
        return str(self.new_id())

    def problem(self, status, code="", message="", **more):
        code = code or {
            400: "invalid", 401: "authError", 403: "forbidden",
            404: "notFound", 409: "alreadyExists", 412: "conditionNotMet",
            429: "rateLimitExceeded"}.get(status, "backendError")
        message = message or {
            401: "Invalid Credentials",
            403: "Permission 'dns.changes.create' denied on resource",
            429: "Rate Limit Exceeded"}.get(status, f"This is {code}.")
        return Reply(status, {"error": {
            "code": status, "message": message,
            "errors": [{"message": message, "domain": "global",
                        "reason": code}]}})

    def content_type_of(self, request):
        return ("application/x-www-form-urlencoded"
                if request.path in _TOKEN_PATHS else self.CONTENT_TYPE)

    # Signing in.

    def before_routing(self, request):
        if request.path not in _TOKEN_PATHS:
            self.authenticate(request)

    def route(self, request):
        if request.path in _TOKEN_PATHS and request.method == "POST":
            return self.token(request)
        return super().route(request)

    @staticmethod
    def no_token(error, text):
        return Reply(400, {"error": error, "error_description": text})

    def token(self, request):
        form = request.form()
        if form.get("grant_type") != _GRANT:
            return self.no_token("unsupported_grant_type", "Invalid grant_type")
        try:
            signed, _, signature = form["assertion"].rpartition(".")
            header, claims = (json.loads(rsa.from_b64url(x))
                              for x in signed.split("."))
            signature = rsa.from_b64url(signature)
        except (ValueError, KeyError):
            return self.no_token("invalid_grant", "Invalid JWT")
        if "=" in form["assertion"]:
            return self.no_token("invalid_grant", "Invalid JWT: padding")
        if claims.get("iss") != self.client_email:
            return self.no_token("invalid_grant",
                                 "Invalid grant: account not found")
        if (header.get("alg") != "RS256" or header.get("typ") != "JWT"
                or header.get("kid") != self.key_id
                or not rsa.verified(self.modulus, signature, signed.encode())):
            return self.no_token("invalid_grant", "Invalid JWT Signature.")
        return self.token_for(claims)

    def token_for(self, claims):
        if claims.get("aud") != self.token_uri:
            return self.no_token("invalid_grant",
                                 "Invalid JWT: audience is not the token_uri")
        now = time.time() + self.clock_s
        iat, exp = claims.get("iat"), claims.get("exp")
        if (not isinstance(iat, int) or not isinstance(exp, int)
                or exp - iat > 3600 or exp <= now or abs(now - iat) > 300):
            return self.no_token(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) "
                "and in a reasonable timeframe. Check your iat and exp values "
                "in the JWT claim.")
        if claims.get("scope") not in _SCOPES:
            return self.no_token("invalid_scope", "Invalid OAuth scope")
        return Reply(200, {"access_token": self.new_token(
            "ya29.", self.token_s), "expires_in": self.token_s,
            "token_type": "Bearer"})

    def authenticate(self, request):
        if self.tokens.get(request.bearer, 0) <= time.time():
            self.refuse(401)

    # The API.

    def zone_object(self, zone):
        return {"kind": "dns#managedZone", "name": self.name_of(zone),
                "dnsName": f"{zone.name}.", "id": zone.id, "description": "",
                "visibility": "private" if zone.private else "public",
                "nameServers": ["ns-cloud-c1.googledomains.com.",
                                "ns-cloud-c2.googledomains.com."],
                "creationTime": "2018-07-09T13:20:08.107Z"}

    @staticmethod
    def name_of(zone):
        return ("private-" if zone.private else "") + zone.name.replace(
            ".", "-")

    def check_project(self, project):
        if project != self.project:
            self.refuse(403, message="Permission 'dns.managedZones.list' "
                        f"denied on resource 'projects/{project}'")

    def list_zones(self, request, project):
        self.check_project(project)
        name = request.query.get("dnsName")
        if name is not None and not name.endswith("."):
            self.refuse(400, message=f"Invalid value for 'dnsName': '{name}'")
        page = int(request.query.get("pageToken", "1"))
        zones, pages = self.pages(
            [z for z in self.zones if name in (None, f"{z.name}.")], page, 100)
        answer = {"kind": "dns#managedZonesListResponse"}
        if zones:
            answer["managedZones"] = [self.zone_object(z) for z in zones]
        if page < pages:
            answer["nextPageToken"] = str(page + 1)
        return Reply(200, answer)

    def zone_called(self, project, ident):
        self.check_project(project)
        for zone in self.zones:
            if ident in (zone.id, self.name_of(zone)):
                return zone
        return self.refuse(404, message="The 'parameters.managedZone' resource "
                           f"named '{ident}' does not exist.")

    def get_zone(self, _request, project, ident):
        return Reply(200, self.zone_object(self.zone_called(project, ident)))

    @staticmethod
    def set_object(name, kind, records):
        return {"kind": "dns#resourceRecordSet", "name": f"{name}.",
                "type": kind, "ttl": records[0].ttl,
                "rrdatas": [r.quoted for r in records]}

    def list_sets(self, request, project, ident):
        zone = self.zone_called(project, ident)
        name, kind = (request.query.get(k) for k in ("name", "type"))
        if kind and not name:
            self.refuse(400, message="'type' needs 'name'")
        if name and not name.endswith("."):
            self.refuse(400, message=f"Invalid value for 'name': '{name}'")
        keys = [k for k in dict.fromkeys((r.name, r.kind)
                                         for r in zone.records)
                if name in (None, k[0] + ".") and kind in (None, k[1])]
        page = int(request.query.get("pageToken", "1"))
        keys, pages = self.pages(keys, page, 100)
        answer = {"kind": "dns#resourceRecordSetsListResponse",
                  "rrsets": [self.set_object(*k, zone.set_of(*k))
                             for k in keys]}
        if page < pages:
            answer["nextPageToken"] = str(page + 1)
        return Reply(200, answer)

    def key_of(self, zone, i, what, item):
        name, kind, ttl = item["name"], item["type"], item["ttl"]
        if (not name.endswith(".") or not isinstance(ttl, int) or ttl < 0
                or not item["rrdatas"]):
            self.refuse(400, message="Invalid value for "
                        f"'entity.change.{what}[{i}]'")
        name = name[:-1].lower()
        if not zone.holds(name):
            self.refuse(400, message=f"'{name}.' is not in the zone")
        return name, kind

    def post_change(self, request, project, ident):
        zone = self.zone_called(project, ident)
        asked = request.json()
        deletions = asked.get("deletions", [])
        additions = asked.get("additions", [])
        if not deletions and not additions:
            self.refuse(400, message="The change is empty.")
        before = list(zone.records)
        try:
            for i, item in enumerate(deletions):
                self.delete(zone, i, item)
            for i, item in enumerate(additions):
                self.add(zone, i, item)
        except Exception:
            zone.records = before  # all or nothing
            raise
        number = str(229 + len(self.changes))
        change = self.change(zone)
        change.object = {
            "kind": "dns#change", "id": number,
            "startTime": "2018-07-09T13:20:08.107Z",
            **{k: v for k, v in (("additions", additions),
                                 ("deletions", deletions)) if v}}
        self.changes[zone.id, number] = change
        return Reply(200, self.change_object(change))

    def delete(self, zone, i, item):
        name, kind = self.key_of(zone, i, "deletions", item)
        there = zone.set_of(name, kind)
        label = (f"The resource 'entity.change.deletions[{i}]' named "
                 f"'{name}. ({kind})'")
        if not there:
            self.refuse(404, message=f"{label} does not exist.")
        wanted = sorted(self.make(name, kind, 0, d).strings
                        for d in item["rrdatas"])
        if (there[0].ttl != item["ttl"]
                or sorted(r.strings for r in there) != wanted):
            self.refuse(412, message=f"Precondition not met for "
                        f"'entity.change.deletions[{i}]'")
        zone.replace(name, kind, [])

    def add(self, zone, i, item):
        name, kind = self.key_of(zone, i, "additions", item)
        label = (f"The resource 'entity.change.additions[{i}]' named "
                 f"'{name}. ({kind})'")
        if zone.set_of(name, kind):
            self.refuse(409, message=f"{label} already exists")
        if zone.has_cname_beside(name, kind):
            self.refuse(400, "cnameResourceRecordSetConflict",
                        f"{label} conflicts with a CNAME")
        if kind == "TXT" and any(" " in d and not d.startswith('"')
                                 for d in item["rrdatas"]):
            self.refuse(400, message=f"{label} has blanks without quotes")
        records = [self.make(name, kind, item["ttl"], d)
                   for d in item["rrdatas"]]
        if len({r.strings for r in records}) < len(records):
            self.refuse(400, message=f"{label} has a value twice")
        zone.replace(name, kind, records)

    @staticmethod
    def change_object(change):
        return {**change.object, "status": "done" if change.done else "pending"}

    def get_change(self, _request, project, ident, number):
        zone = self.zone_called(project, ident)
        change = self.changes.get((zone.id, number))
        if not change:
            self.refuse(404, message=f"The change '{number}' does not exist.")
        return Reply(200, self.change_object(change))
