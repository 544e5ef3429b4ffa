"""Markup that is rendered once, and filled in many times."""

from __future__ import annotations

import pytest
from django.template import Context, Template

from ri_platform.places import fill, place


def test_a_place_passes_a_template_and_its_escaping_as_it_is() -> None:
    template = Template('<a href="?copy={{ name|urlencode }}">{{ name }}</a>{{ installed }}')
    markup = template.render(Context({"name": place("name"), "installed": place("installed0")}))
    filled = fill(markup, {"name": "churn", "installed0": "numpy 2"})
    assert filled == '<a href="?copy=churn">churn</a>numpy 2'


def test_a_value_that_looks_like_a_place_stays_as_it_is() -> None:
    assert fill(place("a") + place("b"), {"a": place("b"), "b": "x"}) == place("b") + "x"


def test_a_place_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill(place("a"), {})
