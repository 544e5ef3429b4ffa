"""Layers: the same bytes everywhere, nothing outside the prefix, and Python finds what is in them."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from images.building.containers import cgroups
from images.building.layers.bytecode import cache_name, interpreter_for
from images.building.layers.compilers import Compilers
from images.building.layers.keys import environment_layer_key, plan_layers, wheel_layer_key
from images.building.layers.tar import LayerWriter
from images.building.layers.worker import LayerJob, LayerMakers, death_of
from images.building.layers.write import write_environment_layer, write_wheel_layer
from images.building.locks.files import LockedWheel
from images.building.user import USER
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_bytecode_does_not_depend_on_what_was_compiled_before() -> None:
    other = b"import os, sys, json\nalpha = beta = gamma = 'alpha'\n"
    assert compiled([SOURCE])[0] == compiled([other, SOURCE])[1] != compiled([other])[0]
    assert compiled([SOURCE, b"def (:"])[1] is None


def compiled(sources: list[bytes], compilers: Compilers | None = None) -> list[bytes | None]:
    interpreter = interpreter_for(PYTHON)
    assert interpreter is not None
    given = compilers or Compilers(interpreter)
    try:
        with given.session() as session:
            asked = [session.submit(source, "/x/sample.py") for source in sources]
            return [session.result(one) for one in asked]
    finally:
        if compilers is None:
            given.close()


@pytest.mark.slow
def test_several_compilers_give_each_source_its_own_answer() -> None:
    """More than the pipes hold, and sources that are larger than a pipe."""
    sources = [b"VALUE = %d\n" % number * (1 + number * 37 % 900) for number in range(400)]
    sources += [b"x = 'large'\n" * 200_000, b"def (:", b"", b"y = 1"]
    compilers = Compilers(sys.executable, own=1, shared=3)
    try:
        by_many = compiled(sources, compilers)
        # The second session has compilers again, and they are others.
        assert compiled(sources[:30], compilers) == by_many[:30]
    finally:
        compilers.close()
    assert by_many == compiled(sources)
    assert by_many[-3] is None


def test_a_compiler_that_dies_ends_the_layer_with_a_sentence() -> None:
    compilers = Compilers(sys.executable)
    children = children_of(compilers._process.pid)
    compilers._process.kill()
    compilers._process.wait()
    for child in children:
        os.kill(child, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="compiler ended"):
        compiled([SOURCE], compilers)
    compilers.close()


def children_of(pid: int) -> list[int]:
    while not (told := Path(f"/proc/{pid}/task/{pid}/children").read_text()):
        time.sleep(0.01)
    return [int(child) for child in told.split()]


@pytest.mark.slow
def test_python_runs_from_the_unpacked_layer_with_its_bytecode(wheel: Path, tmp_path: Path) -> None:
    layer = write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    (tmp_path / "root").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "root", "-xzf", layer.path], check=True)
    with tarfile.open(layer.path) as tar:
        owners = {(entry.uid, entry.gid, entry.mtime) for entry in tar.getmembers()}
    assert owners == {(0, 0, 315_532_800)}
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


@pytest.mark.slow
def test_what_is_installed_can_be_packed_into_a_zip(wheel: Path, tmp_path: Path) -> None:
    """ZIP tells no time before 1980, and Python's zipfile refuses files that are older."""
    environment = write_environment_layer("/usr/bin/python3", PYTHON, tmp_path / "environment")
    layer = write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    for made in (environment, layer):
        subprocess.run(["tar", "-C", tmp_path, "-xzf", made.path], check=True)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / SITE)
    assert "sample/__init__.py" in zipfile.ZipFile(packed).namelist()


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
@pytest.mark.slow
def test_a_wheel_that_points_outside_is_refused(member: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={member: b"x"})
    with pytest.raises(WheelInvalid, match=r"sample-1\.0-py3-none-any\.whl"):
        write_wheel_layer([wheel], PYTHON, tmp_path / "layer")
    assert not (tmp_path / "layer").exists()


@pytest.mark.slow
def test_a_wheel_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"zeros.bin": bytes(100 << 20)})
    with pytest.raises(WheelInvalid, match="far more"):
        write_wheel_layer([wheel], PYTHON, tmp_path / "layer")


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake-1.0-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(WheelInvalid, match="not a wheel"):
        write_wheel_layer([path], PYTHON, tmp_path / "layer")


@pytest.mark.slow
def test_layers_made_in_processes_are_the_same(tmp_path: Path) -> None:
    jobs = [
        LayerJob((make_wheel(tmp_path, f"lib{n}"),), PYTHON, tmp_path / f"layer{n}")
        for n in range(5)
    ]
    makers = LayerMakers(2, interpreter_for(PYTHON), compilers=2)
    try:
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(makers.make, jobs))
    finally:
        makers.close()
    assert [layer.path for layer in made] == [job.destination for job in jobs]
    assert made[3].digest == write_wheel_layer(jobs[3].wheels, PYTHON, tmp_path / "alone").digest


@pytest.mark.slow
def test_a_bad_wheels_sentence_comes_out_of_its_process(tmp_path: Path) -> None:
    bad = make_wheel(tmp_path, "bad", metadata=b"Name: other\n")
    makers = LayerMakers(1)
    try:
        with pytest.raises(WheelInvalid, match=r"bad-1\.0"):
            makers.make(LayerJob((bad,), PYTHON, tmp_path / "x"))
        # The process goes on with the next.
        good = make_wheel(tmp_path, "good")
        makers.make(LayerJob((good,), PYTHON, tmp_path / "y"))
    finally:
        makers.close()


@pytest.mark.slow
def test_what_is_odd_about_a_wheel_comes_out_of_its_process(tmp_path: Path) -> None:
    odd = make_wheel(tmp_path, "odd", broken_record=True)
    makers = LayerMakers(1)
    try:
        (note,) = makers.make(LayerJob((odd,), PYTHON, tmp_path / "x")).notes
    finally:
        makers.close()
    assert "tells another hash or size of odd/__init__.py and 2 more" in note.text


def test_a_process_that_died_is_a_sentence(tmp_path: Path) -> None:
    makers = LayerMakers(1)
    makers.close()
    with pytest.raises(BuildError, match=r"a layer of sample-1\.0-py3-none-any\.whl died"):
        makers.make(LayerJob((make_wheel(tmp_path),), PYTHON, tmp_path / "x"))


@pytest.mark.parametrize(("counted", "words"), [(0, "died by signal 9"), (1, "out of memory")])
@pytest.mark.slow
def test_memory_is_blamed_where_the_kernel_killed_for_it(
    counted: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([5, 5 + counted])
    monkeypatch.setattr(cgroups, "oom_kills", lambda: next(counts))
    makers = LayerMakers(1)
    os.kill(children_of(makers._process.pid)[0], signal.SIGKILL)
    with pytest.raises(BuildError, match=words) as caught:
        makers.make(LayerJob((make_wheel(tmp_path),), PYTHON, tmp_path / "x"))
    makers.close()
    assert ("memory" in str(caught.value)) == bool(counted)


@pytest.mark.parametrize(("status", "words"), [(-11, "by signal 11"), (1, "with status 1")])
def test_another_death_is_told_as_what_it_was(status: int, words: str, tmp_path: Path) -> None:
    job = LayerJob((tmp_path / "x.whl",), PYTHON, tmp_path / "x")
    # Somebody else of the group was killed at the time.
    assert words in death_of(job, status, out_of_memory=True).message


@pytest.mark.slow
def test_what_is_wrong_with_the_machine_is_not_the_wheels_fault(tmp_path: Path) -> None:
    makers = LayerMakers(1)
    try:
        wheel = make_wheel(tmp_path)
        with pytest.raises(BuildError, match="No such file or directory") as caught:
            makers.make(LayerJob((wheel,), PYTHON, tmp_path / "gone" / "x"))
        assert not isinstance(caught.value, WheelInvalid)
        makers.make(LayerJob((wheel,), PYTHON, tmp_path / "x"))
    finally:
        makers.close()


def test_the_kernels_count_is_read_of_either_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cgroups.oom_kills() >= 0
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    for line, file, text in (
        ("0::/a/b", "a/b/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("4:memory:/a", "memory/a/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ):
        monkeypatch.setattr(cgroups, "own_groups", lambda line=line: ["7:pids:/x", line])
        assert cgroups.oom_kills() == 0
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
        assert cgroups.oom_kills() == 2


def locked(name: str, size: int | None) -> LockedWheel:
    return a_wheel(name, size=size)


def test_the_biggest_wheel_comes_first_and_the_smallest_share_the_last_layer() -> None:
    wheels = [locked("a", 5), locked("b", 50), locked("c", None), locked("d", 5)]
    order = ["d", "c", "b", "a"]
    names = [[wheel.name for wheel in group] for group in plan_layers(wheels, 3, order)]
    # Which wheels share it depends on their sizes, and their order there on that of installation.
    assert names == [["b"], ["a"], ["d", "c"]]
    assert len(plan_layers(wheels, 90, order)) == 4
    assert plan_layers([], 90, []) == []


def test_what_decides_a_layers_bytes_decides_its_key() -> None:
    key = wheel_layer_key(["a", "b"], "3.11", "x86_64-manylinux_2_28", True)
    assert key != wheel_layer_key(["b", "a"], "3.11", "x86_64-manylinux_2_28", True)
    assert key != wheel_layer_key(["a", "b"], "3.12", "x86_64-manylinux_2_28", True)
    assert key != wheel_layer_key(["a", "b"], "3.11", "x86_64-manylinux_2_28", False)
    assert key != wheel_layer_key(["a"], "3.11", "x86_64-manylinux_2_28", True)


def test_the_environment_brings_a_home_that_is_the_users_own(tmp_path: Path) -> None:
    layer = write_environment_layer("/usr/bin/python3.11", "3.11", tmp_path / "env", user=USER)
    with tarfile.open(layer.path) as tar:
        homes = [(entry.name, entry.uid, entry.gid) for entry in tar if "home" in entry.name]
    assert homes == [("home", 0, 0), ("home/app", 10001, 10001)]
    keys = {
        environment_layer_key("/usr/bin/python3.11", "3.11", user=user) for user in (None, USER)
    }
    assert len(keys) == 2


def test_the_environment_points_to_the_bases_interpreter(tmp_path: Path) -> None:
    layer = write_environment_layer("/usr/local/bin/python3.11", "3.11", tmp_path / "env")
    with tarfile.open(layer.path) as tar:
        config = tar.extractfile("opt/managed/pyvenv.cfg")
        assert config is not None
        assert config.read() == (
            b"home = /usr/local/bin\ninclude-system-site-packages = true\nversion = 3.11\n"
        )
        assert tar.getmember("opt/managed/bin/python3").linkname == "/usr/local/bin/python3.11"


def test_the_bases_pip_is_a_command_of_the_environment(tmp_path: Path) -> None:
    layer = write_environment_layer("/usr/bin/python3.11", "3.11", tmp_path / "env", pip=True)
    with tarfile.open(layer.path) as tar:
        script = tar.extractfile("opt/managed/bin/pip")
        assert script is not None
        assert script.read().startswith(b"#!/opt/managed/bin/python3\n")
        assert tar.getmember("opt/managed/bin/pip3").mode == 0o755
    keys = {environment_layer_key("/usr/bin/python3.11", "3.11", pip=pip) for pip in (True, False)}
    assert len(keys) == 2


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


@pytest.mark.slow
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


def test_a_full_disk_is_told_and_leaves_neither_file_nor_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    destination = tmp_path / "layer.tar.gz"
    destination.symlink_to("/dev/full")
    writer = LayerWriter(destination)
    writer.add_bytes("/opt/file", os.urandom(1 << 20))
    with pytest.raises(OSError, match="No space left"):
        writer.finish()
    writer.abandon()
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == before
