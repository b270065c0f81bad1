"""Scalingo's own clients, unchanged: the real one for JavaScript, and what the
command line and the Terraform provider send (tests/scalingo)."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness import BUILD, ROOT, SLOW, Failed, environment, program, run
from ownca import OwnCA
from peers import LOOPBACK

HERE = ROOT / "tests" / "scalingo"
VERSION = "0.14.6"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KINDS = {
    "<text>": lambda v: isinstance(v, str) and v != "",
    "<time>": lambda v: isinstance(v, str) and TIME.fullmatch(v),
    "<time?>": lambda v: v is None or TIME.fullmatch(v),
    "<bool>": lambda v: isinstance(v, bool),
}


# --- transcripts ---------------------------------------------------------------


def matches(wanted, got, known, where="answer"):
    """got has at least what is wanted; {names} are kept in known."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict), f"{where} is {got!r}"
        for key, value in wanted.items():
            assert key in got, f"{where} has no {key}: {got}"
            matches(value, got[key], known, f"{where}.{key}")
        return
    if isinstance(wanted, list):
        assert isinstance(got, list) and len(got) == len(wanted), \
            f"{where} is {got!r}"
        for i, value in enumerate(wanted):
            matches(value, got[i], known, f"{where}[{i}]")
        return
    if wanted in KINDS:
        assert KINDS[wanted](got), f"{where} is {got!r}, not {wanted}"
        return
    name = re.fullmatch(r"\{(\w+)\}", wanted) if isinstance(wanted, str) else None
    if name:
        assert isinstance(got, str) and got, f"{where} is {got!r}"
        wanted = known.setdefault(name[1], got)
    assert type(got) is type(wanted) and got == wanted, \
        f"{where} is {got!r}, not {wanted!r}"


def filled(text, known):
    return re.sub(r"\{(\w+)\}", lambda m: known[m[1]] if m[1] in known
                  else m[0], text)


def exchanges(path):
    """(command, request lines, answer lines) of a transcript."""
    command, sent, wanted = "", [], []
    for line in [*path.read_text().splitlines(), "$"]:
        if sent and wanted and line[:1] in "$>":
            yield command, sent, wanted
            sent, wanted = [], []
        if line.startswith("$"):
            command = line[2:]
        elif line.startswith(">"):
            sent.append(line[2:])
        elif line.startswith("<"):
            wanted.append(line[2:])


def send(port, lines, known):
    """The very bytes; the status, headers and body that come back."""
    blank = lines.index("") if "" in lines else len(lines)
    body = filled("\n".join(lines[blank + 1:]), known).encode()
    head = [filled(lines[0], known) + " HTTP/1.1",
            f"Host: {LOOPBACK}:{port}", *(filled(x, known)
                                          for x in lines[1:blank])]
    if body:
        head.append(f"Content-Length: {len(body)}")
    head += ["Connection: close", "", ""]
    with socket.create_connection((LOOPBACK, port), 10 * SLOW) as s:
        s.sendall("\r\n".join(head).encode() + body)
        got = b"".join(iter(lambda: s.recv(65536), b""))
    top, _, rest = got.partition(b"\r\n\r\n")
    first, *headers = top.decode().split("\r\n")
    return int(first.split()[1]), headers, rest


def play(node, path, known):
    for command, sent, wanted in exchanges(path):
        status, headers, body = send(node.api_port, sent, known)
        about = f"{command}: {sent[0]}: {status} {body.decode()}"
        assert status == int(wanted[0]), about
        rest = wanted[1:]
        while rest and not rest[0].startswith("{"):
            assert rest.pop(0) in headers, about
        if not rest:
            assert body == b"", about
            continue
        assert "Content-Type: application/json" in headers
        matches(json.loads("\n".join(rest)), json.loads(body), known, about)


def values(node, token, certificate=None):
    """What a transcript does not know by itself."""
    known = {"basic": base64.b64encode(f":{token}".encode()).decode(),
             "base": f"http://{LOOPBACK}:{node.api_port}"}
    for name, path in (certificate or {}).items():
        known[name] = json.dumps(path.read_text())[1:-1]
    return known


@pytest.fixture
def certificate(tmp_path):
    """A customer's own."""
    pair = OwnCA(tmp_path).leaf("www.scli.test")
    return {"cert": pair.cert, "key": pair.key}


def test_the_command_lines_transcript(shared, certificate):
    token = shared.token("cli", "--app", "scli", "--role", "operate")
    play(shared, HERE / "cli.txt", values(shared, token, certificate))


def test_the_terraform_providers_transcript(shared):
    token = shared.token("terraform", "--app", "stf", "--role", "operate")
    play(shared, HERE / "terraform.txt", values(shared, token))


def test_a_transcript_can_fail():
    with pytest.raises(AssertionError, match="is False, not True"):
        matches({"a": True}, {"a": False, "b": 1}, {})
    with pytest.raises(AssertionError, match="has no a"):
        matches({"a": True}, {}, {})
    known = {}
    matches(["{x}", "{x}"], ["1", "1"], known)
    with pytest.raises(AssertionError):
        matches("{x}", "2", known)
    with pytest.raises(AssertionError):
        matches(1, True, {})


# --- the real clients -----------------------------------------------------------


@pytest.fixture(scope="module")
def package():
    """The npm package, from the cache or installed into it."""
    where = BUILD / "npm"
    there = where / "node_modules" / "scalingo"
    try:
        program("node")
        npm = program("npm")
    except Failed as e:
        pytest.skip(f"Scalingo's JavaScript client needs Node: {e}")
    try:
        kept = json.loads((there / "package.json").read_text())["version"]
    except OSError:
        kept = None
    if kept != VERSION:
        where.mkdir(parents=True, exist_ok=True)
        done = run(npm, "install", "--prefix", where, "--ignore-scripts",
                   "--no-audit", "--no-fund", "--no-save",
                   f"scalingo@{VERSION}", check=False, seconds=120)
        if done.returncode != 0:
            pytest.skip("npm cannot install the package scalingo: "
                        + done.stdout.strip()[-300:])
    return there


def test_the_real_javascript_client(shared, package):
    """Create, list, show, update, destroy, and how it tells what is wrong."""
    shared.add("www.sjs-theirs.test", app="sjs-theirs")
    env = environment({
        "CERTFLEET_URL": f"http://{LOOPBACK}:{shared.api_port}",
        "CERTFLEET_TOKEN": shared.token("js", "--app", "sjs", "--role",
                                        "operate"),
        "NO_PROXY": "*", "no_proxy": "*"})
    done = subprocess.run(
        [program("node"), HERE / "client.js", package], env=env, text=True,
        capture_output=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    name, domain_id = "www.sjs.test", saw["created"]["id"]
    assert saw["self"]["username"] == "js" and saw["self"]["flags"] == {}
    assert saw["before"] == []
    assert saw["created"]["name"] == name
    assert [d["id"] for d in saw["listed"]] == [domain_id]
    assert saw["shown"]["name"] == name and saw["shown"]["app_id"] == "sjs"
    assert saw["shown"]["canonical"] is False
    assert saw["updated"]["canonical"] is True
    assert saw["taken"]["status"] == 422
    assert saw["taken"]["data"] == {
        "errors": {"name": ["has already been taken"]}}
    assert saw["wrong"]["status"] == 422
    assert list(saw["wrong"]["data"]["errors"]) == ["name"]
    assert saw["theirs"]["status"] == saw["gone"]["status"] == 404
    assert saw["gone"]["data"] == {"resource": "domain", "error": "not found"}
    assert saw["gone"]["message"] == "not found"
    assert saw["after"] == []


@pytest.mark.skipif(not shutil.which("scalingo"),
                    reason="Scalingo's command line is not installed")
def test_the_real_command_line(shared, tmp_path):
    env = environment({
        "SCALINGO_AUTH_URL": f"http://{LOOPBACK}:{shared.api_port}",
        "SCALINGO_API_TOKEN": shared.token("real", "--app", "sreal", "--role",
                                           "operate"),
        "DISABLE_UPDATE_CHECKER": "true", "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})

    def scalingo(*args):
        return subprocess.run(["scalingo", "--app", "sreal", *args], env=env,
                              text=True, capture_output=True,
                              timeout=60 * SLOW)

    assert scalingo("domains-add", "www.sreal.test").returncode == 0
    assert "www.sreal.test" in scalingo("domains").stdout
    twice = scalingo("domains-add", "www.sreal.test")
    assert twice.returncode != 0 and "has already been taken" in twice.stderr
    assert scalingo("domains-remove", "www.sreal.test").returncode == 0
    assert os.listdir(tmp_path)
