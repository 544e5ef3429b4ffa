"""Wheels that would replace files of the environment or of other libraries, or take more than they should."""

from __future__ import annotations

import io
import struct
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from images.building.layers import wheel as destination
from images.building.layers import wheel_archive
from images.building.layers.paths import FOLDER, LayerPaths, arrange
from images.building.layers.tar import Layer
from images.building.layers.worker import LayerJob, LayerMakers
from images.building.layers.write import write_environment_layer, write_wheel_layer
from images.errors import WheelInvalid
from tests.images.building.wheelmaker import make_wheel

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
DATA = "sample-1.0.data"


def layer_of(folder: Path, wheel: Path, name: str = "layer") -> Layer:
    return write_wheel_layer([wheel], PYTHON, folder / name, bytecode=False)


def refused(folder: Path, wheel: Path, words: str) -> None:
    with pytest.raises(WheelInvalid, match=words) as caught:
        layer_of(folder, wheel)
    assert wheel.name in caught.value.message
    assert not (folder / "layer").exists()


@pytest.mark.parametrize(
    "member",
    [
        ".wh.numpy",
        "numpy/.wh.__init__.py",
        ".wh..wh..opq",
        "numpy/.wh..wh..opq",
        ".wh.folder/file.py",
        f"{DATA}/data/.wh.bin",
        f"{DATA}/purelib/.wh.pip",
        "a/.WH.b",
        "a/\uff0ewh\uff0eb",
    ],
)
def test_a_name_that_deletes_files_of_other_layers_is_refused(member: str, tmp_path: Path) -> None:
    refused(tmp_path, make_wheel(tmp_path, files={member: b"x"}), "would delete files")


@pytest.mark.parametrize(
    "member",
    [
        f"{DATA}/scripts/python3",
        f"{DATA}/scripts/python",
        f"{DATA}/scripts/python{PYTHON}",
        f"{DATA}/scripts/Python3",
        f"{DATA}/scripts/\uff50ython3",
        f"{DATA}/scripts/activate",
        f"{DATA}/scripts/activate.fish",
        f"{DATA}/scripts/Activate.ps1",
        f"{DATA}/scripts/python3-config",
        f"{DATA}/data/pyvenv.cfg",
        f"{DATA}/data/PyVenv.cfg",
        f"{DATA}/data/bin/python3",
        f"{DATA}/data/lib/python{PYTHON}/site-packages/_base_image.pth",
        "_base_image.pth",
    ],
)
def test_the_environments_own_files_are_not_a_wheels(member: str, tmp_path: Path) -> None:
    refused(tmp_path, make_wheel(tmp_path, files={member: b"x"}), "environment's own")


def test_an_entry_point_named_like_the_interpreter_is_refused(tmp_path: Path) -> None:
    points = {
        "sample-1.0.dist-info/entry_points.txt": b"[console_scripts]\npython3 = sample:main\n"
    }
    refused(tmp_path, make_wheel(tmp_path, files=points), "environment's own")


@pytest.mark.parametrize(
    "member",
    [
        f"{DATA}/purelib/numpy-2.0.dist-info/METADATA",
        f"{DATA}/platlib/NumPy-2.0.dist-info/RECORD",
        f"{DATA}/data/lib/python{PYTHON}/site-packages/numpy-2.0.dist-info/METADATA",
        "numpy.egg-info",
        "numpy-2.0-py3.11.egg-info/PKG-INFO",
    ],
)
def test_another_librarys_record_is_not_a_wheels(member: str, tmp_path: Path) -> None:
    refused(tmp_path, make_wheel(tmp_path, files={member: b"x"}), "another library's record")


def test_a_script_is_not_read_into_memory_at_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "MAX_SCRIPT", 100)
    tool = f"{DATA}/scripts/tool"
    program = make_wheel(tmp_path, files={tool: b"\x7fELF" + b"x" * 200})
    layer_of(tmp_path, program, "fine")
    refused(tmp_path, make_wheel(tmp_path, files={tool: b"#!python\n" + b"x" * 200}), "a script of")


@pytest.mark.parametrize(("name", "version"), [("numpy", "1.0"), ("sample", "2.0"), ("", "")])
def test_a_wheel_says_the_same_inside_as_outside(name: str, version: str, tmp_path: Path) -> None:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    refused(tmp_path, make_wheel(tmp_path, metadata=metadata), "says of itself")


def test_what_honest_wheels_have_is_taken(tmp_path: Path) -> None:
    honest = {
        "sample/.whitelist.txt": b"",
        "sample/wh.py": b"",
        "sample/_vendor/numpy-2.0.dist-info/METADATA": b"vendored",
        "sample/pyvenv.cfg": b"a template",
        "sample/naïve.txt": b"",
        "sample.egg-info/PKG-INFO": b"own",
        "distutils-precedence.pth": b"import os",
        f"{DATA}/scripts/python-argcomplete-tool": b"#!python\n",
        f"{DATA}/scripts/activate-global": b"#!python\n",
        f"{DATA}/data/share/python3": b"",
        f"{DATA}/data/etc/jupyter/x.json": b"",
        f"{DATA}/headers/x.h": b"",
    }
    layer = layer_of(tmp_path, make_wheel(tmp_path, files=honest))
    paths = LayerPaths.unpack(layer.paths)
    with tarfile.open(layer.path) as tar:
        members = {f"/{entry.name}": entry.isdir() for entry in tar.getmembers()}
    assert set(paths.files) == {path for path, folder in members.items() if not folder}
    assert set(paths.folders) == {path for path, folder in members.items() if folder}


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (f"{'a/' * 70}x.py", "too long a path"),
        (f"{'a' * 250}/{'b' * 250}/{'c' * 250}/{'d' * 250}/{'e' * 250}.py", "too long a path"),
        (f"{'a' * 260}.py", "too long a name"),
        ("a\x1b[2J.py", "unprintable"),
        ("a\u202ecod.py", "unprintable"),
        ("C:\\x.py", "points outside"),
    ],
)
def test_paths_that_no_file_should_have_are_refused(
    member: str, words: str, tmp_path: Path
) -> None:
    refused(tmp_path, make_wheel(tmp_path, files={member: b"x"}), words)


# --- archives ----------------------------------------------------------------------------------------------


def rewritten(wheel: Path, change: Any) -> Path:
    """The wheel with its archive written anew, by what `change` does with each entry."""
    with zipfile.ZipFile(wheel) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with warnings.catch_warnings(), zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for info, data in members:
            change(archive, info, data)
    return wheel


def test_links_doubles_and_other_compressions_are_refused(tmp_path: Path) -> None:
    def as_link(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes) -> None:
        if info.filename == "sample/__init__.py":
            info.external_attr = 0o120777 << 16
        archive.writestr(info, data)

    def twice(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes) -> None:
        archive.writestr(info, data)
        archive.writestr(info.filename, data + b"x")

    def by_lzma(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes) -> None:
        archive.writestr(info, data, zipfile.ZIP_LZMA)

    refused(tmp_path, rewritten(make_wheel(tmp_path), as_link), "neither a file nor a folder")
    refused(tmp_path, rewritten(make_wheel(tmp_path), twice), "twice")
    refused(tmp_path, rewritten(make_wheel(tmp_path), by_lzma), "compressed in a way")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"a": b"x", "a/b.py": b"y"})
    with pytest.raises(WheelInvalid, match="claim"):
        layer_of(tmp_path, wheel)


@pytest.mark.slow
def test_many_small_bombs_are_one(tmp_path: Path) -> None:
    """613 kB that unpack to 600 MB: no single file of it is suspicious."""
    wheel = make_wheel(tmp_path, files={f"sample/{n}.bin": bytes(20 << 20) for n in range(6)})
    assert wheel.stat().st_size < 1 << 20
    refused(tmp_path, wheel, "far more")


def test_files_within_files_are_refused(tmp_path: Path) -> None:
    """Entries that share one piece of compressed data unpack to any size (overlapping, as in `zbsm`)."""
    wheel = make_wheel(tmp_path, files={"a.bin": b"a" * 100, "b.bin": b"a" * 100})
    data = bytearray(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        first, second = (archive.getinfo(name).header_offset for name in ("a.bin", "b.bin"))
    at = data.index(b"b.bin", data.index(b"PK\1\2")) - 46
    assert struct.unpack_from("<L", data, at + 42) == (second,)
    struct.pack_into("<L", data, at + 42, first)
    wheel.write_bytes(data)
    refused(tmp_path, wheel, "within another file")


@pytest.mark.parametrize("damage", [b"PK\1\2", b"PK\3\4", b"PK\5\6"])
def test_a_damaged_archive_is_a_sentence(damage: bytes, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes().replace(damage, b"XXXX"))
    refused(tmp_path, wheel, "not a wheel")
    cut = wheel.read_bytes()[:-30]
    wheel.write_bytes(cut)
    refused(tmp_path, wheel, "not a wheel")


@pytest.mark.slow
def test_damaged_content_is_a_sentence_of_its_process_too(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"sample/big.py": bytes(range(256)) * 400})
    data = bytearray(wheel.read_bytes())
    data[60:200] = b"\xff" * 140
    wheel.write_bytes(data)
    makers = LayerMakers(1)
    try:
        with pytest.raises(WheelInvalid, match="not a wheel"):
            makers.make(LayerJob((wheel,), PYTHON, tmp_path / "x"))
    finally:
        makers.close()


def test_a_crowd_is_counted_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_archive, "MAX_ENTRIES", 20)
    wheel = make_wheel(tmp_path, files={f"sample/{n}.py": b"" for n in range(30)})

    def never(*args: object) -> None:
        raise AssertionError("the archive was opened")

    with monkeypatch.context() as patched:
        patched.setattr(zipfile, "ZipFile", never)
        refused(tmp_path, wheel, "holds more than 20 files")
    # A table that is not where it says is counted by what `zipfile` finds.
    with monkeypatch.context() as patched:
        patched.setattr(wheel_archive, "entries_in", lambda directory: 0)
        refused(tmp_path, wheel, "holds more than 20 files")


@pytest.mark.slow
def test_more_files_than_the_old_format_can_count_are_counted() -> None:
    """ZIP64, as archives of more than 65,535 files are: the old end record has no room for their number."""
    crowd = io.BytesIO()
    with zipfile.ZipFile(crowd, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    assert crowd.getvalue().count(b"PK\6\7") == 1
    directory = crowd.getvalue()[crowd.getvalue().index(b"PK\1\2") :]
    assert wheel_archive.entries_in(directory) == 66_000


@pytest.mark.parametrize("name", ["RECORD", "METADATA", "WHEEL", "entry_points.txt"])
def test_what_is_read_into_memory_is_bounded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_archive, "MAX_RECORD", 10)
    monkeypatch.setattr(wheel_archive, "MAX_METADATA", 10)
    points = {"sample-1.0.dist-info/entry_points.txt": b"[console_scripts]\n"}
    wheel = make_wheel(tmp_path, files=points)
    only = rewritten(
        wheel,
        lambda archive, info, data: archive.writestr(
            info, data if info.filename.endswith(f"/{name}") else b""
        ),
    )
    refused(tmp_path, only, rf"has a {name} of")


# --- across layers -----------------------------------------------------------------------------------------


def paths(**written: str) -> LayerPaths:
    return LayerPaths.of({f"/p/{name}": content for name, content in written.items()})


def test_what_one_library_hides_of_another_is_told() -> None:
    below = paths(same="aa" * 32, other="bb" * 32, third="cc" * 32, alone="dd" * 32)
    above = paths(same="aa" * 32, other="ee" * 32, third="ff" * 32)
    top = paths(third="00" * 32)
    arranged = arrange([("a 1", below), ("b 2", above), ("c 3", top)], ["a", "b", "c"])
    assert arranged.order == (0, 1, 2)
    assert [str(item) for item in arranged.hidden] == [
        "/p/other has other content in a 1 than in b 2: the image has that of b 2.",
        "/p/third has other content in a 1 than in c 3: the image has that of c 3.",
        "/p/third has other content in b 2 than in c 3: the image has that of c 3.",
    ]
    assert arranged.hidden[0].note.libraries == ("a", "b")


def test_the_layer_that_pip_installs_last_lies_above() -> None:
    mine, yours, theirs = (paths(x=f"{n}{n}" * 32) for n in "abc")
    others = [("big 9", paths(big="00" * 32)), ("small 9", paths(small="00" * 32))]
    layers = [others[0], ("a 1", mine), ("b 2", yours), ("c 3", theirs), others[1]]
    for order in (["c", "b", "a"], ["b", "c", "a"], ["a", "c", "b"], ["c", "a", "b"]):
        arranged = arrange(layers, ["small", *order, "big"])
        names = [layers[number][0][0] for number in arranged.order]
        assert names[0] == "b"  # The biggest stays first: nobody else has its files.
        assert names[1:-1] == order
        assert {item.by[0] for item in arranged.hidden} == {order[-1]}


def test_bytecode_is_not_told_beside_its_source() -> None:
    one, two = (
        LayerPaths.of({"/p/x.py": content * 64, "/p/__pycache__/x.cpython-311.pyc": content * 64})
        for content in "ab"
    )
    (hidden,) = arrange([("a 1", one), ("b 2", two)], ["a", "b"]).hidden
    assert hidden.paths == ("/p/x.py",)


def test_equal_content_moves_nothing() -> None:
    same = paths(x="aa" * 32)
    arranged = arrange([("a 1", same), ("b 2", same)], ["b", "a"])
    assert (arranged.order, arranged.hidden) == ((0, 1), ())


def test_of_a_layer_of_several_wheels_the_librarys_own_name_is_told(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one", files={"shared.py": b"1"})
    two = make_wheel(tmp_path, "two", files={"other.py": b"2"})
    three = make_wheel(tmp_path, "three", files={"shared.py": b"3"})
    both = write_wheel_layer([two, one], PYTHON, tmp_path / "both", bytecode=False)
    alone = layer_of(tmp_path, three)
    layers = [
        ("two 1.0, one 1.0", LayerPaths.unpack(both.paths)),
        ("three 1.0", LayerPaths.unpack(alone.paths)),
    ]
    (hidden,) = arrange(layers, ["two", "one", "three"]).hidden
    assert (hidden.library, hidden.by) == ("one 1.0", "three 1.0")
    arranged = arrange(layers, ["two", "three", "one"])
    assert arranged.order == (1, 0)
    assert arranged.hidden[0].by == "one 1.0"


def test_a_circle_of_layers_is_broken_and_told_as_it_is() -> None:
    """A layer of two wheels, and one that pip would install between them."""
    two = LayerPaths.of({"/p/x": "aa" * 32, "/p/y": "bb" * 32}, {"/p/x": 0, "/p/y": 1})
    one = paths(x="cc" * 32, y="dd" * 32)
    arranged = arrange([("a 1, c 1", two), ("b 1", one)], ["a", "b", "c"])
    assert arranged.order == (0, 1)
    assert {(item.library, item.by) for item in arranged.hidden} == {("a 1", "b 1"), ("c 1", "b 1")}


def test_a_file_where_another_library_has_a_folder_is_refused() -> None:
    file, folder = paths(x="aa" * 32), paths(x=FOLDER)
    for layers in ([("a 1", file), ("b 2", folder)], [("a 1", folder), ("b 2", file)]):
        with pytest.raises(
            WheelInvalid, match=r"/p/x is a file in one and a folder .* a 1 and b 2"
        ):
            arrange(layers, ["a", "b"])


def test_the_environments_folders_are_no_librarys_files(tmp_path: Path) -> None:
    environment = write_environment_layer("/usr/bin/python3.11", PYTHON, tmp_path / "environment")
    wheel = layer_of(tmp_path, make_wheel(tmp_path, files={f"{DATA}/data/bin": b"x"}))
    layers = [
        ("Python environment", LayerPaths.unpack(environment.paths)),
        ("sample 1.0", LayerPaths.unpack(wheel.paths)),
    ]
    with pytest.raises(WheelInvalid, match="/opt/managed/bin is a file"):
        arrange(layers, ["sample"])


@pytest.mark.slow
def test_a_layers_paths_come_out_of_its_process_as_they_were(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    makers = LayerMakers(1)
    try:
        made = makers.make(LayerJob((wheel,), PYTHON, tmp_path / "x"))
    finally:
        makers.close()
    assert made.paths == layer_of(tmp_path, wheel).paths
    assert LayerPaths.unpack(made.paths).pack() == made.paths


@pytest.mark.slow
def test_a_layer_process_runs_nothing_that_lies_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the folder it starts in, nor the environment, nor a `.pth` beside the libraries."""
    libraries = tmp_path / "site-packages"
    libraries.mkdir()
    ran = tmp_path / "ran"
    (libraries / "x.pth").write_text(f"import os; open({str(ran)!r}, 'w')\n")
    for folder in (libraries, tmp_path):
        for name in ("sitecustomize", "usercustomize", "json", "tempfile", "zipfile"):
            (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    from images.building.layers import worker

    real = worker.modules_here()
    monkeypatch.setattr(worker, "modules_here", lambda: [*real, str(libraries)])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.chdir(tmp_path)
    makers = LayerMakers(1, sys.executable)
    try:
        makers.make(LayerJob((make_wheel(tmp_path),), PYTHON, tmp_path / "x"))
    finally:
        makers.close()
    assert not ran.exists()
