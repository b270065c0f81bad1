"""Azure DNS: ARM, with tokens from the login host (both at our origin)."""

import re
import secrets
import time
import uuid

from .server import Api, Reply

_SCOPE = "https://management.azure.com/.default"
_RESOURCE = "https://management.azure.com/"
_RECORDS_MAX = 20


class Azure(Api):
    NAME = "azure"
    FLAGS = re.IGNORECASE
    TOKEN_PATH = re.compile(r"/([^/]+)/oauth2/(v2\.0/)?token")
    ZONES = (r"/subscriptions/([^/]+)/resourceGroups/([^/]+)"
             r"/providers/Microsoft\.Network/dnsZones")
    ROUTES = (
        ("GET", ZONES, "list_zones"),
        ("GET", ZONES + r"/([^/]+)", "get_zone"),
        ("GET", ZONES + r"/([^/]+)/TXT/([^/]+)", "get_set"),
        ("PUT", ZONES + r"/([^/]+)/TXT/([^/]+)", "put_set"),
        ("DELETE", ZONES + r"/([^/]+)/TXT/([^/]+)", "delete_set"),
    )

    def __init__(self, *args, token_s=3599, **kw):
        self.token_s = token_s
        self.etags = {}
        super().__init__(*args, **kw)

    def sign_up(self):
        self.client_id = str(uuid.uuid4())
        # Such secrets have everything that a form has to encode.
        self.client_secret = self.secret(
            "~x.8Q_+/=" + secrets.token_urlsafe(24))
        self.tenant = str(uuid.uuid4())
        self.subscription = str(uuid.uuid4())
        self.group = "dns-group"

    @property
    def variables(self):
        return {
            "DNS_PROVIDER": self.NAME,
            "DNS_AZURE_CLIENT_ID": self.client_id,
            "DNS_AZURE_CLIENT_SECRET": self.client_secret,
            "DNS_AZURE_SUBSCRIPTION_ID": self.subscription,
            "DNS_AZURE_TENANT_ID": self.tenant,
            "DNS_AZURE_RESOURCE_GROUP": self.group,
        }

    def problem(self, status, code="", message="", **more):
        code = code or {
            400: "BadRequest", 401: "InvalidAuthenticationToken",
            403: "AuthorizationFailed", 404: "ResourceNotFound",
            409: "ScopeLocked", 412: "PreconditionFailed",
            429: "SubscriptionRequestsThrottled",
        }.get(status, "InternalServerError")
        message = message or f"The request was answered by {code}."
        if more.get("flat"):
            return Reply(status, {"code": code, "message": message})
        return Reply(status, {"error": {"code": code, "message": message}})

    def content_type_of(self, request):
        return ("application/x-www-form-urlencoded"
                if self.TOKEN_PATH.fullmatch(request.path)
                else self.CONTENT_TYPE)

    # Signing in.

    def before_routing(self, request):
        if not self.TOKEN_PATH.fullmatch(request.path):
            self.authenticate(request)

    def route(self, request):
        m = self.TOKEN_PATH.fullmatch(request.path)
        if m and request.method == "POST":
            return self.token(request, m[1], bool(m[2]))
        return super().route(request)

    def login_problem(self, status, error, number, text):
        trace = str(uuid.uuid4())
        return Reply(status, {
            "error": error,
            "error_description":
                f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: "
                f"{trace} Timestamp: {time.strftime('%Y-%m-%d %H:%M:%SZ')}",
            "error_codes": [number],
            "timestamp": time.strftime("%Y-%m-%d %H:%M:%SZ"),
            "trace_id": trace, "correlation_id": trace,
            "error_uri":
                f"https://login.microsoftonline.com/error?code={number}",
        })

    def token(self, request, tenant, v2):
        form = request.form()
        wanted = ("scope", _SCOPE) if v2 else ("resource", _RESOURCE)
        for name in ("grant_type", "client_id", "client_secret", wanted[0]):
            if not form.get(name):
                return self.login_problem(
                    400, "invalid_request", 900144,
                    "The request body must contain the following parameter: "
                    f"'{name}'.")
        if tenant.lower() != self.tenant:
            return self.login_problem(400, "invalid_request", 90002,
                                      f"Tenant '{tenant}' not found.")
        if form["grant_type"] != "client_credentials":
            return self.login_problem(400, "unsupported_grant_type", 70003,
                                      "The app requested an unsupported grant.")
        if form["client_id"] != self.client_id:
            return self.login_problem(
                400, "unauthorized_client", 700016,
                f"Application with identifier '{form['client_id']}' was not "
                "found in the directory.")
        if form["client_secret"] != self.client_secret:
            return self.login_problem(
                401, "invalid_client", 7000215,
                "Invalid client secret provided. Ensure the secret being sent "
                "in the request is the client secret value, not the client "
                "secret ID, for a secret added to app.")
        if form[wanted[0]] != wanted[1]:
            return self.login_problem(
                400, "invalid_scope" if v2 else "invalid_resource",
                70011 if v2 else 500011, f"The {wanted[0]} is not valid.")
        answer = {"token_type": "Bearer", "expires_in": self.token_s,
                  "ext_expires_in": self.token_s}
        if not v2:
            answer = {k: str(v) for k, v in answer.items()}
            answer["expires_on"] = str(int(time.time()) + self.token_s)
        answer["access_token"] = self.new_token("eyJ0", self.token_s)
        return Reply(200, answer)

    def authenticate(self, request):
        if request.bearer is None:
            self.refuse(401, "AuthenticationFailed",
                        "Authentication failed. The 'Authorization' header is "
                        "missing.")
        until = self.tokens.get(request.bearer)
        if until is None:
            self.refuse(401, "InvalidAuthenticationToken",
                        "The access token is invalid.")
        if until <= time.time():
            self.refuse(401, "ExpiredAuthenticationToken",
                        "The access token expiry UTC time is earlier than "
                        "current UTC time.")

    # The API.

    def account(self, request, subscription, group):
        if request.query.get("api-version") != "2018-05-01":
            self.refuse(400, "MissingApiVersionParameter",
                        "The api-version query parameter (?api-version=) is "
                        "required for all requests.")
        if subscription.lower() != self.subscription:
            self.refuse(404, "SubscriptionNotFound",
                        f"The subscription '{subscription}' could not be "
                        "found.")
        if group.lower() != self.group:
            self.refuse(404, "ResourceGroupNotFound",
                        f"Resource group '{group}' could not be found.")

    def zone_named(self, name, missing="ResourceNotFound"):
        if name.endswith("."):
            self.refuse(400, "BadRequest", "The zone name ends with a dot.")
        for zone in self.zones:
            if zone.name == name.lower():
                return zone
        self.refuse(404, missing,
                    f"The Resource 'Microsoft.Network/dnszones/{name}' under "
                    f"resource group '{self.group}' was not found.")

    def path_of(self, zone):
        return (f"/subscriptions/{self.subscription}/resourceGroups/"
                f"{self.group}/providers/Microsoft.Network/dnszones/{zone.name}")

    def zone_object(self, zone):
        return {
            "id": self.path_of(zone), "name": zone.name,
            "type": "Microsoft.Network/dnszones",
            "etag": "00000002-0000-0000-6ee2-1c6d2a2dd501",
            "location": "global", "tags": {},
            "properties": {
                "maxNumberOfRecordSets": 10000,
                "maxNumberOfRecordsPerRecordSet": None,
                "nameServers": ["ns1-05.azure-dns.com.",
                                "ns2-05.azure-dns.net."],
                "numberOfRecordSets": 2 + len(zone.records),
                "zoneType": "Private" if zone.private else "Public",
            },
        }

    def list_zones(self, request, subscription, group):
        self.account(request, subscription, group)
        page = int(request.query.get("$skipToken", "1"))
        top = int(request.query.get("$top", "100"))
        zones, pages = self.pages(self.zones, page, top)
        answer = {"value": [self.zone_object(z) for z in zones]}
        if page < pages:
            answer["nextLink"] = (
                f"{self.origin}{request.raw_path}?api-version=2018-05-01"
                f"&$top={top}&$skipToken={page + 1}")
        return Reply(200, answer)

    def get_zone(self, request, subscription, group, name):
        self.account(request, subscription, group)
        return Reply(200, self.zone_object(self.zone_named(name)))

    def find(self, request, subscription, group, name, relative, missing):
        self.account(request, subscription, group)
        zone = self.zone_named(name, missing)
        if relative.endswith("."):
            self.refuse(400, "BadRequest", "The record name ends with a dot.")
        return zone, zone.absolute(relative)

    def etag(self, zone, name):
        return self.etags.setdefault((zone.id, name), str(uuid.uuid4()))

    def touched(self, zone, name):
        self.etags.pop((zone.id, name), None)

    def set_reply(self, status, zone, name):
        records = zone.set_of(name, "TXT")
        etag = self.etag(zone, name)
        relative = zone.relative(name)
        return Reply(status, {
            "id": f"{self.path_of(zone)}/TXT/{relative}", "name": relative,
            "type": "Microsoft.Network/dnszones/TXT", "etag": etag,
            "properties": {
                "fqdn": f"{name}.", "TTL": records[0].ttl,
                "TXTRecords": [{"value": list(r.strings)} for r in records],
                "targetResource": {}, "provisioningState": "Succeeded",
            },
        }, {"ETag": etag})

    def get_set(self, request, *path):
        zone, name = self.find(request, *path, "ResourceNotFound")
        if not zone.set_of(name, "TXT"):
            self.refuse(404, "NotFound",
                        f"The resource record '{path[3]}' does not exist in "
                        f"resource group '{self.group}' of subscription "
                        f"'{self.subscription}'.", flat=True)
        return self.set_reply(200, zone, name)

    def guard(self, request, zone, name):
        """If-Match and If-None-Match."""
        there = bool(zone.set_of(name, "TXT"))
        wanted = request.headers.get("If-Match", "").strip('"')
        none = request.headers.get("If-None-Match", "")
        bad = there if none == "*" else False
        if wanted == "*":
            bad = bad or not there
        elif wanted:
            bad = bad or not there or wanted != self.etag(zone, name)
        if bad:
            self.refuse(412, "PreconditionFailed",
                        "The condition in the If-Match or If-None-Match header "
                        "was not satisfied.", flat=True)
        return there

    def put_set(self, request, *path):
        zone, name = self.find(request, *path, "ParentResourceNotFound")
        there = self.guard(request, zone, name)
        properties = request.json()["properties"]
        ttl = properties["TTL"]
        values = [tuple(v["value"]) for v in properties["TXTRecords"]]
        if not isinstance(ttl, int) or not 1 <= ttl < 1 << 31:
            self.refuse(400, "BadRequest", "The TTL is not valid.")
        if not values or len(values) > _RECORDS_MAX or any(
                len(s) > 255 for v in values for s in v):
            self.refuse(400, "BadRequest", "The TXT records are not valid.")
        if len(set(values)) < len(values):
            self.refuse(400, "BadRequest", "A record is there twice.")
        if zone.has_cname_beside(name, "TXT"):
            self.refuse(400, "BadRequest",
                        "A CNAME record exists with the same name.")
        records = []
        for value in values:
            # Quotation marks are data here, like everything else.
            record = self.make(name, "TXT", ttl, "")
            record.strings = value
            records.append(record)
        zone.replace(name, "TXT", records)
        self.touched(zone, name)
        self.show(zone)
        return self.set_reply(200 if there else 201, zone, name)

    def delete_set(self, request, *path):
        zone, name = self.find(request, *path, "ParentResourceNotFound")
        if not self.guard(request, zone, name):
            return Reply(204)
        zone.replace(name, "TXT", [])
        self.touched(zone, name)
        self.show(zone)
        return Reply(200)
