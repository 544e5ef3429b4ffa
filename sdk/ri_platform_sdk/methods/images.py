"""Images: create, alter, find, remove, restore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.errors import NotFound
from ri_platform_sdk.files import Files
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.models import (
    Comparison,
    Image,
    Match,
    RemovedImage,
)
from ri_platform_sdk.requirements import Requirements
from ri_platform_sdk.running import RunTime
from ri_platform_sdk.specs import Spec


class ImageMethods(Sender):
    def create_managed_image(
        self,
        name: str,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        files: Files | None = None,
        groups: Iterable[str] | None = None,
        extras: Iterable[str] | None = None,
        indexes: Iterable[str] | None = None,
        allow_source: bool = False,
        allow_prereleases: bool = False,
        import_policy: str = "",
        run_time: RunTime | None = None,
        description: str = "",
    ) -> Image:
        """Have a new image built; the build goes on in the background.

        `requirements` are strings like `"numpy>=2"`, or pairs of name and specifier. `files` are paths of
        files that name libraries, such as a requirements.txt, pyproject.toml, uv.lock or environment.yml, or
        texts as `RequirementFile`; the server reads them, and keeps them with the image. `groups` and
        `extras` choose among those of the files. `indexes` are names of explicit indexes of the instance,
        such as `pytorch-cpu`, from which any of the libraries may come. `package_requirements` are packages
        of the base image's operating system. `run_time` are the settings that a container starts with,
        such as `RunTime(env={"OMP_NUM_THREADS": "4"})`. `image_type` is `all`, `images`, `nlp` or
        `tabular`, `all` unless given; `python_version` is `X.Y`, else the one that the files name, else the
        newest. `description` is a sentence for people. With `allow_source`, libraries without a wheel are
        built from source; with `allow_prereleases`, or `--pre` in a file, pre-releases count as releases.
        Beside a complete lock, no `requirements` are taken. `import_policy` says what becomes of libraries
        that cannot be imported: `warn` tells of them, `refuse` fails the build, `off` tries none; empty is as
        the instance has it.

        Raises `Conflict` if the name is taken, `InvalidRequest` for what cannot be asked for.

        Example:
            >>> client.create_managed_image("pricing", ["pyjokes"], python_version="3.11").status
            'BUILDING_FIRST_TIME'
            >>> file = RequirementFile("pyproject.toml", '[dependency-groups]\\nserve = ["six"]')
            >>> client.create_managed_image("serving", files=[file], groups=["serve"]).requirements
            ('six',)
        """
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return self.send(calls.create(name, spec, import_policy, description))

    def update_managed_image(
        self,
        name: str,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        files: Files | None = None,
        groups: Iterable[str] | None = None,
        extras: Iterable[str] | None = None,
        indexes: Iterable[str] | None = None,
        allow_source: bool | None = None,
        allow_prereleases: bool | None = None,
        run_time: RunTime | None = None,
    ) -> Image:
        """Make a new revision of an image; what is not given stays, and the present one stays usable.

        Raises `Conflict` while a build of it is under way, and `Forbidden` for an image of others: create
        one of your own with what it asks for.

        Example:
            >>> client.update_managed_image("hello", ["pyjokes==0.8.3", "six"]).status
            'REBUILDING'
        """
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return self.send(calls.update(name, spec))

    def describe_managed_image(self, name: str, description: str) -> Image:
        """Set what people read about an image; nothing is built. Raises `Forbidden` for an image of others.

        Example:
            >>> client.describe_managed_image("hello", "Tells jokes.").description
            'Tells jokes.'
        """
        return self.send(calls.describe(name, description))

    def get_managed_image(self, name: str) -> Image:
        """An image with its libraries and its newest build. Raises `NotFound`.

        Example:
            >>> client.get_managed_image("hello").requirements
            ('pyjokes==0.8.3',)
        """
        return self.send(calls.get(name))

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
        self,
        pip_library_filters: Iterable[Any] = (),
        *,
        search: str = "",
        status: str = "",
        page_size: int = 100,
    ) -> Iterator[Image]:
        """All images by name, fetched in pages; with filters, those that have all of these installed.

        A filter is `"numpy"`, `"numpy==2.4.6"`, or a pair of name and version. `search` is a part of the
        name, or how the name of a library begins; `status` is one of `Image.status`.

        Example:
            >>> [image.name for image in client.list_managed_images(["pyjokes==0.8.3"])]
            ['hello']
        """
        filters = list(pip_library_filters)
        yield from self._pages(
            lambda token: calls.page(filters, token, page_size, search=search, status=status)
        )

    def match_managed_images(
        self,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        files: Files | None = None,
        groups: Iterable[str] | None = None,
        extras: Iterable[str] | None = None,
        limit: int = 20,
    ) -> tuple[Match, ...]:
        """READY images that meet requirements, the smallest first; then those that meet some of them.

        Example:
            >>> [(m.image.name, m.satisfies) for m in client.match_managed_images(["pyjokes>=0.8"])]
            [('hello', True)]
        """
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras
        )
        return self.send(calls.match(spec, limit))

    def delete_managed_image(self, name: str) -> None:
        """Remove an image from the instance, for everybody.

        Raises `Forbidden` unless the token's user is an Organization Administrator, `NotFound`.

        Example:
            >>> client.delete_managed_image("nobody")
            Traceback (most recent call last):
                ...
            ri_platform_sdk.errors.NotFound: There is no managed image named nobody.
        """
        self.send(calls.delete(name))

    def restore_managed_image(self, name: str) -> Image:
        """Bring a removed image back with all its builds; models that ran on it run on it again.

        Raises `Forbidden` unless the token's user is an Organization Administrator, `NotFound` if no image of
        this name was removed, `Conflict` if it is being deleted.
        """
        return self.send(calls.restore(name))

    def list_removed_images(self) -> Iterator[RemovedImage]:
        """Images that were removed and are not deleted yet, by name. For Organization Administrators.

        Example:
            >>> [image.name for image in client.list_removed_images()]
            []
        """
        yield from self._pages(lambda token: calls.removed_images(token, 100))

    def compare_managed_images(self, left: str, right: str) -> Comparison:
        """The differences between two images; `"name@3"` is the build 3, `"name"` the current one.

        Example:
            >>> client.compare_managed_images("hello", "hello@1").libraries.changed
            ()
        """
        return self.send(calls.compare(left, right))
