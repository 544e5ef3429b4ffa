"""Make the room that a sandbox is, and have bubblewrap lock the door behind the command.

Run as a script by the worker's Python, as root and isolated (`-I`), of the standard library alone:

    python -I enter.py SPECIFICATION

The specification is JSON (`images.building.containers.sandbox`). This part does what takes root, all of
it in namespaces of its own, so that nothing is left on the machine whichever way it ends: it joins the
control groups, sets limits, puts the root together as an overlay, mounts file systems of a size, opens the
one socket, and makes a user namespace in which the sandbox's nobody is a user that owns nothing outside.
The rest, from the own `/dev` to the system call filter, is bubblewrap's (bwrap(1)).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# <linux/sched.h>, <linux/mount.h>, <sys/syscall.h> for x86-64, <linux/prctl.h>.
CLONE_NEWNS, CLONE_NEWIPC = 0x20000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
SYS_PIVOT_ROOT = 155
PR_SET_PDEATHSIG, SIGKILL = 1, 9
# <linux/sockios.h> and <linux/if.h>; netdevice(7).
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40

# 125, as of tools that fail themselves and not by their command (env(1), timeout(1)).
BROKEN = 125
# Who runs the command, as the sandbox sees it; and the users that files of packages may belong to.
NOBODY, ALL_USERS = 65534, 65536
# Covered by a file system of our own, in our own mount namespace: a way that every user may walk.
ROOM = Path("/tmp")  # noqa: S108
# Where the command sees what it is given, what it may write, and uv.
GIVEN, OUT, UV = "/build/given", "/build/out", "/build/uv"
SHM, SHM_BYTES = "/dev/shm", 64 << 20  # noqa: S108 - the sandbox's own
# Read and run, or list and enter.
EVERYBODY_MAY = 0o005
# What installing packages takes, scripts of distributions included; capabilities(7).
PACKAGES_NEED = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_SETFCAP", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)


def main(specification: dict[str, Any]) -> NoReturn:
    # The worker's may keep everything to its own user; nobody is to walk what is made here.
    os.umask(0o022)
    die_with_parent(specification["parent"])
    for procs in specification["cgroups"]:
        Path(procs).write_text(str(os.getpid()))
    own_mounts()
    kind, command = specification["kind"], specification["command"]
    if kind == "tool":
        os.chdir(specification["folder"])
        supervise(command)
    if kind == "confined":
        own_network()
        users = user_namespace(NOBODY, specification["uid"], 1)
        options = ["--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"]
    else:
        # The same users as outside, for what is installed; but none of root's privileges over the machine.
        users = user_namespace(0, 0, ALL_USERS)
        options = ["--uid", "0", "--gid", "0", "--cap-drop", "ALL"]
        options += [word for name in PACKAGES_NEED for word in ("--cap-add", name)]
    set_limits(specification["limits"])
    options += furnish(specification)
    for name, value in specification["environment"].items():
        options += ["--setenv", name, value]
    supervise(
        [
            "bwrap", "--userns", str(users),
            "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            "--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv",
            *options, "--chdir", "/", "--seccomp", str(specification["filter"]), "--", *command,
        ]
    )  # fmt: skip


def supervise(command: list[str]) -> NoReturn:
    """Run the command as all there is in a process namespace, and end as it ends.

    Whoever ends this process, or the worker, thereby ends the namespace's first process, and the kernel
    ends the others with that. The command cannot be it: a change of its user would take that signal away.
    """
    call("unshare", CLONE_NEWPID)
    first = os.fork()
    if first == 0:
        call("prctl", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        # Outside of the namespace, this process has no number in it.
        if os.getppid() != 0:
            os._exit(BROKEN)
        # bubblewrap looks its own processes up, by their numbers in this namespace.
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        second = os.fork()
        if second == 0:
            try:
                os.execvp(command[0], command)  # noqa: S606 - an argument list, no shell
            finally:
                os._exit(BROKEN)
        os._exit(status_of(second))
    sys.exit(status_of(first))


def status_of(child: int) -> int:
    """Wait for a child, and whatever else ends meanwhile; its status, of signals as shells have it."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def die_with_parent(parent: int) -> None:
    call("prctl", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The worker is gone.")


# --- mounts ----------------------------------------------------------------------------------------------


def own_mounts() -> None:
    """A mount namespace of our own, of which our root directory is the root.

    In a chroot it is not: then neither user namespaces nor a change of root are to be had, so this
    namespace's root becomes the folder that we were shown as one. Entering the own namespace once more
    leads to its real root (setns(2)).
    """
    shown = os.open("/", os.O_PATH | os.O_DIRECTORY)
    call("unshare", CLONE_NEWNS | CLONE_NEWIPC)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    call("setns", namespace, CLONE_NEWNS)
    os.close(namespace)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    if not os.path.samestat(os.fstat(shown), os.stat("/")):
        os.fchdir(shown)
        folder = os.getcwd()
        mount(folder, folder, "", MS_BIND | MS_REC)
        os.chdir(folder)
        if libc.syscall(SYS_PIVOT_ROOT, b".", b".") != 0:
            raise failure("pivot_root")
        call("umount2", b".", MNT_DETACH)
        os.chdir("/")
    os.close(shown)


def furnish(specification: dict[str, Any]) -> Iterator[str]:
    """Put the sandbox's file systems together; gives bubblewrap's options for them."""
    paths = {
        key: descriptor_path(specification[key])
        for key in ("given", "uv", "upper", "workdir")
        if specification.get(key)
    }
    lowers = [descriptor_path(path) for path in specification["lowers"]]
    resolver = Path("/etc/resolv.conf")
    names = resolver.read_bytes() if "upper" in paths and resolver.exists() else b""
    mount("room", str(ROOM), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=128m")
    skeleton(ROOM / "skeleton", names)
    root = folder_at(ROOM / "root")
    layers = ":".join([str(ROOM / "skeleton"), *lowers])
    if "upper" in paths:
        # Features that would leave marks which no layer of an image can carry.
        layers += f",upperdir={paths['upper']},workdir={paths['workdir']}"
        layers += ",redirect_dir=off,metacopy=off,index=off"
    flags = MS_NODEV | (0 if "upper" in paths else MS_RDONLY | MS_NOSUID)
    mount("root", str(root), "overlay", flags, f"lowerdir={layers}")
    # A new procfs may be mounted in a user namespace only where a whole one is to be seen already, and
    # a container's own is covered in parts.
    mount("proc", str(folder_at(ROOM / "proc")), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    owner = specification["uid"] or 0
    yield from ("--bind" if "upper" in paths else "--ro-bind", str(root), "/")
    yield from ("--proc", "/proc", "--dev", "/dev")
    shm = mount_tmpfs(ROOM / "shm", SHM_BYTES, owner)
    yield from ("--bind", str(shm), SHM, "--remount-ro", "/dev")
    scratch = mount_tmpfs(ROOM / "scratch", specification["disk"], owner)
    for name, inside in (("tmp", "/tmp"), ("out", OUT)):  # noqa: S108 - the sandbox's own
        folder = folder_at(scratch / name)
        os.chown(folder, owner, owner)
        if name == "tmp":
            folder.chmod(0o1777)
        yield from ("--bind", str(folder), inside)
    hand_out(specification, scratch / "out")
    for name, inside in (("given", GIVEN), ("uv", UV)):
        if name in paths:
            place = ROOM / name
            if os.stat(paths[name]).st_mode & EVERYBODY_MAY == EVERYBODY_MAY:
                place.mkdir() if os.path.isdir(paths[name]) else place.touch()
                mount(paths[name], str(place), "", MS_BIND)
            else:
                # The worker's own may be nobody else's to run.
                place.write_bytes(Path(paths[name]).read_bytes())
                place.chmod(0o755)
            yield from ("--ro-bind", str(place), inside)


def descriptor_path(path: str) -> str:
    """A way to `path` that holds when something is mounted over it, and that needs no escaping."""
    return f"/proc/self/fd/{os.open(path, os.O_PATH | os.O_CLOEXEC)}"


def skeleton(folder: Path, resolver: bytes) -> None:
    """Make the folders to mount on and the files of names that every sandbox needs in its root."""
    for name in ("proc", "dev", "tmp", "build/given", "build/out", "etc"):
        folder_at(folder / name)
    (folder / "build/uv").touch()
    (folder / "etc/hosts").write_text("127.0.0.1 localhost sandbox\n")
    (folder / "etc/resolv.conf").write_bytes(resolver)


def mount_tmpfs(place: Path, size: int, owner: int) -> Path:
    """A file system in memory of `size` bytes, and of a number of files to match."""
    options = f"mode=0700,uid={owner},gid={owner},size={size},nr_inodes={max(1024, size >> 12)}"
    mount(place.name, str(folder_at(place)), "tmpfs", MS_NOSUID | MS_NODEV, options)
    return place


def folder_at(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode() or None)
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None) != 0:
        raise failure(f"mount of {kind or source} at {target}")


# --- network ---------------------------------------------------------------------------------------------


def own_network() -> None:
    """No device but the loopback. Made before the user namespace, it cannot be changed from within."""
    call("unshare", CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


def hand_out(specification: dict[str, Any], out: Path) -> None:
    """Send the worker what it keeps: the folder of results, and the socket that it may answer on.

    Whoever got the socket is all that the command can reach. The folder is reached by its descriptor
    alone, and its memory is free once the worker closes that.
    """
    with socket.socket(fileno=specification["messenger"]) as messenger:
        descriptors = [os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        if specification["port"]:
            listener = socket.create_server(("127.0.0.1", specification["port"]))
            descriptors.append(listener.detach())
        socket.send_fds(messenger, [b"ready"], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


# --- limits and users ------------------------------------------------------------------------------------


def set_limits(limits: dict[str, int]) -> None:
    """Limits of each process, and of the number of them; `limits` by setrlimit(2)'s names."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def user_namespace(inside: int, outside: int, count: int) -> int:
    """A user namespace in which the user `inside` is `outside` outside, and so on; a descriptor of it.

    Root makes it and writes its map, which also works where others may not. Limits of the number of
    processes count within it (user_namespaces(7)), so one sandbox does not take another's.
    """
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call("unshare", CLONE_NEWUSER)
            os.write(ready[1], b".")
            os.close(done[1])
            os.read(done[0], 1)
        finally:
            os._exit(0)
    os.close(ready[1])
    if not os.read(ready[0], 1):
        raise OSError(
            "a user namespace cannot be made; user.max_user_namespaces (sysctl) or a container's seccomp "
            "profile may forbid it"
        )
    own = Path(f"/proc/{child}")
    (own / "setgroups").write_text("deny" if count == 1 else "allow")
    (own / "uid_map").write_text(f"{inside} {outside} {count}")
    (own / "gid_map").write_text(f"{inside} {outside} {count}")
    namespace = os.open(own / "ns/user", os.O_RDONLY)
    os.set_inheritable(namespace, True)
    os.close(done[1])
    os.waitpid(child, 0)
    return namespace


def call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        raise failure(name)


def failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except OSError as error:
        print(f"ri-sandbox: {error}", file=sys.stderr)
        sys.exit(BROKEN)
