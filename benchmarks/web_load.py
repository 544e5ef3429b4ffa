"""People at the console and programs at the API at once: `python -m benchmarks.web_load`.

Fills a PostgreSQL of its own, starts a web process as `make run` does, and has 20 users ask one request
after another, each over one connection: half of them open pages of the pane as a browser does (compressed),
half call the API with a token. Prints requests a second, median and p95, and the CPU time of a request in the
web process, in PostgreSQL and in this load maker, which shares the machine: it sends prepared bytes and reads
the answers' lengths only.
"""

from __future__ import annotations

import argparse
import os
import secrets
import selectors
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks.own_database import own_database
from ri_platform import processes
from ri_platform.local import services

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", default="", help="RI_WEB_WORKERS; by cores unless given")
    wanted = parser.parse_args()
    with own_database(RI_SECRET_KEY=secrets.token_hex(32), RI_WEB_WORKERS=wanted.workers):
        kinds = fill(wanted.images)
        with web() as (port, pid):
            # Each worker has met every kind of request before it counts.
            run(port, kinds, wanted.users, 5)
            before = cpu_of(pid), cpu_of_postgres(), time.process_time()
            users = run(port, kinds, wanted.users, wanted.seconds)
            after = cpu_of(pid), cpu_of_postgres(), time.process_time()
    tell(users, wanted.seconds, [later - begun for later, begun in zip(after, before, strict=True)])


def fill(images: int) -> dict[str, list[bytes]]:
    """Kind of user → the requests that one makes in turns."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from benchmarks.many_images import fill as fill_images
    from workspaces.models import User, Workspace

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    secret = fill_images(images, libraries=50)
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    pane = f"/workspaces/{Workspace.objects.all()[0].pk}/settings/managed-images"
    browser = {"Cookie": f"{cookie}; time_zone=UTC", "Accept-Encoding": "gzip"}
    token = {"rime-api-key": secret}
    addresses = ("", "?sort=-updated", "?status=FAILED", "?q=image-0007", "?library=library-19")
    return {
        "pane": [request("GET", pane + address, browser) for address in addresses],
        "API": [
            request("GET", "/v1/images", token),
            request("GET", "/v1/images/image-000007", token),
            request("POST", "/v1/images/list", token, b'{"pipLibraries": [{"name": "library-3"}]}'),
        ],
    }


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    sent = {"Host": HOST, **headers}
    if body:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def web() -> Iterator[tuple[int, int]]:
    """The port and process id of a web process."""
    port = services.free_port()
    process = subprocess.Popen(processes.web(port))
    try:
        assert services.wait_until_answers(f"http://{HOST}:{port}/healthz", 120)
        wait_until_calm(process.pid)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def wait_until_calm(pid: int) -> None:
    """One worker answers; the others may be starting, and hold connections that they cannot serve yet."""
    used = -1.0
    while (now := cpu_of(pid)) - used > 0.02:
        used = now
        time.sleep(2)


@dataclass
class SomeUser:
    """One connection, over which requests go in turns, each once the one before is answered."""

    kind: str
    requests: Iterator[bytes]
    connection: socket.socket
    begun: float = 0
    head: bytes = b""
    missing: int = -1
    took: list[float] = field(default_factory=list)

    def ask(self) -> None:
        self.head, self.missing, self.begun = b"", -1, time.perf_counter()
        self.connection.sendall(next(self.requests))

    def hear(self) -> None:
        """Read what has arrived; ask anew once the answer is whole."""
        received = self.connection.recv(1 << 18)
        assert received, "The connection was closed."
        if self.missing < 0:
            self.head += received
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 200"), head.decode()
            (length,) = (
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            self.missing = length - len(body)
        else:
            self.missing -= len(received)
        if self.missing == 0:
            self.took.append(time.perf_counter() - self.begun)
            self.ask()


def run(port: int, kinds: Mapping[str, list[bytes]], count: int, seconds: float) -> list[SomeUser]:
    """The users with how long their requests took, after that many seconds."""
    users = []
    selector = selectors.DefaultSelector()
    for number, kind in zip(range(count), cycle(kinds), strict=False):
        turns = cycle(kinds[kind][number % len(kinds[kind]) :] + kinds[kind])
        user = SomeUser(kind, turns, socket.create_connection((HOST, port)))
        selector.register(user.connection, selectors.EVENT_READ, user)
        users.append(user)
    for user in users:
        user.ask()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(1):
            key.data.hear()
    for user in users:
        user.connection.close()
    return users


def cpu_of(pid: int) -> float:
    """Seconds that a process and all its descendants have used."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    stat = Path(f"/proc/{pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    own = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_of(int(child)) for child in children)


def cpu_of_postgres() -> float:
    """Seconds that our PostgreSQL has used: its first process is the parent of all its backends."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        status = Path(f"/proc/{cursor.fetchone()[0]}/status").read_text()
    (parent,) = (line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
    return cpu_of(int(parent))


def tell(users: list[SomeUser], seconds: float, cpu: list[float]) -> None:
    load = os.getloadavg()[0]
    print(f"{len(users)} users, load at the end: {load:.1f} on {os.cpu_count()} cores.\n")
    print("| users of | requests/s | median | p95 |\n| --- | --- | --- | --- |")
    for kind in (*dict.fromkeys(user.kind for user in users), "both"):
        took = [each for user in users if kind in (user.kind, "both") for each in user.took]
        median, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
        print(
            f"| {kind} | {len(took) / seconds:.0f} | {median * 1000:.0f} ms | {p95 * 1000:.0f} ms |"
        )
    web_ms, postgres_ms, ours_ms = (1000 * used / len(took) for used in cpu)
    print(
        f"\nCPU time of a request: web {web_ms:.1f} ms, PostgreSQL {postgres_ms:.1f} ms, load maker "
        f"{ours_ms:.2f} ms ({100 * ours_ms / (web_ms + postgres_ms + ours_ms):.0f} %)."
    )


if __name__ == "__main__":
    main()
