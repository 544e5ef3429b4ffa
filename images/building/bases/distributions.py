"""The distributions whose package archives apt reads here: their mirrors, keys and indexes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from images.building.bases.content import ARCHITECTURE

_KEYRINGS = Path("/usr/share/keyrings")


@dataclass(frozen=True)
class Distribution:
    """A distribution in the Debian repository format.

    `name` is its ID in os-release(5) and the last part of its mirrors' addresses. `pockets` are added to a
    suite's name: what is published after the release. `contents` is the path of the Contents index below a
    suite's folder. `packages` are what a base image needs and the minimum lacks. `keyring` is where the
    distribution itself and the packages of keys have its keys, and `own_key` an armored copy of them for
    machines that have none.
    """

    name: str
    title: str
    mirror: str
    components: str
    pockets: tuple[str, ...]
    contents: str
    keyring: Path
    packages: tuple[str, ...] = ()
    own_key: str = field(default="", repr=False)

    def keyring_in(self, folder: Path) -> Path | None:
        """The file of the keys that signatures are verified by; a copy of our own is written to `folder`.

        None for the keys that this machine's apt trusts anyway.
        """
        if self.keyring.exists():
            return self.keyring
        if not self.own_key:
            return None
        written = folder / f"{self.name}-archive.asc"
        written.write_text(self.own_key, encoding="ascii")
        # Read by whichever user unpacks.
        written.chmod(0o644)
        return written

    def sources(self, suite: str, mirror: str, signed_by: Path | None) -> str:
        """The lines of sources.list(5)."""
        signed = f" [signed-by={signed_by}]" if signed_by else ""
        return "".join(
            f"deb{signed} {mirror} {suite}{pocket} {self.components}\n" for pocket in self.pockets
        )

    def mirror_of_this_machine(self) -> str:
        """The machine's own mirror where it runs this distribution, as its network may reach no other.

        Empty if it has none.
        """
        places = Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))
        for path in places:
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            for word in text.split():
                is_address = word.startswith(("http://", "https://"))
                if is_address and word.rstrip("/").endswith(f"/{self.name}"):
                    return word
        return ""


DEBIAN = Distribution(
    name="debian",
    title="Debian",
    mirror="http://deb.debian.org/debian",
    components="main",
    pockets=("",),
    contents=f"main/Contents-{ARCHITECTURE}",
    keyring=_KEYRINGS / "debian-archive-keyring.gpg",
)
# A release of Ubuntu stays as it was; what is mended, security included, is in `-updates`. pip and venv are
# in universe. Debian 12 has no package of Ubuntu's keys.
UBUNTU = Distribution(
    name="ubuntu",
    title="Ubuntu",
    mirror="http://archive.ubuntu.com/ubuntu",
    components="main universe",
    pockets=("", "-updates"),
    contents=f"Contents-{ARCHITECTURE}",
    keyring=_KEYRINGS / "ubuntu-archive-keyring.gpg",
    # Which is required in Debian alone.
    packages=("apt",),
    own_key=Path(__file__).with_name("ubuntu-archive-2018.asc").read_text(encoding="ascii"),
)
DISTRIBUTIONS = {item.name: item for item in (DEBIAN, UBUNTU)}
