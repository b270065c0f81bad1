"""What the benchmarks of the whole product share."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
missed = []


def verdict(what, value, good, target):
    """One line; what missed its target is remembered."""
    print(f"  {what:48} {value:>9}  {'PASS' if good else 'FAIL'} ({target})",
          flush=True)
    if not good:
        missed.append(what)


def cpu_s(pid):
    """Processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mib(pid, what):
    """VmRSS or VmHWM of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    return 0


def in_memory(node):
    """The run-time directory is in memory, as /run is on a real machine."""
    if not os.access("/dev/shm", os.W_OK):
        return
    node.run_dir = Path(tempfile.mkdtemp(prefix="certfleet-bench-", dir="/dev/shm"))
    atexit.register(shutil.rmtree, node.run_dir, ignore_errors=True)
    node.cert_dir = node.run_dir / "certs"
    node.crt_list = node.cert_dir / "crt-list.txt"
    node.api_socket = node.run_dir / "admin.sock"
