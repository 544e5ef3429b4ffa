"""The admin's form for the import of a base image."""

from __future__ import annotations

from datetime import date

from django import forms

from images.models import BaseImage, ImageType, PythonVersion
from images.models.base_source import Source
from ri_platform.errors import Invalid


class ImportForm(forms.ModelForm[BaseImage]):
    """The fields of an import; the rest is found by looking into the image."""

    image_type = forms.ChoiceField(choices=ImageType.choices)
    python_version = forms.ChoiceField(choices=PythonVersion.choices)
    platform_version = forms.CharField(
        max_length=64, help_text="Tells versions of a base image apart.",
        initial=lambda: date.today().strftime("%Y.%m.%d"),
    )  # fmt: skip
    source = forms.CharField(
        max_length=400,
        help_text="registry:python:3.11-slim or suite:bookworm; files of a worker's own by manage.py.",
    )

    class Meta:
        model = BaseImage
        fields = ("image_type", "python_version", "platform_version", "source")

    def _post_clean(self) -> None:
        """Whether such a version is there is the operation's to tell: one that failed is tried again."""

    def clean_source(self) -> str:
        try:
            source = Source.parse(self.cleaned_data["source"])
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error
        if not all(kind.may_be_asked_for for kind in source.kinds):
            raise forms.ValidationError(
                "A worker's own files and the catalogue are for manage.py: "
                "import_base_image and build_base_image."
            )
        return str(source)
