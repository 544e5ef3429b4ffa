"""The system calls that a sandbox has no business with, as a filter that bubblewrap loads (seccomp(2)).

A classic BPF program for x86-64, the one architecture of images here: other ways to call the kernel
(32 bit, x32) are refused altogether. What is denied is what reaches other processes, mounts, keys, the
kernel's own machinery and new user namespaces, whether or not it takes a capability as well: behind these
were the holes in kernels. A refused call fails with EPERM, so programs go on.
"""

from __future__ import annotations

import struct

# <linux/audit.h>, <linux/seccomp.h>, <linux/bpf_common.h>.
AUDIT_ARCH_X86_64 = 0xC000003E
X32 = 0x40000000
KILL, ALLOW, REFUSE = 0x80000000, 0x7FFF0000, 0x00050000
EPERM, ENOSYS = 1, 38
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in struct seccomp_data: the number, the architecture, the lower half of an argument.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

# <asm/unistd_64.h>
DENIED = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "pidfd_getfd": 438, "process_madvise": 440,
    "mount": 165, "umount2": 166, "pivot_root": 155, "move_mount": 429, "open_tree": 428,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "unshare": 272, "setns": 308,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "init_module": 175, "finit_module": 313, "delete_module": 176,
    "kexec_load": 246, "kexec_file_load": 320, "reboot": 169,
    "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "quotactl_fd": 443,
    "syslog": 103, "lookup_dcookie": 212, "uselib": 134, "sysfs": 139, "_sysctl": 156,
    "nfsservctl": 180, "vhangup": 153, "iopl": 172, "ioperm": 173, "modify_ldt": 154,
    "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159,
    "sethostname": 170, "setdomainname": 171,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "fanotify_init": 300,
    "mbind": 237, "set_mempolicy": 238, "migrate_pages": 256, "move_pages": 279,
    "memfd_secret": 447,
}  # fmt: skip
CHROOT = 161
CLONE, CLONE3 = 56, 435
NEW_NAMESPACES = 0x7E020000
IOCTL = 16
# Characters put into a terminal's input: TIOCSTI, TIOCLINUX (<asm/ioctls.h>).
TERMINAL_INPUT = (0x5412, 0x541C)
SOCKET, SOCKETPAIR = 41, 53
# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. Sockets to a virtual machine's host (AF_VSOCK) know no
# network namespaces, and those of the kernel's cryptography (AF_ALG) were a hole more than once.
FAMILIES = (1, 2, 10, 16)


def program(*, chroot: bool = False) -> bytes:
    """The filter, as an array of struct sock_filter. `chroot` leaves that call to a package system."""
    denied = sorted([*DENIED.values(), *([] if chroot else [CHROOT])])
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE | ENOSYS),
    ]
    for number in denied:
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | EPERM)]
    # Its flags lie in memory, out of a filter's sight. C libraries fall back to clone, which is looked at.
    code += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, REFUSE | ENOSYS)]
    code += [
        (EQUAL, 0, 4, CLONE),
        (LOAD, 0, 0, ARGUMENTS),
        (ANY_BIT, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, REFUSE | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    code += [(EQUAL, 0, 5, IOCTL), (LOAD, 0, 0, ARGUMENTS + 8)]
    code += [
        (EQUAL, 1, 0, TERMINAL_INPUT[0]),
        (EQUAL, 0, 1, TERMINAL_INPUT[1]),
        (RETURN, 0, 0, REFUSE | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    code += [(EQUAL, 1, 0, SOCKET), (EQUAL, 0, len(FAMILIES) + 2, SOCKETPAIR)]
    code += [(LOAD, 0, 0, ARGUMENTS)]
    code += [(EQUAL, len(FAMILIES) - i, 0, family) for i, family in enumerate(FAMILIES)]
    code += [(RETURN, 0, 0, REFUSE | EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
