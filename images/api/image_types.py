"""Image types in requests and answers: the platform's words, and those of public clients before 2.0."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from images.models import ImageType

PREFIX = "BASE_IMAGE_TYPE_"
EARLIER = {PREFIX + "DEFAULT": ImageType.ALL, **{PREFIX + item.name: item for item in ImageType}}


def platform_word(name: Any) -> Any:
    """The platform's word for an earlier client's; anything else as it is."""
    if name in EARLIER:
        return EARLIER[name]
    if isinstance(name, str) and name.startswith(PREFIX):
        # BASE_IMAGE_TYPE_SECURITY: the original had an image for its own security tests.
        wanted = name.removeprefix(PREFIX).lower()
        told = f"The platform provides no base image of type {wanted}"
        raise PydanticCustomError("no_base_image", "{told}", {"told": told})
    return name


def earlier_word(image_type: str) -> str:
    return PREFIX + image_type.upper()


# An image type in a request.
AnyImageType = Annotated[
    ImageType,
    BeforeValidator(platform_word),
    WithJsonSchema({"type": "string", "enum": [*ImageType.values, *EARLIER]}),
]
