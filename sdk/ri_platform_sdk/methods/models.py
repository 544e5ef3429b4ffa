"""Models of a workspace, and the images that they run on."""

from __future__ import annotations

from ri_platform_sdk import calls
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.models import Model, ModelImage


class ModelMethods(Sender):
    def list_models(self, workspace_id: str) -> tuple[Model, ...]:
        """The models of a workspace by name; its id stands in the console's address."""
        return self.send(calls.list_models(workspace_id))

    def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """Have a model run on another managed image, pinned to one of its builds if that is given.

        If the image is being built for the first time, it is the model's `next_image` until it is ready.
        Raises `NotFound`, or `Conflict` if the model runs on it already.
        """
        return self.send(calls.swap_model_image(model_id, name, build))

    def resolve_model_image(self, model_id: str) -> ModelImage:
        """What to pull to run a model now, by digest. For whatever starts the model, each time it does.

        Raises `Unavailable` while its first build goes on, after asking again a few times, and `Conflict` if
        there is no image that it could run on.
        """
        return self.send(calls.resolve_model_image(model_id))
