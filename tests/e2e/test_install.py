"""What "make install" puts where, and what systemd says of it."""
import configparser
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness import BUILD, ROOT

EXPOSURE_MAX = 1.5
UNITS = ("certfleet-sync.service", "certfleet-prime.service",
         "certfleet-agent.service")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("install")
    subprocess.run(["make", "-s", "install", f"DESTDIR={root}", "PREFIX=/usr",
                    f"BUILD={BUILD}", "-o", f"{BUILD}/certfleet",
                    "-o", f"{BUILD}/certfleet-agent",
                    "-o", f"{BUILD}/certfleet-sync"],
                   cwd=ROOT, check=True)
    return root


def units(installed):
    return installed / "usr/lib/systemd/system"


def test_an_operators_configuration_is_not_replaced(installed):
    etc = sorted(p.name for p in (installed / "etc/certfleet").iterdir())
    assert etc == ["spoe-certfleet.conf"]
    examples = installed / "usr/share/doc/certfleet/examples"
    assert (examples / "certfleet.conf").exists()
    assert (examples / "haproxy.cfg").exists()


def test_programs_are_where_the_units_start_them(installed):
    for unit in UNITS:
        text = (units(installed) / unit).read_text()
        program = re.search(r"^ExecStart=(\S+)", text, re.M).group(1)
        assert os.access(installed / program[1:], os.X_OK), unit
    assert os.access(installed / "usr/bin/certfleet", os.X_OK)


def test_another_prefix_is_in_the_units_too(tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}",
                    f"BUILD={BUILD}", "-o", f"{BUILD}/certfleet",
                    "-o", f"{BUILD}/certfleet-agent",
                    "-o", f"{BUILD}/certfleet-sync"],
                   cwd=ROOT, check=True)
    unit = tmp_path / "usr/local/lib/systemd/system/certfleet-sync.service"
    assert "\nExecStart=/usr/local/sbin/certfleet-sync" in unit.read_text()
    assert "/usr/sbin" not in unit.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                    reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened(installed, unit):
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         str(units(installed) / unit)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert level, said
    assert float(level.group(1)) <= EXPOSURE_MAX, said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                    reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(installed, tmp_path):
    for path in units(installed).iterdir():
        text = path.read_text().replace("/usr/sbin/", f"{installed}/usr/sbin/")
        # Pages are asked of this machine's man, which has none of ours.
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        (tmp_path / path.name).write_text(text)
    said = subprocess.run(["systemd-analyze", "verify", "--man=no",
                           *map(str, tmp_path.iterdir())],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True).stdout
    assert [x for x in said.splitlines() if "certfleet" in x] == []


def test_users_of_the_units_are_made(installed):
    made = set()
    for path in (installed / "usr/lib/sysusers.d").iterdir():
        made |= set(re.findall(r"^u (\S+)", path.read_text(), re.M))
    for unit in UNITS:
        ini = configparser.ConfigParser(strict=False, interpolation=None)
        ini.optionxform = str
        ini.read(units(installed) / unit)
        assert ini["Service"]["User"] in made


def test_a_key_ring_that_went_away_is_not_replaced(tmp_path):
    """As when a credential is missing: a new ring could open nothing."""
    conf = tmp_path / "certfleet.conf"
    conf.write_text(f'run_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/s"\n')

    def prime():
        return subprocess.run([f"{BUILD}/certfleet-sync", "--prime", "-f",
                               str(conf)], stderr=subprocess.PIPE, text=True)

    assert prime().returncode == 0
    ring = tmp_path / "s/kek"
    sealed = tmp_path / "s/certs/www.kept.test"
    sealed.write_text("sealed")
    ring.unlink()
    done = prime()
    assert done.returncode == 100
    assert "put it back" in done.stderr
    assert not ring.exists()
    sealed.unlink()
    assert prime().returncode == 0 and ring.exists()


def test_the_watchdog_hears_that_the_loop_turns(tmp_path):
    hears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    hears.bind(str(tmp_path / "notify"))
    hears.settimeout(20)
    conf = tmp_path / "certfleet.conf"
    conf.write_text(f'run_dir = "{tmp_path}"\nagent {{ listen = '
                    f'{{ "unix:{tmp_path}/agent.sock" }} }}\n')
    env = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"),
               WATCHDOG_USEC="200000")
    env.pop("WATCHDOG_PID", None)
    agent = subprocess.Popen([f"{BUILD}/certfleet-agent", "-f", str(conf)],
                             env=env, stderr=subprocess.DEVNULL)
    try:
        heard = [hears.recv(512).decode() for _ in range(3)]
    finally:
        agent.terminate()
        assert agent.wait(20) == 0
    assert heard[0].startswith("READY=1")
    assert heard[1:] == ["WATCHDOG=1", "WATCHDOG=1"]
