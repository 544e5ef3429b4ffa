"""Make bare roots, run the cells that have no result yet, print the table."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.bare_roots import host
from tools.bare_roots.inside import Spec
from tools.bare_roots.table import table

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = "python3,python3-venv,make,git,ca-certificates"
SUITES, USERS, WHAT = ("bookworm", "trixie"), ("root", "user", "prepared"), ("run", "test")
NEWCOMER = 1000
DOCS = "docs/performance.md"
BEGIN, END = "<!-- BEGIN_BARE_ROOTS -->", "<!-- END_BARE_ROOTS -->"


@dataclass(frozen=True)
class Cell:
    suite: str
    user: str
    place: str
    what: str

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.user}-{self.what}" + (
            "-chroot" if self.place == "chroot" else ""
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tools.bare_roots", description=__doc__)
    parser.add_argument("--suites", nargs="+", default=list(SUITES), metavar="SUITE")
    parser.add_argument(
        "--users", nargs="+", default=["root", "user"], choices=USERS,
        help="prepared: an ordinary user of a machine on which root has run `make packages`",
    )  # fmt: skip
    parser.add_argument("--what", nargs="+", default=list(WHAT), choices=WHAT)
    parser.add_argument(
        "--places", nargs="+", default=["mount"], choices=["mount", "chroot"],
        help="mount: the root is a mount point, as on every machine; chroot: it is a plain folder",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, default=CHECKOUT / ".local/bare-roots", help="roots, results, logs"
    )
    parser.add_argument("--again", action="store_true", help="also cells that have a result")
    parser.add_argument("--keep", action="store_true", help="keep each root, and use a kept one")
    parser.add_argument("--table", action="store_true", help="only print the table of the results")
    parser.add_argument("--docs", action="store_true", help=f"also write the table into {DOCS}")
    parser.add_argument(
        "pytest", nargs="*", metavar="-- PYTEST ARGUMENT",
        help="a part of the suite: for trying this script, without lint",
    )  # fmt: skip
    return parser.parse_args()


def main() -> int:
    options = arguments()
    results = options.folder / "results"
    if not options.table:
        if problem := missing_prerequisite():
            print(problem, file=sys.stderr)
            return 2
        results.mkdir(parents=True, exist_ok=True)
        for cell in cells(options):
            saved = results / f"{cell.name}.json"
            if not options.again and (kept := result_of(saved, options.pytest)):
                print(f"{cell.name}: measured at {kept['commit']}; --again measures once more.")
                continue
            print(f"{cell.name}: running, log in {saved.with_suffix('.log')} …", flush=True)
            saved.unlink(missing_ok=True)
            found = run(cell, options, saved.with_suffix(".log"))
            about = {**asdict(cell), "commit": commit(), "pytest": options.pytest}
            saved.write_text(json.dumps({**about, **found}, indent=1))
    read = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    print(table(read))
    if options.docs:
        write_into_docs(table(read))
    return 0 if all(good(result) for result in read) else 1


def result_of(saved: Path, pytest: list[str]) -> dict[str, Any] | None:
    """The result that is kept, unless the cell broke or ran another part of the suite."""
    if not saved.exists():
        return None
    kept: dict[str, Any] = json.loads(saved.read_text())
    return kept if "broken" not in kept and kept.get("pytest") == pytest else None


def write_into_docs(text: str) -> None:
    page = CHECKOUT / DOCS
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def missing_prerequisite() -> str:
    missing = [tool for tool in ("mmdebstrap", "unshare", "git") if shutil.which(tool) is None]
    if missing:
        return f"Please install: {' '.join(missing)} (apt-get install mmdebstrap util-linux git)"
    if os.geteuid() != 0:
        return "Making root file systems takes root: sudo python3 -m tools.bare_roots"
    return ""


def good(result: dict[str, Any]) -> bool:
    """Whether the cell went as the documentation promises."""
    if "broken" in result:
        return False
    if result["what"] == "test":
        return bool(result["status"] == 0)
    made = result["answers"] is not None and result["base_said"] == "succeeded"
    return made and not result["left"] and not result["untracked"]


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    for place, suite, user, what in itertools.product(
        options.places, options.suites, options.users, options.what
    ):
        yield Cell(suite, user, place, what)


def commit() -> str:
    asked = ["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def run(cell: Cell, options: argparse.Namespace, log: Path) -> dict[str, Any]:
    """Run one cell in a fresh root; what it found, or the key `broken` with a sentence."""
    root = options.folder / "roots" / cell.name
    home = "/root" if cell.user == "root" else "/home/newcomer"
    log.unlink(missing_ok=True)
    try:
        if not (options.keep and root.exists()):
            remove(root)
            furnish(root, home, bare_root(cell.suite, options.folder))
        return enter(spec_of(cell, root, home, log, options.pytest))
    except (subprocess.CalledProcessError, OSError) as error:
        return {"broken": str(error)}
    finally:
        if not options.keep:
            remove(root)


def spec_of(cell: Cell, root: Path, home: str, log: Path, pytest: list[str]) -> Spec:
    return Spec(
        root=str(root),
        mount_point=cell.place == "mount",
        uid=0 if cell.user == "root" else NEWCOMER,
        home=home,
        what=cell.what,
        port=free_port(),
        log=str(log.resolve()),
        variables=host.variables(),
        folders=[str(path) for path in host.folders_of_packages()],
        prepared=cell.user == "prepared",
        pytest=pytest,
    )


def enter(spec: Spec) -> dict[str, Any]:
    reading, writing = os.pipe()
    command = [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--",
        sys.executable, "-m", "tools.bare_roots.inside", json.dumps(asdict(spec)), str(writing),
    ]  # fmt: skip
    with open(spec.log, "ab") as log, os.fdopen(reading) as told:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, pass_fds=[writing], stdout=log, stderr=log
        )
        os.close(writing)
        said = told.read()
        status = process.wait()
    if not said:
        return {"broken": f"The cell ended with status {status}; its log says why."}
    found: dict[str, Any] = json.loads(said)
    return found


def bare_root(suite: str, folder: Path) -> Path:
    """A tar of the suite with the packages that a newcomer is asked for, made once."""
    kept = folder / f"{suite}.tar"
    if not kept.exists():
        print(f"Making a bare root of Debian {suite} …", flush=True)
        part = kept.with_suffix(".part.tar")
        mirror = host.debian_mirror()
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}"]
        if suite not in SUITES:
            # A mirror may lag behind testing's week of validity. The signature is checked all the same.
            command.append('--aptopt=Acquire::Check-Valid-Until "false"')
        subprocess.run([*command, suite, str(part), *mirror], check=True)
        part.rename(kept)
    return kept


def furnish(root: Path, home: str, tar: Path) -> None:
    """Unpack the root, make its user, clone the checkout into the home, take over the host's settings."""
    root.mkdir(parents=True)
    root.chmod(0o755)
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", tar], check=True)
    if home != "/root":
        add = ["useradd", "--create-home", "--shell", "/bin/bash", f"--uid={NEWCOMER}", "newcomer"]
        subprocess.run(["chroot", root, *add], check=True)
    inside = root / home[1:]
    inside.chmod(0o700)
    clone = [
        "git",
        "clone",
        "--quiet",
        "--no-hardlinks",
        str(CHECKOUT),
        str(inside / "ri-platform"),
    ]
    subprocess.run(clone, check=True)
    host.copy_settings(root, inside)
    if home != "/root":
        subprocess.run(["chown", "-R", f"{NEWCOMER}:{NEWCOMER}", inside], check=True)


def remove(root: Path) -> None:
    """The root's mounts went with its namespace; nothing below is another file system's."""
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    begun = time.monotonic()
    status = main()
    if "--table" not in sys.argv:
        print(f"\n{shlex.join(sys.argv[1:]) or 'All cells'}: {time.monotonic() - begun:.0f} s")
    sys.exit(status)
