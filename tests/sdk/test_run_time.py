"""Run-time settings by the SDK and the command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ri_platform_sdk import Client, InvalidRequest, NotFound, RunTime

from images.models import BaseImage, ManagedImage
from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt, in_a_thread

PromptOf = Callable[..., Prompt]


@pytest.mark.django_db(transaction=True)
def test_settings_are_options_and_an_argument(
    prompt_of: PromptOf, instance: Instance, cast: Cast, base: BaseImage
) -> None:
    run = prompt_of(cast.member)
    settings = ("--env", "A=1=2", "--env", "B=x", "--workdir", "/app", "--entrypoint", "run 'a b'")
    made = run("create", "churn", "six", *settings, "--label", "com.example=1", "--no-wait")
    assert made.exit_code == 0, made.output
    assert re.search(r"^Variables +A=1=2 B=x$", made.stdout, re.MULTILINE), made.output
    assert ManagedImage.objects.get().spec.run_time.entrypoint == ("run", "a b")
    assert run("create", "x", "six", "--env", "A").exit_code == 2

    def use() -> None:
        with Client(instance.domain, str(run.environment["RI_API_TOKEN"])) as client:
            found = client.get_managed_image("churn").run_time
            assert (found.env, found.working_dir) == ({"A": "1=2", "B": "x"}, "/app")
            with pytest.raises(InvalidRequest, match="looks like the name of a secret"):
                client.create_managed_image("no", ["six"], run_time=RunTime(env={"A_TOKEN": "x"}))
            assert client.describe_managed_image("churn", "It scores.").description == "It scores."
            with pytest.raises(NotFound):
                client.set_channel("churn", "stable", 1)
            proposed = client.preview_alteration("churn", run_time=RunTime(env={}, user="7"))
            assert (proposed.run_time.env, proposed.run_time.user) == ({}, "7")
            assert proposed.run_time.entrypoint == ("run", "a b")

    in_a_thread(use)
    told = run("describe", "churn", "It tells jokes.")
    assert re.search(r"^About +It tells jokes\.$", told.stdout, re.MULTILINE), told.output
    assert run("create", "told", "six", "--description", "Six.", "--no-wait").exit_code == 0
    assert ManagedImage.objects.get(name="told").description == "Six."
