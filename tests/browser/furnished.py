"""An instance in use, for pages to show: images and models in every state, a changed file."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from images.building.locks.annotations import annotate_lock
from images.jobs.journal import Journal
from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildHost,
    BuildPhase,
    Drift,
    FindingCode,
    InstalledLibrary,
    ManagedImage,
    MLModel,
    RequirementFiles,
    Status,
    Verification,
    Wish,
)
from images.models.lease import WorkState
from images.operations import drift as drifts
from images.operations import swaps
from images.requirement_files import Supplied, SuppliedFile
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User, Workspace

PROJECT = """\
[project]
name = "credit-scoring"
requires-python = ">=3.11"
dependencies = ["numpy>=2", "pandas", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
serve = ["flask"]
[dependency-groups]
dev = ["pytest"]
"""


def furnish(cast: Cast, base: BaseImage) -> None:
    """Images of every status, as an instance in use has them."""
    Workspace.objects.filter(pk=cast.workspace.pk).update(
        description="Models that price and serve consumer credit."
    )
    Workspace.objects.filter(pk=cast.other.pk).update(name="Fraud detection")
    libraries = {
        "numpy": "2.4.6", "pandas": "3.0.1", "scikit-learn": "1.9.0", "scipy": "1.18.0",
        "joblib": "1.6.1", "threadpoolctl": "3.7.0", "python-dateutil": "2.9.0", "six": "1.17.0",
    }  # fmt: skip
    rows: list[tuple[str, Status, User, int]] = [
        ("churn-xgboost", Status.READY, cast.member, 214_000_000),
        ("credit-scoring", Status.READY, cast.manager, 181_000_000),
        ("embeddings-small", Status.OUTDATED, cast.admin, 912_000_000),
        ("fraud-graph", Status.FAILED, cast.member, 0),
        ("nightly-features", Status.REBUILDING, cast.viewer, 143_000_000),
        ("pricing-lightgbm", Status.BUILDING_FIRST_TIME, cast.member, 0),
        ("tabular-baseline", Status.READY, cast.support, 96_400_000),
    ]
    now = timezone.now()
    for age, (name, status, user, size) in enumerate(rows):
        image = factories.make_image(
            name, base=base, status=status, libraries=libraries, created_by=user,
            created_in=cast.workspace if age % 2 else cast.other, size_bytes=size,
        )  # fmt: skip
        image.pip_requirements = [
            {"name": "numpy", "extras": [], "specifier": ">=2"},
            {"name": "pandas", "extras": [], "specifier": ""},
            {"name": "scikit-learn", "extras": [], "specifier": "==1.9.*"},
        ]
        image.updated_at = now - timedelta(hours=5 * age, minutes=3)
        image.created_at = now - timedelta(days=age)
        image.save()
    done = Build.objects.get(image__name="credit-scoring")
    taken = {"resolve": 0.5, "fetch": 0.6, "layers": 7.1, "push": 6.5, "verify": 0.1}
    done.timings = {
        phase: {"started_at": now.isoformat(), "seconds": s} for phase, s in taken.items()
    }
    done.started_at = done.finished_at = now - timedelta(hours=5)
    done.requested_by = cast.manager
    done.save()
    BuildHost.objects.create(name="builds-1")
    BuildHost.objects.create(name="builds-1", queue="sources")
    BuildHost.objects.create(
        name="builds-2",
        os_packages_problem="bubblewrap may not make namespaces here, which OS packages need. "
        "Allow unprivileged user namespaces for this worker, as docs/deployment.md tells.",
    )
    failed = Build.objects.get(image__name="fraud-graph")
    failed.error_code = "no_wheel"
    failed.error_message = (
        "Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, "
        "your requirements are unsatisfiable."
    )
    failed.error_hint = (
        "Choose a version that has a wheel for Python 3.11, or another Python version."
    )
    failed.save()
    running = Build.objects.claim(
        Build.objects.get(image__name="pricing-lightgbm").pk, seconds=3600
    )
    assert running is not None
    journal = Journal(running)
    with journal.phase(BuildPhase.RESOLVE):
        for name, version in libraries.items():
            journal.line(f"{name} {version}")
    journal.line("numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16,912,004 bytes)")
    journal.flush()
    timings = {**running.timings, "fetch": {"started_at": now.isoformat(), "seconds": None}}
    Build.objects.filter(pk=running.pk).update(phase="fetch", timings=timings)
    removed = factories.make_image("gone-model", base=base)
    ManagedImage.objects.filter(pk=removed.pk).update(
        removed_at=now,
        deletion_due_at=now,
        repository_error="AWS refused ecr:DeleteRepository (AccessDeniedException). "
        "An operator must allow ecr:DeleteRepository for this worker's role, as documented.",
    )
    older = factories.make_base_image(
        python_version="3.13", is_current=False, state=WorkState.SUCCEEDED
    )
    factories.make_base_image(python_version="3.13", platform_version="2026.11.23")
    for number in range(3):
        behind = factories.make_image(f"older-{number}", base=older)
        ManagedImage.objects.filter(pk=behind.pk).update(status=Status.OUTDATED)
    add_revision(cast, base, libraries)
    factories.make_base_image(
        image_type="nlp", state=WorkState.RUNNING, manifest_digest="", interpreter="",
        lease_expires_at=now + timedelta(hours=1),
    )  # fmt: skip


def add_revision(cast: Cast, base: BaseImage, before: dict[str, str]) -> None:
    """A second revision of credit-scoring, whose lock tells who asked for what."""
    ready = ManagedImage.objects.get(name="credit-scoring")
    after = {**before, "numpy": "2.5.0", "narwhals": "2.29.0"}
    del after["six"]
    lock = annotate_lock(
        factories.lock_of(**after),
        {
            "pandas": ["numpy", "python-dateutil"],
            "scikit-learn": ["joblib", "narwhals", "numpy", "scipy", "threadpoolctl"],
            "scipy": ["numpy"],
        },
    )
    build = factories.make_build(
        ready, base, Status.READY, number=2, reason="alter", requested_by=cast.member, lock=lock,
        library_count=len(after), size_bytes=184_000_000, pushed_bytes=17_300_000,
        started_at=timezone.now() - timedelta(seconds=42), finished_at=timezone.now(),
    )  # fmt: skip
    build.log_chunks.create(offset=0, text="Resolved to 9 libraries\nnumpy 2.5.0\n")
    InstalledLibrary.objects.filter(build__image=ready).update(current_of=None)
    InstalledLibrary.objects.bulk_create(factories.libraries_of(build, after, ready.name))
    ManagedImage.objects.filter(pk=ready.pk).update(current_build=build)


def furnish_models(cast: Cast) -> MLModel:
    """Models in every state that their list can show; returns one with a history."""
    images = {image.name: image for image in ManagedImage.objects.existing()}
    needs = [
        {"name": "numpy", "extras": [], "specifier": ">=2"},
        {"name": "pandas", "extras": [], "specifier": ">=3"},
        {"name": "lightgbm", "extras": [], "specifier": "==4.6.*"},
        {"name": "six", "extras": [], "specifier": "<1.17"},
    ]
    churn = factories.make_model(
        cast.workspace, image=images["churn-xgboost"], name="Churn", pip_requirements=needs,
        description="Who leaves within ninety days.", last_used_at=timezone.now(),
    )  # fmt: skip
    factories.make_model(cast.workspace, image=images["pricing-lightgbm"], name="Pricing")
    factories.make_model(cast.workspace, image=images["fraud-graph"], name="Fraud graph")
    factories.make_model(cast.workspace, name="Segments")
    gone = factories.make_model(cast.workspace, name="Old scoring")
    now = timezone.now()
    gone.assignments.create(image_name="scoring-2024", state="current", began_at=now)
    outside = factories.make_model(cast.workspace, name="Vendor model")
    outside.assignments.create(
        external_reference="registry.example.com/vendor/scoring:4.2", pull_secret="vendor",
        state="current", began_at=now,
    )  # fmt: skip
    swaps.swap_image(Actor(cast.member), churn, swaps.ManagedChoice("credit-scoring"))
    swaps.build_one_that_fits(Actor(cast.member), churn, "churn")
    return churn


def changed_files(image: ManagedImage) -> Alteration:
    """An alteration of an image that was asked for with a file, which it changes."""
    before, after = (
        RequirementFiles.objects.create(
            image=image,
            content=Supplied((SuppliedFile("pyproject.toml", text),), ("dev",)).as_json(),
        )
        for text in (PROJECT, PROJECT.replace("numpy>=2", "numpy>=2.5"))
    )
    image.builds.update(requirement_files=before)
    proposed = factories.make_alteration(
        image, lock=factories.lock_of(numpy="2.5.0", pandas="2.3.3", polars="1.9")
    )
    Alteration.objects.filter(pk=proposed.pk).update(requirement_files=after)
    return proposed


REFUSED = {
    "error_code": "registry_denied",
    "error_message": "AWS refused ecr:PutImage (AccessDeniedException): User: "
    "arn:aws:sts::123456789012:assumed-role/ri-build-jobs/i-0a1b is not authorized to perform: ecr:PutImage.",
    "error_hint": "An operator must allow ecr:PutImage for this worker's role, as documented.",
    "attempts": 4,
}
HOPELESS = {
    "state": WorkState.FAILED,
    "error_code": "cannot_be_made_again",
    "error_message": f"The layer libgomp1 was sha256:{'9f86d081' * 8}; "
    f"made today, it is sha256:{'60303ae2' * 8}.",
    "error_hint": "Rebuild it: that makes a new image of the same requirements.",
}


def furnish_drifts(base: BaseImage) -> None:
    """What somebody deleted in the registry: on its way back, refused by AWS, lost; of a base image, too."""
    host = "rime-managed-images"
    for name, codes, said, values in (
        (
            "churn-xgboost", [FindingCode.REPOSITORY_MISSING],
            [f"The repository {host}/churn-xgboost of build 1 of churn-xgboost is not in the registry."],
            {},
        ),
        (
            "credit-scoring", [FindingCode.TAG_MISSING, FindingCode.MANIFEST_MISSING],
            ["The tag build-1 of credit-scoring is not in the registry.",
             f"The manifest of build 1 of credit-scoring is not in {host}/credit-scoring."],
            REFUSED,
        ),
        (
            "tabular-baseline", [FindingCode.BLOB_MISSING],
            [f"The blob sha256:{digit * 64} of build 1 of tabular-baseline is not in the registry."
             for digit in "9af"],
            HOPELESS,
        ),
    ):  # fmt: skip
        build = ManagedImage.objects.get(name=name).current_build
        assert build is not None
        found = drifts.record_drift(build, codes, said)
        assert found is not None
        due = {"due_at": timezone.now() + timedelta(minutes=5)}
        Drift.objects.filter(pk=found.pk).update(**values, **due)
    drifts.record_drift(
        base,
        [FindingCode.BLOB_MISSING],
        [f"The blob sha256:{'c' * 64} of the base image {base} is not in the registry."],
    )
    refused = ManagedImage.objects.get(name="credit-scoring")
    factories.make_refused_repository(f"{host}/{refused.name}", image=refused)
    removed = ManagedImage.objects.get(name="gone-model")
    factories.make_refused_repository(
        f"{host}/{removed.name}",
        image=removed,
        error_message=removed.repository_error,
        error_hint="",
    )
    factories.make_refused_repository(base.repository)
    ended = {"state": WorkState.SUCCEEDED, "finished_at": timezone.now() - timedelta(minutes=7)}
    Verification.objects.create(total=212, seen=212, requests=1874, findings=[{}] * 7, **ended)
    Verification.objects.create(total=212, seen=120)


def furnish_unknown_repositories() -> None:
    """What a restored database does not know: not decided, decided, refused, and of a known image."""
    pushed = {"pushed_at": timezone.now() - timedelta(hours=9)}
    factories.make_unknown_repository("churn-lightgbm-2026", **pushed)
    factories.make_unknown_repository("base/all-3.11", **pushed)
    factories.make_unknown_repository("scratch", **{**pushed, "size_bytes": 0, "tags": []})
    factories.make_unknown_repository("credit-scoring", of_known_image=True, **pushed)
    factories.make_unknown_repository("embeddings-large", wish=Wish.ADOPT, **pushed)
    factories.make_unknown_repository("experiments-of-march", wish=Wish.DELETE, **pushed)
    factories.make_unknown_repository(
        "forecasts", **pushed, error_code="cannot_be_adopted",
        error_message="The provenance of build 1 of forecasts holds no lock.",
        error_hint="It was built by an earlier version. Delete it and create it anew.",
    )  # fmt: skip
