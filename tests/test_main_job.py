"""The product's main job with real parts: workers, local AWS, the package index, a stock client."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from images.errors import RegistryUnavailable
from images.jobs import build as run
from images.jobs import repositories
from images.models import BaseImage, Build, ManagedImage, Status
from images.operations import removal
from images.registry import connection as registry_connection
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.permissions import BUILD_JOB_ACTIONS, REGISTRY_SERVER_ACTIONS, iam_action
from ri_platform.local import services
from tests.builds import ask, build_now, pulled, runs_in
from tests.cast import Cast
from tests.faults.proxy import held_uploads
from tests.local_aws import LocalAWS
from tests.workers import until, workers
from workspaces.access import Actor

# Workers and lease renewals have connections of their own: they see only what is committed.
pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


def test_a_named_library_becomes_an_image_that_a_stock_client_pulls_and_runs(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "jokes", "pyjokes==0.6.0"))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    assert set(build.timings) == {"resolve", "fetch", "layers", "push", "verify"}
    assert ("pyjokes", "0.6.0") in build.libraries.values_list("name", "version")
    assert 'name = "pyjokes"' in build.lock
    assert "Ready: sha256:" in "".join(chunk.text for chunk in build.log_chunks.all())
    root = pulled(registry, image, tmp_path)
    told = runs_in(root, "python3", "-c", "import pyjokes; print(pyjokes.__version__)")
    assert told == "0.6.0"


def test_numpy_and_pandas_work_in_the_pulled_image(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "frames", "numpy\npandas"))
    assert image.status == Status.READY
    root = pulled(registry, image, tmp_path)
    code = "import sys, numpy, pandas; print(sys.prefix, pandas.DataFrame({'a': [1, 2]}).a.sum())"
    assert runs_in(root, "python3", "-c", code).endswith(" 3")


def test_a_package_that_does_not_exist_fails_with_the_resolvers_sentence(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = build_now(registry, ask(cast, "nothing", "ri-no-such-package-zz9"))
    build = image.builds.get()
    assert (image.status, image.current_build) == (Status.FAILED, None)
    assert build.error_code == "resolution_failed"
    assert "ri-no-such-package-zz9 was not found in the package registry" in build.error_message


def test_the_same_lock_gives_the_same_image(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    first = build_now(registry, ask(cast, "twin-a", "pyjokes==0.6.0"))
    second = build_now(registry, ask(cast, "twin-b", "pyjokes==0.6.0"))
    assert first.current_build is not None
    assert second.current_build is not None
    assert first.current_build.config_digest == second.current_build.config_digest


def test_the_main_job_calls_only_documented_actions(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, set[str]] = {"registry-server": set(), "build-jobs": set()}
    acting = "registry-server"
    make_control = registry_connection.control

    def watched_control() -> Any:
        control = make_control()
        control.client.meta.events.register(
            "before-call.ecr",
            lambda model, **rest: asked[acting].add(f"ecr:{model.name}"),
        )
        return control

    original = RegistryClient.__init__

    def watched_client(self: RegistryClient, *args: Any, **options: Any) -> None:
        options["on_request"] = lambda method, path: asked[acting].add(iam_action(method, path))
        original(self, *args, **options)

    monkeypatch.setattr(registry_connection, "control", watched_control)
    monkeypatch.setattr(RegistryClient, "__init__", watched_client)
    image = ask(cast, "watched", "pyjokes==0.6.0")
    with registry.identity("registry-server"):
        repositories.prepare_repository(image.pk)
    acting = "build-jobs"
    with registry.identity("build-jobs"):
        run.run(image.builds.get().pk)
    removal.remove_image(Actor(cast.admin), "watched")
    acting = "registry-server"
    with registry.identity("registry-server"):
        repositories.delete_repository(image.pk)
    token = {"ecr:GetAuthorizationToken"}
    assert asked["registry-server"] <= {*REGISTRY_SERVER_ACTIONS} | token
    assert asked["build-jobs"] <= {*BUILD_JOB_ACTIONS} | token
    assert {"ecr:CreateRepository", "ecr:DeleteRepository"} <= asked["registry-server"]
    assert {"ecr:PutImage", "ecr:UploadLayerPart"} <= asked["build-jobs"]


def test_removal_deletes_the_repository_and_frees_the_name(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = build_now(registry, ask(cast, "gone", "pyjokes==0.6.0"))
    removal.remove_image(Actor(cast.admin), "gone")
    with registry.identity("build-jobs"):
        repositories.delete_repository(image.pk)
    waiting = ManagedImage.objects.get(name="gone")
    assert "AWS refused ecr:DescribeImages" in waiting.repository_error
    with registry.identity("registry-server"):
        repositories.delete_repository(image.pk)
        repositories.delete_repository(image.pk)
        assert not ManagedImage.objects.filter(name="gone").exists()
        assert registry_connection.control().delete_repository("rime-managed-images/gone") is False
    build_now(registry, ask(cast, "gone", "pyjokes==0.6.0"))


def test_a_foreign_repository_under_the_prefix_fails_the_build_and_survives_removal(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    with registry.repositories("rime-managed-images/foreign-one"):
        with registry.identity("build-jobs"), registry_connection.registry_client() as client:
            manifest = client.get_manifest(debian.repository, debian.manifest_digest)
            for blob in [manifest.json()["config"], *manifest.json()["layers"]]:
                client.mount_blob(
                    "rime-managed-images/foreign-one", blob["digest"], debian.repository
                )
            client.put_manifest(
                "rime-managed-images/foreign-one", "theirs", manifest.raw, manifest.media_type
            )
        image = build_now(registry, ask(cast, "foreign-one", "pyjokes==0.6.0"))
        assert (image.status, image.builds.get().error_code) == (
            Status.FAILED,
            "repository_not_ours",
        )
        removal.remove_image(Actor(cast.admin), "foreign-one")
        with registry.identity("registry-server"):
            repositories.delete_repository(image.pk)
            held = registry_connection.control().list_images("rime-managed-images/foreign-one")
        assert [item.tag for item in held] == ["theirs"]


def test_with_aws_away_pages_answer_and_the_request_is_kept(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any
) -> None:
    settings.AWS_ENDPOINT_URL = settings.REGISTRY_URL = f"http://127.0.0.1:{services.free_port()}"
    image = ask(cast, "patient", "pyjokes==0.6.0")
    with registry.identity("registry-server"):
        repositories.prepare_repository(image.pk)
    image.refresh_from_db()
    assert image.status == Status.BUILDING_FIRST_TIME
    assert "could not be reached" in image.repository_error
    page = f"/workspaces/{cast.workspace.pk}/settings/managed-images/image/patient"
    assert b"Waiting for AWS" in cast.client(cast.member).get(page).content
    settings.AWS_ENDPOINT_URL = settings.REGISTRY_URL = registry.url
    assert build_now(registry, image).status == Status.READY


def test_the_web_process_has_no_aws_identity(registry: LocalAWS) -> None:
    with pytest.raises(RegistryUnavailable, match="has no AWS identity"):
        registry_connection.control().authorization()


# --- real workers, a real broker, and a worker that is killed -----------------------------------------


def test_a_killed_workers_build_is_finished_once_by_the_next(
    cast: Cast, debian: BaseImage, registry: LocalAWS, broker: str, tmp_path: Path
) -> None:
    variables = {"RI_CACHE_DIR": str(tmp_path / "cache")}
    name = f"survivor-of-{'rabbitmq' if broker else 'pgmq'}"
    with held_uploads(registry, name) as proxy:
        variables["RI_REGISTRY_URL"] = proxy.address
        with workers(registry, tmp_path, broker, **variables) as start:
            start("registry")
            start("scheduler")
            doomed = start("builds")
            # Nobody has sent a message for it: the sweeper finds what is due.
            image = ask(cast, name, "numpy\npandas")
            ManagedImage.objects.update(repository_due_at=image.created_at)
            assert proxy.holds.wait(240)
            os.killpg(doomed.pid, signal.SIGKILL)
            doomed.wait()
            image.refresh_from_db()
            assert (image.status, image.current_build) == (Status.BUILDING_FIRST_TIME, None)
            proxy.recover()
            # The sweeper waits out the lease and its own interval; the test does not.
            Build.objects.update(due_at=image.created_at)
            start("builds")
            until(lambda: not Build.objects.active().exists(), 240)
    image.refresh_from_db()
    build = image.builds.get()
    assert (image.status, image.current_build) == (Status.READY, build)
    assert build.attempts == 2
    assert build.libraries.filter(name="pandas").count() == 1
    assert "the worker before this one died" in "".join(c.text for c in build.log_chunks.all())
