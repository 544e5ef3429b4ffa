"""`manage.py adopt_registry`: what an operator runs after the refusal has named it."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from images import wake
from images.models import Instance
from images.models.instance import MarkState
from tests import factories

MARK = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"


@pytest.fixture
def refused(db: None) -> Instance:
    return factories.make_instance(MarkState.FOREIGN, marked_by=MARK)


def test_it_ends_when_a_worker_has_seen_the_mark(
    refused: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(task: wake.Task, pk: int) -> None:
        assert task == wake.Task.SEE_MARK
        assert Instance.objects.get(pk=pk).adopting == MARK
        Instance.objects.this().saw(MarkState.OURS)

    monkeypatch.setattr(wake, "after_commit", work)
    output = StringIO()
    call_command("adopt_registry", MARK, stdout=output)
    assert f"are those of this instance, {factories.INSTANCE_ID}." in output.getvalue()
    assert Instance.objects.get().adopting == ""


def test_without_workers_it_says_that_it_is_done_later(refused: Instance) -> None:
    with pytest.raises(CommandError, match="once a registry worker and a builds worker run"):
        call_command("adopt_registry", MARK, "--seconds", "0")
    assert Instance.objects.get().adopting == MARK


def test_another_mark_than_the_one_that_was_told_is_refused(refused: Instance) -> None:
    with pytest.raises(
        CommandError, match=f"To adopt what is there: manage.py adopt_registry {MARK}"
    ):
        call_command("adopt_registry", "unmarked")
