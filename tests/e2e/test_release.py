"""Fault points exist in test builds only."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = b"CERTFLEET_FAULT"
PROGRAM = """
#include <stdio.h>
#include "common/fault.h"
int main(void)
{
    for (int i = 1; i <= 3; i++) {
        if (fault_armed("F1"))
            printf("armed\\n");
        fflush(stdout);
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
         "-o", str(program), str(source), str(ROOT / "common/fault.c"),
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
    ("F1:kill", -signal.SIGKILL, "armed\n"),
    ("F1:kill:3", -signal.SIGKILL, "1\n2\narmed\n"),
    ("F1:kill:4", 0, "1\n2\n3\n"),
    ("F11:kill", 0, "1\n2\n3\n"),
    ("F2:kill,F1:kill:2", -signal.SIGKILL, "1\narmed\n"),
    ("F1:sleep=1", 0, "armed\n1\narmed\n2\narmed\n3\n"),
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


def test_a_fault_may_come_from_a_file_and_at_any_time(faulty, tmp_path):
    path = tmp_path / "fault"
    assert run(faulty, f"@{path}").returncode == 0
    path.write_text("F1:kill:2\n")
    assert run(faulty, f"@{path}").stdout == "1\narmed\n"
    path.write_text("F1:kill:x\n")
    assert run(faulty, f"@{path}").returncode == -signal.SIGABRT
    path.write_text("F1:stop\n")
    child = subprocess.Popen(
        [str(faulty)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "CERTFLEET_FAULT": f"@{path}"})
    try:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        new = tmp_path / "new"
        new.write_text("F1:kill:2\n")
        new.rename(path)
        child.send_signal(signal.SIGCONT)
        assert child.wait(timeout=20) == -signal.SIGKILL
        # What is in another file counts from when it came.
        assert child.stdout.read() == "armed\n1\n2\narmed\n"
    finally:
        child.kill()
        child.stdout.close()


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


def places(path, *flags):
    """The fault points that are left when the preprocessor has read a file."""
    text = subprocess.run(
        ["cc", "-E", "-P", "-std=c11", "-D_GNU_SOURCE", "-I", str(ROOT), *flags,
         str(path)], check=True, capture_output=True, text=True).stdout
    return re.findall(r'fault_(?:point|armed)\("(\w+)"\)', text)


def test_every_place_is_there_in_tests_and_none_in_a_release():
    """Wherever they are; and the header's table has them all."""
    found = set()
    for room in ("agent", "common", "haproxy", "providers", "sync", "sync/api",
                 "sync/cli"):
        for path in sorted((ROOT / room).glob("*.c")):
            if "fault.h" not in path.read_text() or path.name == "fault.c":
                continue
            here = places(path, "-DCERTFLEET_FAULTS")
            assert here, f"{path} includes fault.h for nothing"
            assert places(path) == [], path
            found.update(here)
    table = re.findall(r"^ \*\t([A-Z]\d+)(?:, ([A-Z]\d+))? ", (
        ROOT / "common/fault.h").read_text(), re.M)
    assert found == {place for row in table for place in row if place}
    assert {f"F{i}" for i in range(1, 19)} <= found


def test_programs_of_a_plain_build_have_none():
    directory = ROOT / os.environ.get("CERTFLEET_BUILD", "build")
    programs = sorted(directory.glob("certfleet*"))
    if "-" in directory.name or not programs:
        pytest.skip("not a plain build")
    for program in programs:
        assert MARK not in program.read_bytes(), program
