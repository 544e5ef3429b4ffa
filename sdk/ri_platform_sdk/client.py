"""The client: one method for each thing that can be done with managed images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.errors import BuildFailed, NotFound, WaitTimeout
from ri_platform_sdk.models import Build, Image, Match, Model, ModelImage
from ri_platform_sdk.progress import ProgressBar
from ri_platform_sdk.requirements import Requirements
from ri_platform_sdk.transport import Transport

POLL_SECONDS = 0.5


class Client:
    """Managed images on one instance, as the user of an API access token.

    `domain` is the address of the console, such as `https://images.example.org`; `api_key` a token from
    *Settings → API Access Tokens*. Every method raises a `RIPlatformError` with the server's own sentence.

    Example:
        >>> with Client(domain, api_key) as client:
        ...     image = client.create_managed_image("hello", ["pyjokes==0.8.3"])
        ...     image = client.wait_for_managed_image("hello", progress=False)
        >>> image.status
        'READY'
    """

    def __init__(self, domain: str, api_key: str, *, timeout: float = 60.0) -> None:
        self._transport = Transport(domain, api_key, timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._transport.close()

    # --- images ----------------------------------------------------------------------------------------

    def create_managed_image(
        self,
        name: str,
        requirements: Requirements,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        allow_source: bool = False,
    ) -> Image:
        """Have a new image built; the build goes on in the background.

        `requirements` are strings like `"numpy>=2"`, pairs of name and specifier, or a `pathlib.Path` of a
        requirements.txt or a pylock.toml. `package_requirements` are packages of the base image's operating
        system. `image_type` is `all`, `images`, `nlp` or `tabular`, `all` unless given; `python_version` is
        `X.Y`, the newest unless given. With `allow_source`, libraries without a wheel are built from source.

        Raises `Conflict` if the name is taken, `InvalidRequest` for what cannot be asked for.

        Example:
            >>> client.create_managed_image("pricing", ["pyjokes"], python_version="3.11").status
            'BUILDING_FIRST_TIME'
        """
        return self._transport.send(
            calls.create(
                name, requirements, package_requirements, python_version, image_type, allow_source
            )
        )

    def update_managed_image(
        self,
        name: str,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        allow_source: bool | None = None,
    ) -> Image:
        """Make a new revision of an image; what is not given stays, and the present one stays usable.

        Raises `Conflict` while a build of it is under way, and `Forbidden` for an image of others: create
        one of your own with what it asks for.

        Example:
            >>> client.update_managed_image("hello", ["pyjokes==0.8.3", "six"]).status
            'REBUILDING'
        """
        return self._transport.send(
            calls.update(
                name, requirements, package_requirements, python_version, image_type, allow_source
            )
        )

    def get_managed_image(self, name: str) -> Image:
        """An image with its libraries and its newest build. Raises `NotFound`.

        Example:
            >>> client.get_managed_image("hello").requirements
            ('pyjokes==0.8.3',)
        """
        return self._transport.send(calls.get(name))

    def has_managed_image(self, name: str, check_status: bool = False) -> bool:
        """Whether there is an image of this name; with `check_status`, whether it is ready, too.

        Example:
            >>> client.has_managed_image("hello"), client.has_managed_image("nobody")
            (True, False)
        """
        try:
            image = self.get_managed_image(name)
        except NotFound:
            return False
        return image.is_ready or not check_status

    def list_managed_images(
        self, pip_library_filters: Iterable[Any] = (), *, page_size: int = 100
    ) -> Iterator[Image]:
        """All images by name, fetched in pages; with filters, those that have all of these installed.

        A filter is `"numpy"`, `"numpy==2.4.6"`, or a pair of name and version.

        Example:
            >>> [image.name for image in client.list_managed_images(["pyjokes==0.8.3"])]
            ['hello']
        """
        filters, token = list(pip_library_filters), ""
        while True:
            page = self._transport.send(calls.page(filters, token, page_size))
            yield from page.images
            if page.next_token == token:
                return
            token = page.next_token

    def match_managed_images(
        self,
        requirements: Requirements,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        limit: int = 20,
    ) -> tuple[Match, ...]:
        """READY images that meet requirements, the smallest first; then those that meet some of them.

        Example:
            >>> [(m.image.name, m.satisfies) for m in client.match_managed_images(["pyjokes>=0.8"])]
            [('hello', True)]
        """
        return self._transport.send(
            calls.match(requirements, package_requirements, python_version, image_type, limit)
        )

    def delete_managed_image(self, name: str) -> None:
        """Remove an image from the instance, for everybody.

        Raises `Forbidden` unless the token's user is an Organization Administrator, `NotFound`.

        Example:
            >>> client.delete_managed_image("nobody")
            Traceback (most recent call last):
                ...
            ri_platform_sdk.errors.NotFound: There is no managed image named nobody.
        """
        self._transport.send(calls.delete(name))

    # --- builds ----------------------------------------------------------------------------------------

    def wait_for_managed_image(
        self,
        name: str,
        *,
        timeout: float | None = None,
        progress: bool = True,
        on_update: Callable[[Image], None] | None = None,
    ) -> Image:
        """Wait until no build of the image is under way, and return it.

        A bar shows phase and time on a terminal unless `progress` is off; `on_update` is called with the
        image about twice a second. `timeout` is in seconds. Raises `BuildFailed` with the reason, or
        `WaitTimeout`.
        """
        begun = time.monotonic()
        with ProgressBar(name, enabled=progress) as bar:
            while True:
                image = self.get_managed_image(name)
                bar.show(image)
                if on_update is not None:
                    on_update(image)
                if not image.is_building:
                    return finished(image)
                if timeout is not None and time.monotonic() - begun > timeout:
                    raise WaitTimeout(f"{name} is still being built after {timeout:.0f} seconds.")
                time.sleep(POLL_SECONDS)

    def rebuild_managed_image(self, name: str) -> Image:
        """Resolve and build an image anew from what it was asked for, for newer versions.

        Raises `Forbidden` for an image of others.

        Example:
            >>> client.rebuild_managed_image("hello").latest_build.number
            2
        """
        return self._transport.send(calls.verb(name, "rebuild"))

    def cancel_build(self, name: str) -> Image:
        """Stop the build that is under way; the image falls back to its current one, if it has one."""
        return self._transport.send(calls.verb(name, "cancel"))

    def roll_back_managed_image(self, name: str, build: int) -> Image:
        """Make an earlier build's image current again, in about a second."""
        return self._transport.send(calls.verb(name, "rollBack", {"build": build}))

    def list_builds(self, name: str) -> tuple[Build, ...]:
        """The image's newest hundred builds, newest first.

        Example:
            >>> [build.state for build in client.list_builds("hello")]
            ['succeeded']
        """
        return self._transport.send(calls.builds(name))

    def follow_log(self, name: str, build: int | None = None) -> Iterator[str]:
        """The log of a build, the newest unless given, in pieces as it is written, until it ends.

        Example:
            >>> "".join(client.follow_log("hello")).splitlines()[-1][:13]
            'Ready: sha256'
        """
        number = build if build is not None else latest_number(self.get_managed_image(name))
        offset = 0
        while True:
            piece = self._transport.send(calls.log(name, number, offset))
            if piece.text:
                yield piece.text
            if piece.done:
                return
            offset = piece.offset
            time.sleep(POLL_SECONDS)

    def get_lock(self, name: str) -> str:
        """The lock of the current build, a pylock.toml (PEP 751).

        Example:
            >>> client.get_lock("hello").splitlines()[0]
            'lock-version = "1.0"'
        """
        return self._transport.send(calls.lock(name))

    # --- models ----------------------------------------------------------------------------------------

    def list_models(self, workspace_id: str) -> tuple[Model, ...]:
        """The models of a workspace by name; its id stands in the console's address."""
        return self._transport.send(calls.list_models(workspace_id))

    def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """Have a model run on another managed image, pinned to one of its builds if that is given.

        If the image is being built for the first time, it is the model's `next_image` until it is ready.
        Raises `NotFound`, or `Conflict` if the model runs on it already.
        """
        return self._transport.send(calls.swap_model_image(model_id, name, build))

    def resolve_model_image(self, model_id: str) -> ModelImage:
        """What to pull to run a model now, by digest. For whatever starts the model, each time it does.

        Raises `Unavailable` while its first build goes on, after asking again a few times, and `Conflict` if
        there is no image that it could run on.
        """
        return self._transport.send(calls.resolve_model_image(model_id))

    # --- as the public client has them -----------------------------------------------------------------

    @staticmethod
    def pip_requirement(name: str, version_specifier: str | None = None) -> dict[str, str]:
        """A requirement for `create_managed_image`, from a name and a specifier or a bare version."""
        return {"name": name, "versionSpecifier": version_specifier or ""}

    @staticmethod
    def os_requirement(name: str, version_specifier: str | None = None) -> dict[str, str]:
        """An OS package for `create_managed_image`, from a name and a version."""
        return {"name": name, "versionSpecifier": version_specifier or ""}

    @staticmethod
    def pip_library_filter(name: str, fixed_version: str | None = None) -> dict[str, str]:
        """A filter for `list_managed_images`, from a name and a version."""
        return {"name": name, "version": fixed_version or ""}


def finished(image: Image) -> Image:
    """The image whose build has ended. Raises `BuildFailed` if it did not succeed."""
    build = image.latest_build
    if build is not None and build.state == "failed":
        raise BuildFailed(build.error_message, reason=build.error_reason, hint=build.error_hint)
    if build is not None and build.state == "cancelled":
        raise BuildFailed(
            f"Build {build.number} of {image.name} was cancelled.", reason="cancelled"
        )
    return image


def latest_number(image: Image) -> int:
    assert image.latest_build is not None
    return image.latest_build.number
