"""The REST API in Scalingo's dialect: fields, statuses, bodies, conditions."""

import re

import pytest

SHOP = "/v1/apps/api-shop/domains"
FIELDS = {
    "id": str, "app_id": str, "name": str, "created_at": str, "ssl": bool,
    "ssl_status": str, "validity": (str, type(None)), "canonical": bool,
    "letsencrypt_enabled": bool, "letsencrypt": bool,
    "letsencrypt_status": str, "acme_dns_fqdn": (str, type(None)),
    "acme_dns_value": (str, type(None)), "acme_dns_error": dict,
    "acme_challenge_error": (str, type(None)),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def taken():
    return {"errors": {"name": ["has already been taken"]}}


def test_a_domain_has_all_fields_of_scalingos(shared):
    code, body = shared.api("POST", SHOP, {"domain": {"name": "f.api.test"}})
    assert code == 201
    domain = body["domain"]
    for field, kind in FIELDS.items():
        assert isinstance(domain[field], kind), field
    assert TIME.fullmatch(domain["created_at"])
    assert domain["validity"] is None, "an empty string breaks Go's client"
    assert domain["letsencrypt_status"] in ("pending_dns", "new")
    assert "tlscert" not in domain and "tlskey" not in domain
    for where in (domain["id"], "f.api.test", "F.api.Test."):
        assert shared.api("GET", f"{SHOP}/{where}?")[1]["domain"]["id"] == \
            domain["id"]
    code, body = shared.api("DELETE", f"{SHOP}/{domain['id']}?")
    assert (code, body) == (204, "")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_what_is_not_there_is_not_found(shared, method):
    body = {} if method in ("PATCH", "PUT") else None
    for where in ("nowhere.api.test", "0" * 24):
        assert shared.api(method, f"{SHOP}/{where}", body) == (
            404, {"resource": "domain", "error": "not found"})


def test_terraforms_restapi_provider_finds_what_it_wrote(shared):
    """POST, GET, PUT, DELETE by name with ?view=spec: nothing else shown."""
    name = "tf.api.test"
    wanted = {"name": name, "letsencrypt_enabled": True}
    assert shared.api("POST", f"{SHOP}?view=spec", wanted) == (201, wanted)
    one = f"{SHOP}/{name}?view=spec"
    assert shared.api("GET", one) == (200, wanted)
    wanted["letsencrypt_enabled"] = False
    assert shared.api("PUT", one, wanted) == (200, wanted)
    # Changed by hand: the next plan sees it.
    shared.cli("domains-letsencrypt", name, "enable", "--app", "api-shop")
    assert shared.api("GET", one)[1]["letsencrypt_enabled"] is True
    assert shared.api("PUT", one, wanted) == (200, wanted)
    code, body = shared.api("PUT", one, {**wanted, "letsencrypt_enabled": "false"})
    assert (code, body) == (
        422, {"errors": {"letsencrypt_enabled": ["must be a boolean"]}})
    code, body = shared.api("PUT", one, {"name": "other.api.test"})
    assert code == 422 and list(body["errors"]) == ["name"]
    assert shared.api("DELETE", one)[0] == 204
    assert shared.api("DELETE", one)[0] == 404


def test_a_domain_is_added_twice_only_with_a_key(shared):
    body = {"domain": {"name": "twice.api.test"}}
    key = {"Idempotency-Key": "8a1f"}
    first = shared.request("POST", SHOP, body, key)
    assert first.status == 201
    again = shared.request("POST", SHOP, body, key)
    assert again.status == 201
    assert again.json["domain"]["id"] == first.json["domain"]["id"]
    assert shared.api("POST", SHOP, body) == (422, taken())
    # What differs was somebody else's wish, and so was another app's.
    off = {"domain": {**body["domain"], "letsencrypt_enabled": False}}
    other = shared.request("POST", SHOP, off, key)
    assert (other.status, other.json) == (422, taken())
    other = shared.request("POST", "/v1/apps/api-other/domains", body, key)
    assert (other.status, other.json) == (422, taken())
    events = shared.cli("events", "-n", "200", "--json").json["events"]
    added = [e for e in events
             if e["type"] == "added" and e["name"] == "twice.api.test"]
    assert len(added) == 1


def test_what_a_client_has_is_not_sent_again(shared):
    name = "etag.api.test"
    off = {"domain": {"name": name, "letsencrypt_enabled": False}}
    assert shared.api("POST", SHOP, off)[0] == 201
    shared.await_status(name, "disabled")
    one = f"{SHOP}/{name}?view=spec"
    first = shared.request("GET", one)
    tag = first.headers["ETag"]
    same = shared.request("GET", one, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (same.status, same.raw) == (304, b"")
    assert same.headers["ETag"] == tag
    on = {"letsencrypt_enabled": True}
    late = shared.request("PATCH", one, on, {"If-Match": '"older"'})
    assert late.status == 412 and late.json["code"] == "changed"
    assert shared.request("GET", one).headers["ETag"] == tag
    assert shared.request("PATCH", one, on, {"If-Match": tag}).status == 200
    assert shared.request("GET", one).headers["ETag"] != tag
    assert shared.request("DELETE", one, headers={"If-Match": tag}).status == 412
    assert shared.request("DELETE", one, headers={"If-Match": "*"}).status == 204


def test_an_app_has_one_canonical_domain(shared):
    def canonical():
        domains = shared.api("GET", SHOP)[1]["domains"]
        return sorted(d["name"] for d in domains if d["canonical"])

    for name in ("one.canon.api.test", "two.canon.api.test"):
        assert shared.api("POST", SHOP, {"domain": {
            "name": name, "canonical": False}})[0] == 201
        assert shared.api("PATCH", f"{SHOP}/{name}", {
            "domain": {"canonical": True}})[1]["domain"]["canonical"] is True
        assert canonical() == [name]
    assert shared.api("PATCH", f"{SHOP}/two.canon.api.test",
                      {"domain": {"canonical": False}})[0] == 200
    assert canonical() == []


def test_a_misspelt_field_is_not_taken_for_done(shared):
    code, body = shared.api("POST", SHOP, {"domain": {
        "name": "misspelt.api.test", "letsencrypt": True, "canoncial": True}})
    assert (code, body) == (
        422, {"errors": {"canoncial": ["is no field of a domain"]}})
    assert shared.status("misspelt.api.test") == ""
