"""Work that is due, over all tables that workers work on, as operators see it."""

from __future__ import annotations

from django.db import models


class TaskDue(models.Model):
    """A row of a view of the database: queued, or under way under a lease.

    `id` is the task's name and its row's number, as `run_build 12`. `since` is from when on a worker may take
    it; at `due_at` the sweeper sends it again. `queue` is the one whose workers do it.
    """

    id = models.CharField(primary_key=True, max_length=80)
    task = models.CharField(max_length=40)
    row = models.BigIntegerField()
    of = models.CharField(max_length=255)
    state = models.CharField(max_length=16)
    since = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField(null=True)
    attempts = models.IntegerField()
    error = models.TextField()
    queue = models.CharField(max_length=16)

    class Meta:
        managed = False
        db_table = "images_task_due"
        verbose_name = "task due"
        verbose_name_plural = "tasks due"

    def __str__(self) -> str:
        return f"{self.task} of {self.of}"
