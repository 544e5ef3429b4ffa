"""Several hosts on one machine: network namespaces on a switch, which reach each other by addresses alone.

A host has its own interfaces, loopback, ports and host name, and the disk of this machine. The switch is a
namespace as well, so this machine's own routes stay as they are, whatever addresses it reaches by them. What
listens on this machine's loopback is offered to the hosts by `Network.offer`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

SUBNET = "10.0.0"
SWITCH = "switch"
# Of setns(2): the file is a network namespace.
CLONE_NEWNET = 0x40000000


def problem() -> str:
    """Why there can be no hosts here, as a sentence; empty if there can be."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare"))):
        return "Network namespaces take root and the program ip."
    try:
        with network() as made:
            made.add("try")
    except subprocess.CalledProcessError as error:
        return f"Network namespaces cannot be made here: {error.stderr.strip()}"
    return ""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Host:
    """One of the hosts; `inside` goes before a command that is to run there."""

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        renamed = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        return ["ip", "netns", "exec", namespace_of(self.name), *renamed]


def namespace_of(name: str) -> str:
    return f"ri-{os.getpid()}-{name}"


@dataclass
class Network:
    """The switch, at `address`; hosts are added to it."""

    ends: ExitStack
    address: str = f"{SUBNET}.1"
    hosts: list[Host] = field(default_factory=list)

    def add(self, name: str) -> Host:
        number = len(self.hosts) + 2
        host = Host(name, f"{SUBNET}.{number}")
        switch, space, port = namespace_of(SWITCH), namespace_of(name), f"port{number}"
        ip("netns", "add", space)
        # With it goes its end of the cable, and so the other.
        self.ends.callback(ip, "netns", "del", space)
        ip(
            "-n",
            switch,
            "link",
            "add",
            port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            space,
        )
        ip("-n", switch, "link", "set", port, "master", "bridge", "up")
        ip("-n", space, "addr", "add", f"{host.address}/24", "dev", "eth0")
        for interface in ("eth0", "lo"):
            ip("-n", space, "link", "set", interface, "up")
        self.hosts.append(host)
        return host

    def offer(self, port: int, *, together: int = 1) -> Offer:
        """Pass what comes to the switch's address on to a port of this machine's loopback.

        Nobody is answered before so many hosts have come.
        """
        offer = Offer(self.address, port, together)
        self.ends.callback(offer.end)
        return offer


class Offer:
    """A server that speaks for one on the loopback; `address` is host and port, `callers` who came."""

    def __init__(self, host: str, port: int, together: int) -> None:
        self.callers: set[str] = set()
        self._port, self._together = port, together
        self._loop = asyncio.new_event_loop()
        self._all_there = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        listener = listener_on_switch(host)
        self.address = f"{host}:{listener.getsockname()[1]}"
        starting = asyncio.start_server(self._serve, sock=listener)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers.add(writer.get_extra_info("peername")[0])
        if len(self.callers) >= self._together:
            self._all_there.set()
        await self._all_there.wait()
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def listener_on_switch(host: str) -> socket.socket:
    """A socket on a free port there. It stays where the thread was that made it."""
    made: list[socket.socket] = []

    def make() -> None:
        with open(f"/run/netns/{namespace_of(SWITCH)}") as space:
            entered = ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET)
            assert entered == 0, os.strerror(ctypes.get_errno())
        made.append(socket.create_server((host, 0)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def network() -> Iterator[Network]:
    switch = namespace_of(SWITCH)
    with ExitStack() as ends:
        ip("netns", "add", switch)
        ends.callback(ip, "netns", "del", switch)
        made = Network(ends)
        ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", switch, "addr", "add", f"{made.address}/24", "dev", "bridge")
        ip("-n", switch, "link", "set", "bridge", "up")
        yield made
