from django.apps import AppConfig


class ImagesConfig(AppConfig):
    name = "images"
    verbose_name = "Managed Images"

    def ready(self) -> None:
        from images import checks  # noqa: F401  (registers the system checks)
        from images.metrics import DatabaseMetrics
        from ri_platform.metrics import FACTS

        FACTS.register(DatabaseMetrics())
