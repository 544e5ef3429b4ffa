"""`ri-images`: help, exit statuses, tables, JSON, colours, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from ri_platform_sdk.cli import main, output

from images.models import BaseImage, ImportCheck, ManagedImage, Status
from images.models.lease import WorkState
from ri_platform.local.services import free_port
from tests import factories
from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt
from tests.web_process import web_process

pytestmark = pytest.mark.slow

PromptOf = Callable[..., Prompt]
LATE = pytest.mark.django_db(transaction=True)


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(commands(main)), ids=" ".join)
def test_help_needs_no_instance_and_tells_exit_statuses(
    command: tuple[str, ...], nobodys_prompt: Prompt
) -> None:
    answer = nobodys_prompt(*command, "--help")
    assert answer.exit_code == 0
    words = " ".join(answer.output.split())
    assert re.search(
        r"Exit status: 0 if done, (1 if .+, 2 after any other|2 after an) error\.", words
    )
    assert "--json" in words
    assert "--context" in words


def test_who_is_not_signed_in_is_told_how(nobodys_prompt: Prompt) -> None:
    answer = nobodys_prompt("list")
    assert answer.exit_code == 2
    assert "ri-images login" in answer.stderr
    assert answer.stdout == ""


def test_an_instance_that_cannot_be_reached_is_an_error(nobodys_prompt: Prompt) -> None:
    answer = nobodys_prompt("show", "x", RI_DOMAIN="http://127.0.0.1:9", RI_API_TOKEN="ri_x")
    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error: http://127.0.0.1:9 cannot be reached")


def test_a_file_that_is_not_a_text_is_an_error_and_no_traceback(
    nobodys_prompt: Prompt, tmp_path: Path
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(b"\xff\x00")
    known = {"RI_DOMAIN": "http://127.0.0.1:9", "RI_API_TOKEN": "ri_x"}
    answer = nobodys_prompt("match", "-r", str(file), **known)
    assert answer.exit_code == 2
    assert answer.stderr == f"Error: {file} is not a text in UTF-8.\n"


@LATE
def test_match_ends_with_0_for_found_1_for_not_found_and_2_for_an_error(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})
    run = prompt_of(cast.member)
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("numpy>=2\npandas\n")
    found = run("match", "-r", str(wanted))
    assert (found.exit_code, "nothing" in found.stdout) == (0, True)
    partly = run("match", "numpy>=9", "pandas")
    assert (partly.exit_code, "numpy>=9 (has 2.4.6)" in partly.stdout) == (1, True)
    assert run("match", "torch").exit_code == 1
    assert run("match", "numpy=!9").exit_code == 2
    assert run("match", "torch", "-r", str(wanted)).exit_code == 1
    wanted.write_text("numpy=2.4.6\n")
    refused = run("match", "-r", str(wanted))
    assert (refused.exit_code, "write numpy==2.4.6" in refused.stderr) == (2, True)
    assert run("match", "numpy", RI_API_TOKEN="ri_wrong").exit_code == 2
    assert run("match", "numpy", "--no-such-option").exit_code == 2


@LATE
def test_what_is_not_there_ends_with_1(prompt_of: PromptOf, cast: Cast, base: BaseImage) -> None:
    run = prompt_of(cast.admin)
    for command in ("show", "log", "builds", "lock", "rebuild", "cancel", "rm"):
        answer = run(command, "nobody")
        assert answer.exit_code == 1, command
        assert answer.stderr == "Error: There is no managed image named nobody.\n"


@LATE
def test_an_image_that_lacks_a_native_library_is_shown_with_it(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_lacking_image("blind", base=base)
    shown = prompt_of(cast.viewer)("show", "blind").stdout
    assert "Missing    opencv-python needs libGL.so.1; add the OS package libgl1\n" in shown


@LATE
def test_json_is_what_the_rest_api_answers(
    prompt_of: PromptOf, instance: Instance, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6"})
    factories.make_image("fraud", base=base, libraries={"numpy": "2.4.6"}, status=Status.FAILED)
    run = prompt_of(cast.admin)
    token = run.environment["RI_API_TOKEN"]

    def rest(path: str, method: str = "GET", **options: Any) -> Any:
        headers = {"rime-api-key": str(token)}
        answer = httpx.request(method, instance.domain + path, headers=headers, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    wanted = {"pipRequirements": [{"name": "numpy", "versionSpecifier": ">=2"}]}
    assert run.json("list") == rest("/v1/images")
    assert run.json("show", "churn") == rest("/v1/images/churn")
    assert run.json("match", "numpy>=2") == rest("/v1/images:match", "POST", json=wanted)
    assert run.json("log", "churn") == rest("/v1/images/churn/builds/1/log")
    assert run.json("bases", "--all") == rest("/v1/base-images?all=true")
    failed = run.json("list", "--search", "fra", "--status", "failed")
    assert failed == rest("/v1/images?search=fra&status=STATUS_FAILED")
    assert [image["name"] for image in failed["images"]] == ["fraud"]
    shown = run.json("show", "churn")["image"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", shown["creationTime"])
    assert run.json("whoami") == rest("/v1/users/me")
    assert run.json("builds", "churn")["builds"] == rest("/v1/images/churn/builds")["builds"]
    assert run.json("sbom", "churn") == rest("/v1/images/churn/sbom")
    assert run.json("provenance", "churn", "--build", "1") == rest("/v1/images/churn/provenance")
    compared = run.json("compare", "churn", "churn@1")
    assert compared == rest("/v1/images:compare?left=churn&right=churn@1")
    filters = "event=token.&userName=admin&since=2020-01-01&pageSize=1"
    only = ("--event", "token.", "--user", "admin", "--since", "2020-01-01", "--limit", "1")
    assert run.json("audit", *only) == rest(f"/v1/audit-events?{filters}")
    started = run.json("create", "later", "numpy", "--no-wait")
    assert started["image"]["status"] == "STATUS_BUILDING_FIRST_TIME"
    assert run.json("cancel", "later")["image"]["name"] == "later"
    assert run.json("rm", "later", "--yes") == {}


@LATE
def test_people_get_tables_and_references_that_can_be_copied(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6"})
    run = prompt_of(cast.member)
    shown = run("show", "churn").stdout
    assert re.search(r"^Pull       \S+/churn@sha256:[0-9a-f]{64}$", shown, re.MULTILINE)
    head, row = run("list").stdout.splitlines()
    assert head.split() == ["Name", "Status", "Type", "Python", "Libraries", "Size", "Changed"]
    assert row.split()[:2] == ["churn", "READY"]
    # Programs sort by it; on a terminal it is "3 minutes ago".
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row.split()[-1])
    assert run("builds", "churn").stdout.splitlines()[1].split()[:3] == ["*", "1", "succeeded"]


@LATE
def test_colours_come_on_a_terminal_or_when_forced_and_never_with_no_color(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    run = prompt_of(cast.member)
    assert "\x1b[" not in run("list").stdout
    assert "\x1b[32mREADY" in run("list", FORCE_COLOR="1", TERM="xterm").stdout
    assert "\x1b[" not in run("list", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").stdout
    assert "\x1b[32m" in run("list", FORCE_COLOR="1", NO_COLOR="", TERM="xterm").stdout


@LATE
def test_who_removes_is_told_how_long_it_can_be_restored(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    run = prompt_of(cast.admin)
    kept = run("rm", "churn", stdin="n\n")
    assert kept.exit_code == 1
    assert "It can be restored for 24 hours." in kept.stderr
    assert "Nothing was changed." in kept.stderr
    assert ManagedImage.objects.existing().filter(name="churn").exists()
    removed = run("rm", "churn", "--yes")
    assert removed.exit_code == 0
    assert "For 24 hours it comes back with: ri-images restore churn" in removed.stdout
    assert not ManagedImage.objects.existing().filter(name="churn").exists()


@LATE
def test_a_removed_image_is_listed_and_restored(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    run = prompt_of(cast.admin)
    run("rm", "churn", "--yes")
    assert run.json("list")["images"] == []
    assert run("list", "--removed").stdout.splitlines()[1].split()[0] == "churn"
    assert "READY" in run("restore", "churn").stdout
    assert run.json("list", "--removed")["images"] == []
    assert run("restore", "churn").exit_code == 1
    refused = prompt_of(cast.member)("list", "--removed")
    assert refused.exit_code == 2


@LATE
def test_differences_are_told_by_a_sign(prompt_of: PromptOf, cast: Cast, base: BaseImage) -> None:
    factories.make_image("left", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})
    factories.make_image("right", base=base, libraries={"numpy": "2.5.0", "polars": "1.9"})
    run = prompt_of(cast.viewer)
    lines = [line.split() for line in run("compare", "left", "right").stdout.splitlines()]
    assert ["+", "polars", "1.9"] in lines
    assert ["-", "pandas", "3.0.1"] in lines
    assert ["~", "numpy", "2.4.6", "→", "2.5.0"] in lines
    assert run("compare", "left", "right@9").exit_code == 1


@LATE
def test_the_audit_log_is_for_administrators(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    run = prompt_of(cast.admin)
    run("rm", "churn", "--yes")
    removed = run("audit", "--event", "image.", "--all").stdout.splitlines()[1].split()
    assert removed[1:5] == ["image.removed", "admin", "sdk", "churn"]
    assert prompt_of(cast.manager)("audit").exit_code == 2
    assert run("audit", "--since", "yesterday").exit_code == 2


@pytest.mark.slow
@LATE
def test_where_nothing_can_be_restored_it_is_said_that_it_cannot_be_undone(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    run = prompt_of(cast.admin)
    with web_process(free_port(), RI_REMOVAL_GRACE_HOURS="0") as address:
        asked = run("rm", "churn", stdin="n\n", RI_DOMAIN=address)
    assert "This cannot be undone." in asked.stderr
    assert asked.exit_code == 1


@LATE
def test_a_member_is_refused_removal(prompt_of: PromptOf, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base)
    refused = prompt_of(cast.member)("rm", "churn", "--yes")
    assert refused.exit_code == 2
    assert "Only Organization Administrators" in refused.stderr


@pytest.mark.slow
@pytest.mark.network
@LATE
def test_a_build_that_fails_ends_with_1_and_its_reason(
    prompt_of: PromptOf, cast: Cast, building: None
) -> None:
    run = prompt_of(cast.member)
    waited = run("create", "broken", "no-such-library-at-all", "--json")
    assert waited.exit_code == 1
    assert "no-such-library-at-all" in waited.stderr
    assert "ri-images log broken" in waited.stderr
    assert (
        json.loads(waited.stdout)["image"]["latestBuild"]["error"]["reason"] == "resolution_failed"
    )


@LATE
def test_who_interrupts_the_waiting_is_told_that_the_build_goes_on(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_control_c(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ri_platform_sdk.methods.builds.time.sleep", press_control_c)
    stopped = prompt_of(cast.member)("create", "later", "numpy")
    assert stopped.exit_code == 130
    assert "The build goes on; see it with: ri-images log -f later" in stopped.stderr
    assert ManagedImage.objects.get(name="later").status == Status.BUILDING_FIRST_TIME


@pytest.mark.slow
@pytest.mark.network
@LATE
def test_an_alteration_is_shown_before_it_is_built(
    prompt_of: PromptOf, cast: Cast, building: None, tmp_path: Path
) -> None:
    run = prompt_of(cast.member)
    assert run("create", "hello", "pyjokes==0.8.3").exit_code == 0
    previewed = run("alter", "hello", "--add", "six")
    assert previewed.exit_code == 0
    assert re.search(r"^\+ +six ", previewed.stdout, re.MULTILINE)
    assert "Nothing was built. Add --yes" in previewed.stderr
    assert len(run.json("builds", "hello")["builds"]) == 1
    assert [
        c["name"] for c in run.json("alter", "hello", "six")["alteration"]["changes"]["added"]
    ] == ["six"]
    altered = run("alter", "hello", "--add", "six", "--drop", "PyJokes", "--yes")
    assert altered.exit_code == 0, altered.output
    assert "Asked for  six" in altered.stdout
    assert run("alter", "hello", "--drop", "numpy").exit_code == 2
    assert run("alter", "hello", "six", "--add", "numpy").exit_code == 2
    assert run("alter", "hello", "no-such-library-at-all").exit_code == 1
    file = tmp_path / "requirements.txt"
    file.write_text("six  # alone\npywin32; sys_platform == 'win32'\ntypeguard\n")
    of_file = run.json("alter", "hello", "-r", str(file), "--preview")["alteration"]
    assert [item["name"] for item in of_file["pipRequirements"]] == ["six", "typeguard"]
    assert run.json("rollback", "hello", "1")["image"]["pipRequirements"][0]["name"] == "pyjokes"
    assert run("rollback", "hello", "77").exit_code in (1, 2)
    assert run.json("rebuild", "hello")["image"]["status"] == "STATUS_READY"
    assert len(run.json("builds", "hello")["builds"]) == 4


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    assert (
        output.printable("a\x1b[2Jb\tc\n\x07")
        == "a\N{REPLACEMENT CHARACTER}[2Jb\tc\n\N{REPLACEMENT CHARACTER}"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "now"), (1, "1 second"), (59, "59 seconds"), (3600, "1 hour"), (200_000, "2 days")],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert output.duration(seconds) == words


def test_everything_the_help_lists_is_json_capable(nobodys_prompt: Prompt) -> None:
    script = nobodys_prompt.json("completion", "bash")
    assert script["shell"] == "bash"
    assert nobodys_prompt.json("context", "list") == {"contexts": []}
    assert json.loads(nobodys_prompt("context", "list", "--json").stdout) == {"contexts": []}


@LATE
def test_imports_are_shown_and_asked_for_again(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image(
        "churn", base=base, created_by=cast.member, created_in=cast.workspace
    )
    build = image.current_build
    assert build is not None
    run = prompt_of(cast.member)
    assert "never tried" in run("imports", "churn").stderr
    failure = {
        "module": "cv2",
        "requirement": "opencv-python",
        "message": "ImportError: libGL.so.1",
        "hint": "Add the OS package libgl1.",
    }
    ImportCheck.objects.create(
        manifest_digest=build.manifest_digest, build=build, state=WorkState.SUCCEEDED,
        result="failed", tried=3, failed=[failure], seconds=1.9,
    )  # fmt: skip
    shown = run("imports", "churn", "--policy", "refuse")
    assert shown.exit_code == 1
    for words in ("2 of 3 in 1.9 s", "cv2 (of opencv-python)", "libGL.so.1", "libgl1"):
        assert words in shown.output
    told = json.loads(run("imports", "churn", "--json").stdout)
    assert (told["status"], told["failed"]) == ("FAILED", [failure])
    image.refresh_from_db()
    assert image.import_policy == "refuse"
    assert "2 of 3 in 1.9 s" in run("show", "churn").output


@LATE
def test_the_default_image_is_set_shown_and_cleared(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("common", base=base)
    manager = prompt_of(cast.manager)
    assert manager("default").exit_code == 1
    assert "common build 1" in manager("default", "common", "--build", "1").stdout
    assert json.loads(manager("default", "--json").stdout)["defaultImage"]["build"] == 1
    assert manager("default", "common", "--clear").exit_code == 2
    assert manager("default", "--clear").exit_code == 0
    assert prompt_of(cast.viewer)("default", "common").exit_code == 2


@LATE
def test_a_missing_module_leads_to_an_image_and_an_alteration(
    prompt_of: PromptOf, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("both", base=base, libraries={"numpy": "2.4.6", "scikit-learn": "1.7.2"})
    small = factories.make_image("small", base=base, created_by=cast.member)
    model = factories.make_model(cast.workspace, image=small)
    member = prompt_of(cast.member)
    told = member("missing", str(model.pk), "No module named 'sklearn'", "--propose").stdout
    assert "scikit-learn brings the module sklearn." in told
    assert re.search(r"Images that have it +both", told)
    assert "ri-images alter small --add 'scikit-learn' --preview" in told
    assert member("missing", str(model.pk), "json").exit_code == 0
    assert member("missing", str(cast.workspace.pk), "sklearn").exit_code == 1
