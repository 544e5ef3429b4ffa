"""Where libraries come from, in the console's forms: indexes by name, and pre-releases."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse

from images.models import Alteration, BaseImage, ManagedImage, RequirementFiles
from images.requirement_files import Supplied, SuppliedFile
from tests import factories
from tests.cast import Cast
from tests.requirement_options import TORCH, configure

NEW = {"name": "churn", "image_type": "all", "python_version": "", "os_packages": ""}
NAMING = f"--pre\n--extra-index-url {TORCH}\nsix\n"


@pytest.fixture(autouse=True)
def _indexes(settings: Any) -> None:
    configure(settings)
    settings.PACKAGE_EXTRA_INDEX_URLS[0] = "internal=https://reader:s3cret@in.example/simple"


def post(cast: Cast, route: str, *names: object, **values: Any) -> Any:
    address = reverse(route, args=[cast.workspace.pk, *names])
    return cast.client(cast.member).post(address, {**NEW, **values})


def page_of(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def box(page: str, name: str) -> set[str]:
    """Whether the checkbox of an index is checked, disabled, and posted by a hidden field."""
    (tag,) = re.findall(rf'<input[^>]*id="{name}"[^>]*>', page)
    chosen = f'type="hidden" name="indexes" value="{name.removeprefix("index-")}"'
    said = {"checked", "disabled"} & set(re.findall(r"[a-z]+(?=[\s>])", tag))
    return said | ({"chosen"} if chosen in page else set())


def test_indexes_are_offered_by_name_with_their_addresses(cast: Cast, base: BaseImage) -> None:
    page = page_of(cast.client(cast.member).get(reverse("new_image", args=[cast.workspace.pk])))
    assert "Package indexes" in page
    assert TORCH in page
    assert "https://in.example/simple" in page
    assert "s3cret" not in page
    assert box(page, "index-pytorch-cpu") == set()
    # Nobody has to choose what is looked at for each library.
    assert box(page, "index-internal") == {"checked", "disabled"}
    assert "always looked at" in page


def test_without_further_indexes_there_is_nothing_to_choose(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.PACKAGE_EXTRA_INDEX_URLS = settings.PACKAGE_EXPLICIT_INDEXES = []
    page = page_of(cast.client(cast.member).get(reverse("new_image", args=[cast.workspace.pk])))
    assert "Package indexes" not in page
    assert "Allow pre-releases" in page


@pytest.mark.slow
def test_what_is_chosen_is_the_images_and_told_on_its_page(cast: Cast, base: BaseImage) -> None:
    answer = post(
        cast, "new_image", pip_requirements="six", indexes="pytorch-cpu", allow_prereleases="on"
    )
    assert answer.status_code == 302, page_of(answer)
    spec = ManagedImage.objects.get().spec
    assert (spec.indexes, spec.allow_prereleases) == (("pytorch-cpu",), True)
    page = page_of(cast.client(cast.member).get(answer["Location"]))
    assert "Pre-releases allowed" in page
    assert "<dt>Indexes</dt><dd>pytorch-cpu</dd>" in page


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.slow
def test_what_is_chosen_is_kept_when_the_form_is_shown_again(
    status: int, cast: Cast, base: BaseImage
) -> None:
    checked = {"check": "1"} if status == 200 else {}
    answer = post(
        cast, "new_image", name="!", pip_requirements="six", allow_prereleases="on",
        indexes=["internal", "pytorch-cpu"], **checked,
    )  # fmt: skip
    assert answer.status_code == status
    page = page_of(answer)
    assert box(page, "index-pytorch-cpu") == {"checked"}
    assert box(page, "index-internal") == {"checked", "disabled", "chosen"}
    assert box(page, "id_allow_prereleases") == {"checked"}
    without = page_of(post(cast, "new_image", name="!", pip_requirements="six", **checked))
    assert box(without, "index-pytorch-cpu") == box(without, "id_allow_prereleases") == set()


@pytest.mark.slow
def test_what_the_requirements_say_is_ticked_by_reading_them(cast: Cast, base: BaseImage) -> None:
    page = page_of(post(cast, "new_image", check="1", pip_requirements=NAMING))
    assert box(page, "index-pytorch-cpu") == {"checked", "disabled"}
    assert box(page, "id_allow_prereleases") == {"checked", "disabled"}
    assert "named in the requirements" in page
    # Chosen besides, it stays when its line goes.
    page = page_of(
        post(cast, "new_image", check="1", pip_requirements=NAMING, indexes="pytorch-cpu")
    )
    assert box(page, "index-pytorch-cpu") == {"checked", "disabled", "chosen"}


@pytest.mark.slow
def test_the_chooser_is_swapped_only_when_the_requirements_say_something_else(
    cast: Cast, base: BaseImage
) -> None:
    swapped = '<div id="sources" hx-swap-oob="innerHTML">'
    said = {"said_indexes": "pytorch-cpu", "said_prereleases": "1"}
    assert swapped not in page_of(post(cast, "read_files", pip_requirements="six"))
    page = page_of(post(cast, "read_files", pip_requirements=NAMING, indexes="internal"))
    assert swapped in page
    assert box(page, "index-pytorch-cpu") == {"checked", "disabled"}
    assert box(page, "index-internal") == {"checked", "disabled", "chosen"}
    assert "Any library may also come from pytorch-cpu." in page
    assert "Pre-releases are allowed." in page
    assert swapped not in page_of(post(cast, "read_files", pip_requirements=NAMING, **said))
    page = page_of(post(cast, "read_files", pip_requirements="six", **said))
    assert swapped in page
    assert box(page, "index-pytorch-cpu") == set()


def test_an_unknown_index_is_refused_at_its_field(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    answer = post(cast, "new_image", pip_requirements="six", indexes="nowhere")
    assert answer.status_code == 422
    page = page_of(answer)
    assert '<a href="#id_indexes">Package indexes</a>' in page
    assert 'id="id_indexes_error"' in page


def image_with(cast: Cast, base: BaseImage, *indexes: str) -> ManagedImage:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    image.spec = replace(image.spec, indexes=indexes, allow_prereleases=True)
    image.save()
    return image


def made_of_files(cast: Cast, base: BaseImage) -> ManagedImage:
    image = image_with(cast, base, "internal", "pytorch-cpu")
    supplied = Supplied((SuppliedFile("requirements.txt", NAMING),))
    image.builds.update(requirement_files=RequirementFiles.objects.keep(image, supplied))
    return image


@pytest.mark.slow
def test_altering_begins_with_what_was_chosen_and_takes_back_what_no_file_says_any_more(
    cast: Cast, base: BaseImage
) -> None:
    made_of_files(cast, base)
    address = reverse("alter_image", args=[cast.workspace.pk, "churn"])
    page = page_of(cast.client(cast.member).get(address))
    assert box(page, "index-pytorch-cpu") == {"checked", "disabled"}
    assert box(page, "index-internal") == {"checked", "disabled", "chosen"}
    assert box(page, "id_allow_prereleases") == {"checked", "disabled"}
    answer = post(
        cast, "alter_image", "churn", indexes="internal",
        file_name="requirements.txt", file_text="six\n",
    )  # fmt: skip
    assert answer.status_code == 302, page_of(answer)
    alteration = Alteration.objects.get()
    assert (alteration.spec.indexes, alteration.spec.allow_prereleases) == (("internal",), False)
    Alteration.objects.update(state="succeeded", lock=factories.lock_of(six="1.17.0"))
    page = page_of(cast.client(cast.member).get(answer["Location"]))
    assert "Pre-releases are no longer allowed." in page
    assert "Libraries may come from internal, beside" in page


def test_a_copy_begins_with_them_too(cast: Cast, base: BaseImage) -> None:
    image_with(cast, base, "pytorch-cpu")
    address = f"{reverse('new_image', args=[cast.workspace.pk])}?copy=churn"
    page = page_of(cast.client(cast.viewer).get(address))
    assert box(page, "index-pytorch-cpu") == box(page, "id_allow_prereleases") == {"checked"}


@pytest.mark.slow
def test_an_image_that_fits_a_model_takes_what_its_requirements_say_and_what_is_chosen(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.PACKAGE_EXPLICIT_INDEXES = ["pytorch-cpu", "internal"]
    text = f"--extra-index-url {TORCH}\nsix\n"
    answer = post(cast, "new_model", name="Churn", python_version="3.11", requirements=text)
    assert answer.status_code == 302
    model = cast.workspace.models.get()
    page = page_of(
        cast.client(cast.member).get(reverse("model", args=[cast.workspace.pk, model.pk]))
    )
    assert "Python 3.11, also from pytorch-cpu" in page
    address = reverse("swap_build", args=[cast.workspace.pk, model.pk])
    page = page_of(cast.client(cast.member).get(address))
    assert box(page, "index-pytorch-cpu") == {"checked", "disabled"}
    assert box(page, "index-internal") == set()
    answer = post(cast, "swap_build", model.pk, indexes="internal", name="!")
    assert answer.status_code == 422
    assert box(page_of(answer), "index-internal") == {"checked"}
    post(cast, "swap_build", model.pk, indexes="internal", allow_prereleases="on")
    spec = ManagedImage.objects.get().spec
    assert (spec.indexes, spec.allow_prereleases) == (("internal", "pytorch-cpu"), True)
