"""Files in the console's forms: read at once, kept, and shown again when the image is altered."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from images.models import Alteration, BaseImage, ManagedImage, MLModel, RequirementFiles
from images.models.lease import WorkState
from images.requirement_files import Supplied, SuppliedFile
from tests import factories
from tests.cast import Cast
from tests.factories import PYPROJECT

NEW = {"name": "churn", "image_type": "all", "python_version": "", "os_packages": ""}


def upload(name: str, text: str | bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def post(cast: Cast, route: str, *names: object, htmx: bool = False, **values: Any) -> Any:
    address = reverse(route, args=[cast.workspace.pk, *names])
    headers = {"HX-Request": "true"} if htmx else {}
    return cast.client(cast.member).post(address, {**NEW, **values}, headers=headers)


def page_of(answer: Any) -> str:
    return str(answer.content.decode())


def libraries(image: ManagedImage) -> list[str]:
    return sorted(map(str, image.spec.pip_requirements))


@pytest.mark.slow
def test_text_and_files_together_make_an_image(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_image", pip_requirements="six\r\n", uploads=upload("pyproject.toml", PYPROJECT),
        groups=["dev"],
    )  # fmt: skip
    assert answer.status_code == 302, page_of(answer)
    image = ManagedImage.objects.get()
    assert libraries(image) == ["numpy>=2", "pytest", "six"]
    assert image.requirement_files is not None
    assert image.requirement_files.supplied == Supplied(
        (SuppliedFile("typed text", "six\n"), SuppliedFile("pyproject.toml", PYPROJECT)), ("dev",)
    )


@pytest.mark.slow
def test_what_was_read_is_told_at_once(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "read_files", htmx=True, pip_requirements="scipy=1.14\nflask",
        uploads=upload("pyproject.toml", PYPROJECT),
    )  # fmt: skip
    page = page_of(answer)
    assert "<html" not in page
    assert "numpy" in page
    assert "pyproject.toml, line 3" in page
    assert "One equals sign is conda&#x27;s; write scipy==1.14." in page
    assert "Its marker does not hold for Python 3.11" in page
    assert 'name="groups" value="dev"' in page
    assert "2 libraries for Python 3.11; 1 left out; 1 refused." in page
    # From now on the form posts the file as a text, and the input is empty again.
    assert 'id="given-files" hx-swap-oob' in page
    assert 'id="uploads-input" hx-swap-oob' in page
    assert not ManagedImage.objects.exists()
    again = post(
        cast, "read_files", htmx=True, pip_requirements="flask",
        file_name="pyproject.toml", file_text=PYPROJECT.replace("\n", "\r\n"), groups="dev",
    )  # fmt: skip
    page = page_of(again)
    assert "pytest" in page
    assert 'name="groups" value="dev" checked' in page
    assert "given-files" not in page  # What somebody edits is not swapped from under them.


def test_the_page_checks_without_script(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_image", check="1", name="", pip_requirements="six",
        uploads=upload("pyproject.toml", PYPROJECT),
    )  # fmt: skip
    page = page_of(answer)
    assert answer.status_code == 200
    assert "2 libraries for Python 3.11" in page
    assert "six</textarea>" in page
    assert "dependencies = [&quot;numpy&gt;=2&quot;" in page
    assert "This could not be saved yet" not in page
    assert not ManagedImage.objects.exists()


def test_nothing_that_was_given_is_lost_on_errors(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_image", pip_requirements="-e .", groups=["dev"],
        uploads=[upload("pyproject.toml", PYPROJECT), upload("model.bin", b"\xff\xfe\x00")],
        file_name=["old.txt", "pyproject.toml"], file_text=["flask  # ours\r\n", "replaced"],
    )  # fmt: skip
    page = page_of(answer)
    assert answer.status_code == 422
    assert "-e .</textarea>" in page
    assert "flask  # ours\n</textarea>" in page
    assert "dependencies = [&quot;numpy&gt;=2&quot;" in page
    assert "replaced" not in page
    assert "model.bin is not text in UTF-8" in page
    assert 'name="groups" value="dev" checked' in page


def test_files_are_left_out_and_choices_go_with_their_file(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_image", pip_requirements="six", groups=["dev"],
        file_name=["pyproject.toml", "empty.txt"], file_text=[PYPROJECT, " \r\n"],
        file_dropped="pyproject.toml",
    )  # fmt: skip
    assert answer.status_code == 302, page_of(answer)
    kept = RequirementFiles.objects.get().supplied
    assert kept == Supplied((SuppliedFile("typed text", "six\n".strip()),))


def test_a_models_folder_as_a_zip(cast: Cast, base: BaseImage) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("model/requirements.txt", "mlflow==2.9.2\n")
        opened.writestr(
            "model/python_env.yaml", "python: 3.11.7\ndependencies:\n- -r requirements.txt\n"
        )
        opened.writestr("model/model.pkl", b"\x80\x04")
    factories.make_base_image(python_version="3.12")
    answer = post(cast, "new_image", uploads=upload("model.zip", archive.getvalue()))
    assert answer.status_code == 302, page_of(answer)
    image = ManagedImage.objects.get()
    assert (image.python_version, libraries(image)) == ("3.11", ["mlflow==2.9.2"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Name at least one library."),
        ({"pip_requirements": "# nothing"}, "Name at least one library."),
        ({"uploads": upload("model.zip", "no zip")}, "model.zip: The zip cannot be read"),
        ({"file_name": "a.txt", "file_text": "scipy=1"}, "a.txt, line 1: One equals sign"),
        ({"pip_requirements": "#" * 1_999_999, "uploads": upload("a.txt", "six\n" * 3)}, "2,000,000"),
        ({"pip_requirements": "six", "python_version": "3.7"}, "Select a valid choice"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_cannot_be_taken_is_told(
    values: dict[str, Any], words: str, cast: Cast, base: BaseImage
) -> None:
    answer = post(cast, "new_image", **values)
    assert answer.status_code == 422
    assert words in page_of(answer)


def test_a_models_requirements_are_read_at_once_and_an_upload_stands_in_the_field(
    cast: Cast, base: BaseImage
) -> None:
    answer = post(
        cast, "read_files", htmx=True, requirements="left out", python_version="3.11",
        requirements_file=upload("pyproject.toml", PYPROJECT),
    )  # fmt: skip
    page = page_of(answer)
    assert "1 library for Python 3.11; 1 left out." in page
    assert "dependencies = [&quot;numpy&gt;=2&quot;" in page
    assert 'id="requirements-input" hx-swap-oob' in page
    # A model has no groups to choose.
    assert 'name="groups"' not in page
    checked = post(
        cast, "new_model", check="1", name="", requirements="scipy=1", python_version="3.11"
    )
    page = page_of(checked)
    assert checked.status_code == 200
    assert "write scipy==1." in page
    assert "This could not be saved yet" not in page
    assert not MLModel.objects.exists()


def test_a_file_with_a_mistake_comes_back_as_text(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_model", name="Churn", python_version="3.11",
        requirements_file=upload("requirements.txt", "scipy=1  # ours\n"),
    )  # fmt: skip
    assert answer.status_code == 422
    assert "scipy=1  # ours\n</textarea>" in page_of(answer)
    assert not MLModel.objects.exists()


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    """An image of a project's file and a typed line, built."""
    image = factories.make_image("churn", base=base, created_by=cast.member)
    supplied = Supplied(
        (SuppliedFile("typed text", "six  # why\n"), SuppliedFile("pyproject.toml", PYPROJECT)),
        ("dev",),
    )
    image.builds.update(requirement_files=RequirementFiles.objects.keep(image, supplied))
    return image


@pytest.mark.slow
def test_altering_begins_with_the_files_as_they_were_given(cast: Cast, image: ManagedImage) -> None:
    address = reverse("alter_image", args=[cast.workspace.pk, "churn"])
    page = page_of(cast.client(cast.member).get(address))
    assert "six  # why\n</textarea>" in page
    assert "dependencies = [&quot;numpy&gt;=2&quot;" in page
    assert 'name="groups" value="dev" checked' in page
    assert "3 libraries for Python 3.11" in page
    assert '<details class="given-file" open>' in page


def test_a_copy_begins_with_them_too(cast: Cast, image: ManagedImage) -> None:
    address = f"{reverse('new_image', args=[cast.workspace.pk])}?copy=churn"
    assert "dependencies = [&quot;numpy&gt;=2&quot;" in page_of(
        cast.client(cast.viewer).get(address)
    )


@pytest.mark.slow
def test_an_alteration_shows_what_changes_in_the_files(cast: Cast, image: ManagedImage) -> None:
    answer = post(
        cast, "alter_image", "churn", python_version="3.11", pip_requirements="six  # why\r\n",
        file_name="pyproject.toml", file_text=PYPROJECT.replace("numpy>=2", "numpy>=2.1"),
    )  # fmt: skip
    assert answer.status_code == 302, page_of(answer)
    Alteration.objects.update(state=WorkState.SUCCEEDED, lock=factories.lock_of(numpy="2.5.0"))
    page = page_of(cast.client(cast.member).get(answer["Location"]))
    assert "<del>-dependencies = [&quot;numpy&gt;=2&quot;" in page
    assert "<ins>+dependencies = [&quot;numpy&gt;=2.1&quot;" in page
    assert "typed text" not in page
    # The files become the image's with the build alone.
    assert image.requirement_files is not None
    assert image.requirement_files.supplied.files[1].text == PYPROJECT
    built = post(cast, "build_alteration", "churn", Alteration.objects.get().pk)
    assert built.status_code == 302
    kept = ManagedImage.objects.get().requirement_files
    assert kept is not None
    assert "numpy>=2.1" in kept.supplied.files[1].text


@pytest.mark.slow
def test_a_file_that_is_too_long_is_not_compared_line_by_line(
    cast: Cast, image: ManagedImage
) -> None:
    proposed = factories.make_alteration(image, lock=factories.lock_of(numpy="2.5.0"))
    long = Supplied((SuppliedFile("requirements.txt", "six\n" * 2_001),))
    proposed.requirement_files = RequirementFiles.objects.keep(image, long)
    proposed.save()
    address = reverse("alteration", args=[cast.workspace.pk, "churn", proposed.pk])
    page = page_of(cast.client(cast.member).get(address))
    assert "too long to be compared" in page
    assert "<del>-six  # why</del>" in page
