"""The API's description: well formed, its examples and our answers fit it.

That it has every route of the binary is tests/unit/test_api_openapi.c's.
"""

import json

import pytest
from jsonschema import Draft202012Validator

from harness import ROOT

DOC = json.loads((ROOT / "sync/api/openapi.json").read_text())
METHODS = ("get", "post", "put", "patch", "delete")


def resolved(node):
    """What a $ref points to, else node itself."""
    while "$ref" in node:
        at = DOC
        for step in node["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        node = at
    return node


def faults(schema, value):
    whole = {**schema, "components": DOC["components"]}
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
            for e in Draft202012Validator(whole).iter_errors(value)]


def operations():
    for path, item in DOC["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method], item.get("parameters", [])


def contents():
    """(where, media type object) of every body."""
    for path, method, op, _ in operations():
        where = f"{method.upper()} {path}"
        if "requestBody" in op:
            for media in op["requestBody"]["content"].values():
                yield f"{where} request", media
        for code, response in op["responses"].items():
            for media in resolved(response).get("content", {}).values():
                yield f"{where} {code}", media


@pytest.mark.parametrize("where,media", contents(),
                         ids=lambda x: x if isinstance(x, str) else "")
def test_every_example_fits_its_schema(where, media):
    Draft202012Validator.check_schema(
        {**media["schema"], "components": DOC["components"]})
    assert faults(media["schema"], media["example"]) == []


def test_a_schema_can_refuse():
    domain = DOC["paths"]["/v1/apps/{app}/domains/{id}"]["get"]["responses"][
        "200"]["content"]["application/json"]
    broken = json.loads(json.dumps(domain["example"]))
    broken["domain"]["letsencrypt_status"] = "unheard of"
    assert faults(domain["schema"], broken)
    assert faults(domain["schema"], {})


def test_parameters_are_those_of_the_paths():
    seen = set()
    for path, method, op, shared in operations():
        parameters = [resolved(p) for p in shared + op.get("parameters", [])]
        named = {p["name"] for p in parameters if p["in"] == "path"}
        assert named == {s[1:-1] for s in path.split("/") if s[:1] == "{"}
        for p in parameters:
            assert faults(p["schema"], p["example"]) == [], (path, p["name"])
        assert op["operationId"] not in seen
        seen.add(op["operationId"])
        for tag in op["tags"]:
            assert tag in {t["name"] for t in DOC["tags"]}


def test_it_is_served_to_anybody(shared):
    for ask in (shared.request, shared.by_tcp):
        reply = ask("GET", "/api/v1/openapi.json")
        assert reply.status == 200 and reply.json == DOC
        assert reply.headers["Content-Type"] == "application/json"


# --- what we really answer ------------------------------------------------------

PATHS = {"app": "openapi", "id": "www.openapi.test", "name": "www.openapi.test"}


def answer(node, path, method, body=None):
    """Ask; what of the answer does not fit the description."""
    at = path
    for name, value in PATHS.items():
        at = at.replace(f"{{{name}}}", value)
    code, said = node.api(method.upper(), at, body)
    responses = DOC["paths"][path.split("?")[0]][method]["responses"]
    assert str(code) in responses, f"{method} {at}: {code} is not described"
    content = resolved(responses[str(code)]).get("content")
    if content is None:
        assert said == "", (at, said)
        return code, []
    return code, faults(content["application/json"]["schema"], said)


@pytest.fixture(scope="module")
def served(session_node):
    """One In use with a story, one new, one with a custom certificate's."""
    session_node.point_here(PATHS["name"])
    session_node.add(PATHS["name"], "*.openapi.test", "new.openapi.test",
                     app=PATHS["app"])
    session_node.await_status(PATHS["name"], "in_use")
    return session_node


@pytest.mark.parametrize("path", [
    p for p, m, o, _ in operations() if m == "get"
    and o["responses"]["200"].get("content", {}).keys() == {"application/json"}
    and p != "/api/v1/openapi.json"])
def test_what_is_told_fits(served, shared, path):
    assert answer(shared, path, "get") == (200, [])


def test_views_and_lists_fit(served, shared):
    for path in ("/v1/apps/{app}/domains", "/v1/apps/{app}/domains/{id}"):
        code, said = shared.api("GET", path.format(**PATHS) + "?view=spec")
        schema = DOC["paths"][path]["get"]["responses"]["200"]["content"][
            "application/json"]["schema"]
        assert code == 200 and faults(schema, said) == []


def test_changes_and_what_is_wrong_with_them_fit(served, shared):
    one, many = "/v1/apps/{app}/domains/{id}", "/v1/apps/{app}/domains"
    new = {"domain": {"name": "added.openapi.test"}}
    token = {"name": "openapi", "role": "read", "apps": ["openapi"]}
    for path, method, body, code in (
            (many, "post", new, 201), (many, "post", new, 422),
            (many, "post", b"x", 400), (one, "patch", {}, 200),
            (one, "put", {"name": PATHS["name"]}, 200),
            (one, "patch", {"domain": {"x": 1}}, 422),
            ("/api/v1/plan", "post", {"names": ["a.b.test", "b..c"]}, 200),
            ("/api/v1/plan", "post", {}, 400),
            ("/api/v1/tokens", "post", token, 201),
            ("/api/v1/tokens", "post", {}, 422),
            ("/api/v1/domains/{name}/revoke", "post", {"reason": "x"}, 422),
            ("/v1/apps/{app}/variables", "post", {
                "name": "DNS_CLOUDFLARE_EMAIL", "value": "a@b.test"}, 201),
            ("/v1/apps/{app}/variables", "put", {"variables": [
                {"name": "DNS_CLOUDFLARE_EMAIL", "value": None}]}, 200),
            ("/v1/apps/{app}/variables", "put", {"variables": [
                {"name": "DNS_PROVIDER", "value": "ovh"}]}, 422),
            ("/v1/tokens/exchange", "post", {}, 401),
            (one, "delete", None, 204), (one, "delete", None, 404),
            (one, "get", None, 404),
            ("/api/v1/domains/{name}", "get", None, 404)):
        assert answer(shared, path, method, body) == (code, []), (path, method)


def test_every_example_of_a_request_is_taken(served, shared):
    """What the description shows works: no example is refused as malformed."""
    for path, method, op, _ in operations():
        if "requestBody" not in op or path.startswith("/v1/tokens"):
            continue
        if path == "/api/v1/account/rollover":
            continue  # it would give the account of all tests another key
        example = op["requestBody"]["content"]["application/json"]["example"]
        at = path.format(app="openapi-try", id="www.shop.example",
                         name="www.shop.example")
        code, said = shared.api(method.upper(), at, example)
        assert code not in (400, 405) and code < 500, (path, code, said)
