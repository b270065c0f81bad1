"""Completion in real shells, with the names that a running node has."""
import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT, environment

FILES = ROOT / "sync/cli/completion"
NAMES = ["a.completed.test", "b.completed.test", "*.completed.test"]


@pytest.fixture
def filled(shared):
    listed = shared.cli("--app", "completed", "--json", "domains").json
    if not listed["domains"]:
        shared.cli("--app", "completed", "domains-add", *NAMES)
        shared.cli("--app", "others", "domains-add", "z.elsewhere.test")
    return shared


def run(filled, argv, text):
    env = environment({"CERTFLEET_SOCKET": str(filled.api_socket)})
    env["PATH"] = f"{BUILD}:{env.get('PATH', os.defpath)}"
    done = subprocess.run(argv, input=text, env=env, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def in_bash(filled, *words):
    # As bash cuts the line: "=" is a word.
    cut = [w for word in words for w in re.split("(=)", word)
           if w or word == ""]
    quoted = " ".join(f"'{w}'" for w in ("certfleet", *cut))
    out = run(filled, ["bash", "--norc"], f"""
compopt() {{ :; }}
. {FILES}/certfleet.bash
COMP_WORDS=({quoted}); COMP_CWORD={len(cut)}
_certfleet
printf '%s\\n' "${{COMPREPLY[@]}}"
""")
    return [w.replace("\\", "") for w in out if w]


def in_zsh(filled, *words):
    """Under a terminal of zsh's own: completion works nowhere else."""
    line = "certfleet " + " ".join(words)
    out = run(filled, ["zsh", "-f"], f"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; fpath=({FILES} $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w z 'compadd() {{ local -a got; builtin compadd -O got "$@" 2>/dev/null; print -rl -- "<"${{^got}}">" >&3; builtin compadd "$@" }}'
zpty -w z 'exec 3>>'$TMPPREFIX.$$.got
zpty -w z 'setopt noautolist; bindkey "^I" complete-word'
zpty -w z 'print ready'
while zpty -r z line; do [[ $line == *ready* && $line != *print* ]] && break; done
zpty -n -w z $'{line}\\t'
integer n=0
sleep 0.3
while (( n++ < 100 )) && [[ ! -s $TMPPREFIX.$$.got ]]; do sleep 0.1; done
sleep 0.5
zpty -d z
cat $TMPPREFIX.$$.got
rm -f $TMPPREFIX.$$.got
""")
    return re.findall(r"<([^\s<>]+)>", "\n".join(out))


def in_fish(filled, *words):
    line = "certfleet " + " ".join(words)
    out = run(filled, ["fish", "--no-config"],
              f"source {FILES}/certfleet.fish; complete -C '{line}'\n")
    return [w.split("\t")[0].replace("\\", "") for w in out if w]


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture(params=sorted(SHELLS))
def complete(request, filled):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return lambda *words: SHELLS[request.param](filled, *words)


def test_commands_and_names_are_offered(complete):
    commands = complete("domains-")
    assert {"domains-add", "domains-remove", "domains-ssl",
            "domains-letsencrypt"} <= set(commands)
    assert "status" not in commands
    names = complete("why", "")
    assert set(NAMES) <= set(names) and "z.elsewhere.test" in names
    assert complete("why", "b.comp") == ["b.completed.test"]
    # Another app's are not.
    assert sorted(complete("--app", "completed", "domains-remove", "")) == \
        sorted(NAMES)


def test_words_are_offered_where_they_belong(complete):
    assert sorted(complete("domains-letsencrypt", "a.completed.test", "")) == \
        ["disable", "enable"]
    assert sorted(complete("token", "")) == ["create", "list", "revoke"]
    assert complete("token", "create", "ci", "--role", "op") == ["operate"]
    assert complete("--app", "compl") == ["completed"]
    assert "keyCompromise" in complete("revoke", "--reason", "key")


def test_bash_knows_what_it_has_cut(filled):
    assert in_bash(filled, "--app=completed", "why", "b.comp") == \
        ["b.completed.test"]
    assert in_bash(filled, "domains-ssl", "--wait=60", "b.comp") == \
        ["b.completed.test"]
    assert in_bash(filled, "--app=compl") == ["completed"]
    assert in_bash(filled, "why", r"\*.comp") == ["*.completed.test"]


def test_every_option_is_in_every_shell():
    source = (ROOT / "sync/cli/main.c").read_text()
    options = set(re.findall(r'\{ "([a-z-]+)", \w+_argument', source))
    assert len(options) >= 17
    for path in FILES.iterdir():
        text = path.read_text()
        dashes = r"-l " if path.suffix == ".fish" else "--"
        assert {o for o in options
                if not re.search(rf"{dashes}{o}\b", text)} == set(), path


@pytest.mark.skipif(shutil.which("shellcheck") is None,
                    reason="shellcheck is not installed")
def test_bash_completion_passes_shellcheck():
    subprocess.run(["shellcheck", "-s", "bash", str(FILES / "certfleet.bash")],
                   check=True)
