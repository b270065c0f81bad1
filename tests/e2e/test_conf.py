"""-c: what is wrong with a configuration, and where."""

import pytest

from harness import built, run

PROGRAMS = ["certfleet-sync", "certfleet-agent"]
CHANGE = 100  # "change something before you start me again"


@pytest.fixture(scope="module")
def good(session_ground, session_node):
    """A configuration that works; nothing of it is started."""
    session_node.write_conf()
    return session_node.conf.read_text()


@pytest.fixture
def check(tmp_path):
    """Check a text as a file; returns exit status and what was said."""

    def do(program, text):
        path = tmp_path / "certfleet.conf"
        path.write_text(text)
        done = run(built(program), "-c", "-f", path, check=False)
        return done.returncode, done.stdout

    return do


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_good_file(check, good, program):
    code, said = check(program, good)
    assert (code, said.strip()) == (0, "Configuration file is valid")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_empty_file_is_all_defaults(check, program):
    code, said = check(program, "")
    assert code == 0, said


BAD = {
    # what is wrong: the text, the line to blame, a word to be said
    "an unknown setting": ('node = "a"\nnod = "b"\n', 2, "nod"),
    "an unknown section": ('\n\nreddis {\n}\n', 3, "reddis"),
    "an unknown setting in a section":
        ('redis {\n\tprefix = "x:"\n\tdbs = 1\n}\n', 3, "dbs"),
    "a number too large": ("agent {\n\tmax_frame_size = 99999999\n}\n", 2,
                           "max_frame_size"),
    "a number below": ("dns {\n\tcheck_interval_ms = -1\n}\n", 2,
                       "check_interval_ms"),
    "a word for a number": ("acme {\n\tmax_in_flight = many\n}\n", 2,
                            "max_in_flight"),
    "a word for a truth": ("dns {\n\tcaa = perhaps\n}\n", 2, "caa"),
    "a level nobody knows": ("log_level = loud\n", 1, "log_level"),
    "no end": ("redis {\n", None, None),
    "a secret in the file": ('redis {\n\tpassword = "geheim"\n}\n', 2,
                             "file:"),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("what", BAD)
def test_a_bad_file(check, program, what):
    text, line, word = BAD[what]
    code, said = check(program, text)
    assert code == CHANGE, said
    if line:
        assert f"certfleet.conf:{line}:" in said, said
        assert word in said, said
    assert "geheim" not in said, "a secret was shown"


def test_all_that_is_wrong_is_told_at_once(check):
    code, said = check("certfleet-sync", 'nod = "b"\n\nlogg = 1\n')
    assert code == CHANGE
    assert "certfleet.conf:1:" in said
    assert "certfleet.conf:3:" in said, said


def test_a_secret_that_others_may_read_is_refused(check, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    text = f'redis {{\n\tpassword = "file:{secret}"\n}}\n'
    secret.chmod(0o644)
    code, said = check("certfleet-sync", text)
    assert code == CHANGE and str(secret) in said, said
    secret.chmod(0o600)
    assert check("certfleet-sync", text)[0] == 0


def test_a_file_that_is_not_there(tmp_path):
    done = run(built("certfleet-sync"), "-c", "-f", tmp_path / "none.conf",
               check=False)
    assert done.returncode == CHANGE and "none.conf" in done.stdout


def test_the_example_is_valid(check):
    from node import CONF
    for program in PROGRAMS:
        code, said = check(program, (CONF / "certfleet.conf").read_text())
        assert code == 0, said


@pytest.mark.parametrize("program, option", [
    ("certfleet-sync", "-V"), ("certfleet-agent", "-V"),
    ("certfleet", "--version")])
def test_a_version(program, option):
    done = run(built(program), option, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(program + " ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_wrong_option_shows_usage(program):
    done = run(built(program), "--nonsense", check=False)
    assert done.returncode in (2, CHANGE), done
    assert "usage" in done.stdout.lower()
