"""Imports of libraries in a real sandbox: what is broken is told, and nothing that they do goes further."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from images.building.commands import Deadline
from images.building.containers.sandbox import Budget, Sandbox
from images.building.layers.write import write_environment_layer, write_wheel_layer
from images.building.trial.imports import Asked, Trial, run
from images.building.trial.unpacking import unpack_layer
from tests.images.building.wheelmaker import make_wheel
from tests.needs import SYSTEM_PYTHON as PYTHON
from tests.needs import needs

pytestmark = [pytest.mark.slow, needs("confinement", "system python")]
MB = 1_000_000
BUDGET = Budget(memory=512 * MB, disk=16 * MB, processes=60, cpus=2, output=MB)


class Trying:
    """Wheels as layers of an image upon this machine's own root."""

    def __init__(self, folder: Path, settings: Any) -> None:
        settings.CACHE_DIR = folder / "cache"
        self.version = version_of_system()
        self._folder, self._lowers = folder, [Path("/")]
        self._add(partial(write_environment_layer, PYTHON, self.version))

    def _add(self, write: Any) -> None:
        number = len(self._lowers)
        layer = write(self._folder / f"{number}.tar.gz")
        root = self._folder / f"root-{number}"
        root.mkdir()
        unpack_layer(layer.path, root, lambda: None)
        self._lowers.insert(0, root)

    def install(self, name: str, files: dict[str, bytes], metadata: bytes | None = None) -> None:
        wheel = make_wheel(self._folder, name, files=files, metadata=metadata)
        self._add(partial(write_wheel_layer, [wheel], self.version, bytecode=False))

    def imports(self, *names: str, libraries: Sequence[str] = ()) -> Trial:
        box = Sandbox(self._lowers, Deadline(120), lambda line: None, lambda: None, BUDGET)
        asked = Asked(
            names, [*names, *libraries], f"{self.version}.0", ["GREETING=hello"], packages_with
        )
        return run(box, asked)

    def failure(self, name: str, code: str) -> tuple[str, str, str]:
        """Module, message and hint of the one failure of a library of this code."""
        self.install(name, {f"{name}.py": code.encode()})
        (failed,) = self.imports(name).failed
        assert failed.requirement == name
        return failed.module, failed.message, failed.hint


def packages_with(soname: str) -> tuple[str, ...]:
    return {"libGL.so.1": ("libgl1",), "libodbc.so.2": ("libodbc2", "libiodbc2")}.get(soname, ())


def version_of_system() -> str:
    told = [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def trying(settings: Any) -> Iterator[Trying]:
    settings.IMPORT_CHECK_SECONDS = 60
    # On another file system than the machine's root: no lower folder may lie within another.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Trying(Path(folder), settings)


def test_every_top_level_module_of_a_requirement_is_imported(trying: Trying) -> None:
    trying.install(
        "many",
        {
            "many/__init__.py": b"",
            "many/inner.py": b"raise SystemError('not asked to')",
            "_many_helper.py": b"",
            "tests/__init__.py": b"raise SystemError('no library')",
            "share/script.py": b"raise SystemError('no library')",
        },
    )
    trial = trying.imports("many")
    assert (trial.tried, trial.failed, trial.passed) == (2, (), True)


def test_below_a_namespace_the_shallowest_packages_are_imported(trying: Trying) -> None:
    trying.install(
        "google_part", {"google/cloud/part/__init__.py": b"raise ValueError('of the namespace')"}
    )
    (failed,) = trying.imports("google-part").failed
    assert failed.module == "google.cloud.part"
    assert failed.message.endswith("ValueError: of the namespace")


def test_a_library_that_is_no_requirement_is_not_imported(trying: Trying) -> None:
    trying.install("wanted", {"wanted.py": b""})
    trying.install("unwanted", {"unwanted.py": b"raise SystemError"})
    assert trying.imports("wanted").passed


def test_a_module_that_raises_is_told_by_its_last_lines(trying: Trying) -> None:
    module, message, hint = trying.failure("raises", "import nowhere_at_all\n")
    assert module == "raises"
    assert 'raises.py", line 1' in message
    assert message.endswith("ModuleNotFoundError: No module named 'nowhere_at_all'")
    assert "library that brings the module nowhere_at_all" in hint


@pytest.mark.parametrize(
    ("soname", "hint"),
    [
        ("libGL.so.1", "Add the OS package libgl1."),
        ("libodbc.so.2", "Add one of these OS packages: libodbc2, libiodbc2."),
        ("libunheard.so.7", "Add the OS package that brings libunheard.so.7."),
    ],
)
def test_a_missing_native_library_is_told_with_its_packages(
    trying: Trying, soname: str, hint: str
) -> None:
    code = f"raise ImportError('{soname}: cannot open shared object file: No such file')"
    _, message, told = trying.failure("draws", code)
    assert soname in message
    assert told == hint


def test_a_module_that_ends_python_is_told(trying: Trying) -> None:
    _, message, _ = trying.failure("leaves", "import sys\nsys.exit(3)")
    assert message == "Importing leaves ends Python.\nSystemExit: 3"


def test_a_crash_is_told_as_such_with_the_line_that_it_happened_in(trying: Trying) -> None:
    _, message, _ = trying.failure("crashes", "import ctypes\nctypes.string_at(0)")
    assert "segmentation fault (SIGSEGV)" in message
    assert 'crashes.py", line 2' in message


def test_a_module_that_hangs_is_stopped_and_the_next_one_is_imported(
    trying: Trying, settings: Any
) -> None:
    settings.IMPORT_CHECK_SECONDS = 4
    trying.install("hangs", {"hangs.py": b"while True: pass", "later.py": b""})
    trial = trying.imports("hangs")
    assert trial.tried == 2
    (failed,) = trial.failed
    assert (failed.module, failed.message) == (
        "hangs",
        "Importing hangs took too long and was stopped.",
    )
    assert "RI_IMPORT_CHECK_SECONDS" in failed.hint


def test_what_was_not_tried_in_time_is_no_pass(trying: Trying, settings: Any) -> None:
    settings.IMPORT_CHECK_SECONDS = 1
    for name in ("a_slow", "b_slow", "c_slow", "d_late"):
        trying.install(name, {f"{name}.py": b"import time; time.sleep(60)"})
    trial = trying.imports("a_slow", "b_slow", "c_slow", "d_late")
    assert {failed.requirement for failed in trial.failed} == {
        "a-slow", "b-slow", "c-slow", "d-late",
    }  # fmt: skip


def test_processes_and_the_network_of_an_import_go_nowhere(trying: Trying) -> None:
    code = (
        "import os, socket\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    import time; time.sleep(600)\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 80), 5)\n"
        "except OSError as error:\n"
        "    raise ImportError(f'{error}, user {os.getuid()}') from None\n"
    )
    _, message, hint = trying.failure("reaches", code)
    assert message.endswith("ImportError: [Errno 101] Network is unreachable, user 65534")
    assert "network" in hint


def test_many_processes_are_stopped_by_the_limit(trying: Trying) -> None:
    code = "import os\nwhile True:\n    if os.fork() == 0:\n        import time; time.sleep(600)\n"
    _, message, _ = trying.failure("forks", code)
    assert "BlockingIOError" in message


def test_an_import_that_takes_all_memory_fails_and_the_limit_is_named(trying: Trying) -> None:
    _, _, hint = trying.failure("eats", "held = bytearray(900_000_000)")
    assert "RI_SOURCE_BUILD_MEMORY_MB" in hint


def test_garbage_in_the_place_of_the_result_is_not_read(trying: Trying) -> None:
    code = "open('/build/out/result.json', 'w').write('{{{')"
    trying.install("scribbles", {"scribbles.py": code.encode()})
    assert trying.imports("scribbles").passed


def test_a_result_that_is_written_over_at_the_end_is_a_failure(trying: Trying) -> None:
    code = (
        "import os, signal, time\n"
        "driver = os.getppid()\n"
        "open('/build/out/result.json', 'w').write('[1, 2')\n"
        "os.kill(driver, signal.SIGKILL)\n"
    )
    trying.install("murders", {"murders.py": code.encode()})
    (failed,) = trying.imports("murders").failed
    assert failed.module == ""
    assert failed.message


def test_it_has_the_environment_of_the_image_and_writes_nothing_into_it(trying: Trying) -> None:
    code = (
        "import os, sys\n"
        "assert os.environ['GREETING'] == 'hello'\n"
        "assert os.environ['PATH'].startswith('/opt/managed/bin:')\n"
        "assert sys.prefix == '/opt/managed', sys.prefix\n"
        "assert sys.dont_write_bytecode and os.environ['HOME'] == '/tmp'\n"
        "assert not any('/build' in folder for folder in sys.path), sys.path\n"
        "open('/tmp/cache', 'w').close()\n"
        "try:\n"
        "    open(__file__ + 'x', 'w')\n"
        "except OSError:\n"
        "    pass\n"
        "else:\n"
        "    raise ImportError('written')\n"
    )
    trying.install("looks", {"looks.py": code.encode()})
    assert trying.imports("looks").failed == ()


def test_output_of_an_import_is_no_failure(trying: Trying) -> None:
    code = b"import sys\nprint('x' * 1000000)\nsys.stderr.write('y' * 100000)\n"
    trying.install("talks", {"talks.py": code})
    assert trying.imports("talks").passed


def test_a_requirement_that_does_not_hold_is_told_as_pip_check_does(trying: Trying) -> None:
    metadata = (
        b"Metadata-Version: 2.1\nName: needy\nVersion: 1.0\n"
        b"Requires-Dist: sample>=2\nRequires-Dist: nowhere\nRequires-Dist: extra-only; extra == 'all'\n"
        b'Requires-Dist: windows-only; sys_platform == "win32"\n'
    )
    trying.install("needy", {"needy.py": b""}, metadata)
    trying.install("sample", {"sample.py": b""})
    trial = trying.imports("needy", libraries=["sample"])
    assert not trial.passed
    assert trial.failed == ()
    assert [conflict.message for conflict in trial.conflicts] == [
        "needy 1.0 requires sample>=2, but 1.0 is installed.",
        "needy 1.0 requires nowhere, which is not installed.",
    ]


def test_a_requirement_that_is_not_installed_fails(trying: Trying) -> None:
    (failed,) = trying.imports("absent").failed
    assert (failed.module, failed.message) == ("", "absent is not installed in the image.")


def test_texts_of_a_library_show_nothing_hidden(trying: Trying) -> None:
    _, message, _ = trying.failure("hides", "raise ImportError('a\\x1b[31m\\u202eb\\x00c\\udcff')")
    assert message.endswith("ImportError: a[31mbc?")
