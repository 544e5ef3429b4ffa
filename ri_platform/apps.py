from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class PlatformConfig(AppConfig):
    """The app of the shared parts: the message queue's schema in PostgreSQL, checks, Celery."""

    name = "ri_platform"
    verbose_name = "RI Platform"

    def ready(self) -> None:
        # The system checks, what follows requests, and the Celery application that tasks are sent by.
        # Not in the package's __init__: each layer process would load Celery and Django with it.
        from ri_platform import celery, checks, request_log  # noqa: F401


class StaticFiles(StaticFilesConfig):
    """Django's staticfiles without files that no page uses, since compressing them is slow."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "redoc*"]


class OperatorsConfig(AdminConfig):
    """Django's admin, for operators alone."""

    default_site = "ri_platform.operators.OperatorsSite"
