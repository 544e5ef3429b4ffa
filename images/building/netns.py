"""Run a command in a network namespace of its own, with one door: a listening socket handed out.

Run as a script, by the worker's Python, with the namespace made already (`unshare --net`):

    python netns.py FD PORT -- COMMAND…

It brings the loopback device up, listens on 127.0.0.1:PORT in there, passes that socket over the Unix
socket FD (SCM_RIGHTS, unix(7)) and becomes the command. Whoever got the socket is all that the command can
reach: there is no other device, so neither DNS nor any address answers.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

# <linux/sockios.h> and <linux/if.h>; netdevice(7).
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40


def main(arguments: list[str]) -> None:
    door = socket.socket(fileno=int(arguments[0]))
    separator = arguments.index("--")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)
    listener = socket.create_server(("127.0.0.1", int(arguments[1])))
    socket.send_fds(door, [b"listening"], [listener.fileno()])
    listener.close()
    door.close()
    command = arguments[separator + 1 :]
    os.execvp(command[0], command)  # noqa: S606 - an argument list, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
