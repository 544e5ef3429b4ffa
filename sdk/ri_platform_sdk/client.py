"""The client, with a method for each operation on managed images."""

from __future__ import annotations

from ri_platform_sdk.methods.alterations import AlterationMethods
from ri_platform_sdk.methods.builds import BuildMethods
from ri_platform_sdk.methods.files import FileMethods
from ri_platform_sdk.methods.images import ImageMethods
from ri_platform_sdk.methods.instance import InstanceMethods
from ri_platform_sdk.methods.models import ModelMethods
from ri_platform_sdk.methods.registry import RegistryMethods
from ri_platform_sdk.transport import Transport


class Client(
    ImageMethods, FileMethods, BuildMethods, AlterationMethods, ModelMethods, InstanceMethods,
    RegistryMethods,
):  # fmt: skip
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

    # --- as the public client has them ---

    @staticmethod
    def pip_requirement(
        name: str, version_specifier: str | None = None, index: str | None = None
    ) -> dict[str, str]:
        """A requirement for `create_managed_image`, from a name and a specifier or a bare version.

        `index` is the name of the index that it has to come from, if it matters.
        """
        found = {"name": name, "versionSpecifier": version_specifier or ""}
        return {**found, "index": index} if index else found

    @staticmethod
    def os_requirement(name: str, version_specifier: str | None = None) -> dict[str, str]:
        """An OS package for `create_managed_image`, from a name and a version."""
        return {"name": name, "versionSpecifier": version_specifier or ""}

    @staticmethod
    def pip_library_filter(name: str, fixed_version: str | None = None) -> dict[str, str]:
        """A filter for `list_managed_images`, from a name and a version."""
        return {"name": name, "version": fixed_version or ""}
