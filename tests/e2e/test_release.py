"""Fault points exist in test builds only."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = b"CERTFLEET_FAULT"
PROGRAM = """
#include <stdio.h>
#include "sync/fault.h"
int main(void)
{
    for (int i = 1; i <= 3; i++) {
        fault_point("F1");
        printf("%d\\n", i);
        fflush(stdout);
    }
    return 0;
}
"""


def build(directory, *flags):
    source = directory / "passes.c"
    program = directory / "passes"
    source.write_text(PROGRAM)
    subprocess.run(
        ["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-I", str(ROOT), *flags,
         "-o", str(program), str(source), str(ROOT / "sync/fault.c"),
         str(ROOT / "common/str.c"), str(ROOT / "common/err.c")],
        check=True)
    return program


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faulty"), "-DCERTFLEET_FAULTS")


def run(program, fault):
    return subprocess.run(
        [str(program)], env={**os.environ, "CERTFLEET_FAULT": fault},
        capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("fault, code, out", [
    ("F1:kill", -signal.SIGKILL, ""),
    ("F1:kill:3", -signal.SIGKILL, "1\n2\n"),
    ("F1:kill:4", 0, "1\n2\n3\n"),
    ("F11:kill", 0, "1\n2\n3\n"),
    ("F2:kill,F1:kill:2", -signal.SIGKILL, "1\n"),
    ("F1:sleep=1", 0, "1\n2\n3\n"),
    ("", 0, "1\n2\n3\n"),
])
def test_a_fault_happens_where_and_when_it_is_said(faulty, fault, code, out):
    done = run(faulty, fault)
    assert (done.returncode, done.stdout) == (code, out)


@pytest.mark.parametrize("fault", [
    "F1", "F1:", "F1:die", ":kill", "F1:kill:0", "F1:kill:x", "F1:sleep=x",
    "F1:kill,", "F1:kill:1:1",
])
def test_a_fault_that_cannot_be_read_aborts(faulty, fault):
    done = run(faulty, fault)
    assert done.returncode == -signal.SIGABRT
    assert "cannot be read" in done.stderr


def test_a_sleep_takes_its_time(faulty):
    began = time.monotonic()
    assert run(faulty, "F1:sleep=100").returncode == 0
    assert time.monotonic() - began >= 0.3
    began = time.monotonic()
    assert run(faulty, "F1:sleep=100:2").returncode == 0
    assert 0.1 <= time.monotonic() - began < 0.3


def test_stopped_it_waits_to_be_continued(faulty):
    child = subprocess.Popen(
        [str(faulty)], stdout=subprocess.PIPE,
        env={**os.environ, "CERTFLEET_FAULT": "F1:stop"})
    try:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        child.send_signal(signal.SIGCONT)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.stdout.close()


def test_a_release_has_no_fault_points(tmp_path, faulty):
    plain = build(tmp_path)
    assert MARK in faulty.read_bytes()
    assert MARK not in plain.read_bytes()
    done = run(plain, "F1:kill")
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n")


def test_programs_of_a_plain_build_have_none():
    directory = ROOT / os.environ.get("CERTFLEET_BUILD", "build")
    programs = sorted(directory.glob("certfleet*"))
    if "-" in directory.name or not programs:
        pytest.skip("not a plain build")
    for program in programs:
        assert MARK not in program.read_bytes(), program
