"""Moving here: certificates of other programs, and nothing is ordered."""

import datetime
import hashlib
import os
import shutil
import ssl
import subprocess
import time

import pytest

from harness import SLOW, environment, program, run, wait_for
from node import PREFIX
from ownca import OwnCA

ELSEWHERE = "127.0.0.9"  # where the names point before they move


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return OwnCA(tmp_path_factory.mktemp("own"))


def put(pair, cert, key=None):
    """A pair as files of another program; no key: all in one file."""
    cert.parent.mkdir(parents=True, exist_ok=True)
    cert.write_text(pair.pem + ("" if key else pair.key_pem))
    if key:
        key.write_text(pair.key_pem)
    return pair


def certbot(root, name, pair, server=None):
    """archive/ has the files, live/ links to them."""
    for link, text in (("fullchain", pair.pem), ("privkey", pair.key_pem)):
        file = root / "archive" / name / f"{link}1.pem"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        live = root / "live" / name / f"{link}.pem"
        live.parent.mkdir(parents=True, exist_ok=True)
        live.symlink_to(os.path.relpath(file, live.parent))
    (root / "live" / "README").write_text("This directory contains your keys")
    conf = root / "renewal" / f"{name}.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("version = 2.1.0\n[renewalparams]\nserver = "
                    f"{server or 'https://ca.example/directory'}\n")


def acme_sh(root, name, pair, server=None, ecc="_ecc"):
    own = root / f"{name}{ecc}"
    put(pair, own / "fullchain.cer", own / f"{name}.key")
    (own / f"{name}.cer").write_text(pair.pem)
    (own / f"{name}.conf").write_text(
        f"Le_Domain='{name}'\nLe_API='{server or 'https://ca.example/d'}'\n")
    (root / "account.conf").write_text("ACCOUNT_EMAIL='a@b.test'\n")
    (root / "ca").mkdir(exist_ok=True)


def lego_made(root, name, pair, server=None):
    base = root / "certificates" / name.replace("*", "_")
    put(pair, base.with_name(base.name + ".crt"),
        base.with_name(base.name + ".key"))
    base.with_name(base.name + ".json").write_text(
        '{"domain": "%s", "certUrl": "%s"}'
        % (name, (server or "https://ca.example/d").replace("/dir", "/cert/1")))


def caddy(root, name, pair, server=None):
    server = server or "https://ca.example/dir"
    ca = server.split("://")[1].replace("/", "-")
    safe = name.replace("*", "wildcard_")
    base = root / "certificates" / ca / safe / safe
    put(pair, base.with_name(safe + ".crt"), base.with_name(safe + ".key"))
    base.with_name(safe + ".json").write_text(
        '{"sans": ["%s"], "issuer_data": {"url": "https://x.test/1", '
        '"ca": "%s"}}' % (name, server))


def haproxy(root, name, pair, server=None):
    put(pair, root / f"{name.replace('*', '_')}.pem")
    (root / "notes.txt").write_text("not one\n")


LAYOUTS = {"certbot": certbot, "acme.sh": acme_sh, "lego": lego_made,
           "caddy": caddy, "haproxy": haproxy}


def results(told):
    """{name: result} of an import's JSON."""
    return {n["name"]: n["result"]
            for c in told["certificates"] for n in c["names"]}


def imported(node, directory, *args, code=0, app="moved"):
    return node.cli("--app", app, "import", str(directory), "--json", *args,
                    code=code).json


def sha1_of(path):
    """Of a PEM file's first certificate."""
    pem = path.read_text().split("-----END CERTIFICATE-----")[0]
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(
        pem + "-----END CERTIFICATE-----")).hexdigest().upper()


def looks(directory):
    return {p: (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime)
            for p in sorted(directory.rglob("*")) if p.is_file()}


LEGO_NAMES = ["a.lego.test", "b.lego.test"]


@pytest.fixture(scope="module", autouse=True)
def lego(session_ground, tmp_path_factory):
    """The real one at work against a CA, while other tests run: it waits for
    seconds where we do not."""
    if not shutil.which("lego"):
        yield None
        return
    world = session_ground.world("moving")
    for name in LEGO_NAMES:
        world.dns.add_a(name, ELSEWHERE)
    directory = tmp_path_factory.mktemp("lego")
    with open(directory.parent / "lego.log", "wb") as log:
        running = subprocess.Popen(
            [program("lego"), "--server", world.pebble.directory,
             "--accept-tos", "--email", "ops@fleet.test",
             *(a for n in LEGO_NAMES for a in ("--domains", n)), "--http",
             "--http.port", f"{ELSEWHERE}:{world.http_port}", "--path",
             directory, "run"],
            env=environment({"LEGO_CA_CERTIFICATES": str(world.tls.ca)}),
            stdout=log, stderr=subprocess.STDOUT)
    yield world, directory, running
    running.kill()
    running.wait()


@pytest.fixture
def fleet(session_ground, lego):
    """Two nodes, one Redis, where lego was."""
    redis = session_ground.redis("moving")
    first, second = (session_ground.node(
        lego[0], start=False, name=f"m{i}", address=f"127.0.0.{i + 1}",
        redis=redis, settings={"dns": {"targets": ["127.0.0.2", "127.0.0.3"]}})
        for i in (1, 2))
    first.start()
    second.state_dir.mkdir(mode=0o700)
    shutil.copy(first.state_dir / "kek", second.state_dir / "kek")
    second.start()
    return first, second


@pytest.mark.parametrize("program", LAYOUTS)
def test_each_programs_directory_is_known(shared, ca, tmp_path, program):
    label = program.replace(".", "-")
    one = [f"www.{label}.test", f"{label}.test"]
    star = [f"*.{label}.test"]
    pairs = {}
    for names in (one, star):
        pairs |= dict.fromkeys(names, ca.leaf(*names, days=80))
    # The CA's directory, as that program remembers it.
    server = shared.pebble.directory
    LAYOUTS[program](tmp_path, one[0], pairs[one[0]], server)
    LAYOUTS[program](tmp_path, star[0], pairs[star[0]], server)
    orders = shared.pebble.orders_made()
    told = imported(shared, tmp_path, "--wait")
    assert told["from"] == program
    assert results(told) == dict.fromkeys(one + star, "imported")
    assert len(told["certificates"]) == 2
    for name, pair in pairs.items():
        record = shared.record(name)
        assert record["status"] == "in_use" and record["sha1"] == pair.sha1
        assert ("ari_id" in record) == (program != "haproxy")
        shown = "any" + name[1:] if name[0] == "*" else name
        assert shared.served(shown).sha1 == pair.sha1
    assert shared.pebble.orders_made() == orders
    assert imported(shared, tmp_path, "--from", program)["from"] == program


def test_an_imported_certificate_is_renewed_in_its_time(shared, ca, tmp_path):
    name = "renewed.moved.test"
    shared.point_here(name)

    def made(start):
        start = datetime.datetime.fromtimestamp(start, datetime.timezone.utc)
        end = start + datetime.timedelta(hours=2)
        pair = ca.leaf(name, start=start, end=end)
        put(pair, tmp_path / "x.pem")
        return pair, start.timestamp()

    def renewal(told):
        at = told["certificates"][0]["names"][0]["renew_at"]
        return datetime.datetime.fromisoformat(
            at.replace("Z", "+00:00")).timestamp()

    # How long after its beginning the name is renewed is fixed.
    _, start = made(int(time.time()) - 3600)
    offset = renewal(imported(shared, tmp_path, "--dry-run")) - int(start)
    pair, _ = made(int(time.time() + 4 * SLOW - offset))
    orders = shared.pebble.orders_made()
    due = renewal(imported(shared, tmp_path, "--wait"))
    assert shared.served(name).sha1 == pair.sha1
    if time.time() < due:
        assert shared.pebble.orders_made() == orders, "ordered too early"
    record = wait_for("its renewal", lambda: (
        lambda r: r if r["sha1"] != pair.sha1 and r["status"] == "in_use" and
        r["proven"] == r["version"] else None)(shared.record(name)), 30,
        explain=shared.tails)
    assert shared.pebble.orders_made() == orders + 1
    assert record["serial"] in shared.pebble.issued()
    assert shared.served(name).serial == record["serial"]


def test_what_cannot_be_served_is_skipped_and_said(shared, ca, tmp_path):
    openssl = program("openssl")
    good = ca.leaf("good.moved.test")
    haproxy(tmp_path, "good", good)
    haproxy(tmp_path, "expired", ca.leaf(
        "expired.moved.test",
        start=datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc),
        end=datetime.datetime(2025, 3, 1, tzinfo=datetime.timezone.utc)))
    other = ca.leaf("other.moved.test")
    (tmp_path / "mismatch.pem").write_text(good.pem + other.key_pem)
    run(openssl, "pkey", "-in", other.key, "-aes256", "-passout", "pass:x",
        "-out", tmp_path / "x.key")
    (tmp_path / "encrypted.pem").write_text(other.pem)
    (tmp_path / "x.key").rename(tmp_path / "encrypted.pem.key")
    run(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "s.key",
        "-out", tmp_path / "s.pem", "-days", "30", "-subj", "/CN=self",
        "-addext", "subjectAltName=DNS:self.moved.test",
        "-addext", "basicConstraints=CA:FALSE")
    (tmp_path / "s.key").rename(tmp_path / "s.pem.key")
    (tmp_path / "keyless.pem").write_text(other.pem)
    (tmp_path / "cut.pem").write_text(good.pem[:300])
    haproxy(tmp_path, "local", ca.leaf("localhost", "named.moved.test"))

    told = imported(shared, tmp_path, code=4)
    assert told["from"] == "haproxy"
    why = {c["path"].rpartition("/")[2]: c["error"]
           for c in told["certificates"]}
    for file, word in (("expired.pem", "expired at"),
                       ("mismatch.pem", "matches no certificate"),
                       ("encrypted.pem", "is encrypted"),
                       ("s.pem", "self-signed"),
                       ("keyless.pem", "no private key"),
                       ("cut.pem", "certificate")):
        assert word in why[file], (file, why[file])
    assert why["good.pem"] is None
    assert results(told) == {"good.moved.test": "imported",
                             "named.moved.test": "imported",
                             "localhost": "skipped"}
    shared.await_status("good.moved.test", "in_use")
    for name in ("expired", "other", "self"):
        assert shared.record(f"{name}.moved.test") == {}
    text = shared.cli("--app", "moved", "import", str(tmp_path), code=4)
    assert "self-signed" in text.err and "good until" in text.out
    assert "nothing is ordered" in text.out


def test_nothing_better_and_nobody_elses_is_replaced(shared, ca, tmp_path):
    better, foreign, own = (f"{n}.held.test" for n in
                            ("better", "foreign", "own"))
    shared.point_here(better)
    shared.add(better, app="moved")
    held = shared.await_status(better, "in_use")
    shared.add(foreign, app="others")
    custom = ca.leaf(own, days=20)
    shared.cli("--app", "moved", "domains-add", own, "--cert",
               str(custom.cert), "--key", str(custom.key), "--wait")
    pair = ca.leaf(better, foreign, own, days=30)
    haproxy(tmp_path, "all", pair)
    assert results(imported(shared, tmp_path, code=4)) == {
        better: "worse", foreign: "taken", own: "kept"}
    assert shared.record(better)["sha1"] == held["sha1"]
    assert shared.served(better).sha1 == held["sha1"]
    assert "sha1" not in shared.record(foreign)
    # The owner's own goes: what was kept follows without an order.
    orders = shared.pebble.orders_made()
    assert shared.served(own).sha1 == custom.sha1
    shared.cli("--app", "moved", "domains-ssl", own, "disable")
    shared.await_status(own, "in_use")
    assert shared.served(own).sha1 == pair.sha1
    assert shared.pebble.orders_made() == orders


def test_of_several_for_a_name_the_longest_is_served(shared, ca, tmp_path):
    name = "several.moved.test"
    long, short = ca.leaf(name, days=85), ca.leaf(name, days=20)
    acme_sh(tmp_path, name, short, ecc="")
    acme_sh(tmp_path, name, long)
    dry = imported(shared, tmp_path, "--dry-run")
    told = imported(shared, tmp_path, "--wait")
    for each in (dry, told):
        by_path = {c["path"].split("/")[-2]: c["names"][0]["result"]
                   for c in each["certificates"]}
        assert by_path == {name: "worse", f"{name}_ecc": "imported"}
    assert shared.served(name).sha1 == long.sha1
    assert shared.record(name)["version"] == "1", "the short one came first"


def test_a_later_one_replaces_what_was_imported(shared, ca, tmp_path):
    name = "later.moved.test"
    haproxy(tmp_path, "x", ca.leaf(name, days=20))
    imported(shared, tmp_path, "--wait")
    pair = ca.leaf(name, days=80)
    haproxy(tmp_path, "x", pair)
    assert results(imported(shared, tmp_path)) == {name: "replaced"}
    shared.await_served(name, lambda s: s.sha1 == pair.sha1)
    shared.await_record(f"{name} to be proven", lambda: (
        lambda r: r["status"] == "in_use" and r["proven"] == "2")(
            shared.record(name)), 20, name)


def test_no_key_is_shown_anywhere(shared, ca, tmp_path):
    name = "secret.moved.test"
    pair = ca.leaf(name)
    haproxy(tmp_path, "x", pair)
    done = shared.cli("--app", "moved", "import", str(tmp_path))
    told = shared.api("POST", "/api/v1/apps/moved/import", {
        "tlscert": pair.pem, "tlskey": pair.key_pem, "dry_run": True})
    everything = done.text + repr(told) + shared.sync.text() + \
        shared.cli("audit", "--json").out + shared.cli("why", name).out
    body = pair.key_pem.splitlines()[1]
    assert "PRIVATE KEY" not in everything and body not in everything
    with shared.redis_client() as redis:
        dump = repr(redis.dump())
        # Whose it is stands in the bundle, too, should Redis forget it.
        assert b"\xa3app\xa5moved" in redis(
            "GET", f"{PREFIX}{{p0}}:cert:{name}", raw=True)
    assert body not in dump and "PRIVATE KEY" not in dump


def test_the_api_says_what_is_wrong(shared, ca):
    pair = ca.leaf("api.moved.test")
    path = "/api/v1/apps/moved/import"
    good = {"tlscert": pair.pem, "tlskey": pair.key_pem, "dry_run": True}
    assert shared.api("POST", path, good)[0] == 200
    for body, field in (({}, "tlscert"), ({**good, "tlskey": ""}, "tlskey"),
                        ({**good, "dry_run": "yes"}, "dry_run"),
                        ({**good, "dryrun": True}, "dryrun"),
                        ({**good, "ca": 1}, "ca"),
                        ({**good, "tlscert": "x"}, "tlscert")):
        code, said = shared.api("POST", path, body)
        assert code == 422 and field in said["errors"], (body, said)
    assert shared.api("POST", path, {
        **good, "tlscert": "x" * 140000})[0] == 413
    other = shared.token("mover", "--app", "elsewhere", "--role", "operate")
    reader = shared.token("looker", "--app", "moved", "--role", "read")
    assert shared.by_tcp("POST", path, good, token=other).status == 404
    assert shared.by_tcp("POST", path, good, token=reader).status == 403
    assert shared.record("api.moved.test") == {}


def test_where_nothing_is_it_says_so(shared, tmp_path):
    said = shared.cli("import", str(tmp_path), code=3).err
    assert "has no certificates" in said
    assert "must be certbot" in shared.cli(
        "import", str(tmp_path), "--from", "nginx", code=2).err
    shared.cli("import", str(tmp_path / "not-there"), code=1)


@pytest.mark.skipif(not shutil.which("lego"),
                    reason="lego is not installed")
def test_what_a_real_lego_has_is_served_by_all_nodes_without_an_order(
        lego, fleet):
    _, path, running = lego
    assert running.wait(60 * SLOW) == 0, \
        (path.parent / "lego.log").read_text()
    node, other = fleet
    sha1 = sha1_of(path / "certificates/a.lego.test.crt")
    orders, before = node.pebble.orders_made(), looks(path)

    dry = imported(node, path, "--dry-run")
    assert dry["from"] == "lego" and dry["dry_run"] is True
    assert set(results(dry).values()) == {"imported"}
    assert all(node.record(n) == {} for n in results(dry))

    told = imported(node, path, "--wait")
    assert results(told) == dict.fromkeys(LEGO_NAMES, "imported")
    for name in LEGO_NAMES:
        record = node.record(name)
        assert record["status"] == "in_use" and record["sha1"] == sha1
        # Its own CA can be asked when to renew.
        assert record["ca"] == node.pebble.directory
        assert int(record["ari_poll_at"]) < int(record["renew_at"])
        for each in fleet:
            served = each.served(name)
            assert served.sha1 == sha1 and served.verified, (each.name, served)

    # Again: nothing changes, and DNS that points elsewhere is no matter.
    version = node.record(LEGO_NAMES[0])["version"]
    assert set(results(imported(other, path)).values()) == {"unchanged"}
    time.sleep(1)
    record = node.record(LEGO_NAMES[0])
    assert (record["version"], record["status"]) == (version, "in_use")
    assert node.pebble.orders_made() == orders
    assert looks(path) == before, "the source was changed"
