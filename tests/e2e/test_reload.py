"""A renewal and a reload of HAProxy at the same moment, in each order.

A certificate's file is written before HAProxy is told, so a process that starts
between the two has the newer one.  One that had read its files before, and takes
over after, starts with the older: nothing can be done about what it has read,
and it is told as soon as it is seen.
"""

import os
import signal
import time

import pytest

from harness import SLOW, wait_for
from node import PREFIX
from test_crash import has_faults

# Makes HAProxy read a file that does not end, after all certificates.
WAITING = """
backend waits
	mode http
	http-request deny if {{ path -f {fifo} }}
"""


@pytest.fixture(scope="module")
def node(session_ground):
    if not has_faults():
        pytest.skip("a build without faults")
    return session_ground.node(session_ground.world("reload"), name="r1")


def in_use(node, name):
    node.point_here(name)
    node.add(name)
    serial = node.await_status(name, "in_use")["serial"]
    # The list of what there is to load is written a moment after.
    wait_for("the crt-list", lambda: f"{name}.pem" in
             node.crt_list.read_text(), 10)
    return serial


def renew_now(node, name):
    with node.redis_client() as redis:
        redis("HSET", f"{PREFIX}{{p0}}:domain:{name}", "renew_at", "1")
        redis("ZADD", f"{PREFIX}{{p0}}:due", "1", name)


def shown(node, name, times=10):
    """The serials that so many visitors see."""
    return {node.served(name).serial for _ in range(times)}


def test_reloaded_between_the_file_and_the_command(node):
    """The new process serves the newer one, though nobody has told it."""
    name = "between.test"
    old = in_use(node, name)
    node.sync.stop()
    node.sync.start(fault="F15:stop")
    renew_now(node, name)
    wait_for("sync to stop with the file written",
             lambda: node.sync.stopped, 20, explain=node.tails)
    try:
        assert shown(node, name) == {old}, "HAProxy has been told"
        node.haproxy.reload()
        after = shown(node, name)
        assert len(after) == 1 and old not in after
    finally:
        node.sync.signal(signal.SIGCONT)
    node.await_record("the proof", lambda: node.record(name).get("proven")
                      == "2" and node.record(name), 20, name)
    assert after == {node.serial(name)} == shown(node, name)


class SlowStart:
    """A reload whose new process has read its files and waits for more."""

    def __init__(self, node):
        self.node = node
        self.fifo = node.dir / "fifo"
        self.more = node.dir / "waits.cfg"

    def __enter__(self):
        os.mkfifo(self.fifo)
        self.more.write_text(WAITING.format(fifo=self.fifo))
        haproxy = self.node.haproxy
        self.old = haproxy.popen
        haproxy.leaving.append(self.old)
        haproxy.spawn(*haproxy.command, "-db", "-f", haproxy.config,
                      "-f", self.more, "-sf", str(self.old.pid))
        # It can be opened when HAProxy is there, and only then.
        self.pen = wait_for("the new process to have read its certificates",
                            self.opened, 15, explain=haproxy.tail)
        return self

    def opened(self):
        try:
            return os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    def go_on(self):
        os.close(self.pen)
        haproxy = self.node.haproxy
        haproxy.wait_ready(lambda: haproxy.info().get("Pid")
                           == str(haproxy.pid))

    def __exit__(self, *_):
        self.fifo.unlink()


def test_renewed_while_a_new_process_has_read_its_files(node):
    """It begins with what it has read, and is told at once."""
    name = "behind.test"
    old = in_use(node, name)
    with SlowStart(node) as start:
        renew_now(node, name)
        node.await_record("the proof", lambda: node.record(name).get("proven")
                          == "2" and node.record(name), 20, name)
        new = node.serial(name)
        assert shown(node, name) == {new}, "the old process has been told"
        node.sync.signal(signal.SIGSTOP)
        try:
            start.go_on()
            assert shown(node, name) == {old}, "it has read the older file"
        finally:
            node.sync.signal(signal.SIGCONT)
        began = time.time()
        node.await_served(name, lambda s: s.serial == new)
        took = time.time() - began
    assert took < 2 * SLOW, "as soon as its process is seen"
    assert shown(node, name) == {new}, "and never the older again"
