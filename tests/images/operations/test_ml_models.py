"""A workspace's models: who sees and changes them, and what of their requirements counts."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from images.models import BaseImage, MLModel
from images.operations import ml_models
from images.operations.ml_models import EditModel
from images.requirements import RequirementErrors
from ri_platform.errors import Conflict, Invalid, NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent
from workspaces.operations import workspaces as workspace_operations


def churn(**values: Any) -> EditModel:
    defaults: dict[str, Any] = {
        "name": "Churn", "description": "", "python_version": "3.11", "requirements": "",
    }  # fmt: skip
    return EditModel(**{**defaults, **values})


def test_a_member_creates_a_model_and_is_led_to_its_image(cast: Cast, base: BaseImage) -> None:
    page = cast.client(cast.member).post(
        reverse("new_model", args=[cast.workspace.pk]),
        {"name": "Churn", "python_version": "3.11", "requirements": "pandas>=2\nnumpy"},
    )
    model = MLModel.objects.get()
    assert page["Location"] == reverse("swap", args=[cast.workspace.pk, model.pk])
    assert [item["name"] for item in model.pip_requirements] == ["pandas", "numpy"]
    event = AuditEvent.objects.get(event="model.created")
    assert (event.username, event.workspace_name) == ("member", "Workspace 1")


@pytest.mark.slow
def test_a_viewer_sees_models_and_creates_none(cast: Cast) -> None:
    factories.make_model(cast.workspace, name="Churn")
    url = reverse("models", args=[cast.workspace.pk])
    page = cast.client(cast.viewer).get(url)
    assert b"Churn" in page.content
    assert b"New model" not in page.content
    with pytest.raises(NotAllowed, match="Viewers see"):
        ml_models.create_model(Actor(cast.viewer), cast.workspace, churn())


def test_a_model_of_another_workspace_is_not_found_under_this_one(cast: Cast) -> None:
    elsewhere = factories.make_model(cast.other)
    url = reverse("model", args=[cast.workspace.pk, elsewhere.pk])
    assert cast.client(cast.member).get(url).status_code == 404
    assert cast.client(cast.stranger).get(url).status_code == 404


def test_a_name_is_taken_once_in_a_workspace_in_any_case(cast: Cast) -> None:
    ml_models.create_model(Actor(cast.member), cast.workspace, churn())
    with pytest.raises(Conflict, match="There is a model named CHURN"):
        ml_models.create_model(Actor(cast.member), cast.workspace, churn(name="CHURN"))
    ml_models.create_model(Actor(cast.member), cast.other, churn())


def test_environment_markers_are_decided_by_the_models_python(cast: Cast) -> None:
    text = (
        "numpy==1.26.4 ; python_version < '3.12'\n"
        "numpy==2.4.6 ; python_version >= '3.12'\n"
        "pywin32 ; sys_platform == 'win32'\n"
        "torch[opt]>=2 ; extra == 'gpu'\n"
        "uvloop ; platform_system == 'Linux' and implementation_name == 'cpython'\n"
    )
    model = ml_models.create_model(Actor(cast.member), cast.workspace, churn(requirements=text))
    assert [(item["name"], item["specifier"]) for item in model.pip_requirements] == [
        ("numpy", "==1.26.4"),
        ("uvloop", ""),
    ]
    newer = churn(requirements=text, python_version="3.13")
    model = ml_models.edit_model(Actor(cast.member), model, newer)
    assert model.pip_requirements[0]["specifier"] == "==2.4.6"
    assert model.requirements == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("numpy ; python_version < ", "is not an environment marker"),
        ("numpy ; os.system('true')", "is not an environment marker"),
        ("numpy @ https://example.org/numpy.whl", "name its released version, like numpy==1.0"),
        ("-r more.txt", "more.txt was not given along"),
        ("numpy<2 ; python_version > '3'\nnumpy>=2", "contradicts numpy<2 on line 1"),
    ],
)
def test_what_cannot_be_taken_is_told_with_its_line(cast: Cast, line: str, told: str) -> None:
    with pytest.raises(RequirementErrors, match=told):
        ml_models.create_model(Actor(cast.member), cast.workspace, churn(requirements=line))
    page = cast.client(cast.member).post(
        reverse("new_model", args=[cast.workspace.pk]),
        {"name": "Churn", "python_version": "3.11", "requirements": line},
    )
    assert page.status_code == 422
    assert b"Line " in page.content
    assert not MLModel.objects.exists()


def test_requirements_come_from_a_file_as_well(cast: Cast, base: BaseImage) -> None:
    client, url = cast.client(cast.member), reverse("new_model", args=[cast.workspace.pk])
    form = {"name": "Churn", "python_version": "3.11", "requirements": "left out"}
    wrong = SimpleUploadedFile("r.txt", b"\xff\xfe")
    answer = client.post(url, {**form, "requirements": "", "requirements_file": wrong})
    assert b"The file is not text in UTF-8." in answer.content
    good = SimpleUploadedFile(
        "requirements.txt", b"\xef\xbb\xbfpandas==2.3.3\r\n# why\r\nnumpy\r\n"
    )
    assert client.post(url, {**form, "requirements_file": good}).status_code == 302
    names = [item["name"] for item in MLModel.objects.get().pip_requirements]
    assert names == ["pandas", "numpy"]


def test_a_python_that_no_image_has_is_refused(cast: Cast) -> None:
    with pytest.raises(Invalid, match=r"2\.7"):
        ml_models.create_model(Actor(cast.member), cast.workspace, churn(python_version="2.7"))


def test_models_go_with_their_workspace_and_images_stay(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("shared", base=base)
    factories.make_model(cast.workspace, image=image)
    workspace_operations.remove_workspace(Actor(cast.admin), cast.workspace, "Workspace 1")
    assert not MLModel.objects.exists()
    image.refresh_from_db()
    assert image.removed_at is None


@pytest.mark.slow
def test_a_removed_model_is_gone_with_its_history(cast: Cast, base: BaseImage) -> None:
    model = factories.make_model(cast.workspace, image=factories.make_image("shared", base=base))
    url = reverse("remove_model", args=[cast.workspace.pk, model.pk])
    assert b"Remove model" in cast.client(cast.member).get(url).content
    assert cast.client(cast.viewer).post(url).status_code == 403
    assert cast.client(cast.member).post(url).status_code == 302
    assert not MLModel.objects.exists()
    assert AuditEvent.objects.filter(event="model.removed", username="member").exists()


@pytest.mark.parametrize("rows", [1, 25])
@pytest.mark.slow
def test_the_list_costs_the_same_whatever_its_length(
    rows: int, cast: Cast, base: BaseImage, django_assert_max_num_queries: object
) -> None:
    image = factories.make_image("shared", base=base)
    for _ in range(rows):
        factories.make_model(cast.workspace, image=image)
    client = cast.client(cast.member)
    with django_assert_max_num_queries(11):  # type: ignore[operator]
        page = client.get(reverse("models", args=[cast.workspace.pk]))
    assert page.content.count(b'data-label="Image"') == rows
