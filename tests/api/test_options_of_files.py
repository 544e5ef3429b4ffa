"""Options of requirement files reach the build by every way in, or are refused with a sentence."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from images.models import Alteration, BaseImage, Build, ManagedImage, MLModel
from images.spec import ImageSpec
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from tests.requirement_options import HASH, PYLOCK, REFUSED, TAKEN, TORCH, Said, configure

pytestmark = pytest.mark.slow

Files = dict[str, str]
# The spec that came of files, or what was said instead.
Way = Callable[[Ask, Cast, Files], ImageSpec | str]


@pytest.fixture(autouse=True)
def _indexes(settings: Any) -> None:
    configure(settings)


def rest_files(files: Files) -> list[dict[str, str]]:
    return [{"name": name, "text": text} for name, text in files.items()]


def form_of(files: Files, **others: str) -> dict[str, Any]:
    form = {"name": "new", "image_type": "all", "python_version": "3.11", "os_packages": ""}
    return {**form, "file_name": [*files], "file_text": [*files.values()], **others}


def created(answer: Any) -> ImageSpec | str:
    if answer.status_code in (200, 302):
        return ManagedImage.objects.get(name="new").spec
    assert answer.status_code in (400, 422), answer.content
    return html.unescape(answer.content.decode())


def existing(cast: Cast) -> ManagedImage:
    return factories.make_image("old", base=BaseImage.objects.get(), created_by=cast.member)


def by_console(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    address = reverse("new_image", args=[cast.workspace.pk])
    return created(cast.client(cast.member).post(address, form_of(files)))


def by_console_altering(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    existing(cast)
    address = reverse("alter_image", args=[cast.workspace.pk, "old"])
    answer = cast.client(cast.member).post(address, form_of(files))
    return Alteration.objects.get().spec if answer.status_code == 302 else created(answer)


def by_rest(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    wanted = {"name": "new", "pythonVersion": "3.11", "files": rest_files(files)}
    return created(ask(cast.member, "POST", "/v1/images", wanted))


def by_rest_altering(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    image = existing(cast)
    answer = ask(cast.member, "PATCH", "/v1/images/old", {"files": rest_files(files)})
    if answer.status_code != 200:
        return created(answer)
    image.refresh_from_db()
    assert Build.objects.filter(image=image).first().spec == image.spec  # type: ignore[union-attr]
    return image.spec


def by_rest_preview(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    existing(cast)
    wanted = {"files": rest_files(files)}
    answer = ask(cast.member, "POST", "/v1/images/old:preview", wanted)
    return Alteration.objects.get().spec if answer.status_code == 200 else created(answer)


def by_console_for_a_model(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    client, (text,) = cast.client(cast.member), files.values()
    form = {"name": "Churn", "python_version": "3.11", "requirements": text}
    answer = client.post(reverse("new_model", args=[cast.workspace.pk]), form)
    if answer.status_code != 302:
        return created(answer)
    address = reverse("swap_build", args=[cast.workspace.pk, MLModel.objects.get().pk])
    return created(client.post(address, {"name": "new"}))


def by_rest_for_a_model(ask: Ask, cast: Cast, files: Files) -> ImageSpec | str:
    (text,) = files.values()
    wanted = {"name": "Churn", "pythonVersion": "3.11", "requirements": text}
    answer = ask(cast.member, "POST", f"/v1/workspace/{cast.workspace.pk}/models", wanted)
    if answer.status_code != 200:
        return created(answer)
    model = MLModel.objects.get()
    return created(ask(cast.member, "POST", f"/v1/models/{model.pk}/image:build", {"name": "new"}))


WAYS: dict[str, Way] = {
    "console": by_console,
    "console-alter": by_console_altering,
    "rest": by_rest,
    "rest-alter": by_rest_altering,
    "rest-preview": by_rest_preview,
    "console-model": by_console_for_a_model,
    "rest-model": by_rest_for_a_model,
}
of_files = [name for name in WAYS if "model" not in name]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", TAKEN)
def test_an_option_reaches_the_build(
    option: str, way: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    text, expected = TAKEN[option]
    name = "pyproject.toml" if option == "python" else "requirements.txt"
    spec = WAYS[way](ask, cast, {name: text})
    assert isinstance(spec, ImageSpec), spec
    assert Said.by(spec) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_is_refused_with_a_sentence(
    option: str, way: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    text, sentence = REFUSED[option]
    name = "pyproject.toml" if option == "python" else "requirements.txt"
    said = WAYS[way](ask, cast, {name: text})
    assert isinstance(said, str), said
    assert sentence in said


@pytest.mark.parametrize("way", of_files)
def test_constraints_bound_what_is_asked_for_and_nothing_else(
    way: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    asks = {"requirements.txt": "-c bounds.txt\nsix\n"}
    spec = WAYS[way](ask, cast, {**asks, "bounds.txt": "six<2\n"})
    assert isinstance(spec, ImageSpec), spec
    assert Said.by(spec) == Said(six="six<2")


@pytest.mark.parametrize("way", of_files)
def test_a_constraint_about_nothing_that_is_asked_for_is_refused(
    way: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    asks = {"requirements.txt": "-c bounds.txt\nsix\n"}
    said = WAYS[way](ask, cast, {**asks, "bounds.txt": "idna<2\n"})
    assert isinstance(said, str)
    assert "Nothing here asks for idna" in said


@pytest.mark.parametrize("option", REFUSED)
def test_matching_refuses_them_too(option: str, ask: Ask, cast: Cast, base: BaseImage) -> None:
    text, sentence = REFUSED[option]
    name = "pyproject.toml" if option == "python" else "requirements.txt"
    wanted = {"files": rest_files({name: text})}
    answer = ask(cast.member, "POST", "/v1/images:match", {**wanted, "pythonVersion": "3.11"})
    assert answer.status_code == 400
    assert sentence in answer.json()["message"]


def test_reading_tells_of_options(ask: Ask, cast: Cast) -> None:
    text = f"--pre\n--extra-index-url {TORCH}\n--prefer-binary\nsix\n"
    wanted = {"files": rest_files({"requirements.txt": text})}
    read = ask(cast.viewer, "POST", "/v1/requirements:read", wanted).json()
    assert (read["indexes"], read["allowPrereleases"]) == (["pytorch-cpu"], True)
    (left_out,) = read["leftOut"]
    assert left_out["reason"].startswith("Wheels are always preferred")


# --- what was chosen beside files ---------------------------------------------------------------------------


def test_other_files_take_back_what_the_former_said_and_not_what_was_chosen(
    ask: Ask, cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.PACKAGE_EXPLICIT_INDEXES = ["pytorch-cpu", "internal"]
    first = {"requirements.txt": f"--pre\n--extra-index-url {TORCH}\nsix\n"}
    wanted = {"name": "new", "files": rest_files(first), "indexes": ["internal"]}
    image = ask(cast.member, "POST", "/v1/images", wanted).json()["image"]
    assert (image["indexes"], image["allowPrereleases"]) == (["internal", "pytorch-cpu"], True)
    Build.objects.update(state="failed", error_code="no_wheel")
    one_by_one = {"pipRequirements": [{"name": "six"}, {"name": "idna"}]}
    preview = ask(cast.member, "POST", "/v1/images/new:preview", one_by_one).json()["alteration"]
    # Fields that are absent stay as they are.
    assert preview["indexes"] == ["internal", "pytorch-cpu"]
    assert preview["allowPrereleases"] is True
    others = {"files": rest_files({"requirements.txt": "six\n"})}
    image = ask(cast.member, "PATCH", "/v1/images/new", others).json()["image"]
    assert (image["indexes"], image["allowPrereleases"]) == (["internal"], False)


def test_prereleases_are_allowed_and_forbidden_by_themselves(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = existing(cast)
    for allowed in (True, False):
        answer = ask(cast.member, "PATCH", "/v1/images/old", {"allowPrereleases": allowed})
        assert answer.status_code == 200, answer.content
        assert answer.json()["image"]["allowPrereleases"] is allowed
        Build.objects.update(state="failed", error_code="no_wheel")
        again = ask(cast.member, "PATCH", "/v1/images/old", {"allowPrereleases": allowed})
        assert again.status_code == 400
    image.refresh_from_db()
    assert image.spec.allow_prereleases is False


def test_an_image_for_a_model_takes_what_is_chosen_beside_its_requirements(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    model = factories.make_model(cast.workspace, requirements="six")
    chosen = {"name": "new", "indexes": ["pytorch-cpu"], "allowPrereleases": True}
    answer = ask(cast.member, "POST", f"/v1/models/{model.pk}/image:build", chosen)
    assert answer.status_code == 200, answer.content
    spec = ManagedImage.objects.get().spec
    assert (spec.indexes, spec.allow_prereleases) == (("pytorch-cpu",), True)


# --- libraries beside a complete lock -----------------------------------------------------------------------

SIX = [{"name": "six"}]


@pytest.mark.parametrize(
    ("method", "address", "named"),
    [
        ("POST", "/v1/images", {"name": "new"}),
        ("PATCH", "/v1/images/old", {}),
        ("POST", "/v1/images/old:preview", {}),
        ("POST", "/v1/images:match", {}),
    ],
)
def test_libraries_beside_a_lock_are_refused(
    method: str, address: str, named: dict[str, Any], ask: Ask, cast: Cast, base: BaseImage
) -> None:
    existing(cast)
    wanted = {**named, "pipRequirements": SIX, "files": rest_files({"pylock.toml": PYLOCK})}
    answer = ask(cast.member, method, address, wanted)
    assert answer.status_code == 400
    body = answer.json()
    assert body["details"] == [{"reason": "libraries_beside_lock", "field": "pip_requirements"}]
    assert "pylock.toml locks all that is installed" in body["message"]
    without = {**wanted, "pipRequirements": []}
    assert ask(cast.member, method, address, without).status_code == 200


def test_typed_libraries_beside_a_lock_are_refused(cast: Cast, base: BaseImage) -> None:
    address = reverse("new_image", args=[cast.workspace.pk])
    client = cast.client(cast.member)
    files = {"pylock.toml": PYLOCK}
    answer = client.post(address, form_of(files, pip_requirements="six"))
    assert answer.status_code == 422
    assert "pylock.toml locks all that is installed" in answer.content.decode()
    # A remark asks for nothing.
    made = client.post(address, form_of(files, pip_requirements="# as the lock has it\n"))
    assert made.status_code == 302, made.content


def test_libraries_beside_files_with_hashes_are_taken(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    files = rest_files({"requirements.txt": f"six==1.17.0 --hash={HASH}\n"})
    wanted = {"name": "new", "pipRequirements": [{"name": "idna"}], "files": files}
    image = ask(cast.member, "POST", "/v1/images", wanted).json()["image"]
    assert (len(image["pipRequirements"]), image["locked"]) == (2, False)
