"""Requirement files on the way to the server: which are sent, under which names, as which text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ri_platform_sdk import AsyncClient, Client, InvalidRequest, RequirementFile
from ri_platform_sdk.files import wire_files

from images.models import BaseImage, ManagedImage
from images.requirements import PipRequirement
from ri_platform.local.services import free_port
from tests import factories
from tests.cast import Cast
from tests.requirement_options import REFUSED, TAKEN, VARIABLES, Said
from tests.sdk.prompt import Instance, Prompt, in_a_thread
from tests.web_process import web_process

PromptOf = Callable[..., Prompt]
LATE = pytest.mark.django_db(transaction=True)
PROJECT = """
[project]
name = "churn"
requires-python = ">=3.9"
dependencies = ["numpy>=2", "pywin32; sys_platform == 'win32'"]
[project.optional-dependencies]
plot = ["matplotlib"]
[dependency-groups]
serve = ["fastapi"]
"""
PYLOCK = f"""
lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "numpy"
version = "2.4.6"
[[packages.wheels]]
url = "https://files.example/numpy-2.4.6-py3-none-any.whl"
hashes = {{sha256 = "{"ab" * 32}"}}
"""
HASH = "--hash=sha256:" + "ab" * 32


def test_files_go_with_those_that_they_include_and_name_each_other_as_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "base.txt").write_text("numpy\n-c bounds.in # why\n")
    (tmp_path / "bounds.in").write_text("scipy<2\n")
    dev = tmp_path / "requirements/dev.txt"
    dev.write_text("-r ../base.txt\n--requirement=missing.txt\n-r dev.txt\n# -r ../no.txt\n")
    (tmp_path / "no.txt").write_text("")
    assert [file["name"] for file in wire_files([dev, tmp_path / "base.txt"])] == [
        "requirements/dev.txt",
        "base.txt",
        "bounds.in",
    ]


def test_a_line_of_a_file_sends_nothing_that_is_no_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("PRIVATE KEY")
    file = tmp_path / "requirements.txt"
    file.write_text("-r id_rsa\n-c https://example.org/x.txt\n")
    assert [sent["name"] for sent in wire_files([str(file)])] == ["requirements.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_text_is_what_an_editor_shows(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("numpy\r\n# größer\n".encode(encoding))
    assert wire_files([file])[0]["text"] == "numpy\r\n# größer\n"


@pytest.mark.slow
def test_what_is_no_list_of_texts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(b"PK\x03\x04\xff")
    with pytest.raises(InvalidRequest, match="is not a text in UTF-8"):
        wire_files([file])
    with pytest.raises(InvalidRequest, match="as a list"):
        wire_files("requirements.txt")
    with pytest.raises(InvalidRequest, match="'serve' in a list"):
        Client("http://127.0.0.1:9", "x").create_managed_image("x", files=[], groups="serve")


@LATE
def test_both_clients_create_alter_and_match_by_files(
    instance: Instance, cast: Cast, base: BaseImage
) -> None:
    secret = instance.token_for(cast.admin)
    project = RequirementFile("pyproject.toml", PROJECT)
    factories.make_image("ready", base=base, libraries={"numpy": "2.4.6"})

    def use() -> None:
        with Client(instance.domain, secret) as client:
            made = client.create_managed_image("churn", files=[project], groups=["serve"])
            assert made.requirements == ("numpy>=2", "fastapi")
            client.cancel_build("churn")
            other = RequirementFile("requirements.txt", "numpy>=2.1\n")
            # The group was the former file's.
            altered = client.update_managed_image("churn", files=[other])
            assert altered.requirements == ("numpy>=2.1",)
            matches = client.match_managed_images(files=[project])
            assert [(m.image.name, m.satisfies) for m in matches] == [("ready", True)]
            reading = client.read_requirements([project], "3.11", extras=["plot"])
            assert [str(found) for found in reading.requirements] == ["numpy>=2", "matplotlib"]
            assert (reading.groups, reading.extras) == (("serve",), ("plot",))
            assert reading.left_out[0].text == "pywin32; sys_platform == 'win32'"

    async def use_async() -> None:
        async with AsyncClient(instance.domain, secret) as client:
            made = await client.create_managed_image("churn-2", ["six"], files=[project])
            assert set(made.requirements) == {"six", "numpy>=2"}
            assert (await client.read_requirements([project])).refused == ()

    in_a_thread(use)
    in_a_thread(lambda: asyncio.run(use_async()))
    kept = ManagedImage.objects.get(name="churn").requirement_files
    assert kept is not None
    assert kept.supplied.names == ["requirements.txt"]


@pytest.mark.slow
@LATE
def test_indexes_are_chosen_by_name(prompt_of: PromptOf, cast: Cast, base: BaseImage) -> None:
    run = prompt_of(cast.member)
    configured = {
        "RI_PACKAGE_EXTRA_INDEX_URLS": "pytorch-cpu=https://torch.example/whl/cpu",
        "RI_PACKAGE_EXPLICIT_INDEXES": "pytorch-cpu",
    }
    words = ("torch==2.9.0+cpu", "--index", "pytorch-cpu", "--no-wait")
    with web_process(free_port(), **configured) as address:
        made = run("create", "churn", *words, RI_DOMAIN=address)
        assert re.search(r"^Indexes +pytorch-cpu$", made.stdout, re.MULTILINE), made.output
        with Client(address, str(run.environment["RI_API_TOKEN"])) as client:
            torch = client.pip_requirement("torch", ">=2", index="pytorch-cpu")
            one = client.create_managed_image("one", [torch])
            assert (one.requirements, one.indexes) == (("torch>=2",), ())
    assert ManagedImage.objects.get(name="one").spec.pip_requirements[0].index == "pytorch-cpu"
    unknown = run("create", "wrong", *words)
    assert unknown.exit_code == 2
    assert "There is no index pytorch-cpu here." in unknown.stderr


@LATE
def test_check_shows_what_is_taken_left_out_and_refused(
    prompt_of: PromptOf, cast: Cast, tmp_path: Path
) -> None:
    run = prompt_of(cast.viewer)
    file = tmp_path / "pyproject.toml"
    file.write_text(PROJECT)
    told = run("check", "-r", str(file), "--group", "serve", "--python", "3.11")
    assert told.exit_code == 0, told.output
    rows = [line.split() for line in told.stdout.splitlines()]
    assert ["taken", "pyproject.toml:5", "numpy>=2"] in rows
    assert ["taken", "pyproject.toml:9", "fastapi"] in rows
    assert any(row[:3] == ["left", "out", "pyproject.toml:5"] for row in rows)
    assert ["Groups", "serve"] in rows
    body = run.json("check", "-r", str(file))
    assert [found["name"] for found in body["requirements"]] == ["numpy"]
    refused = run("check", "numpy=1.26.4", "six")
    assert refused.exit_code == 1
    assert "write numpy==1.26.4" in refused.stdout
    assert "\x1b[31mrefused" in run("check", "numpy=1", FORCE_COLOR="1", TERM="xterm").stdout
    assert run("check").exit_code == 2
    assert run("check", "-r", str(tmp_path / "missing.txt")).exit_code == 2


@LATE
def test_an_image_is_created_of_files_at_the_prompt(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    run = prompt_of(cast.member)
    file, bounds = tmp_path / "pyproject.toml", tmp_path / "released.txt"
    file.write_text(PROJECT)
    bounds.write_text("numpy<3\n")
    words = ("-r", str(file), "--group", "serve", "--extra", "plot", "-c", str(bounds), "six")
    made = run.json("create", "churn", *words, "--no-wait")
    wanted = {(item["name"], item["versionSpecifier"]) for item in made["image"]["pipRequirements"]}
    assert wanted == {("numpy", "<3,>=2"), ("fastapi", ""), ("matplotlib", ""), ("six", "")}
    piped = run("create", "piped", "-r", "-", "--no-wait", stdin="six  # from a pipe\n")
    assert "Asked for  six" in piped.stdout
    wrong = run("create", "wrong", "-r", str(file), "--group", "deploy", "--no-wait")
    assert wrong.exit_code == 2
    assert "No file has the group deploy" in wrong.stderr


@LATE
def test_a_lock_has_to_be_complete_and_stands_alone(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    run = prompt_of(cast.member)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"numpy==2.4.6 {HASH}\n")
    made = run.json("create", "locked", "--lock", str(lock), "--no-wait")
    assert made["image"]["pipRequirements"][0]["versionSpecifier"] == "==2.4.6"
    assert "Locked by  requirements.txt" in run("show", "locked").stdout
    beside = run("create", "more", "six", "-r", str(lock), "--lock", str(lock))
    assert beside.exit_code == 2
    lock.write_text("numpy==2.4.6\n")
    open_ended = run("create", "open", "--lock", str(lock))
    assert (open_ended.exit_code, "is not a complete lock" in open_ended.stderr) == (2, True)
    checked = run("check", "--lock", str(lock))
    assert (checked.exit_code, "is not a complete lock" in checked.stderr) == (1, True)
    pylock = tmp_path / "pylock.toml"
    pylock.write_text(PYLOCK)
    assert run("match", "--lock", str(pylock)).exit_code == 1
    with Client(str(run.environment["RI_DOMAIN"]), str(run.environment["RI_API_TOKEN"])) as client:
        with pytest.raises(InvalidRequest, match="locks all that is installed") as said:
            client.create_managed_image("both", ["six"], files=[pylock])
        assert said.value.reason == "libraries_beside_lock"
    refused = run("match", "six", "-r", str(pylock))
    assert "locks all that is installed" in refused.stderr


@pytest.mark.slow
@LATE
def test_options_of_files_reach_the_image_by_both_clients_and_at_the_prompt(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    """As `tests/api/test_options_of_files.py` has it for the console and the API."""
    run = prompt_of(cast.member)
    token = str(run.environment["RI_API_TOKEN"])

    def said(name: str) -> Said:
        return Said.by(ManagedImage.objects.get(name=name).spec)

    with web_process(free_port(), **VARIABLES) as address, Client(address, token) as client:
        for option, (text, expected) in TAKEN.items():
            file = tmp_path / ("pyproject.toml" if option == "python" else "requirements.txt")
            file.write_text(text)
            client.create_managed_image(f"by-sdk-{option}", files=[file], python_version="3.11")
            created = create_async(address, token, f"by-async-{option}", file)
            in_a_thread(partial(asyncio.run, created))
            made = run(
                "create", f"by-cli-{option}", "-r", str(file), "--no-wait", RI_DOMAIN=address
            )
            assert made.exit_code == 0, made.output
            for way in ("sdk", "async", "cli"):
                assert said(f"by-{way}-{option}") == expected, (option, way)
                client.cancel_build(f"by-{way}-{option}")
            if option != "none":
                image = f"altered-{option}"
                client.create_managed_image(image, ["idna"], python_version="3.11")
                client.cancel_build(image)
                client.update_managed_image(image, files=[file])
                assert said(image) == expected, option
                client.cancel_build(image)
        for option, (text, sentence) in REFUSED.items():
            file = tmp_path / ("pyproject.toml" if option == "python" else "requirements.txt")
            file.write_text(text)
            words = ("-r", str(file), "--python", "3.11")
            for command in (("create", "no", "--no-wait"), ("alter", "altered-pre"), ("match",)):
                refused = run(*command, *words, RI_DOMAIN=address)
                assert refused.exit_code == 2, (option, refused.output)
                assert sentence in " ".join(refused.stderr.split()), (option, command)


async def create_async(address: str, token: str, name: str, file: Path) -> None:
    async with AsyncClient(address, token) as client:
        await client.create_managed_image(name, files=[file], python_version="3.11")


@LATE
def test_prereleases_are_allowed_at_the_prompt_and_told(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    run = prompt_of(cast.member)
    made = run("create", "churn", "six", "--pre", "--no-wait")
    assert re.search(r"^Pre-releases +allowed$", made.stdout, re.MULTILINE), made.output
    file = tmp_path / "requirements.txt"
    file.write_text("--pre\nsix\n")
    checked = run("check", "-r", str(file))
    assert re.search(r"^Pre-releases +allowed$", checked.stdout, re.MULTILINE), checked.output
    run("cancel", "churn")
    with Client(str(run.environment["RI_DOMAIN"]), str(run.environment["RI_API_TOKEN"])) as client:
        assert client.get_managed_image("churn").allow_prereleases
        assert not client.update_managed_image("churn", allow_prereleases=False).allow_prereleases
        assert client.read_requirements([file]).allow_prereleases


@LATE
def test_single_libraries_are_changed_and_the_others_keep_their_index_and_hashes(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "wait_for_alteration", Client.get_alteration)
    image = factories.make_image("churn", base=base, created_by=cast.member)
    six = PipRequirement("six", "==1.17.0", index="default", hashes=("sha256:" + "ab" * 32,))
    image.spec = replace(image.spec, pip_requirements=(six, PipRequirement("toolz")))
    image.save()
    words = ("--add", "idna>=3", "--drop", "toolz", "--preview")
    shown = prompt_of(cast.member)("alter", "churn", *words)
    assert shown.exit_code == 0, shown.output
    wanted = image.alterations.get().spec.pip_requirements
    assert wanted == (six, PipRequirement("idna", ">=3"))
