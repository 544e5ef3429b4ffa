"""What tests need of the machine, and what becomes of them where it is missing.

A test says `@needs("chromium")`, a fixture calls `require("chromium")`. What an ordinary user cannot have
is a reason to skip, in one sentence, and the end of the run counts these. For root it is a failure where it
is a package that apt could have installed, and in CI (`CI=true`) it is one always: nothing is left out there
without anybody noticing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from images.building.bases import mmdebstrap, unpacked_debian
from images.building.bases.distributions import UBUNTU
from images.building.containers import container
from tests import hosts
from tests.chromium import NAMES
from tests.rabbitmq import PLACES, is_here

ROOT = Path(__file__).resolve().parents[1]
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Lack:
    """What is missing, as a sentence, and the Debian packages that bring it, if any do.

    `elsewhere` is what no machine has by itself and CI may be without.
    """

    sentence: str
    packages: tuple[str, ...] = ()
    elsewhere: bool = False

    def __str__(self) -> str:
        install = f" Install {' and '.join(self.packages)}." if self.packages else ""
        return self.sentence + install


def needs(*names: str) -> pytest.MarkDecorator:
    """The test needs all of these, which are names in `CHECKS`."""
    return pytest.mark.needs(*names)


def require(name: str) -> None:
    """Skip the test that needs this, or fail it, if this machine lacks it."""
    lack = lack_of(name)
    if lack is not None:
        refuse(lack, may_skip(lack))


def refuse(lack: Lack, skip: bool) -> NoReturn:
    if skip:
        pytest.skip(str(lack))
    pytest.fail(str(lack), pytrace=False)


def may_skip(lack: Lack) -> bool:
    if os.geteuid() != 0 or lack.elsewhere:
        return True
    if os.environ.get("CI") == "true":
        return False
    return not lack.packages or shutil.which("apt-get") is None


@cache
def lack_of(name: str) -> Lack | None:
    return CHECKS[name]()


# --- what is looked for -----------------------------------------------------------------------------------


def root() -> Lack | None:
    if os.geteuid() != 0:
        return Lack("This enters an image by chroot or becomes another user, which takes root.")
    return None


def chromium() -> Lack | None:
    """A browser, and the library without which the driver's own Node.js does not start."""
    if not any(map(shutil.which, NAMES)):
        return Lack("This drives Chromium.", ("chromium", "libatomic1"))
    if not loadable("libatomic.so.1"):
        return Lack("The browser's driver needs libatomic.so.1.", ("libatomic1",))
    return None


def loadable(library: str) -> bool:
    """Whether the dynamic linker finds the library (ldconfig(8), which is on root's PATH alone)."""
    told = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False)
    return f"\t{library} " in told.stdout


def of_container(problem: Callable[[], str]) -> Callable[[], Lack | None]:
    def check() -> Lack | None:
        sentence = problem()
        packages = ("buildah", "bubblewrap") if "not installed" in sentence else ()
        return Lack(sentence, packages if os.geteuid() == 0 else ()) if sentence else None

    return check


def of_machine(problem: Callable[[], str]) -> Callable[[], Lack | None]:
    """What no package mends."""
    return lambda: Lack(sentence) if (sentence := problem()) else None


def image_of_the_platform() -> Lack | None:
    if os.geteuid() != 0:
        return Lack("Building the platform's own container image takes root.")
    missing = tuple(tool for tool in ("buildah", "mmdebstrap") if shutil.which(tool) is None)
    return Lack("This builds the platform's own container image.", missing) if missing else None


def debian_base() -> Lack | None:
    refused, reason = mmdebstrap.problem(), unpacked_debian.problem()
    if refused and reason:
        return Lack(
            f"This takes a base image of Debian. {refused.reason} {reason}", ("mmdebstrap",)
        )
    return None


def rabbitmq() -> Lack | None:
    if is_here():
        return None
    return Lack("No RabbitMQ is here, and RI_TEST_RABBITMQ_URL names none.", ("rabbitmq-server",))


def several_hosts() -> Lack | None:
    """A broker of our own and namespaces; a container of CI may be without these."""
    own = shutil.which("epmd") and any(Path(place).exists() for place in PLACES)
    if not own:
        return Lack("This starts a RabbitMQ on a host of its own.", ("rabbitmq-server",))
    return Lack(sentence, elsewhere=True) if (sentence := hosts.problem()) else None


def xmlsec1() -> Lack | None:
    if shutil.which("xmlsec1"):
        return None
    return Lack("The SAML identity provider of the tests signs with xmlsec1.", ("xmlsec1",))


def terraform() -> Lack | None:
    if shutil.which("terraform"):
        return None
    # No package of Debian's: HashiCorp's own.
    return Lack("terraform is not installed.")


def kubectl() -> Lack | None:
    # Debian's package is no part of what `make packages` installs: one test asks it.
    return None if shutil.which("kubectl") else Lack("kubectl is not installed.")


def ubuntu_archive() -> Lack | None:
    mirror = UBUNTU.mirror_of_this_machine() or UBUNTU.mirror
    with suppress(httpx.HTTPError):
        if httpx.head(f"{mirror}/dists/noble/InRelease", timeout=10).is_success:
            return None
    return Lack("The archive of Ubuntu is not in reach.", elsewhere=True)


def dnf() -> Lack | None:
    """The package system of Fedora and its relatives, which Debian has as a package."""
    return None if shutil.which("dnf") else Lack("This asks dnf.", ("dnf",))


def system_python() -> Lack | None:
    """Sandboxes upon the machine's own root run its own Python, not that of the environment."""
    if Path(SYSTEM_PYTHON).exists():
        return None
    return Lack(f"This runs {SYSTEM_PYTHON} in a sandbox.", ("python3",))


CHECKS: dict[str, Callable[[], Lack | None]] = {
    "root": root,
    "chromium": chromium,
    "containers": of_container(container.problem),
    "confinement": of_container(container.confinement_problem),
    "platform image": image_of_the_platform,
    "debian base": debian_base,
    "apt": of_machine(unpacked_debian.problem),
    "rabbitmq": rabbitmq,
    "several hosts": several_hosts,
    "xmlsec1": xmlsec1,
    "terraform": terraform,
    "kubectl": kubectl,
    "dnf": dnf,
    "ubuntu archive": ubuntu_archive,
    "system python": system_python,
}


# --- hooks, which conftest.py takes over -------------------------------------------------------------------


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            require(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests were left out and why, by reason, most first."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section(f"{reasons.total()} left out on this machine")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:>4}  {reason}")
        if any("Install " in reason for reason in reasons):
            terminalreporter.line("      To have the packages: sudo make packages")
