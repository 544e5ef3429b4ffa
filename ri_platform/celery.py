"""The Celery application. Tasks say which queue, and so which AWS identity, they need."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")

app = Celery("ri_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
