"""Fixtures: a world of one's own, a node of one's own, a node for all.

world   DNS and CA, nothing of ours
node    a started node with an embedded Redis; the test may break it
shared  one for the whole session; the test leaves it as it was, and uses names
        of its own
"""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # fakeca

import harness  # noqa: E402
from node import Node  # noqa: E402
from peers import RedisServer, World, started  # noqa: E402


# Files are given to workers whole, in this order: what takes longest begins.
LONGEST = ("test_year.py", "test_faults.py", "test_renewal.py",
           "test_ca_faults.py", "test_ca_nonsense.py", "test_dual.py",
           "test_limits.py", "test_crash.py", "test_storm.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda i: LONGEST.index(i.path.name)
               if i.path.name in LONGEST else len(LONGEST))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Let fixtures know at their end how the test went."""
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


class Ground:
    """A directory with worlds and nodes in it, and their end."""

    def __init__(self):
        self.dir = harness.temp_dir()
        self.worlds = []
        self.nodes = []
        self.servers = []

    def world(self, name="w", **kw):
        self.worlds.append(World(self.dir / name, **kw))
        return self.worlds[-1]

    def node(self, world=None, start=True, **kw):
        """A node in world, or in a new one."""
        world = world or self.world(f"w{len(self.worlds)}")
        node = Node(world, **kw)
        self.nodes.append(node)
        return node.start() if start else node

    def redis(self, name="redis", *options, **kw):
        self.servers.append(started(
            RedisServer(self.dir / name, *options, **kw)))
        return self.servers[-1]

    def keep(self, server):
        """Whatever else can stop(); it is stopped at the end."""
        self.servers.append(server)
        return server

    def tails(self):
        return "\n".join(n.tails() for n in self.nodes)

    def close(self, failed):
        """End everything.  What a sanitizer says fails the test that did it."""
        problems = []
        for node in self.nodes:
            for process in node.processes:
                try:
                    code = process.stop()
                    # A signal is how tests end things, and HAProxy may say 130.
                    if code and code > 0 and process is not node.haproxy:
                        problems.append(
                            f"{process.name} ended with {code}\n{process.tail()}")
                except (harness.Failed, OSError) as e:
                    problems.append(str(e))
            problems.append(node.sanitizer_reports())
        for server in self.servers + self.worlds:
            server.stop()
        problems = [p for p in problems if p]
        if failed or problems:
            print(f"\nlogs are kept in {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if problems and not failed:
            pytest.fail("\n".join(problems), pytrace=False)


def failed(request):
    """True when the test of this fixture went wrong."""
    return any(getattr(request.node, f"report_{when}", None) is not None
               and getattr(request.node, f"report_{when}").failed
               for when in ("setup", "call"))


@pytest.fixture
def ground(request):
    """Where a test can make worlds and nodes of its own."""
    g = Ground()
    try:
        yield g
    finally:
        if failed(request):
            print(g.tails())
        g.close(failed(request) or not hasattr(request.node, "report_call"))


@pytest.fixture
def world(ground):
    return ground.world()


@pytest.fixture
def node(ground, world):
    return ground.node(world)


@pytest.fixture(scope="session")
def session_ground(request):
    g = Ground()
    try:
        yield g
    finally:
        g.close(request.session.testsfailed > 0)


@pytest.fixture(scope="session")
def session_node(session_ground):
    return session_ground.node()


@pytest.fixture
def shared(session_node, request):
    """The session's node; its logs are shown when the test fails."""
    for process in session_node.processes:
        assert process.running, f"{process.name} is gone\n{process.tail()}"
    yield session_node
    if failed(request):
        print(session_node.tails())


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left():
    """Whatever happened: all that we started ends with us."""
    yield
    harness.kill_all()
