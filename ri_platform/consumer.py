"""Celery's consumer without delayed delivery, for which it would declare 28 unused quorum queues."""

from __future__ import annotations

from celery.worker import consumer

STEPS = [step for step in consumer.Consumer.Blueprint.default_steps if "delayed" not in step]


class Consumer(consumer.Consumer):
    Blueprint = type("Blueprint", (consumer.Consumer.Blueprint,), {"default_steps": STEPS})
