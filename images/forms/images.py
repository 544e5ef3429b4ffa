"""Forms of images and models: text in, an `ImageSpec` out, each problem at its line."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from images.forms.files import MONOSPACE, READ, FilesForm, ReadingForm
from images.forms.run_time import RunTimeForm, run_time_initial
from images.forms.sources import SourcesForm
from images.models import ImageType, ManagedImage, MLModel, PythonVersion
from images.models.managed_image import name_validator
from images.operations.ml_models import EditModel
from images.queries.base_images import base_images_for_form, musl_notice
from images.queries.capabilities import os_packages_refusal, source_builds_refusal
from images.queries.file_requirements import read_for_image
from images.queries.images import copy_name
from images.queries.import_checks import policy_choices
from images.requirement_files import Supplied, SuppliedFile
from images.requirement_files.configured import MAX_SUPPLIED, TYPED
from images.requirements import (
    MAX_REQUIREMENTS_TEXT,
    OSPackage,
    RequirementErrors,
    parse_os_packages,
)
from images.spec import ImageSpec
from ri_platform.text import OneLineField, column_length


class SpecForm(RunTimeForm, SourcesForm, FilesForm):
    """Base image, libraries, where they come from, OS packages and run-time settings."""

    image_type = forms.ChoiceField(
        label="Image type",
        widget=forms.Select(attrs={"class": "form-select", **READ}),
        help_text="The use case that the base image is made for.",
    )
    python_version = forms.ChoiceField(
        label="Python version",
        required=False,
        widget=forms.Select(attrs={"class": "form-select", **READ}),
    )
    pip_requirements = forms.CharField(
        label="Libraries",
        required=False,
        max_length=MAX_SUPPLIED,
        strip=False,
        widget=forms.Textarea(
            attrs={
                **MONOSPACE,
                **READ,
                "rows": 8,
                "placeholder": "numpy>=2\npandas==2.3.3\nscikit-learn",
            }
        ),
        help_text="One a line, with an optional version, or paste the file that you have. Files can be "
        "dropped here.",
    )
    os_packages = forms.CharField(
        label="OS packages",
        required=False,
        max_length=20_000,
        strip=False,
        widget=forms.Textarea(attrs={**MONOSPACE, "rows": 3, "placeholder": "libgomp1"}),
        help_text="One a line, as name or name=version.",
    )

    allow_source = forms.BooleanField(
        label="Build from source what has no wheel",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
        help_text="It runs the library's own build code, in the base image with the OS packages above "
        "and without any network but the package index.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("kept") is not None:
            self.leave_out_said()
        self.available = base_images_for_form()
        types = [(value, ImageType(value).label) for value in self.available]
        versions = PythonVersion.newest_first(
            {version for found in self.available.values() for version in found}
        )
        self.fields["image_type"].choices = types  # type: ignore[attr-defined]
        self.fields["python_version"].choices = [  # type: ignore[attr-defined]
            ("", "As the files say, else the newest"),
            *((version, version) for version in versions),
        ]
        if musl := musl_notice():
            self.fields["image_type"].help_text += f" {musl}"
        self.os_packages_refusal = os_packages_refusal()
        if self.os_packages_refusal:
            self.fields["os_packages"].widget.attrs["disabled"] = True
            self.fields["os_packages"].help_text = self.os_packages_refusal
        if refusal := source_builds_refusal():
            self.fields["allow_source"].widget.attrs["disabled"] = True
            self.fields["allow_source"].help_text = refusal

    def leave_out_said(self) -> None:
        """What the kept files say is ticked by them, and goes with their lines."""
        chosen = self.initial.get("indexes", [])
        self.initial["indexes"] = [name for name in chosen if name not in self.said_indexes]
        if self.said_prereleases:
            self.initial["allow_prereleases"] = False

    @property
    def said_indexes(self) -> tuple[str, ...]:
        return self.read.indexes if self.read else ()

    @property
    def said_prereleases(self) -> bool:
        return self.read is not None and self.read.allow_prereleases

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if "uploads" not in self.errors and not values.get("pip_requirements", True):
            self.add_error("pip_requirements", "Name at least one library.")
        return values

    def clean_os_packages(self) -> list[OSPackage]:
        try:
            return parse_os_packages(self.cleaned_data["os_packages"])
        except RequirementErrors as error:
            raise ValidationError(error.sentences) from error

    def spec(self) -> ImageSpec:
        assert self.read is not None, "the form is valid"
        return ImageSpec(
            image_type=self.cleaned_data["image_type"],
            python_version=self.cleaned_data["python_version"] or self.read.python_version,
            pip_requirements=self.cleaned_data["pip_requirements"],
            os_packages=tuple(self.cleaned_data["os_packages"]),
            allow_source=self.cleaned_data["allow_source"],
            indexes=self.wanted_indexes,
            allow_prereleases=self.wants_prereleases,
            run_time=self.run_time(),
        )

    def spec_beside(self, image: ManagedImage | None) -> ImageSpec:
        """The spec, with the indexes that the libraries of `image` have and no text says."""
        return self.spec() if image is None else self.spec().with_places_of(image.spec)


class DescriptionField(OneLineField):
    """The sentence for people about an image."""

    def __init__(self) -> None:
        super().__init__(
            label="Description",
            required=False,
            max_length=column_length(ManagedImage, "description"),
            widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
            help_text="What the image is for, as plain text.",
        )


class DescriptionForm(forms.Form):
    description = DescriptionField()


class NewImageForm(SpecForm):
    name = OneLineField(
        min_length=2,
        max_length=128,
        validators=[name_validator],
        help_text="Lower-case letters, digits, - and _, for example churn-xgboost. "
        "It cannot be changed later.",
        widget=forms.TextInput(attrs={**MONOSPACE, "autocapitalize": "none"}),
    )
    description = DescriptionField()
    import_policy = forms.ChoiceField(
        label="If a library cannot be imported",
        required=False,
        choices=policy_choices,
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="The libraries are imported in a sandbox, without any network.",
    )
    field_order = ("name", "description")


def spec_initial(image: ManagedImage) -> dict[str, Any]:
    """The form's fields as they would say what `image` was asked for."""
    spec = image.spec
    return {
        "image_type": spec.image_type,
        "python_version": spec.python_version,
        "os_packages": "\n".join(map(str, spec.os_packages)),
        "allow_source": spec.allow_source,
        **run_time_initial(spec.run_time),
        "indexes": list(spec.indexes),
        "allow_prereleases": spec.allow_prereleases,
    }


def kept_files(image: ManagedImage) -> Supplied | None:
    """What an image's form begins with: the files as they were given, or else the libraries one by one."""
    if (found := image.requirement_files) is not None:
        return found.supplied
    text = "\n".join(item.line for item in image.spec.pip_requirements)
    return Supplied((SuppliedFile(TYPED, text),)) if text else None


def copy_initial(image: ManagedImage) -> dict[str, Any]:
    """The form of a new image as it begins for a copy of `image`."""
    return {**spec_initial(image), "name": copy_name(image)}


class ModelForm(ReadingForm):
    """A model and its requirements, which are typed or uploaded as a file."""

    upload_field = "requirements_file"

    name = OneLineField(
        max_length=120,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )
    python_version = forms.ChoiceField(
        label="Python version",
        choices=PythonVersion.choices,
        widget=forms.Select(attrs={"class": "form-select", **READ}),
    )
    requirements = forms.CharField(
        required=False,
        max_length=MAX_REQUIREMENTS_TEXT,
        strip=False,
        widget=forms.Textarea(
            attrs={
                **MONOSPACE,
                **READ,
                "rows": 8,
                "placeholder": "xgboost==1.7.6\npandas>=2,<3",
            }
        ),
        help_text="What the model imports, one a line, or paste the file that you have.",
    )
    requirements_file = forms.FileField(
        label="Or a requirements file",
        required=False,
        widget=forms.FileInput(attrs={"class": "form-control", **READ}),
        help_text="It takes the place of what is typed above.",
    )

    def clean_requirements_file(self) -> None:
        """A file's text stands in `requirements` from then on, so it comes back with the form."""
        uploaded = self.cleaned_data["requirements_file"]
        if not uploaded:
            return
        if uploaded.size > MAX_REQUIREMENTS_TEXT:
            raise ValidationError("The file is too large to be a list of requirements.")
        try:
            text = uploaded.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValidationError("The file is not text in UTF-8.") from error
        self.cleaned_data["requirements"] = text
        self.data = {**self.data, "requirements": text}

    def clean(self) -> dict[str, Any]:
        """Reads the requirements for the model's Python, into `read`."""
        values = super().clean() or {}
        text = values.get("requirements", "")
        if text.strip():
            supplied = Supplied((SuppliedFile(TYPED, text),))
            self.read = read_for_image(supplied, "all", values.get("python_version", ""))
            try:
                self.read.requirements(field="requirements")
            except RequirementErrors as error:
                self.add_error("requirements", error.sentences)
        return values

    def command(self) -> EditModel:
        return EditModel(
            self.cleaned_data["name"],
            self.cleaned_data["description"],
            self.cleaned_data["python_version"],
            self.cleaned_data["requirements"],
        )


class FittingImageForm(SourcesForm):
    """An image with what a model needs."""

    name = OneLineField(
        label="Name of the new image",
        min_length=2,
        max_length=128,
        validators=[name_validator],
        widget=forms.TextInput(attrs={**MONOSPACE, "autocapitalize": "none"}),
        help_text="Lower-case letters, digits, - and _. It cannot be changed later.",
    )
    field_order = ("name",)

    def __init__(self, *args: Any, model: MLModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    @property
    def said_indexes(self) -> tuple[str, ...]:
        return tuple(self.model.indexes)

    @property
    def said_prereleases(self) -> bool:
        return self.model.allow_prereleases


class ExternalImageForm(forms.Form):
    reference = OneLineField(
        label="Image reference",
        max_length=512,
        widget=forms.TextInput(
            attrs={**MONOSPACE, "placeholder": "registry.example.com/team/image:1.2"}
        ),
        help_text="By digest (image@sha256:…), it stays the same image whatever is pushed later.",
    )
    pull_secret = OneLineField(
        label="Pull secret",
        required=False,
        max_length=253,
        widget=forms.TextInput(attrs=MONOSPACE),
        help_text="The name of the secret that holds the registry's credentials, not the secret itself.",
    )
