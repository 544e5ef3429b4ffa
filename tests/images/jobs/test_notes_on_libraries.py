"""What is odd about the libraries of an image is told in the log of each build of it, and on its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from images.models import BaseImage, Build, ManagedImage, Status
from images.operations import builds
from images.queries.library_origins import origins
from tests.builds import ask, build_now, pulled, runs_in
from tests.cast import Cast
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

YANKED = "yanked-lib 1.0 was yanked from its index: it is broken."


def latest(image: ManagedImage) -> Build:
    return image.builds.latest("number")


def log_of(image: ManagedImage) -> str:
    return "".join(chunk.text for chunk in latest(image).log_chunks.all())


@pytest.mark.parametrize("layers", [90, 1])
def test_files_of_two_libraries_yanks_and_records_are_told(
    layers: int,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.MAX_WHEEL_LAYERS = layers
    # By its size the first comes first, and pip installs it last: of equals, by the alphabet from its end.
    first = {
        "shared/__init__.py": b"",
        "shared/a.py": b"OF = 'first'\n",
        "f.bin": bytes(range(256)) * 99,
    }
    second = {"shared/__init__.py": b"", "shared/a.py": b"OF = 'second'\n"}
    wheels = [
        make_wheel(tmp_path, "aa_first", files=first),
        make_wheel(tmp_path, "bb_second", files=second),
        make_wheel(tmp_path, "yanked_lib"),
        make_wheel(tmp_path, "odd", unrecorded={"odd_more.py": b""}),
    ]
    told = (
        "shared/a.py has other content in bb-second 1.0 than in aa-first 1.0: "
        "the image has that of aa-first 1.0."
    )
    wanted = "aa-first\nbb-second\nyanked-lib==1.0\nodd"
    with index_of(*wheels, yanked={wheels[2].name: "it is broken."}) as address:
        settings.PACKAGE_INDEX_URL = f"http://{address}/simple"
        image = build_now(registry, ask(cast, f"told-{layers}", wanted))
        assert image.status == Status.READY, log_of(image)
        # The second build finds everything as it is, and a third image its layers.
        builds.rebuild_image(Actor(cast.member), image)
        again = build_now(registry, image)
        assert "Nothing has changed" in log_of(again)
        other = build_now(registry, ask(cast, f"told-{layers}-too", wanted))
    for one in (image, again, other):
        assert one.status == Status.READY
        log = log_of(one)
        for words in (told, YANKED, "its RECORD leaves out odd_more.py"):
            assert log.count(words) == 1, log
    build = image.current_build
    assert build is not None
    notes = {item.name: item.notes for item in origins(build)}
    assert [note.endswith(told) for note in notes["aa-first"]] == [True]
    assert notes["bb-second"] == notes["aa-first"]
    assert notes["yanked-lib"] == (YANKED,)
    assert notes["odd"] == ()
    root = pulled(registry, image, tmp_path)
    assert (
        runs_in(root, "python3", "-c", "from shared.a import OF; assert OF == 'first'") is not None
    )
