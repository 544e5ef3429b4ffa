"""What pip's own parser accepts, the reader accepts with the same meaning."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pip._internal.exceptions import InstallationError
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements

from images.requirement_files import SuppliedFile, read

SESSION = PipSession()
names = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}[A-Za-z0-9]", fullmatch=True).filter(
    lambda name: canonicalize_name(name) != "python"
)
versions = st.from_regex(
    r"v?(?:[1-2]!)?[0-9]{1,3}(?:\.[0-9]{1,2}){0,2}(?:(?:a|b|-rc|\.post|\.dev)[0-9])?",
    fullmatch=True,
)
specifiers = st.one_of(
    st.builds(
        "{}{}".format, st.sampled_from(["==", ">=", "<=", "!=", ">", "<", " == ", "==="]), versions
    ),
    st.builds("=={}.*".format, st.integers(0, 9)),
    st.builds("~={}.{}".format, st.integers(0, 9), st.integers(0, 9)),
)
markers = st.one_of(
    st.builds(
        "{} {} '3.{}'".format,
        st.sampled_from(["python_version", "python_full_version"]),
        st.sampled_from(["<", ">=", "==", "!=", "<=", ">"]),
        st.integers(8, 15),
    ),
    st.builds(
        "{} == '{}'".format,
        st.sampled_from(
            ["platform_machine", "sys_platform", "platform_system", "os_name", "extra"]
        ),
        st.sampled_from(["x86_64", "aarch64", "linux", "win32", "Linux", "posix"]),
    ),
)
both = st.builds("({}) {} {}".format, markers, st.sampled_from(["and", "or"]), markers)
comments = st.sampled_from(["", " # why", "\t#x", "   ", " #"])
lines = st.builds(
    lambda name, extras, parts, marker, comment: (
        name
        + (f"[{','.join(extras)}]" if extras else "")
        + ",".join(parts)
        + (f" ; {marker}" if marker else "")
        + comment
    ),
    names,
    st.lists(names, max_size=2),
    st.lists(specifiers, max_size=3),
    st.one_of(st.just(""), markers, both),
    comments,
)
targets = st.tuples(
    st.sampled_from([f"3.{minor}" for minor in range(9, 15)]),
    st.sampled_from(["x86_64", "aarch64"]),
)


def environment(python: str, machine: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython", "implementation_version": f"{python}.0", "os_name": "posix",
        "extra": "", "platform_machine": machine, "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux", "platform_version": "", "python_full_version": f"{python}.0",
        "python_version": python, "sys_platform": "linux",
    }  # fmt: skip


@pytest.mark.slow
@given(line=lines, target=targets)
def test_a_line_means_what_pip_takes_it_for(line: str, target: tuple[str, str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text(line + "\n", "utf-8")
        (parsed,) = parse_requirements(str(path), session=SESSION)
        try:
            wanted = install_req_from_parsed_requirement(parsed)
        except InstallationError:
            reject()
    assert wanted.req is not None
    python, machine = target
    holds = wanted.markers is None or Marker(str(wanted.markers)).evaluate(
        environment(python, machine)
    )
    reading = read([SuppliedFile("requirements.txt", line)], python_version=python, machine=machine)
    assert reading.refused == ()
    assert len(reading.requirements) == holds
    for found in reading.requirements:
        assert found.name == wanted.req.name
        assert SpecifierSet(found.specifier) == SpecifierSet(str(wanted.req.specifier))
        assert set(found.extras) == set(wanted.req.extras)
