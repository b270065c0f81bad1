"""Carries TCP between two network namespaces, and can be cut.

usage: crossing.py PLAN

PLAN is a JSON file: {"listen": [[port, path, cut]...], "serve": [[path, port,
cut]...]}.  Who connects to a port of 127.0.0.1 here is carried to the unix
socket at path; who connects to a path is carried to the port of 127.0.0.1 here:
the other end's relay has the same path the other way round.  On SIGUSR1 what may
be cut carries nothing any more, and what is said waits; SIGUSR2 heals it.

In a namespace of its own it brings the loopback interface up first.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        with contextlib.suppress(PermissionError):
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack(
                "16sh14s", b"lo", IFF_UP | IFF_RUNNING, b""))


class Relay:
    def __init__(self):
        self.whole = asyncio.Event()
        self.whole.set()

    async def carry(self, source, target, cut):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if cut:
                    await self.whole.wait()
                target.write(data)
                await target.drain()
        target.close()

    def link(self, connect, cut):
        async def met(reader, writer):
            if cut:
                await self.whole.wait()
            try:
                there, target = await connect()
            except OSError:
                writer.close()
                return
            await asyncio.gather(self.carry(reader, target, cut),
                                 self.carry(there, writer, cut))
        return met

    async def run(self, plan):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self.whole.clear)
        loop.add_signal_handler(signal.SIGUSR2, self.whole.set)
        for port, path, cut in plan["listen"]:
            await asyncio.start_server(self.link(
                lambda p=path: asyncio.open_unix_connection(p), cut),
                "127.0.0.1", port)
        for path, port, cut in plan["serve"]:
            await asyncio.start_unix_server(self.link(
                lambda p=port: asyncio.open_connection("127.0.0.1", p), cut),
                path)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if os.readlink("/proc/self/ns/net") != os.readlink(
            f"/proc/{os.getppid()}/ns/net"):
        loopback_up()
    with open(sys.argv[1]) as f:
        asyncio.run(Relay().run(json.load(f)))
