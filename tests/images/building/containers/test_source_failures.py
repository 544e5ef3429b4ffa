"""A source build that fails says at which step, and what it lacked where that can be told."""

from __future__ import annotations

import pytest

from images.building.containers.source_failures import (
    build_failed,
    failed_while_resolving,
    hint_for,
    lacking,
)

RESOLVING = """\
error: Failed to build `foo==1.0.post1`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         Traceback (most recent call last):
           File "/usr/lib/python3.11/subprocess.py", line 1026, in __init__
             self._execute_child(args, executable, preexec_fn, close_fds,
         FileNotFoundError: [Errno 2] No such file or directory: 'mysql_config'

hint: Build failures usually indicate a problem with the package or the build environment
"""


def test_a_failure_while_resolving_says_so_and_names_the_package_to_add() -> None:
    error = failed_while_resolving(RESOLVING.splitlines(), "debian")
    assert error is not None
    assert error.code == "source_build_failed"
    assert error.message.startswith(
        "foo 1.0.post1 has no wheel, and its build code, which alone can tell what it depends on, "
        "failed while the libraries were resolved."
    )
    assert "No such file or directory: 'mysql_config'" in error.message
    assert "Build failures usually" not in error.message
    assert error.hint == (
        "It lacks mysql_config: name default-libmysqlclient-dev under OS packages, and build again."
    )


@pytest.mark.parametrize(
    "said",
    [
        "error: No solution found when resolving dependencies: because foo was not found",
        "error: Failed to fetch: `https://index.test/simple/foo/`",
        "",
    ],
)
def test_what_else_uv_says_is_no_failed_build(said: str) -> None:
    assert failed_while_resolving([said], "debian") is None


@pytest.mark.parametrize(
    ("said", "lacked"),
    [
        ("error: command 'gcc' failed: No such file or directory", "gcc"),
        ("error: command '/usr/bin/x86_64-linux-gnu-g++' failed: No such file or directory", "g++"),
        ("unable to execute 'x86_64-linux-gnu-gcc': No such file or directory", "gcc"),
        ("/bin/sh: 1: cmake: not found", "cmake"),
        ("bash: line 3: /opt/x/nvcc: command not found", "nvcc"),
        ("configure: error: swig: command not found", "swig"),
        ("make: g++: No such file or directory", "g++"),
        ("Error: pg_config executable not found.", "pg_config"),
        ("ERROR: Program 'ninja' not found or not executable", "ninja"),
        ("Did not find CMake 'cmake'", "cmake"),
        ("error: can't find Rust compiler", "rustc"),
        ("Cargo, the Rust package manager, is not installed or is not on PATH.", "cargo"),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "g++"),
        ("ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]", "gcc"),
        ("x.c:1:10: fatal error: Python.h: No such file or directory", "Python.h"),
        ("x.c:1:10: fatal error: 'openssl/ssl.h' file not found", "openssl/ssl.h"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'pg_config'", "pg_config"),
        # Of several, the last is what it ended by.
        ("sh: 1: git: not found\nfatal error: ffi.h: No such file or directory", "ffi.h"),
        # A file of the library itself is no program.
        ("FileNotFoundError: [Errno 2] No such file or directory: 'README.md'", ""),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'VERSION'", ""),
        ("ValueError: unsupported", ""),
    ],
)
def test_what_a_build_lacked_is_read_of_its_words(said: str, lacked: str) -> None:
    assert lacking(said) == lacked


def test_the_package_is_that_of_the_bases_system() -> None:
    said = ["x.c:1:10: fatal error: openssl/ssl.h: No such file or directory"]
    assert "name libssl-dev under" in hint_for(said, "debian")
    assert "name openssl-devel under" in hint_for(said, "rhel")
    assert "name the package that has it" in hint_for(said, "")
    assert "name the package that has it" in hint_for(["sh: 1: nvcc: not found"], "debian")
    assert "gcc and python3-dev" in hint_for(["who knows"], "debian")


def test_a_build_that_fails_tells_its_last_words() -> None:
    error = build_failed(
        "foo 1.0", ["one", "", "error: command 'gcc' failed: No such file"], "debian"
    )
    assert error.message == (
        "foo 1.0 cannot be built from its source distribution. "
        "one error: command 'gcc' failed: No such file"
    )
    assert error.hint.startswith("It lacks gcc: name gcc under OS packages")
