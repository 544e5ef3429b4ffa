"""Layers: the same bytes everywhere, nothing outside the prefix, and Python finds what is in them."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from images.building.layers.bytecode import Compiler, cache_name, interpreter_for
from images.building.layers.keys import plan_layers, wheel_layer_key
from images.building.layers.worker import LayerJob, LayerMakers
from images.building.layers.write import write_environment_layer, write_wheel_layer
from images.building.locks.files import LockedWheel
from images.errors import BuildError, WheelInvalid
from tests.images.building.locked import a_wheel
from tests.images.building.wheelmaker import make_wheel

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"opt/managed/lib/python{PYTHON}/site-packages"
SOURCE = b"""
NAMES = {"alpha", "beta", "gamma", "delta"}

def check(value):
    return value in {"one", "two", "three", "four"} or value in NAMES

def main():
    print("hello")
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(
        tmp_path,
        files={
            "sample/__init__.py": SOURCE,
            "sample/broken.py": b"def (:\n",
            "sample-1.0.data/scripts/tool": b"#!python\nprint('tool')\n",
            "sample-1.0.data/data/share/note.txt": b"note",
            "sample-1.0.dist-info/entry_points.txt": b"[console_scripts]\nhello = sample:main\n",
        },
    )


def test_digest_diff_id_and_size_are_those_of_the_file(wheel: Path, tmp_path: Path) -> None:
    layer = write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    data = layer.path.read_bytes()
    assert layer.size == len(data)
    assert layer.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert layer.diff_id == "sha256:" + hashlib.sha256(gzip.decompress(data)).hexdigest()


def test_the_same_wheel_gives_the_same_bytes_in_any_process(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from images.building.layers.write import *; "
        f"print(write_wheel_layer([Path(sys.argv[1])], {PYTHON!r}, Path(sys.argv[2])).digest)"
    )
    digests = set()
    for number, (seed, zone, mask) in enumerate((("1", "UTC", "022"), ("77", "Asia/Tokyo", "077"))):
        done = subprocess.run(
            ["sh", "-c", f'umask {mask}; exec "$@"', "sh", sys.executable, "-c", code,
             str(wheel), str(tmp_path / f"out-{number}")],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": os.getcwd()},
            capture_output=True, text=True, check=True, cwd="/" if number else None,
        )  # fmt: skip
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_bytecode_does_not_depend_on_what_was_compiled_before() -> None:
    interpreter = interpreter_for(PYTHON)
    assert interpreter is not None
    other = b"import os, sys, json\nalpha = beta = gamma = 'alpha'\n"
    first, second = Compiler(interpreter), Compiler(interpreter)
    try:
        alone = first.compile(SOURCE, "/x/sample.py")
        second.compile(other, "/x/other.py")
        assert second.compile(SOURCE, "/x/sample.py") == alone
        assert second.compile(b"def (:", "/x/broken.py") is None
    finally:
        first.close()
        second.close()


def test_python_runs_from_the_unpacked_layer_with_its_bytecode(wheel: Path, tmp_path: Path) -> None:
    layer = write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    (tmp_path / "root").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "root", "-xzf", layer.path], check=True)
    with tarfile.open(layer.path) as tar:
        owners = {(entry.uid, entry.gid, entry.mtime) for entry in tar.getmembers()}
    assert owners == {(0, 0, 0)}
    site = tmp_path / "root" / SITE
    assert (
        site / "sample/__pycache__" / f"__init__.cpython-{PYTHON.replace('.', '')}.pyc"
    ).exists()
    assert not list(site.glob("sample/__pycache__/broken*"))
    told = subprocess.run(
        [sys.executable, "-v", "-c", "import sample; print(sample.check('two'))"],
        env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "True"
    assert "code object from" in told.stderr
    assert "matches" in told.stderr
    bin_dir = tmp_path / "root/opt/managed/bin"
    for script in ("hello", "tool"):
        assert (bin_dir / script).read_text().startswith("#!/opt/managed/bin/python3\n")
        assert os.access(bin_dir / script, os.X_OK)
    assert (tmp_path / "root/opt/managed/share/note.txt").read_text() == "note"
    record = (site / "sample-1.0.dist-info/RECORD").read_text()
    assert "../../../bin/hello,sha256=" in record
    assert (site / "sample-1.0.dist-info/INSTALLER").read_text() == "ri-platform\n"


@pytest.mark.parametrize(
    "member",
    [
        "../evil.py",
        "/etc/passwd",
        "a/../../evil.py",
        "a\\b.py",
        "./x.py",
        "a//b.py",
        "new\nline.py",
    ],
)
def test_a_wheel_that_points_outside_is_refused(member: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={member: b"x"})
    with pytest.raises(WheelInvalid, match=r"sample-1\.0-py3-none-any\.whl"):
        write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    assert not (tmp_path / "layer").exists()


def test_a_wheel_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"zeros.bin": bytes(100 << 20)})
    with pytest.raises(WheelInvalid, match="far more"):
        write_wheel_layer([wheel], PYTHON, tmp_path / "layer")


def test_a_wheel_whose_record_lies_is_refused(tmp_path: Path) -> None:
    for number, wheel in enumerate(
        (
            make_wheel(tmp_path, "lies", broken_record=True),
            make_wheel(tmp_path, "hides", unrecorded={"hidden.py": b"x"}),
        )
    ):
        with pytest.raises(WheelInvalid):
            write_wheel_layer([wheel], PYTHON, tmp_path / f"layer-{number}")


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake-1.0-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(WheelInvalid, match="not a wheel"):
        write_wheel_layer([path], PYTHON, tmp_path / "layer")


def test_two_wheels_of_a_layer_may_not_claim_one_path(tmp_path: Path) -> None:
    same = {"shared/util.py": b"A = 1\n"}
    one = make_wheel(tmp_path, "one", files=same)
    write_wheel_layer([one, make_wheel(tmp_path, "two", files=same)], PYTHON, tmp_path / "fine")
    other = make_wheel(tmp_path, "three", files={"shared/util.py": b"A = 2\n"})
    with pytest.raises(WheelInvalid, match=r"shared/util\.py"):
        write_wheel_layer([one, other], PYTHON, tmp_path / "layer")


def test_layers_made_in_processes_are_the_same(tmp_path: Path) -> None:
    jobs = [
        LayerJob((make_wheel(tmp_path, f"lib{n}"),), PYTHON, tmp_path / f"layer{n}", bytecode=True)
        for n in range(5)
    ]
    makers = LayerMakers(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(makers.make, jobs))
    finally:
        makers.close()
    assert [layer.path for layer in made] == [job.destination for job in jobs]
    assert made[3].digest == write_wheel_layer(jobs[3].wheels, PYTHON, tmp_path / "alone").digest


def test_a_bad_wheels_sentence_comes_out_of_its_process(tmp_path: Path) -> None:
    bad = make_wheel(tmp_path, "bad", broken_record=True)
    makers = LayerMakers(1)
    try:
        with pytest.raises(WheelInvalid, match=r"bad-1\.0"):
            makers.make(LayerJob((bad,), PYTHON, tmp_path / "x", bytecode=False))
        # The process goes on with the next.
        good = make_wheel(tmp_path, "good")
        makers.make(LayerJob((good,), PYTHON, tmp_path / "y", bytecode=False))
    finally:
        makers.close()


def test_a_process_that_died_is_a_sentence(tmp_path: Path) -> None:
    makers = LayerMakers(1)
    makers.close()
    with pytest.raises(BuildError, match=r"a layer of sample-1\.0-py3-none-any\.whl died"):
        makers.make(LayerJob((make_wheel(tmp_path),), PYTHON, tmp_path / "x", bytecode=False))


def locked(name: str, size: int | None) -> LockedWheel:
    return a_wheel(name, size=size)


def test_the_biggest_wheel_comes_first_and_the_smallest_share_the_last_layer() -> None:
    wheels = [locked("a", 5), locked("b", 50), locked("c", None), locked("d", 5)]
    names = [[wheel.name for wheel in group] for group in plan_layers(wheels, 3)]
    assert names == [["b"], ["a"], ["c", "d"]]
    assert len(plan_layers(wheels, 90)) == 4
    assert plan_layers([], 90) == []


def test_what_decides_a_layers_bytes_decides_its_key() -> None:
    key = wheel_layer_key(["a", "b"], "3.11", "x86_64-manylinux_2_28", True)
    assert key == wheel_layer_key(["b", "a"], "3.11", "x86_64-manylinux_2_28", True)
    assert key != wheel_layer_key(["a", "b"], "3.12", "x86_64-manylinux_2_28", True)
    assert key != wheel_layer_key(["a", "b"], "3.11", "x86_64-manylinux_2_28", False)
    assert key != wheel_layer_key(["a"], "3.11", "x86_64-manylinux_2_28", True)


def test_the_environment_points_to_the_bases_interpreter(tmp_path: Path) -> None:
    layer = write_environment_layer("/usr/local/bin/python3.11", "3.11", tmp_path / "env")
    with tarfile.open(layer.path) as tar:
        config = tar.extractfile("opt/managed/pyvenv.cfg")
        assert config is not None
        assert config.read() == (
            b"home = /usr/local/bin\ninclude-system-site-packages = true\nversion = 3.11\n"
        )
        assert tar.getmember("opt/managed/bin/python3").linkname == "/usr/local/bin/python3.11"


def test_bytecode_stands_where_python_looks() -> None:
    assert cache_name("/a/b.py", "3.11") == "/a/__pycache__/b.cpython-311.pyc"


def test_a_stand_in_that_runs_nothing_is_no_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "python3.99"
    stand_in.write_text("#!/bin/sh\necho 'python3.99: command not found' >&2\nexit 127\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert interpreter_for("3.99") is None
    assert interpreter_for(PYTHON) == sys.executable


def test_a_layer_process_loads_neither_django_nor_celery() -> None:
    """There are several of them, and each would hold 20 MB more and start 0.3 s later."""
    told = subprocess.run(
        [sys.executable, "-c", "import sys, images.building.layers.worker; print(*sys.modules)"],
        cwd=Path(__file__).resolve().parents[4],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "images.building.layers.worker" in told
    assert not {"django", "celery", "kombu"} & set(told)
