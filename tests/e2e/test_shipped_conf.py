"""The HAProxy configuration that is shipped, as HAProxy sees it."""

import os
import re
import shlex

import pytest

from harness import ROOT, program, run

CONF = ROOT / "haproxy" / "conf"

# Other versions of HAProxy to try, each a command: "a;b".
OTHERS = [shlex.split(c) for c in
          os.environ.get("CERTFLEET_HAPROXYS", "").split(";") if c]


@pytest.fixture
def shipped(tmp_path):
    """The file with its paths moved, nothing else; names as in its head."""
    certs = tmp_path / "certs"
    certs.mkdir()
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=default.example",
        "-keyout", certs / "key", "-out", certs / "cert")
    (certs / "default.pem").write_text((certs / "key").read_text() +
                                       (certs / "cert").read_text())
    (certs / "crt-list.txt").write_text("")
    text = (CONF / "haproxy.cfg").read_text()
    for old, new in (("/run/certfleet/certs", certs),
                     ("/run/haproxy", tmp_path),
                     ("/etc/certfleet", CONF)):
        assert old in text
        text = text.replace(old, str(new))
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    return path


@pytest.mark.parametrize("haproxy", [None, *OTHERS], ids=str)
def test_the_shipped_configuration_is_valid_without_a_warning(
        shipped, haproxy):
    said = run(*(haproxy or [program("haproxy")]), "-c", "-f", shipped,
               check=False)
    assert said.returncode == 0, said.stdout
    assert not re.search(r"\[(WARNING|ALERT)\]", said.stdout), said.stdout


def test_challenges_come_before_every_redirect():
    """HAProxy runs http-request rules before use_backend, in any order."""
    text = (CONF / "haproxy.cfg").read_text()
    web = text.split("frontend web\n")[1].split("\nfrontend ")[0]
    for line in web.splitlines():
        if line.strip().startswith("http-request "):
            assert line.endswith("unless acme_challenge"), line
    assert "use_backend certfleet_http01 if acme_challenge" in web
