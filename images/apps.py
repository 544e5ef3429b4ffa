from django.apps import AppConfig


class ImagesConfig(AppConfig):
    name = "images"
    verbose_name = "Managed Images"

    def ready(self) -> None:
        from images import checks  # noqa: F401  (registers the system checks)
