"""Base images in the form: what those with musl cannot take is said before anything is built."""

from __future__ import annotations

from images.forms.images import NewImageForm
from tests import factories


def test_the_form_says_what_a_musl_base_takes(db: None) -> None:
    factories.make_base_image()
    assert "musl" not in str(NewImageForm().fields["image_type"].help_text)
    factories.make_base_image(image_type="nlp", libc="musl", libc_version="1.2.5")
    said = str(NewImageForm().fields["image_type"].help_text)
    assert "NLP with Python 3.11: this base image has musl instead of glibc" in said
