"""Work of the Celery workers, one module a task: builds, imports, upgrades, retention, delivery."""
