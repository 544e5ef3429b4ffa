"""A spec is one value: in a form, in an operation, in a row and out of it again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core import serializers

from images.models import BaseImage, Build, ManagedImage
from images.requirements import OSPackage, PipRequirement
from images.run_time.settings import RunTime
from images.spec import ImageSpec
from tests import factories

SPEC = ImageSpec(
    "nlp",
    "3.11",
    (PipRequirement("dask", ">=2", ("array", "dataframe")), PipRequirement("six")),
    (OSPackage("libgomp1"), OSPackage("jq", "1.7")),
    allow_source=True,
)
RUN_TIME = RunTime(env=(("A", "1"),), entrypoint=("python", "-m", "serve"))


def test_its_columns_are_what_was_stored() -> None:
    """And a spec without the newer fields is stored as specs were before there were any."""
    newer = {"indexes": [], "allow_prereleases": False, "run_time": {}}
    assert SPEC.columns() == SPEC.as_json() | newer
    assert SPEC.as_json() == {
        "image_type": "nlp",
        "python_version": "3.11",
        "pip_requirements": [
            {"name": "dask", "specifier": ">=2", "extras": ["array", "dataframe"]},
            {"name": "six", "specifier": "", "extras": []},
        ],
        "os_packages": [{"name": "libgomp1", "version": ""}, {"name": "jq", "version": "1.7"}],
        "allow_source": True,
    }
    assert ImageSpec.of_columns(SPEC.columns()) == SPEC


def test_a_spec_older_than_source_builds_allows_none() -> None:
    columns = SPEC.columns()
    del columns["allow_source"]
    assert ImageSpec.of_columns(columns) == replace(SPEC, allow_source=False)


def test_run_time_settings_are_stored_where_there_are_any() -> None:
    spec = replace(SPEC, run_time=RUN_TIME)
    assert spec.as_json()["run_time"] == {
        "env": {"A": "1"},
        "entrypoint": ["python", "-m", "serve"],
    }
    assert ImageSpec.of_columns(spec.as_json()) == spec
    assert spec.same_content(SPEC)
    assert not spec.same_content(replace(SPEC, image_type="all"))


def test_prereleases_make_another_spec_of_it() -> None:
    other = replace(SPEC, allow_prereleases=True)
    assert other != SPEC
    assert other.as_json()["allow_prereleases"] is True
    assert ImageSpec.of_columns(other.as_json()) == other
    assert ImageSpec.of_columns(SPEC.as_json()) == SPEC


@pytest.mark.django_db
def test_rows_give_back_the_value_that_they_were_given(base: BaseImage) -> None:
    image = factories.make_image("churn", base=base)
    image.spec = SPEC
    image.save()
    image.builds.update(spec=SPEC)
    assert ManagedImage.objects.get().spec == SPEC
    assert image.builds.get().spec == SPEC
    assert image.builds.filter(spec=SPEC).exists()


@pytest.mark.django_db
def test_the_database_looks_into_the_stored_spec(base: BaseImage) -> None:
    image = factories.make_image("churn", base=base)
    assert image.builds.filter(spec__os_packages=[], spec__allow_source=False).exists()
    image.builds.update(spec=SPEC)
    found = image.builds.filter(spec__allow_source=True, spec__image_type="nlp")
    assert list(found.values_list("spec__python_version", flat=True)) == ["3.11"]
    assert not image.builds.filter(spec__os_packages=[]).exists()


@pytest.mark.django_db
def test_a_dumped_row_holds_the_spec_as_json_and_is_loaded_again(base: BaseImage) -> None:
    image = factories.make_image("churn", base=base)
    image.builds.update(spec=SPEC)
    text = serializers.serialize("json", image.builds.all())
    (loaded,) = serializers.deserialize("json", text)
    assert isinstance(loaded.object, Build)
    assert loaded.object.spec == SPEC
