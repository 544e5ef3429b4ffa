"""What pip installs, a layer has: the same files at the same places, whatever is odd about the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pip._internal.models.scheme import Scheme
from pip._internal.operations.install.wheel import install_wheel

from images.building.layers.tar import Layer
from images.building.layers.write import write_wheel_layer
from images.errors import WheelInvalid
from tests.images.building.wheelmaker import WHEEL, hashed

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PREFIX = "opt/managed"
SITE = f"{PREFIX}/lib/python{PYTHON}/site-packages"
INFO, DATA = "sample-1.0.dist-info", "sample-1.0.data"
# What each installer writes in its own words, and what pip notes of a file that it was given by its path.
OWN_WORDS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


def wheel_of(
    folder: Path,
    files: Mapping[str, bytes] | Sequence[tuple[str, bytes]],
    *,
    record: bytes | None = None,
    info: str = INFO,
    filename: str = "sample-1.0-py3-none-any.whl",
    metadata: str = "Name: sample\nVersion: 1.0\n",
) -> Path:
    """A wheel with these members; RECORD is right unless one is given."""
    members = [
        *(files.items() if isinstance(files, Mapping) else files),
        (f"{info}/METADATA", f"Metadata-Version: 2.1\n{metadata}".encode()),
        (f"{info}/WHEEL", WHEEL.encode()),
    ]
    rows = [f"{name},sha256={hashed(data)},{len(data)}\n" for name, data in members]
    right = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    path = folder / filename
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*members, (f"{info}/RECORD", right if record is None else record)]:
            archive.writestr(name, data)
    return path


def layer_of(folder: Path, *wheels: Path) -> Layer:
    return write_wheel_layer(wheels, PYTHON, folder / "layer", bytecode=False)


def unpacked(layer: Layer, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xzf", layer.path], check=True)
    return folder


def installed_by_pip(folder: Path, *wheels: Path) -> Path:
    """What pip's installer makes of the wheels, one after the other."""
    site, programs = folder / SITE, folder / PREFIX / "bin"
    for wheel in wheels:
        name = wheel.name.partition("-")[0]
        headers = folder / PREFIX / f"include/site/python{PYTHON}" / name
        scheme = Scheme(*map(str, (site, site, headers, programs, folder / PREFIX)))
        install_wheel(name, str(wheel), scheme, name, pycompile=False, warn_script_location=False)
    return folder


def contents(root: Path) -> dict[str, bytes]:
    """Path → content of what counts; of launchers, whose words differ, what they import and call."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and path.name not in OWN_WORDS:
            data = path.read_bytes()
            if name.startswith(f"{PREFIX}/bin/") and b"import" in data:
                lines = [line.strip() for line in data.splitlines()]
                data = b"\n".join(line for line in lines if line.startswith((b"from", b"sys.exit")))
            elif name.startswith(f"{PREFIX}/bin/"):
                data = data.partition(b"\n")[2]
            found[name] = data
    return found


def same_as_pip(folder: Path, *wheels: Path) -> Layer:
    layer = layer_of(folder, *wheels)
    ours = contents(unpacked(layer, folder / "ours"))
    assert ours == contents(installed_by_pip(folder / "pip", *wheels))
    return layer


def points(text: str) -> dict[str, bytes]:
    return {"sample.py": b"def main(): pass\n", f"{INFO}/entry_points.txt": text.encode()}


def said(layer: Layer) -> str:
    return "\n".join(note.text for note in layer.notes)


# --- RECORD ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"sample.py,,\n", "tells no hash or size of sample.py"),
        (b"", "leaves out sample.py and 3 more"),
        (b"sample.py,sha256=AAAA,3\n", "tells another hash or size of sample.py"),
        (b"sample.py,md5=AAAA,6\n", "tells another hash or size of sample.py"),
        (b"sample.py,made-up=AAAA,6\ngone.py,,\n", "does not hold, gone.py"),
        (b"\xef\xbb\xbfsample.py,sha256=AAAA,6\n", "tells another hash or size of sample.py"),
        (b"caf\xe9.py,,\n", "is not in UTF-8"),
        (b"sample.py,sha256=AAAA\nsample.py,a,b,c,d\n", "leaves out"),
    ],
)
def test_a_record_that_is_odd_is_told_and_does_no_harm(
    record: bytes, words: str, tmp_path: Path
) -> None:
    content = b"A = 1\n"
    wheel = wheel_of(tmp_path, {"sample.py": content, "sample_data/café.txt": b""}, record=record)
    layer = layer_of(tmp_path, wheel)
    assert words in said(layer)
    assert wheel.name in said(layer)
    written = unpacked(layer, tmp_path / "root") / SITE
    # What the image has is a right one, so that tools in it find every file.
    right = f"sample.py,sha256={hashed(content)},{len(content)}\n"
    assert right in (written / INFO / "RECORD").read_text()
    assert (written / "sample_data/café.txt").exists()


def test_a_record_that_is_right_is_no_news(tmp_path: Path) -> None:
    assert layer_of(tmp_path, wheel_of(tmp_path, {"sample.py": b"A = 1\n"})).notes == ()


@pytest.mark.parametrize("record", [b"sample.py,sha256=AAAA,3\n", b"gone.py,,,,\n"])
def test_pip_takes_such_a_record_too(record: bytes, tmp_path: Path) -> None:
    same_as_pip(tmp_path, wheel_of(tmp_path, {"sample.py": b"A = 1\n"}, record=record))


def test_signatures_are_not_missing_in_a_record(tmp_path: Path) -> None:
    members = {"sample.py": b"", f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b"x"}
    record = f"sample.py,sha256={hashed(b'')},0\n".encode()
    assert "jws" not in said(layer_of(tmp_path, wheel_of(tmp_path, members, record=record)))


# --- scripts and entry points ------------------------------------------------------------------------------


def test_an_entry_point_wins_over_a_script_of_its_name(tmp_path: Path) -> None:
    scripts = {
        f"{DATA}/scripts/{name}": b"#!python\nraise SystemExit(3)\n"
        for name in ("tool", "tool.exe", "tool-script.py", "tool.pya", "other")
    }
    layer = same_as_pip(
        tmp_path,
        wheel_of(tmp_path, {**scripts, **points("[console_scripts]\ntool = sample:main\n")}),
    )
    root = tmp_path / "ours" / PREFIX / "bin"
    assert {path.name for path in root.iterdir()} == {"tool", "other"}
    assert b"sample" in (root / "tool").read_bytes()
    assert layer.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\ntool = sample:main\ntool = sample:other\n",
        "[console_scripts]\ntool = sample:main\n[console_scripts]\ntool = sample:last\n",
        "[console_scripts]\ntool = sample:main\n[gui_scripts]\ntool = sample:gui\n",
        "[console_scripts]\ntool = sample:main [extra]\nother=sample:Class.main[a,b]\n",
        "  [console_scripts]\n  tool = sample:main\n\n  # a comment\n[other]\nx = y\n",
        "[console_scripts]\nc++filt = sample:main\na+b = sample:main\n@tool~1.0! = sample:main\n",
        "[console_scripts]\n_tool = sample:main\n.tool = sample:main\n-tool = sample:main\n",
        "[console_scripts]\npip = sample:main\npip3.8 = sample:main\npip2 = sample:main\n",
        "[console_scripts]\neasy_install = sample:main\neasy_install-2.7 = sample:main\n",
        "[console_scripts]\nsub/tool = sample:main\n",
    ],
)
@pytest.mark.slow
def test_entry_points_are_those_of_pip(text: str, tmp_path: Path) -> None:
    same_as_pip(tmp_path, wheel_of(tmp_path, points(text)))


@pytest.mark.parametrize(
    "line",
    [
        "../tool = sample:main",
        "/tmp/tool = sample:main",
        ".. = sample:main",
        "a/../../tool = sample:main",
        ".wh.tool = sample:main",
        "tool = sample",
        "tool = sample:main; import os",
        "tool = sample:main(",
    ],
)
def test_an_entry_point_that_is_none_or_leads_outside_is_refused(line: str, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path, points(f"[console_scripts]\n{line}\n"))
    with pytest.raises(WheelInvalid, match=r"sample-1\.0-py3-none-any\.whl"):
        layer_of(tmp_path, wheel)


# --- places ------------------------------------------------------------------------------------------------


def test_data_folders_are_known_by_their_ending(tmp_path: Path) -> None:
    same_as_pip(
        tmp_path,
        wheel_of(
            tmp_path,
            {
                "Sample-1.0.0.data/purelib/one.py": b"1",
                "sample-1.data/platlib/two.py": b"2",
                "SAMPLE.data/data/share/note.txt": b"3",
                "sample-1.0.data/headers/x.h": b"4",
                "sample-1.0.data/scripts/tool": b"#!python\nprint()\n",
            },
        ),
    )


@pytest.mark.parametrize("name", [f"{DATA}/elsewhere/x", f"{DATA}/x", "a.data"])
def test_data_of_no_place_is_refused_by_name(name: str, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path, {name: b"x"})
    with pytest.raises(WheelInvalid, match="stand in one of"):
        layer_of(tmp_path, wheel)


def test_of_one_path_within_a_wheel_the_last_in_pips_order_stays(tmp_path: Path) -> None:
    same_as_pip(
        tmp_path,
        wheel_of(
            tmp_path,
            {
                f"{DATA}/purelib/sample.py": b"data",
                f"{DATA}/data/bin/tool": b"#!data\ndata",
                f"{DATA}/scripts/tool": b"#!python\nscript",
                "sample.py": b"root",
                f"{INFO}/INSTALLER": b"somebody",
            },
        ),
    )


def test_a_file_that_is_in_the_archive_twice_is_taken_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        wheel = wheel_of(tmp_path, [("sample.py", b"1"), ("sample.py", b"1")])
    same_as_pip(tmp_path, wheel)
    with pytest.warns(UserWarning, match="Duplicate name"):
        wheel = wheel_of(tmp_path, [("sample.py", b"1"), ("sample.py", b"2")])
    with pytest.raises(WheelInvalid, match="twice, with other content"):
        layer_of(tmp_path, wheel)


@pytest.mark.parametrize(
    ("info", "filename", "metadata"),
    [
        ("Sample-1.0.dist-info", "sample-1.0-py3-none-any.whl", "Name: Sample\nVersion: 1.0.0\n"),
        ("my-lib-1.0.dist-info", "my_lib-1.0-py3-none-any.whl", "Name: my.lib\nVersion: 1.0\n"),
        ("my_lib-1.0-1.dist-info", "my_lib-1.0.post1-py3-none-any.whl",
         "Name: my-lib\nVersion: 1.0-1\n"),
    ],
)  # fmt: skip
def test_a_dist_info_folder_may_be_spelled_otherwise(
    info: str, filename: str, metadata: str, tmp_path: Path
) -> None:
    wheel = wheel_of(tmp_path, {"my_lib.py": b""}, info=info, filename=filename, metadata=metadata)
    same_as_pip(tmp_path, wheel)


def test_a_wheel_of_another_format_is_refused(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path, {"sample.py": b""})
    data = zipfile.ZipFile(wheel)
    members = [(name, data.read(name)) for name in data.namelist()]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members:
            archive.writestr(name, content.replace(b"Wheel-Version: 1.0", b"Wheel-Version: 2.0"))
    with pytest.raises(WheelInvalid, match=r"wheel format '2\.0'"):
        layer_of(tmp_path, wheel)


# --- several wheels in one layer ---------------------------------------------------------------------------


def test_of_one_path_in_a_layer_the_last_wheels_stays_and_both_are_told(tmp_path: Path) -> None:
    def wheel(name: str, files: Mapping[str, bytes]) -> Path:
        return wheel_of(
            tmp_path, files, info=f"{name}-1.0.dist-info",
            filename=f"{name}-1.0-py3-none-any.whl", metadata=f"Name: {name}\nVersion: 1.0\n",
        )  # fmt: skip

    one = wheel("one", {"shared/__init__.py": b"", "shared/a.py": b"A = 1\n", "shared/b.py": b"1"})
    two = wheel("two", {"shared/__init__.py": b"", "shared/a.py": b"A = 2\n", "shared/b.py": b"2"})
    (note,) = same_as_pip(tmp_path, one, two).notes
    assert note.text == (
        f"/{SITE}/shared/a.py and 1 more have other content in one 1.0 than in two 1.0: "
        "the image has that of two 1.0."
    )
    assert note.libraries == ("one", "two")


# --- wheels of the index -----------------------------------------------------------------------------------


def download(folder: Path, requirement: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
         "--dest", folder, requirement],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.network
@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("playwright==1.49.0", "leaves out playwright/"),
        ("pydata-sphinx-theme==0.8.1", "tells another hash or size of"),
        ("qtconsole==5.3.0", ""),
        ("furo==2022.12.7", "RECORD"),
        ("mlx==0.29.3", "RECORD"),
        ("selenium==4.1.0", "RECORD"),
    ],
)
def test_published_wheels_that_are_odd_are_installed(
    requirement: str, words: str, tmp_path: Path
) -> None:
    layer = same_as_pip(tmp_path, download(tmp_path, requirement))
    assert words in said(layer)
    assert bool(words) == bool(layer.notes)


@pytest.mark.network
def test_a_published_wheel_that_is_installed_can_be_packed_into_a_zip(tmp_path: Path) -> None:
    """ZIP tells no time before 1980, and the times in wheels may be."""
    layer = write_wheel_layer([download(tmp_path, "six==1.17.0")], PYTHON, tmp_path / "layer")
    subprocess.run(["tar", "-C", tmp_path, "-xzf", layer.path], check=True)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "opt/managed/lib")
    assert any(name.endswith("site-packages/six.py") for name in zipfile.ZipFile(packed).namelist())
