"""Celery's consumer without its delayed delivery: we delay no message, and it declares 28 quorum queues."""

from __future__ import annotations

from celery.worker import consumer

STEPS = [step for step in consumer.Consumer.Blueprint.default_steps if "delayed" not in step]


class Consumer(consumer.Consumer):
    Blueprint = type("Blueprint", (consumer.Consumer.Blueprint,), {"default_steps": STEPS})
