"""Root file systems by mmdebstrap: as root, or in user namespaces where an ordinary user may have them.

With SOURCE_DATE_EPOCH set, mmdebstrap gives the same bytes for the same packages.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from images.building.bases.distributions import DEBIAN
from images.building.bases.recipe import Recipe
from images.building.commands import PROBE_SECONDS, TimedOut, containment, run_streaming
from images.building.user import User
from images.errors import BaseImageUnusable

EPOCH = 1_700_000_000
TIMEOUT_SECONDS = 900.0
# For removing what it left.
REMOVE_SECONDS = 120.0
# An image needs neither documentation nor the package lists, nor what apt derives from them.
LEFT_OUT = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/")
CLEAN_UP = (
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb '
    '"$1"/var/cache/debconf/*-old "$1"/var/log/*.log "$1"/var/log/apt "$1"/etc/apt/apt.conf.d/*proxy*'
)
# subuid(5): login name or uid, first sub-id, count. An image's files belong to ids up to nobody's, 65534.
SUB_IDS = 65_536


class Problem(NamedTuple):
    """A reason that mmdebstrap cannot work here, and the remedy; each is a sentence."""

    reason: str
    to_do: str


def problem() -> Problem | None:
    """The first thing that mmdebstrap lacks on this machine, by trying; None if it can work."""
    if shutil.which("mmdebstrap") is None:
        return Problem(
            "mmdebstrap is not installed on this worker.",
            "Install it: apt-get install mmdebstrap"
            + (" uidmap." if os.geteuid() != 0 and shutil.which("newuidmap") is None else "."),
        )
    return None if os.geteuid() == 0 else namespaces_problem()


def namespaces_problem() -> Problem | None:
    """The reason that an ordinary user's mmdebstrap cannot have a range of user ids of its own."""
    if shutil.which("newuidmap") is None or shutil.which("newgidmap") is None:
        return Problem(
            "mmdebstrap takes newuidmap where it does not run as root, and that is not installed.",
            "Install it: apt-get install uidmap.",
        )
    for file, option in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
        if sub_ids(Path(file)) < SUB_IDS:
            return Problem(
                f"{file} gives the user {user()} fewer than {SUB_IDS:,} ids, which mmdebstrap takes.",
                f"As root: usermod {option} 100000-165535 {user()}.",
            )
    probe = ["unshare", "--user", "--map-root-user", "--mount", "--", "true"]
    try:
        done = subprocess.run(
            probe, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS
        )
        said = done.stderr.strip() if done.returncode else None
    except subprocess.TimeoutExpired:
        said = f"not within {PROBE_SECONDS:.0f} seconds"
    if said is not None:
        return Problem(
            f"This machine lets ordinary users make no user namespaces ({said}).",
            "Allow them (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, "
            "kernel.apparmor_restrict_unprivileged_userns), or run the worker as root.",
        )
    return None


def user() -> str:
    """The login name, or the uid in digits where it has none, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def sub_ids(file: Path) -> int:
    """The longest range of subordinate ids that the file (subuid(5)) gives this user."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    ranges = [line.split(":") for line in lines]
    own = [fields[2] for fields in ranges if len(fields) == 3 and fields[0] in own_names()]
    return max((int(count) for count in own if count.isdecimal()), default=0)


def own_names() -> set[str]:
    return {user(), str(os.geteuid())}


def make(recipe: Recipe, rootfs: Path, work: Path, mirror: str, check: Callable[[], None]) -> None:
    """Make the tar `rootfs` of the suite. Raises `BaseImageUnusable` with mmdebstrap's last words."""
    said: deque[str] = deque(maxlen=5)
    with temporary_folder(work) as folder:
        command = [
            *containment(), "mmdebstrap", "--variant=minbase", f"--include={','.join(recipe.packages)}",
            "--format=tar", *(f"--dpkgopt=path-exclude={pattern}*" for pattern in LEFT_OUT),
            f"--customize-hook={CLEAN_UP}", f"--customize-hook={sources_hook(recipe)}",
            *([f"--customize-hook={user_hook(recipe.user)}"] if recipe.user else []),
            *([] if os.geteuid() == 0 else ["--mode=unshare"]),
            recipe.suite, str(rootfs), *sources_of(recipe, mirror, folder),
        ]  # fmt: skip
        try:
            status = run_streaming(
                command,
                log=said.append,
                check=check,
                timeout=TIMEOUT_SECONDS,
                environment={
                    **environment(),
                    "SOURCE_DATE_EPOCH": str(EPOCH),
                    "TMPDIR": str(folder),
                },
            )
        except TimedOut:
            status = -1
            said.append(f"It took longer than {TIMEOUT_SECONDS:.0f} seconds.")
    if status != 0:
        raise BaseImageUnusable(
            f"mmdebstrap could not make {recipe.title}: {' '.join(said)[-1000:]}",
            hint="An operator should look at the package mirror and the network.",
        )


def sources_of(recipe: Recipe, mirror: str, folder: Path) -> list[str]:
    """The archive, as mmdebstrap is told of it; it knows Debian's own and its keys by itself.

    A key of ours is written to `folder`, which the users that unpack may enter.
    """
    distribution = recipe.distribution
    if distribution is DEBIAN:
        return [mirror] if mirror else []
    keyring = distribution.keyring_in(folder)
    return distribution.sources(recipe.suite, mirror or distribution.mirror, keyring).splitlines()


def sources_hook(recipe: Recipe) -> str:
    """The shell command by which the image names its distribution's own mirror, not this machine's."""
    distribution = recipe.distribution
    lines = shlex.quote(distribution.sources(recipe.suite, distribution.mirror, None))
    return f'printf %s {lines} > "$1"/etc/apt/sources.list && rm -f "$1"/etc/apt/sources.list.d/*'


def user_hook(user: User) -> str:
    """The shell command that gives the root file system `$1` the user, with a home of its own."""
    passwd, group = shlex.quote(user.passwd.strip()), shlex.quote(user.group.strip())
    return (
        f'echo {passwd} >> "$1"/etc/passwd && echo {group} >> "$1"/etc/group'
        f' && install -d -m 755 -o {user.number} -g {user.number} "$1"{user.home}'
    )


def environment() -> dict[str, str]:
    """The worker's own, without its AWS identity and its settings."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RI_"))
    }


@contextmanager
def temporary_folder(work: Path) -> Iterator[Path]:
    """A folder for mmdebstrap's own: below `work`, or elsewhere where sub-ids could not reach that.

    In unshare mode what it makes belongs to sub-ids, to which a private home above `work` is closed.
    """
    if os.geteuid() == 0:
        yield work
        return
    work.chmod(0o711)
    places = [work, Path("/var/tmp"), Path(tempfile.gettempdir())]  # noqa: S108 - mkdtemp follows
    place = next((place for place in places if is_open(place)), None)
    if place is None:
        raise BaseImageUnusable(
            f"mmdebstrap's users can reach none of {', '.join(map(str, places))}.",
            hint="Set RI_CACHE_DIR to a folder whose parents all may be entered (chmod o+x).",
        )
    folder = Path(tempfile.mkdtemp(prefix="ri-mmdebstrap-", dir=place))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            # It was ended in the midst, and what is left belongs to sub-ids.
            remove = ["mmdebstrap", "--unshare-helper", "rm", "-rf", str(folder)]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(remove, capture_output=True, check=False, timeout=REMOVE_SECONDS)
            shutil.rmtree(folder, ignore_errors=True)


def is_open(place: Path) -> bool:
    """Whether everybody may enter the folder and all above it, and programs in it may run."""
    try:
        place = place.resolve(strict=True)
        entered = all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents))
        return entered and os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC
    except OSError:
        return False
