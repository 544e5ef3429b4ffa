"""Models of a workspace, and the images that they run on."""

from __future__ import annotations

from ri_platform_sdk import calls
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.ml_models import DefaultImage, MissingModule, Model, ModelImage


class ModelMethods(Sender):
    def list_models(self, workspace_id: str) -> tuple[Model, ...]:
        """The models of a workspace by name; its id stands in the console's address."""
        return tuple(self._pages(lambda token: calls.list_models(workspace_id, token)))

    def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """Have a model run on another managed image, pinned to one of its builds if that is given.

        If the image is being built for the first time, it is the model's `next_image` until it is ready.
        Raises `NotFound`, or `Conflict` if the model runs on it already.
        """
        return self.send(calls.swap_model_image(model_id, name, build))

    def swap_model_to_default(self, model_id: str) -> Model:
        """Have a model run on the default image of its workspace, whichever that is from now on.

        Raises `Conflict` if the workspace has none, or if the model has no image of its own.
        """
        return self.send(calls.swap_model_to_default(model_id))

    def resolve_model_image(self, model_id: str) -> ModelImage:
        """Return the image to pull for a model, by digest. A program that starts the model asks each time.

        Raises `Unavailable` while its first build goes on, after asking again a few times, and `Conflict` if
        there is no image that it could run on.
        """
        return self.send(calls.resolve_model_image(model_id))

    def resolve_workspace_image(self, workspace_id: str, model_id: str | None = None) -> ModelImage:
        """Return the image to pull for a run: the model's own, else the workspace's default.

        Without a model it is the default. Raises `NotFound` if there is neither, else as
        `resolve_model_image`.

        Example:
            >>> workspace = client.get_identity().workspace_id
            >>> _ = client.set_default_image(workspace, "hello")
            >>> client.resolve_workspace_image(workspace).source
            'WORKSPACE_DEFAULT'
            >>> client.clear_default_image(workspace)
        """
        return self.send(calls.resolve_workspace_image(workspace_id, model_id))

    def get_default_image(self, workspace_id: str) -> DefaultImage:
        """The default image of a workspace. Raises `NotFound` if it has none."""
        return self.send(calls.default_image(workspace_id))

    def set_default_image(
        self, workspace_id: str, name: str, build: int | None = None
    ) -> DefaultImage:
        """Have models without an image of their own run on a managed image, or always on one of its builds.

        For administrators of the workspace. Raises `NotFound`, or `Conflict` if it cannot be pulled yet.
        """
        return self.send(calls.set_default_image(workspace_id, name, build))

    def clear_default_image(self, workspace_id: str) -> None:
        """Leave a workspace without a default image. Raises `NotFound` if it has none."""
        self.send(calls.clear_default_image(workspace_id))

    def explain_missing_module(
        self, model_id: str, module: str, *, propose: bool = True
    ) -> MissingModule:
        """Which library brings a module that a run could not import, and which images have it.

        `module` is its name, or the error's line with `No module named`. With `propose`, an alteration that
        adds the library to the model's image is resolved, if the token's user may alter that:
        `wait_for_alteration` waits for what it changes.
        """
        return self.send(calls.explain_missing_module(model_id, module, propose))
