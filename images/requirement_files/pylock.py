"""Reader of pylock.toml (PEP 751) with `packaging`, and of uv.lock, which uv exports to pylock.toml."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import toml_tables
from images.requirement_files.locks import LockDraft, locked_file, packages_of
from images.requirement_files.positions import line_of
from images.requirement_files.values import LockedPackage, SuppliedFile
from images.requirement_files.wants import note_wanted_python, table

# uv takes 30 ms for a lock of 400 libraries.
MAX_SECONDS = 10


def read_pylock(draft: Draft, file: SuppliedFile) -> None:
    """Write a pylock.toml's packages for the image, the chosen extras and groups into the draft."""
    lock = parsed_pylock(file.text)
    draft.offer(groups=lock.dependency_groups or (), extras=lock.extras or ())
    groups = {*draft.rules.groups, *(lock.default_groups or ())}
    take_packages(draft, file, lock, groups)


def parsed_pylock(text: str) -> Pylock:
    """Raises `ValueError` with a sentence."""
    try:
        return Pylock.from_dict(toml_tables(text))
    except PylockValidationError as error:
        raise ValueError(f"It is not a lock of PEP 751: {error}.") from error


def take_packages(draft: Draft, file: SuppliedFile, lock: Pylock, groups: Collection[str]) -> None:
    made = LockDraft(draft, file)
    if lock.requires_python:
        note_wanted_python(draft, file, str(lock.requires_python))
    if lock.environments and not any(draft.target.holds(only) for only in lock.environments):
        target = f"Python {draft.target.python_version} on {draft.target.machine}"
        message = f"The lock is for other machines or Pythons than {target}; make one for it."
        draft.refuse(Place(file.name, line_of(file.text, "environments")), "environments", message)
    for package in lock.packages:
        name, version = str(package.name), str(package.version or "")
        try:
            if package.marker and not draft.target.holds_in_lock(
                package.marker, draft.rules.extras, groups
            ):
                made.leave_out(name, version, f"Its marker does not hold: {package.marker}.")
                continue
        except (UndefinedComparison, UndefinedEnvironmentName) as error:
            message = f"Its marker cannot be decided, {package.marker}; make the lock again."
            draft.refuse(Place(file.name, made.line(name, version)), name, message)
            draft.hint(str(error))
            continue
        take_package(draft, made, package, name, version)
    made.finish()


def take_package(draft: Draft, made: LockDraft, package: Package, name: str, version: str) -> None:
    if package.requires_python and not draft.target.satisfies(package.requires_python):
        message = (
            f"{name}=={version} is for Python {package.requires_python}, and the image has "
            f"{draft.target.python_version}; choose another Python or make the lock for it."
        )
        draft.refuse(Place(made.file.name, made.line(name, version)), name, message)
    elif package.is_direct or not version:
        made.refuse_source(name, version)
    else:
        made.take(locked_package(made, package, name, version))


def locked_package(made: LockDraft, package: Package, name: str, version: str) -> LockedPackage:
    listed = [*(package.wheels or ()), *([package.sdist] if package.sdist else ())]
    files = [
        locked_file(str(entry.name or ""), str(entry.url or ""), entry.hashes.get("sha256"))
        for entry in listed
    ]
    return LockedPackage(
        name=name,
        version=version,
        line=made.line(name, version),
        files=tuple(entry for entry in files if entry),
        index_url=str(package.index or ""),
    )


def read_uv_lock(draft: Draft, file: SuppliedFile) -> None:
    """Write a uv.lock's packages into the draft. Its edges and forks are uv's own business."""
    tables = toml_tables(file.text)
    packages = packages_of(tables)
    roots = [entry for entry in packages if is_root(entry.get("source"))]
    if len(roots) != 1:
        raise ValueError(
            "It locks several projects; run `uv export --package … --format pylock.toml` and give that."
        )
    root = roots[0]
    extras, groups = table(root, "optional-dependencies"), table(root, "dev-dependencies")
    draft.offer(groups=groups, extras=extras)
    normalized = {canonicalize_name(extra) for extra in draft.rules.extras}
    arguments = [f"--extra={extra}" for extra in sorted(normalized & set(extras))]
    arguments += [f"--group={group}" for group in sorted(draft.rules.groups & set(groups))]
    exported = exported_lock(file.text, str(root["name"]), arguments)
    # uv has decided the extras and groups already; the markers are what remains.
    take_packages(draft, file, parsed_pylock(exported), ())


def is_root(source: object) -> bool:
    return isinstance(source, dict) and any(
        source.get(kind) == "." for kind in ("virtual", "editable", "directory")
    )


def exported_lock(text: str, project: str, arguments: list[str]) -> str:
    """What uv makes of its lock, as a pylock.toml. Raises `ValueError` with a sentence.

    uv asks for the project beside the lock, and with `--frozen` only for its name. It gets an empty home
    and no network, so that the lock alone decides.
    """
    if canonicalize_name(project) != project:
        raise ValueError("Its project has no normalized name; make the lock again.")
    with tempfile.TemporaryDirectory(prefix="uv-lock-") as folder:
        Path(folder, "uv.lock").write_text(text, encoding="utf-8")
        Path(folder, "pyproject.toml").write_text(
            f'[project]\nname = "{project}"\nversion = "0"\n', encoding="utf-8"
        )
        command = [
            find_uv_bin(), "export", "--frozen", "--offline", "--no-config", "--no-cache",
            "--no-emit-project", "--no-default-groups", "--no-python-downloads",
            "--format=pylock.toml", "--quiet", *arguments,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={"HOME": folder, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=MAX_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError("It takes too long to read; give a pylock.toml instead.") from error
    if done.returncode:
        raise ValueError(
            "uv cannot read it; run `uv lock` again, or `uv export --format pylock.toml` and give that."
        )
    return done.stdout
