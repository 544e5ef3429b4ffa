"""The time of /healthz while clients hold requests back: `python -m benchmarks.held_connections`.

Each kind of client opens connections (64 unless --held says otherwise) and leaves its request unfinished.
Meanwhile one reader asks /healthz two hundred times. Times are milliseconds.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import time
from contextlib import ExitStack

import httpx

from benchmarks.own_database import own_database
from benchmarks.pages import web

ASKED = 200
HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
KINDS = {
    "none": "",
    "unfinished headers": HEAD.format(path="/csp-report"),
    "/csp-report, no body": HEAD.format(path="/csp-report") + "Content-Length: 100\r\n\r\n",
    "/csp-report, chunks": HEAD.format(path="/csp-report")
    + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/signin, half a body": HEAD.format(path="/signin") + "Content-Length: 100\r\n\r\nlogin=",
    "/v1/images, half a body": HEAD.format(path="/v1/images") + "Content-Length: 100\r\n\r\n{",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=64, help="connections held open of each kind")
    held = parser.parse_args().held
    with own_database(), web() as address:
        print(f"{held} connections held{'median':>12}{'p99':>8}{'slowest':>9}  ms")
        for kind, sent in KINDS.items():
            with ExitStack() as stack:
                for _ in range(held if sent else 0):
                    port = int(address.rpartition(":")[2])
                    connection = socket.create_connection(("127.0.0.1", port))
                    stack.enter_context(connection).sendall(sent.encode())
                times = sorted(ask(address))
            p99 = times[int(len(times) * 0.99) - 1]
            print(f"{kind:24}{statistics.median(times):9.1f}{p99:8.1f}{times[-1]:9.1f}", flush=True)


def ask(address: str) -> list[float]:
    times = []
    with httpx.Client() as client:
        client.get(f"{address}/healthz")
        for _ in range(ASKED):
            begun = time.perf_counter()
            client.get(f"{address}/healthz", timeout=30).raise_for_status()
            times.append((time.perf_counter() - begun) * 1000)
    return times


if __name__ == "__main__":
    main()
