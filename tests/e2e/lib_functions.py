"""A Redis with common/library.lua and nothing else, for tests of one function.

A module that imports the fixtures has one server; each test finds it empty.
"""

import pathlib
import subprocess

import pytest

from harness import wait_for
from peers import REDIS, RedisClient

LIBRARY = pathlib.Path(__file__).parents[2] / "common" / "library.lua"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The path of its socket."""
    where = tmp_path_factory.mktemp("redis")
    path = where / "s"
    process = subprocess.Popen(
        [*REDIS, "--port", "0", "--unixsocket", str(path),
         "--save", "", "--dir", str(where), "--loglevel", "warning"],
        stdout=subprocess.DEVNULL)
    wait_for("Redis", path.exists)
    with RedisClient(path) as redis:
        redis("FUNCTION", "LOAD", "REPLACE", LIBRARY.read_text())
    yield path
    process.terminate()
    process.wait()


@pytest.fixture
def redis(server):
    with RedisClient(server) as connection:
        connection("FLUSHALL")
        yield connection
