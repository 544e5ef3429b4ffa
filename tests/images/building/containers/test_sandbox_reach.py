"""What a sandbox reaches of the machine, by trying: devices, networks, neighbours, the kernel."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.images.building.containers.trying import (
    CONFINED,
    PYTHON,
    Trying,
    command_of,
    processes_of_sandboxes,
)

pytestmark = CONFINED


def test_of_devices_there_are_the_harmless_ones_alone(trying: Trying) -> None:
    found = trying.tell("""
refused = []
for kind, number in ((0o060000, os.makedev(8, 0)), (0o020000, os.makedev(1, 1))):
    try:
        os.mknod("/tmp/device", kind | 0o600, number)
    except OSError:
        refused.append(kind)
tell([sorted(os.listdir("/dev")), len(refused)])
""")
    assert found == [
        ["core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
         "tty", "urandom", "zero"],
        2,
    ]  # fmt: skip


def test_it_has_no_network(trying: Trying, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as worker, socket.socket(socket.AF_UNIX) as hidden:
        # An abstract socket, as daemons use, belongs to a network namespace and to no file.
        hidden.bind(f"\0ri-test-{os.getpid()}")
        hidden.listen()
        found = trying.tell(f"""
import socket
def reached(family, address, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(2)
            one.connect(address)
        return True
    except OSError:
        return False
tell([
    [name for _, name in socket.if_nameindex()],
    reached(socket.AF_INET, ("127.0.0.1", {worker.getsockname()[1]})),
    reached(socket.AF_INET, ("192.0.2.1", 80)),
    reached(socket.AF_UNIX, "\\0ri-test-{os.getpid()}"),
    reached(40, (2, 1024)),  # AF_VSOCK: the machine's own host
    reached(38, ("hash", "sha256")),  # AF_ALG
])
""")
    assert found == [["lo"], False, False, False, False, False]


def test_the_one_socket_that_the_worker_answers_is_reached(trying: Trying) -> None:
    @contextmanager
    def serving(listener: socket.socket) -> Iterator[None]:
        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"from the worker")

        Thread(target=answer, daemon=True).start()
        yield

    found = trying.tell(
        "import socket\ntell(socket.create_connection(('127.0.0.1', 3141), 5).recv(99).decode())",
        serving=serving,
        port=3141,
    )
    assert found == "from the worker"


def test_a_neighbour_is_out_of_sight_and_out_of_reach(trying: Trying, settings: Any) -> None:
    neighbour = Trying()
    ended: list[str] = []

    def live() -> None:
        neighbour.results("print('up', flush=True)\ntime.sleep(5)\nprint('unhurt')").close()
        ended.extend(neighbour.said)

    thread = Thread(target=live)
    thread.start()
    deadline = time.monotonic() + 60
    while "up" not in neighbour.said and time.monotonic() < deadline:
        time.sleep(0.05)
    commands = {pid: command_of(pid) for pid in processes_of_sandboxes()}
    (victim,) = {
        pid for pid, command in commands.items()
        if command.startswith(PYTHON.encode()) and b"unhurt" in command
    }  # fmt: skip
    found = trying.tell(f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
refused = {{}}
for pid in ({victim}, {os.getpid()}):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        refused[str(pid)] = errno.errorcode[error.errno]
try:
    os.kill(-1, signal.SIGTERM)
except ProcessLookupError:
    pass  # There is nobody but itself.
child = os.fork()
if child == 0:
    time.sleep(30)
traced = libc.ptrace(16, child, 0, 0), errno.errorcode[ctypes.get_errno()]
os.kill(child, signal.SIGKILL)
tell([sorted(set(refused.values())), traced,
      [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) > 100]])
""")
    thread.join()
    assert found == [["ESRCH"], [-1, "EPERM"], []]
    assert ended == ["up", "unhurt"]


# x86-64's numbers, and what each is asked here so that nothing but the filter refuses it.
CALLS = {
    "unshare a user namespace": (272, 0x10000000),
    "clone with a user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "setns": (308, 3, 0),
    "keyctl": (250, 0, -3, 1),
    "add_key": (248, 0, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "io_uring_setup": (425, 1, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "chroot": (161, 0),
    "modify_ldt": (154, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
}


def test_system_calls_that_no_build_needs_are_refused(trying: Trying) -> None:
    found = trying.tell(f"""
libc = ctypes.CDLL(None, use_errno=True)
refused = {{}}
for name, arguments in {CALLS!r}.items():
    ctypes.set_errno(0)
    answer = libc.syscall(*(ctypes.c_long(value) for value in arguments))
    if answer == 0 and name.startswith("clone"):
        os._exit(0)
    refused[name] = errno.errorcode.get(ctypes.get_errno(), "allowed") if answer < 0 else "allowed"
libc.syscall(435, 0, 0)
clone3 = errno.errorcode[ctypes.get_errno()]
libc.ioctl(0, 0x5412, b"x")
terminal = errno.errorcode[ctypes.get_errno()]
child = os.fork()
if child == 0:
    import mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000 cd80 c3"))  # getpid by the 32-bit entry
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    os._exit(0)
by_32_bit = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
tell([refused, clone3, terminal, by_32_bit])
""")
    refused, clone3, terminal, by_32_bit = found
    assert refused == dict.fromkeys(CALLS, "EPERM")
    assert (clone3, terminal) == ("ENOSYS", "EPERM")
    assert by_32_bit in (-signal.SIGSYS, -signal.SIGSEGV)
