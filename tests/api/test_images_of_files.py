"""Images of requirement files by REST: created, altered, and the files kept as they were given."""

from __future__ import annotations

from typing import Any

import pytest

from images.jobs.sweep import sweep
from images.models import BaseImage, Build, ManagedImage, RequirementFiles
from images.models.lease import WorkState
from images.operations.builds import rebuild_image, roll_back_image
from images.requirement_files import Supplied, SuppliedFile
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent

PROJECT = """\
[project]
name = "churn"
dependencies = ["numpy>=2", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
serve = ["flask"]
[dependency-groups]
dev = ["pytest"]
"""


def of(*files: tuple[str, str], **others: Any) -> dict[str, Any]:
    return {"files": [{"name": name, "text": text} for name, text in files], **others}


def libraries(image: ManagedImage) -> list[str]:
    return sorted(map(str, image.spec.pip_requirements))


@pytest.mark.slow
def test_an_image_of_files_with_groups_and_extras(ask: Ask, cast: Cast, base: BaseImage) -> None:
    wanted = of(("pyproject.toml", PROJECT), groups=["dev"], extras=["serve"], name="churn")
    wanted["pipRequirements"] = [{"name": "six", "versionSpecifier": "1.17.0"}]
    answer = ask(cast.member, "POST", "/v1/images", wanted)
    assert answer.status_code == 200, answer.content
    image = ManagedImage.objects.get(name="churn")
    assert libraries(image) == ["flask", "numpy>=2", "pytest", "six==1.17.0"]
    assert image.requirement_files is not None
    kept = image.requirement_files.supplied
    assert kept.names == ["typed text", "pyproject.toml"]
    assert kept.files[1].text == PROJECT
    assert (kept.groups, kept.extras) == (("dev",), ("serve",))
    # The log says which files there were, and does not repeat them.
    event = AuditEvent.objects.get(event="image.created")
    assert event.details["files"] == ["typed text", "pyproject.toml"]
    assert "[project]" not in str(event.details)


@pytest.mark.slow
def test_the_python_that_a_file_names_is_the_images(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_base_image(python_version="3.12")
    text = "dependencies:\n  - python=3.11\n  - pip\n  - pip:\n    - numpy\n"
    ask(cast.member, "POST", "/v1/images", of(("environment.yml", text), name="named"))
    assert ManagedImage.objects.get(name="named").python_version == "3.11"
    ask(cast.member, "POST", "/v1/images", of(("pyproject.toml", PROJECT), name="newest"))
    assert ManagedImage.objects.get(name="newest").python_version == "3.12"
    other = of(("environment.yml", text), name="other", pythonVersion="3.12")
    refused = ask(cast.member, "POST", "/v1/images", other)
    assert refused.status_code == 400
    assert "environment.yml: It is for Python ==3.11" in refused.json()["message"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (of(("a.txt", "numpy\nscipy=1\n")), "a.txt, line 2: One equals sign is conda's"),
        (of(("a.txt", "numpy\n"), groups=["dev"]), "No file has the group dev"),
        (of(groups=["dev"]), "No file has the group dev"),
        (of(("a.txt", "# nothing\n")), "Name at least one library."),
        (of(("a.txt", "numpy\n"), ("a.txt", "scipy\n")), "each of another name"),
        (of(("a.txt", "numpy\n"), ("b.txt", "#" * 5_000 + "\0")), "b.txt is not a text"),
        (of(("a.txt", "#" * 1_000_001), ("b.txt", "#" * 1_000_000)), "2,000,000 characters together"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_taken_are_told(
    wanted: dict[str, Any], message: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    answer = ask(cast.member, "POST", "/v1/images", {**wanted, "name": "churn"})
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert not RequirementFiles.objects.exists()


@pytest.fixture
def churn(ask: Ask, cast: Cast, base: BaseImage) -> ManagedImage:
    """An image of a project, its first build done."""
    ask(cast.member, "POST", "/v1/images", of(("pyproject.toml", PROJECT), name="churn"))
    Build.objects.update(
        state=WorkState.SUCCEEDED, manifest_digest=factories.digest("churn"), lock="lock"
    )
    image = ManagedImage.objects.get(name="churn")
    ManagedImage.objects.update(current_build=image.builds.get(), status="READY")
    return ManagedImage.objects.get(name="churn")


def supplied(image: ManagedImage) -> Supplied:
    kept = ManagedImage.objects.get(pk=image.pk).requirement_files
    assert kept is not None
    return kept.supplied


@pytest.mark.slow
def test_altering_replaces_the_files(ask: Ask, cast: Cast, churn: ManagedImage) -> None:
    answer = ask(cast.member, "PATCH", "/v1/images/churn", of(("requirements.txt", "scipy\n")))
    assert answer.status_code == 200, answer.content
    churn.refresh_from_db()
    assert libraries(churn) == ["scipy"]
    assert supplied(churn) == Supplied((SuppliedFile("requirements.txt", "scipy\n"),))
    altered = AuditEvent.objects.get(event="image.altered")
    assert altered.details["files"] == ["requirements.txt"]


@pytest.mark.slow
def test_groups_alone_are_taken_of_the_present_files(
    ask: Ask, cast: Cast, churn: ManagedImage
) -> None:
    ask(cast.member, "PATCH", "/v1/images/churn", {"groups": ["dev"]})
    churn.refresh_from_db()
    assert libraries(churn) == ["numpy>=2", "pytest"]
    assert supplied(churn).groups == ("dev",)


@pytest.mark.slow
def test_present_files_are_read_again_for_another_python(
    ask: Ask, cast: Cast, churn: ManagedImage
) -> None:
    factories.make_base_image(python_version="3.10")
    ask(cast.member, "PATCH", "/v1/images/churn", {"pythonVersion": "3.10"})
    churn.refresh_from_db()
    assert libraries(churn) == ["numpy>=2", "tomli"]
    assert RequirementFiles.objects.count() == 1


@pytest.mark.slow
def test_libraries_one_by_one_take_the_place_of_files(
    ask: Ask, cast: Cast, churn: ManagedImage
) -> None:
    ask(cast.member, "PATCH", "/v1/images/churn", {"pipRequirements": [{"name": "six"}]})
    churn.refresh_from_db()
    assert libraries(churn) == ["six"]
    assert churn.requirement_files is None


@pytest.mark.slow
def test_rebuilding_and_rolling_back_bring_the_files_of_their_spec(
    ask: Ask, cast: Cast, churn: ManagedImage
) -> None:
    ask(cast.member, "PATCH", "/v1/images/churn", of(("requirements.txt", "scipy\n")))
    done = {"state": WorkState.SUCCEEDED, "manifest_digest": factories.digest(2), "lock": "lock"}
    Build.objects.update(**done)
    ManagedImage.objects.update(current_build=churn.builds.get(number=2))
    rebuild_image(Actor(cast.member), churn)
    assert supplied(churn).names == ["requirements.txt"]
    Build.objects.update(**done)
    roll_back_image(Actor(cast.member), churn, 1)
    assert supplied(churn).names == ["pyproject.toml"]
    assert RequirementFiles.objects.count() == 2


@pytest.mark.slow
def test_files_of_a_proposal_go_with_it(ask: Ask, cast: Cast, churn: ManagedImage) -> None:
    wanted = of(("requirements.txt", "scipy\n"))
    proposed = ask(cast.member, "POST", "/v1/images/churn:preview", wanted).json()["alteration"]
    assert RequirementFiles.objects.count() == 2
    sweep()
    assert RequirementFiles.objects.count() == 2
    churn.alterations.filter(pk=proposed["id"]).delete()
    sweep()
    assert [kept.supplied for kept in RequirementFiles.objects.all()] == [supplied(churn)]


@pytest.mark.slow
def test_files_go_with_their_image(churn: ManagedImage) -> None:
    ManagedImage.objects.update(status="FAILED", current_build=None)
    churn.refresh_from_db()
    churn.delete()
    assert not RequirementFiles.objects.exists()
