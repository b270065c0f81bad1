"""Small clients of the nine APIs: they prove that the fakes can be used.

Each one is what a provider's documentation says, by the shortest way.  A
client is for one app: with its variables, at a base URL.

    client_of("ovh", api.base_url, api.variables, api.ca).create(name, value)
"""

import base64
import http.client
import json
import ssl
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
import xmlrpc.client
from xml.sax.saxutils import escape

from . import rsa, wire
from .ovh import signature as ovh_signature
from .route53 import canonical
from .route53 import signature as v4_signature

_TRIES = 4


class ApiError(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:300]}")
        self.status, self.text = status, text


def candidates(name):
    """The name, its parent, and so on, down to two labels."""
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels) - 1)]


def decoded(text):
    return "".join(wire.unquote(text))


def _conflict(e):
    return e.status in (404, 409, 412) or "InvalidChangeBatch" in e.text


class Client:
    """create() and remove() one value; the nine say how."""

    TTL = 600
    APEX = "@"

    def __init__(self, base_url, variables, ca):
        self.base_url = base_url
        self.vars = variables
        self.tls = ssl.create_default_context(cafile=ca)
        self.throttled = 0
        self.prepare()

    def prepare(self):
        """What has to be known before the first request."""

    def send(self, method, url, headers=None, body=None, how=None):
        """Answer of a request as text; waits and repeats when throttled."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        for left in reversed(range(_TRIES)):
            status, answer_headers, text = self.once(
                method, url, {"Content-Type": how or "application/json",
                              "User-Agent": "reference/1", **(headers or {})},
                body)
            wait = self.announced(status, answer_headers, text)
            if wait is None or not left:
                break
            self.throttled += 1
            time.sleep(wait)
        if status >= 300:
            raise ApiError(status, text)
        return text

    def once(self, method, url, headers, body):
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=10, context=self.tls)
        target = parts.path + ("?" + parts.query if parts.query else "")
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def announced(self, status, headers, _text):
        if status not in (429, 503):
            return None
        return float(headers.get("Retry-After", 0.1))

    def call(self, method, path, body=None, **query):
        url = self.base_url + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        text = self.send(method, url, self.headers(), body)
        return json.loads(text) if text else None

    def headers(self):
        return {}

    def zone(self, name):
        """The longest of the account's zones that has the name."""
        for candidate in candidates(name):
            try:
                found = self.get_zone(candidate)
            except ApiError as e:
                if e.status != 404:
                    raise
                continue
            if found:
                return found
        raise ApiError(404, f"no zone for {name}")

    def relative(self, name, zone):
        return self.APEX if name == zone else name[:-len(zone) - 1]

    def again(self, change, *args):
        """What somebody else has changed meanwhile is read again."""
        for left in reversed(range(_TRIES)):
            try:
                return change(*args)
            except ApiError as e:
                if not left or not _conflict(e):
                    raise

    def create(self, name, value):
        zone = self.zone(name)
        return self.again(self.add, zone, name, value)

    def remove(self, name, value):
        zone = self.zone(name)
        return self.again(self.take, zone, name, value)


class Azure(Client):
    def prepare(self):
        self.token = None
        self.group = (f"/subscriptions/{self.vars['DNS_AZURE_SUBSCRIPTION_ID']}"
                      f"/resourceGroups/{self.vars['DNS_AZURE_RESOURCE_GROUP']}"
                      "/providers/Microsoft.Network/dnsZones")

    def login(self):
        form = urllib.parse.urlencode({
            "grant_type": "client_credentials",
            "client_id": self.vars["DNS_AZURE_CLIENT_ID"],
            "client_secret": self.vars["DNS_AZURE_CLIENT_SECRET"],
            "scope": "https://management.azure.com/.default"})
        tenant = self.vars["DNS_AZURE_TENANT_ID"]
        self.token = json.loads(self.send(
            "POST", f"{self.base_url}/{tenant}/oauth2/v2.0/token", None,
            form.encode(), "application/x-www-form-urlencoded"))["access_token"]

    def arm(self, method, path, body=None, **headers):
        for fresh in (not self.token, True):
            if fresh:
                self.login()
            try:
                text = self.send(
                    method,
                    f"{self.base_url}{self.group}{path}?api-version=2018-05-01",
                    {"Authorization": f"Bearer {self.token}", **headers}, body)
                return json.loads(text) if text else None
            except ApiError as e:
                if e.status != 401 or fresh:
                    raise

    def get_zone(self, name):
        return self.arm("GET", f"/{name}")["name"]

    def zones(self):
        page = self.arm("GET", "")
        found = page["value"]
        while page.get("nextLink"):
            page = json.loads(self.send(
                "GET", page["nextLink"],
                {"Authorization": f"Bearer {self.token}"}))
            found += page["value"]
        return [z["name"] for z in found]

    def read(self, path):
        try:
            return self.arm("GET", path)
        except ApiError as e:
            if e.status != 404:
                raise
            return None

    def write(self, path, there, records):
        ttl = there["properties"]["TTL"] if there else 60
        guard = ({"If-Match": there["etag"]} if there
                 else {"If-None-Match": "*"})
        if records:
            self.arm("PUT", path, {"properties": {
                "TTL": ttl, "TXTRecords": records}}, **guard)
        else:
            self.arm("DELETE", path, **guard)

    def add(self, zone, name, value):
        path = f"/{zone}/TXT/{self.relative(name, zone)}"
        there = self.read(path)
        records = there["properties"]["TXTRecords"] if there else []
        if not any("".join(r["value"]) == value for r in records):
            self.write(path, there, records + [{"value": [value]}])

    def take(self, zone, name, value):
        path = f"/{zone}/TXT/{self.relative(name, zone)}"
        there = self.read(path)
        records = there["properties"]["TXTRecords"] if there else []
        rest = [r for r in records if "".join(r["value"]) != value]
        if len(rest) < len(records):
            self.write(path, there, rest)


class Cloudflare(Client):
    def headers(self):
        token = self.vars.get("DNS_CLOUDFLARE_API_TOKEN")
        if token:
            return {"Authorization": f"Bearer {token}"}
        return {"X-Auth-Email": self.vars["DNS_CLOUDFLARE_EMAIL"],
                "X-Auth-Key": self.vars["DNS_CLOUDFLARE_API_KEY"]}

    def get_zone(self, name):
        found = self.call("GET", "/zones", name=name)["result"]
        return found[0]["id"] if found else None

    def paged(self, path, **query):
        found, page, pages = [], 1, 1
        while page <= pages:
            answer = self.call("GET", path, page=page, **query)
            found += answer["result"]
            pages = answer["result_info"]["total_pages"]
            page += 1
        return found

    def zones(self):
        return [z["name"] for z in self.paged("/zones", per_page=50)]

    def add(self, zone, name, value):
        self.call("POST", f"/zones/{zone}/dns_records", {
            "type": "TXT", "name": name, "content": f'"{value}"', "ttl": 120})

    def take(self, zone, name, value):
        path = f"/zones/{zone}/dns_records"
        for r in self.paged(path, type="TXT", name=name, per_page=100):
            if decoded(r["content"]) == value:
                self.call("DELETE", f"{path}/{r['id']}")


class Dnsimple(Client):
    APEX = ""

    def headers(self):
        token = self.vars["DNS_DNSIMPLE_OAUTH_TOKEN"]
        return {"Authorization": f"Bearer {token}",
                "Accept": "application/json"}

    def announced(self, status, headers, _text):
        if status != 429:
            return None
        return max(0.1, int(headers["X-RateLimit-Reset"]) - time.time())

    def accounts(self):
        account = self.call("GET", "/whoami")["data"]["account"]
        if account:
            return [account["id"]]
        return [a["id"] for a in self.call("GET", "/accounts")["data"]]

    def get_zone(self, name):
        for account in self.accounts():
            try:
                self.call("GET", f"/{account}/zones/{name}")
                return account, name
            except ApiError as e:
                if e.status != 404:
                    raise
        return None

    def paged(self, path, **query):
        found, page, pages = [], 1, 1
        while page <= pages:
            answer = self.call("GET", path, page=page, per_page=100, **query)
            found += answer["data"]
            pages = answer["pagination"]["total_pages"]
            page += 1
        return found

    def zones(self):
        return [z["name"] for a in self.accounts()
                for z in self.paged(f"/{a}/zones")]

    def add(self, zone, name, value):
        account, zone = zone
        self.call("POST", f"/{account}/zones/{zone}/records", {
            "name": self.relative(name, zone), "type": "TXT",
            "content": value, "ttl": 60})

    def take(self, zone, name, value):
        account, zone = zone
        path = f"/{account}/zones/{zone}/records"
        for r in self.paged(path, type="TXT", name=self.relative(name, zone)):
            if decoded(r["content"]) == value:
                self.call("DELETE", f"{path}/{r['id']}")


class Gandi(Client):
    def rpc(self, method, *args):
        body = xmlrpc.client.dumps(
            (self.vars["DNS_GANDI_API_KEY"], *args), method, allow_none=True)
        text = self.send("POST", self.base_url + "/", None, body.encode(), "text/xml")
        try:
            return xmlrpc.client.loads(text)[0][0]
        except xmlrpc.client.Fault as e:
            status = {510042: 404, 510150: 401}.get(e.faultCode, 400)
            raise ApiError(status, e.faultString) from None

    def get_zone(self, name):
        info = self.rpc("domain.info", name)
        if info["zone_id"] is None:
            raise ApiError(400, f"{name} is on LiveDNS")
        return name, info["zone_id"]

    def edit(self, zone, change):
        domain, ident = zone
        if self.rpc("domain.zone.info", ident)["public"]:
            ident = self.rpc("domain.zone.clone", ident, 0, {"name": "ours"})[
                "id"]
        version = self.rpc("domain.zone.version.new", ident)
        try:
            change(ident, version)
        except ApiError:
            self.rpc("domain.zone.version.delete", ident, version)
            raise
        self.rpc("domain.zone.version.set", ident, version)
        if ident != zone[1]:
            self.rpc("domain.zone.set", domain, ident)

    def add(self, zone, name, value):
        self.edit(zone, lambda ident, version: self.rpc(
            "domain.zone.record.add", ident, version, {
                "type": "TXT", "name": self.relative(name, zone[0]),
                "value": value, "ttl": 300}))

    def take(self, zone, name, value):
        wanted = {"type": "TXT", "name": self.relative(name, zone[0])}
        there = self.rpc("domain.zone.record.list", zone[1], 0, wanted)
        for r in there:
            if decoded(r["value"]) == value:
                self.edit(zone, lambda ident, version, r=r: self.rpc(
                    "domain.zone.record.delete", ident, version,
                    {**wanted, "value": r["value"]}))


class Gandiv5(Client):
    def headers(self):
        pat = self.vars.get("DNS_GANDI_PERSONAL_ACCESS_TOKEN")
        return {"Authorization": f"Bearer {pat}" if pat
                else f"Apikey {self.vars['DNS_GANDIV5_API_KEY']}"}

    def get_zone(self, name):
        return self.call("GET", f"/domains/{name}")["fqdn"]

    def read(self, path):
        try:
            return self.call("GET", path)
        except ApiError as e:
            if e.status != 404:
                raise
            return None

    def add(self, zone, name, value):
        path = f"/domains/{zone}/records/{self.relative(name, zone)}/TXT"
        there = self.read(path)
        if not there:
            self.call("POST", path, {"rrset_values": [value],
                                     "rrset_ttl": 300})
        elif value not in map(decoded, there["rrset_values"]):
            self.call("PUT", path, {
                "rrset_values": there["rrset_values"] + [value],
                "rrset_ttl": there["rrset_ttl"]})

    def take(self, zone, name, value):
        path = f"/domains/{zone}/records/{self.relative(name, zone)}/TXT"
        there = self.read(path)
        values = there["rrset_values"] if there else []
        rest = [v for v in values if decoded(v) != value]
        if rest and rest != values:
            self.call("PUT", path, {"rrset_values": rest,
                                    "rrset_ttl": there["rrset_ttl"]})
        elif rest != values:
            self.call("DELETE", path)


class Gcloud(Client):
    def prepare(self):
        self.key = json.loads(base64.b64decode(
            self.vars["DNS_GCLOUD_JSON_KEYS"]))
        self.token = None

    def login(self, ahead_s=0):
        now = int(time.time()) + ahead_s
        pieces = ({"alg": "RS256", "typ": "JWT",
                   "kid": self.key["private_key_id"]},
                  {"iss": self.key["client_email"], "iat": now,
                   "exp": now + 3600, "aud": self.key["token_uri"],
                   "scope": "https://www.googleapis.com/auth/"
                            "ndev.clouddns.readwrite"})
        signed = ".".join(rsa.b64url(json.dumps(p).encode()) for p in pieces)
        signature = rsa.sign(self.key["private_key"], signed.encode())
        form = urllib.parse.urlencode({
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": f"{signed}.{rsa.b64url(signature)}"})
        self.token = json.loads(self.send(
            "POST", self.base_url + "/token", None,
            form.encode(), "application/x-www-form-urlencoded"))["access_token"]

    def call(self, method, path, body=None, **query):
        for fresh in (not self.token, True):
            if fresh:
                self.login()
            try:
                return super().call(
                    method, f"/projects/{self.key['project_id']}{path}", body,
                    **query)
            except ApiError as e:
                if e.status != 401 or fresh:
                    raise

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def paged(self, path, member, **query):
        found, more = [], {}
        while more is not None:
            page = self.call("GET", path, **query, **more)
            found += page.get(member, [])
            token = page.get("nextPageToken")
            more = {"pageToken": token} if token else None
        return found

    def zones(self):
        return [z["dnsName"][:-1]
                for z in self.paged("/managedZones", "managedZones")]

    def get_zone(self, name):
        found = self.paged("/managedZones", "managedZones",
                           dnsName=f"{name}.")
        return next((z["name"] for z in found
                     if z.get("visibility") != "private"), None)

    def read(self, zone, name):
        found = self.paged(f"/managedZones/{zone}/rrsets", "rrsets",
                           name=f"{name}.", type="TXT")
        return found[0] if found else None

    def change(self, zone, old, new):
        body = {k: v for k, v in (("deletions", [old] if old else []),
                                  ("additions", [new] if new else [])) if v}
        path = f"/managedZones/{zone}/changes"
        change = self.call("POST", path, body)
        while change["status"] != "done":
            time.sleep(0.05)
            change = self.call("GET", f"{path}/{change['id']}")

    def add(self, zone, name, value):
        old = self.read(zone, name)
        new = old or {"name": f"{name}.", "type": "TXT", "ttl": 60,
                      "rrdatas": []}
        if value not in map(decoded, new["rrdatas"]):
            self.change(zone, old, {
                **new, "rrdatas": new["rrdatas"] + [f'"{value}"']})

    def take(self, zone, name, value):
        old = self.read(zone, name)
        values = old["rrdatas"] if old else []
        rest = [v for v in values if decoded(v) != value]
        if rest != values:
            self.change(zone, old, {**old, "rrdatas": rest} if rest else None)


class Godaddy(Client):
    def headers(self):
        return {"Authorization": f"sso-key {self.vars['DNS_GODADDY_API_KEY']}:"
                                 f"{self.vars['DNS_GODADDY_API_SECRET']}"}

    def announced(self, status, _headers, text):
        return json.loads(text)["retryAfterSec"] if status == 429 else None

    def get_zone(self, name):
        self.call("GET", f"/domains/{name}/records/TXT/@")
        return name

    def add(self, zone, name, value):
        path = f"/domains/{zone}/records/TXT/{self.relative(name, zone)}"
        there = self.call("GET", path)
        if value not in (r["data"] for r in there):
            self.call("PUT", path, there + [{"data": value, "ttl": 600}])

    def take(self, zone, name, value):
        path = f"/domains/{zone}/records/TXT/{self.relative(name, zone)}"
        there = self.call("GET", path)
        rest = [r for r in there if r["data"] != value]
        if rest and rest != there:
            self.call("PUT", path, rest)
        elif rest != there:
            self.call("DELETE", path)


class Ovh(Client):
    APEX = ""

    def prepare(self):
        self.ids = {}
        self.ahead = None

    def signed(self, method, path, body=None):
        if self.ahead is None:
            self.ahead = int(self.send(
                "GET", self.base_url + "/auth/time")) - int(time.time())
        url = self.base_url + path
        raw = json.dumps(body).encode() if body is not None else b""
        at = int(time.time()) + self.ahead
        text = self.send(method, url, {
            "X-Ovh-Application": self.vars["DNS_OVH_APPLICATION_KEY"],
            "X-Ovh-Consumer": self.vars["DNS_OVH_CONSUMER_KEY"],
            "X-Ovh-Timestamp": str(at),
            "X-Ovh-Signature": ovh_signature(
                self.vars["DNS_OVH_APPLICATION_SECRET"],
                self.vars["DNS_OVH_CONSUMER_KEY"], method, url, raw, at)}, raw)
        return json.loads(text)

    def zone(self, name):
        zones = self.signed("GET", "/domain/zone")
        for candidate in candidates(name):
            if candidate in zones:
                return candidate
        raise ApiError(404, f"no zone for {name}")

    def add(self, zone, name, value):
        made = self.signed("POST", f"/domain/zone/{zone}/record", {
            "fieldType": "TXT", "subDomain": self.relative(name, zone),
            "target": value, "ttl": 60})
        self.ids[name, value] = made["id"]
        self.signed("POST", f"/domain/zone/{zone}/refresh")

    def take(self, zone, name, value):
        path = f"/domain/zone/{zone}/record"
        sub = self.relative(name, zone)
        ids = self.signed("GET", f"{path}?fieldType=TXT&subDomain={sub}")
        for ident in ids:
            if decoded(self.signed("GET", f"{path}/{ident}")["target"]) == value:
                self.signed("DELETE", f"{path}/{ident}")
        self.signed("POST", f"/domain/zone/{zone}/refresh")


class Route53(Client):
    NS = "{https://route53.amazonaws.com/doc/2013-04-01/}"

    def signed(self, method, path, body=b"", **query):
        url = f"{self.base_url}/2013-04-01{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        parts = urllib.parse.urlsplit(url)
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {"host": parts.netloc, "x-amz-date": at}
        target = parts.path + ("?" + parts.query if parts.query else "")
        signature = v4_signature(
            self.vars["DNS_AWS_SECRET_ACCESS_KEY"], at,
            canonical(method, target, headers, "host;x-amz-date", body))
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.vars['DNS_AWS_ACCESS_KEY_ID']}/"
            f"{at[:8]}/us-east-1/route53/aws4_request, "
            f"SignedHeaders=host;x-amz-date, Signature={signature}")
        return ElementTree.fromstring(self.send(
            method, url, headers, body or None, "text/xml"))

    def announced(self, status, _headers, text):
        return 0.2 if status == 400 and ("Throttling" in text or
                                         "PriorRequest" in text) else None

    def zones(self):
        found, more = [], {}
        while more is not None:
            page = self.signed("GET", "/hostedzonesbyname", **more)
            found += [z.findtext(self.NS + "Name").rstrip(".")
                      for z in page.iter(self.NS + "HostedZone")]
            following = page.findtext(self.NS + "NextDNSName")
            more = {"dnsname": following, "hostedzoneid": page.findtext(
                self.NS + "NextHostedZoneId")} if following else None
        return found

    def zone(self, name):
        return self.vars.get("DNS_AWS_HOSTED_ZONE_ID") or super().zone(name)

    def get_zone(self, name):
        page = self.signed("GET", "/hostedzonesbyname", dnsname=name,
                           maxitems=10)
        for z in page.iter(self.NS + "HostedZone"):
            private = z.findtext(f"{self.NS}Config/{self.NS}PrivateZone")
            if z.findtext(self.NS + "Name") == f"{name}." and private == "false":
                return z.findtext(self.NS + "Id").removeprefix("/hostedzone/")
        return None

    def read(self, zone, name):
        page = self.signed("GET", f"/hostedzone/{zone}/rrset", name=f"{name}.",
                           type="TXT", maxitems=1)
        for s in page.iter(self.NS + "ResourceRecordSet"):
            if (s.findtext(self.NS + "Name") == f"{name}."
                    and s.findtext(self.NS + "Type") == "TXT"):
                return (s.findtext(self.NS + "TTL"),
                        [v.text for v in s.iter(self.NS + "Value")])
        return "60", []

    def change(self, zone, name, ttl, old, new):
        changes = "".join(
            f"<Change><Action>{action}</Action><ResourceRecordSet>"
            f"<Name>{name}.</Name><Type>TXT</Type><TTL>{ttl}</TTL>"
            "<ResourceRecords>" + "".join(
                f"<ResourceRecord><Value>{escape(v)}</Value></ResourceRecord>"
                for v in values)
            + "</ResourceRecords></ResourceRecordSet></Change>"
            for action, values in (("DELETE", old), ("CREATE", new)) if values)
        body = ('<?xml version="1.0" encoding="UTF-8"?>'
                "<ChangeResourceRecordSetsRequest xmlns=\"" + self.NS[1:-1]
                + f'"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch>'
                "</ChangeResourceRecordSetsRequest>")
        page = self.signed("POST", f"/hostedzone/{zone}/rrset", body.encode())
        while page.findtext(
                f"{self.NS}ChangeInfo/{self.NS}Status") != "INSYNC":
            time.sleep(0.05)
            page = self.signed("GET", page.findtext(
                f"{self.NS}ChangeInfo/{self.NS}Id"))

    def add(self, zone, name, value):
        ttl, old = self.read(zone, name)
        if value not in map(decoded, old):
            self.change(zone, name, ttl, old, old + [f'"{value}"'])

    def take(self, zone, name, value):
        ttl, old = self.read(zone, name)
        rest = [v for v in old if decoded(v) != value]
        if rest != old:
            self.change(zone, name, ttl, old, rest)


def client_of(name, base_url, variables, ca):
    return globals()[name.capitalize()](base_url, variables, ca)
