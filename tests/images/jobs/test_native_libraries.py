"""READY is a promise: native libraries that an image lacks are told before it is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.building.layers.tar import Layer
from images.building.native.report import NativeReport, NeedyFile
from images.building.pipeline import KeyedLayer
from images.jobs import alteration as locking
from images.jobs import library_index, native_libraries
from images.models import (
    BaseImage,
    BuildHost,
    CachedLayer,
    LibraryIndex,
    ManagedImage,
    Status,
)
from images.operations import alterations
from tests import factories
from tests.builds import ask, build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

CV2 = "/opt/managed/lib/python3.11/site-packages/cv2/cv2.abi3.so"
BASE = NativeReport((), {"libc.so.6": ("GLIBC_2.34",)})
NEEDY = NativeReport((NeedyFile(CV2, "opencv-python", "", True, ("libGL.so.1", "libc.so.6")),))


def base_with(report: NativeReport | None) -> BaseImage:
    return factories.make_base_image(native=report.pack() if report else b"", is_current=False)


def layer(title: str, native: bytes) -> KeyedLayer:
    digest = factories.digest(title)
    return KeyedLayer(title, title, Layer(digest, digest, 1, Path("nowhere"), native=native))


def test_missing_library_is_told_to_the_log_with_who_needs_it(db: None) -> None:
    said: list[str] = []
    (found,) = native_libraries.missing_in(
        base_with(BASE), [layer("opencv", NEEDY.pack())], said.append
    )
    assert found.soname == "libGL.so.1"
    assert said == [f"opencv-python needs libGL.so.1, which is not in the image ({CV2})."]


def test_remembered_layer_is_looked_at_by_its_report(db: None) -> None:
    digest = factories.digest("opencv")
    CachedLayer.objects.create(
        key="k", digest=digest, diff_id=digest, size_bytes=1, native=NEEDY.pack()
    )
    remembered = [layer("opencv", b"")]
    assert native_libraries.missing_in(base_with(BASE), remembered, print) != []


def test_nothing_is_told_where_the_base_or_a_layer_is_not_known(db: None) -> None:
    said: list[str] = []
    known, unknown = layer("opencv", NEEDY.pack()), layer("OS packages: libgl1", b"")
    base = base_with(None)
    assert native_libraries.missing_in(base, [known], said.append) == []
    assert native_libraries.missing_in(base_with(BASE), [known, unknown], said.append) == []
    assert said == [
        f"Native libraries are not looked at: those of the base image {base} are not known.",
        "Native libraries are not looked at: those of OS packages: libgl1 are not known.",
    ]


def test_base_image_made_of_layers_provides_theirs(db: None) -> None:
    own = NativeReport((), {"libtorch.so": ()})
    packed = native_libraries.provisions(base_with(BASE), [layer("torch", own.pack())])
    found = NativeReport.unpack(packed)
    assert found is not None
    assert set(found.provided) == {"libc.so.6", "libtorch.so"}
    assert native_libraries.provisions(base_with(None), []) == b""


def log_of(image: ManagedImage) -> str:
    return "".join(chunk.text for chunk in image.builds.latest("number").log_chunks.all())


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_build_of_opencv_tells_what_import_cv2_would_lack(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    asked = "opencv-python==4.10.0.84\nnumpy<2.3"
    image = build_now(registry, ask(cast, "sees-nothing", asked))
    assert image.status == Status.READY
    assert image.current_build is not None
    missing = image.current_build.missing_libraries
    assert {item["soname"] for item in missing} == {
        "libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0",
    }  # fmt: skip
    assert {(item["library"], item["needed_by"]) for item in missing} == {("opencv-python", CV2)}
    assert "opencv-python needs libGL.so.1, which is not in the image" in log_of(image)
    # The layers are remembered now, and so is what is in them.
    again = build_now(registry, ask(cast, "sees-nothing-either", asked))
    assert again.current_build is not None
    assert again.current_build.missing_libraries == missing


@needs("containers")
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_image_with_the_packages_that_were_proposed_runs(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    BuildHost.objects.create(name="here")
    image = build_now(registry, ask(cast, "sees", "opencv-python==4.10.0.84\nnumpy<2.3"))
    library_index.run(LibraryIndex.objects.get().pk)
    actor = Actor(cast.member)
    proposed = alterations.propose_missing_packages(actor, image)
    assert [str(package) for package in proposed.spec.os_packages] == ["libgl1", "libglib2.0-0"]
    locking.run_alteration(proposed.pk)
    proposed.refresh_from_db()
    alterations.alter_image(actor, proposed)
    altered = build_now(registry, image)
    assert altered.status == Status.READY
    assert altered.current_build is not None
    assert altered.current_build.missing_libraries == []
    root = pulled(registry, altered, tmp_path)
    assert runs_in(root, "python", "-c", "import cv2; print(cv2.__version__)") == "4.10.0"


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_libraries_that_run_are_told_nothing_of(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    asked = "numpy\npandas\nlightgbm\npsycopg2-binary\npillow\nlxml"
    image = build_now(registry, ask(cast, "runs", asked))
    assert image.status == Status.READY
    assert image.current_build is not None
    assert image.current_build.missing_libraries == []
    assert "needs" not in log_of(image)
