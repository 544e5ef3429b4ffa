"""The part of a form that says which libraries something needs: text, files, and what was read of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from images.queries.file_requirements import FilesRead, read_for_image
from images.requirement_files import Supplied, SuppliedFile, files_of_zip
from images.requirement_files.configured import TYPED
from images.requirements import RequirementErrors
from ri_platform.errors import Invalid

if TYPE_CHECKING:
    Upload = UploadedFile[bytes]
else:
    Upload = UploadedFile

MAX_NAME = 255
MONOSPACE = {"class": "form-control font-monospace", "spellcheck": "false", "autocomplete": "off"}
# The files are read anew whenever a field with this attribute changes.
READ = {"data-read": ""}


class FilesInput(forms.FileInput):
    allow_multiple_selected = True

    def value_from_datadict(
        self, data: Any, files: MultiValueDict[str, Upload], name: str
    ) -> list[Upload]:
        return files.getlist(name) if isinstance(files, MultiValueDict) else []


class FilesField(forms.Field):
    """Uploaded files as texts, and a sentence about each that is none. A zip counts as the files in it."""

    def clean(self, value: list[Upload]) -> tuple[list[SuppliedFile], list[str]]:
        found: list[SuppliedFile] = []
        problems: list[str] = []
        for uploaded in value:
            name, raw = uploaded.name or "", uploaded.read()
            try:
                if name.lower().endswith(".zip"):
                    found += files_of_zip(raw)
                else:
                    found.append(SuppliedFile(name, raw.decode("utf-8-sig")))
            except UnicodeDecodeError:
                problems.append(f"{name} is not text in UTF-8; save it as that, or paste its text.")
            except ValueError as error:
                problems.append(f"{name}: {error}")
        return found, problems


class ReadingForm(forms.Form):
    """A form whose requirements are read while they are given."""

    # The field that takes uploads, whose problems a checked form tells.
    upload_field = "uploads"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read: FilesRead | None = None
        # Sentences about uploads that could not be read, on a form without errors.
        self.unread: list[str] = []

    def checked(self) -> Self:
        """The posted form as it was filled in, with what was read and without complaints of other fields."""
        self.full_clean()
        posted = {
            name: field.widget.value_from_datadict(self.data, self.files, name)
            for name, field in self.fields.items()
            if not field.widget.needs_multipart_form
        }
        shown = type(self)(initial=posted)
        shown.unread = [str(error) for error in self.errors.get(self.upload_field, [])]
        shown.take_reading(self)
        return shown

    def take_reading(self, other: Self) -> None:
        """Show what another form has read."""
        self.read = other.read


class FilesForm(ReadingForm):
    """Typed text and files. Files come back with the form as texts, so nothing that was given is lost."""

    # Groups and extras are chosen in the form.
    offers_choices = True
    # The field of the typed text, where problems are told, too.
    typed_field = "pip_requirements"

    uploads = FilesField(
        label="Files",
        required=False,
        widget=FilesInput(attrs={"class": "form-control", "multiple": True, **READ}),
        help_text="requirements.txt, pyproject.toml, environment.yml, a lock, or an MLflow model as a zip. "
        "Several at once, 2 MB together.",
    )

    def __init__(self, *args: Any, kept: Supplied | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supply = Supplied(())
        # What was given beside the typed text.
        self.given: list[SuppliedFile] = []
        self.groups: set[str] = set()
        self.extras: set[str] = set()
        if kept is not None and not self.is_bound:
            typed = [file.text for file in kept.files if file.name == TYPED]
            self.initial[self.typed_field] = "".join(typed)
            self.given = [file for file in kept.files if file.name != TYPED]
            self.groups, self.extras = set(kept.groups), set(kept.extras)
            self.read_initial()

    def supplied(self, typed: str) -> Supplied:
        files = [SuppliedFile(TYPED, typed)] if typed.strip() else []
        return Supplied(
            (*files, *self.given), tuple(sorted(self.groups)), tuple(sorted(self.extras))
        )

    def clean_uploads(self) -> list[SuppliedFile]:
        """An upload takes the place of a text of its name."""
        uploaded, problems = self.cleaned_data["uploads"]
        names = {file.name for file in uploaded}
        self.given = [*(file for file in self.posted() if file.name not in names), *uploaded]
        if problems:
            raise ValidationError(problems)
        found: list[SuppliedFile] = uploaded
        return found

    def posted(self) -> Iterator[SuppliedFile]:
        """The files that the page held as texts, without those that were emptied or left out."""
        data = self.data if isinstance(self.data, QueryDict) else QueryDict()
        self.groups, self.extras = set(data.getlist("groups")), set(data.getlist("extras"))
        dropped = set(data.getlist("file_dropped"))
        for name, text in zip(data.getlist("file_name"), data.getlist("file_text"), strict=False):
            printable = "".join(letter for letter in name if letter.isprintable())[:MAX_NAME]
            if printable and name not in dropped and text.strip():
                yield SuppliedFile(printable, unix_lines(text))

    def clean(self) -> dict[str, Any]:
        """Reads all that was given, into `read`; the requirements take the place of the typed text."""
        values = super().clean() or {}
        typed = unix_lines(values.get(self.typed_field, ""))
        self.supply = self.supplied(typed)
        try:
            self.read_anew(
                self.supply, values.get("image_type", ""), values.get("python_version", "")
            )
            if self.read is not None:
                values[self.typed_field] = self.read.requirements(field=self.typed_field)
        except RequirementErrors as error:
            self.add_error(self.typed_field, error.sentences)
        except Invalid as error:
            self.add_error("uploads" if error.field == "files" else None, str(error))
        return values

    def read_initial(self) -> None:
        """Read what an image keeps, so that its page shows it at once."""
        try:
            self.read_anew(
                self.supplied(self.initial.get(self.typed_field, "")),
                self.initial.get("image_type", ""),
                self.initial.get("python_version", ""),
            )
        except Invalid:
            # What was taken once and is not any more is told when the form is posted.
            self.read = None

    def read_anew(self, supplied: Supplied, image_type: str, python_version: str) -> None:
        """Choices that no file offers any more are dropped with what offered them. Raises `Invalid`."""
        if not supplied.files:
            return
        self.read = read_for_image(supplied, image_type, python_version)
        groups, extras = self.read.reading.groups, self.read.reading.extras
        if self.groups <= set(groups) and self.extras <= set(extras):
            return
        self.groups &= set(groups)
        self.extras &= set(extras)
        self.supply = Supplied(
            supplied.files, tuple(sorted(self.groups)), tuple(sorted(self.extras))
        )
        self.read = read_for_image(self.supply, image_type, python_version)

    def take_reading(self, other: Self) -> None:
        super().take_reading(other)
        self.given, self.groups, self.extras = other.given, other.groups, other.extras


def unix_lines(text: str) -> str:
    """A text as it was before a browser made its line ends CRLF."""
    return text.replace("\r\n", "\n")
