"""Print what the published versions of the public clients call and read: `python -m tools.client_fields`.

It downloads each wheel from the package index, reads the generated code without running it, and prints for
each endpoint the fields of its answer, with the minor series that know them. `--wheels` names a folder that
keeps the wheels. docs/compatibility.md has a summary.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

# Before 0.20 rime-sdk spoke gRPC; before 2.9 robustintelligence had no image registry.
CLIENTS = {"rime-sdk": Version("0.20"), "robustintelligence": Version("2.9")}
# What of the original this product has; some endpoints moved from one of the first folders to another.
PATHS = re.compile(r"/(v1|v1-beta|internal)/(images|jobs|feature-flags|rime-info|logs)\b")
# Of a job's data only the original's tests have any.
LEFT_OUT = {"jobData"}

# What a version knows: endpoint → fields of its answer as a path → values, empty unless it is an enum.
Knowledge = dict[str, dict[str, tuple[str, ...]]]


@dataclass
class Generated:
    """The generated code of a wheel: endpoints with the type of their answer, models, and enums."""

    answers: dict[str, str] = field(default_factory=dict)
    # Model → field in JSON → type, as `list[RimeManagedImage]`.
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description="What public clients call and read.")
    parser.add_argument("--wheels", type=Path, help="a folder that keeps the wheels")
    folder = parser.parse_args().wheels
    with tempfile.TemporaryDirectory() as scratch:
        known = {
            (project, version): knowledge_of(read_wheel(wheel))
            for project, oldest in CLIENTS.items()
            for version in versions_of(project)
            if version >= oldest and (wheel := fetch(project, version, folder or Path(scratch)))
        }
    print("\n".join(report(known)))


def versions_of(project: str) -> list[Version]:
    """All versions on the index that pip asks, oldest first."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", project],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    listed = re.search(r"Available versions: (.*)", told)
    assert listed, told
    return sorted(map(Version, listed[1].split(", ")))


def fetch(project: str, version: Version, folder: Path) -> Path:
    """The wheel of a version, downloaded into `folder` unless it is there."""
    pattern = f"{project.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
             "-d", str(folder), f"{project}=={version}"],
            check=True,
        )  # fmt: skip
    return next(folder.glob(pattern))


# --- reading the code --------------------------------------------------------------------------------------


def read_wheel(wheel: Path) -> Generated:
    found = Generated()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.search(r"/(swagger_client|apiclient)/(api|models)/\w+\.py$", name):
                tree = ast.parse(archive.read(name))
                (read_endpoints if "/api/" in name else read_model)(tree, found)
    return found


def read_endpoints(tree: ast.Module, found: Generated) -> None:
    """Both generators write a method with the path; one of them has the answer's type in another method."""
    answers: dict[str, str] = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            named = {item.arg: text(item.value) for item in call.keywords if item.arg}
            if "response_type" in named:
                found.answers[f"{text(call.args[1])} {text(call.args[0])}"] = named["response_type"]
            elif "resource_path" in named:
                answer = answers.get(function.name.removeprefix("_").removesuffix("_serialize"), "")
                found.answers[f"{named['method']} {named['resource_path']}"] = answer
        for mapping in (node for node in ast.walk(function) if isinstance(node, ast.Dict)):
            if [text(key) for key in mapping.keys[:1] if key] == ["200"]:
                answers[function.name] = text(mapping.values[0])


def read_model(tree: ast.Module, found: Generated) -> None:
    for model in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        constants = {
            target.id: node.value
            for node in model.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if isinstance(constants.get("attribute_map"), ast.Dict):
            names, types = (
                ast.literal_eval(constants[k]) for k in ("attribute_map", "swagger_types")
            )
            if names:
                found.models[model.name] = {names[key]: types[key] for key in names}
                continue
        elif fields := dict(pydantic_fields(model)):
            found.models[model.name] = fields
            continue
        found.enums[model.name] = tuple(text(value) for value in constants.values() if text(value))


def pydantic_fields(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Fields with their types. One without an alias is never read from camelCase, which is told by a `!`."""
    for node in model.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kind = ast.unparse(node.annotation)
            if kind.startswith("ClassVar"):
                continue
            options = node.value.keywords if isinstance(node.value, ast.Call) else []
            alias = next((text(item.value) for item in options if item.arg == "alias"), "")
            kind = re.sub(r"Optional\[(.*)\]$", r"\1", kind).replace("List[", "list[")
            lost = "!" if "_" in node.target.id and not alias else ""
            yield (alias or node.target.id) + lost, kind


def text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# --- what a version knows ----------------------------------------------------------------------------------


def knowledge_of(code: Generated) -> Knowledge:
    return {
        endpoint: dict(fields_of(code, answer))
        for endpoint, answer in code.answers.items()
        if PATHS.match(endpoint.split()[1])
    }


def fields_of(
    code: Generated, kind: str, path: str = "", seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields of a type, as `images[].baseImage.name`, with an enum's values."""
    inner = re.sub(r"^list\[(.*)\]$", r"\1", kind)
    path += "[]" if inner != kind else ""
    if inner not in code.models or inner in seen:
        if path:
            yield path, tuple(sorted(code.enums.get(inner, ())))
        return
    for name, item in code.models[inner].items():
        if name not in LEFT_OUT:
            yield from fields_of(code, item, f"{path}.{name}".lstrip("."), (*seen, inner))


# --- the report --------------------------------------------------------------------------------------------


def report(known: dict[tuple[str, Version], Knowledge]) -> Iterator[str]:
    """Of each endpoint, its callers, and its fields by who knows them."""
    everyone = list(known)
    for endpoint in sorted({name for knowledge in known.values() for name in knowledge}):
        callers = [client for client in everyone if endpoint in known[client]]
        yield f"\n{endpoint}: {series(callers, everyone)}"
        facts: dict[str, list[tuple[str, Version]]] = defaultdict(list)
        for client in callers:
            for path, values in known[client][endpoint].items():
                facts[path].append(client)
                for value in values:
                    facts[f"{path} = {value}"].append(client)
        by_callers: dict[str, list[str]] = defaultdict(list)
        for fact, those in facts.items():
            by_callers["all" if those == callers else series(those, everyone)].append(fact)
        for who, those_facts in by_callers.items():
            yield f"  {who}: {', '.join(those_facts)}"


def series(clients: list[tuple[str, Version]], everyone: list[tuple[str, Version]]) -> str:
    """Minor series, as `rime-sdk 2.0-2.13`; of one that only some versions belong to, these are named."""
    told = []
    for project in CLIENTS:
        minors: dict[str, list[Version]] = defaultdict(list)
        for name, version in everyone:
            if name == project:
                minors[f"{version.major}.{version.minor}"].append(version)
        runs: list[list[str]] = []
        after = False
        for minor, versions in minors.items():
            having = [version for version in versions if (project, version) in clients]
            if having == versions:
                if not after:
                    runs.append([])
                runs[-1].append(minor)
            elif having:
                runs.append([str(having[0]), str(having[-1])])
            after = having == versions
        if runs:
            ranges = (run[0] if run[0] == run[-1] else f"{run[0]}-{run[-1]}" for run in runs)
            told.append(f"{project} {', '.join(ranges)}")
    return "; ".join(told) or "none"


if __name__ == "__main__":
    main()
