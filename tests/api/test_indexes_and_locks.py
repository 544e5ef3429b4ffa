"""Libraries from indexes by name, and images that are complete locks, by REST."""

from __future__ import annotations

from typing import Any

import pytest

from images.models import BaseImage, ManagedImage
from images.requirements import PipRequirement
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import AuditEvent

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
TORCH = {"name": "torch", "versionSpecifier": "==2.1.0", "index": "pytorch-cpu", "hashes": [ONE]}


@pytest.fixture(autouse=True)
def _indexes(settings: Any) -> None:
    settings.PACKAGE_EXTRA_INDEX_URLS = [
        "internal=https://reader:s3cret@in.example/simple",
        "pytorch-cpu=https://torch.example/whl/cpu",
    ]
    settings.PACKAGE_EXPLICIT_INDEXES = ["pytorch-cpu"]
    settings.PACKAGE_INDEX_PACKAGES = ["internal=acme-*"]


def created(ask: Ask, cast: Cast, **wanted: Any) -> dict[str, Any]:
    answer = ask(cast.member, "POST", "/v1/images", {"name": "churn", **wanted})
    assert answer.status_code == 200, answer.content
    image: dict[str, Any] = answer.json()["image"]
    return image


@pytest.mark.slow
def test_a_library_names_its_index_and_hashes(ask: Ask, cast: Cast, base: BaseImage) -> None:
    image = created(ask, cast, pipRequirements=[TORCH, {"name": "six"}])
    assert image["pipRequirements"][0] == TORCH
    assert (image["locked"], image["lockedBy"], image["indexes"]) == (False, "", [])
    (torch, six) = ManagedImage.objects.get().spec.pip_requirements
    assert torch == PipRequirement("torch", "==2.1.0", (), "pytorch-cpu", (ONE,))
    assert six.as_json() == {"name": "six", "specifier": "", "extras": []}


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"pipRequirements": [{"name": "six", "index": "nowhere"}]}, "which is not configured"),
        ({"pipRequirements": [{"name": "acme-x", "index": "pytorch-cpu"}]}, "index internal alone"),
        (
            {"pipRequirements": [{"name": "six"}], "indexes": ["nowhere"]},
            "There is no index nowhere",
        ),
        (
            {"pipRequirements": [{"name": "six", "hashes": ["md5:1"]}]},
            "is not sha256: and 64 digits",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    wanted: dict[str, Any], sentence: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    answer = ask(cast.member, "POST", "/v1/images", {"name": "churn", **wanted})
    assert answer.status_code == 400
    assert sentence in answer.json()["message"]
    assert "s3cret" not in answer.content.decode()


@pytest.mark.slow
def test_an_index_that_a_file_names_serves_all_of_the_image(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    text = "--extra-index-url https://torch.example/whl/cpu/\ntorch\n"
    image = created(ask, cast, files=[{"name": "requirements.txt", "text": text}])
    assert image["indexes"] == ["pytorch-cpu"]
    assert image["pipRequirements"][0]["index"] == ""


@pytest.mark.slow
def test_the_default_index_in_a_file_leaves_the_operators_rules_alone(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    text = "--index-url https://pypi.org/simple\nacme-core\n"
    image = created(ask, cast, files=[{"name": "requirements.txt", "text": text}])
    assert (image["indexes"], image["pipRequirements"][0]["index"]) == ([], "")


@pytest.mark.slow
def test_requirements_with_hashes_throughout_are_a_lock(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    text = f"six==1.17.0 --hash={ONE} --hash={TWO}\ntoolz==1.0.0 --hash={TWO}\n"
    image = created(ask, cast, files=[{"name": "requirements.txt", "text": text}])
    assert (image["locked"], image["lockedBy"]) == (True, "requirements.txt")
    assert ManagedImage.objects.get().spec.pip_requirements[0].hashes == (ONE, TWO)
    event = AuditEvent.objects.get(event="image.created")
    assert event.details["locked"] is True
    assert "sha256" not in str(event.details)


@pytest.mark.slow
def test_of_a_lock_the_files_for_linux_are_kept(ask: Ask, cast: Cast, base: BaseImage) -> None:
    def file(tag: str, digit: str) -> str:
        return (
            f'{{ url = "https://files.example/fast-1.0-{tag}.whl", '
            f'hashes = {{ sha256 = "{digit * 64}" }} }}'
        )

    files = ", ".join(
        [
            file("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "1"),
            file("cp311-cp311-win_amd64", "3"),
            file("cp311-cp311-musllinux_1_2_x86_64", "4"),
            file("cp312-cp312-macosx_11_0_arm64", "5"),
            file("py3-none-any", "2"),
        ]
    )
    text = (
        'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "fast"\nversion = "1.0"\n'
        f"wheels = [{files}]\n"
    )
    image = created(ask, cast, files=[{"name": "pylock.toml", "text": text}])
    assert image["pipRequirements"][0]["hashes"] == [ONE, TWO]
    assert image["lockedBy"] == "pylock.toml"


@pytest.mark.slow
def test_libraries_named_anew_are_no_lock_any_more(ask: Ask, cast: Cast, base: BaseImage) -> None:
    text = f"six==1.17.0 --hash={ONE}\n"
    created(ask, cast, files=[{"name": "requirements.txt", "text": text}])
    ManagedImage.objects.get().builds.update(state="failed", error_code="no_wheel")
    wanted = {"pipRequirements": [{"name": "six", "versionSpecifier": "==1.17.0"}]}
    answer = ask(cast.member, "PATCH", "/v1/images/churn", wanted)
    assert answer.status_code == 200, answer.content
    assert answer.json()["image"]["locked"] is False
