from django.apps import AppConfig


class PlatformConfig(AppConfig):
    """Owns what belongs to no product app: the message queue's schema in PostgreSQL."""

    name = "ri_platform"
    verbose_name = "RI Platform"
