"""`make screenshots`: every page at desktop and phone width, in light and dark, for eyes to judge.

Not collected by `make test` (its name does not start with `test_`). The pictures go to
`test-results/screenshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.utils import timezone
from playwright.sync_api import Page

from images.building.locks.annotations import with_annotations
from images.jobs import upgrades
from images.jobs.journal import Journal
from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildHost,
    BuildPhase,
    BuiltWheel,
    InstalledLibrary,
    ManagedImage,
    MLModel,
    RequirementFiles,
    Status,
)
from images.models.lease import WorkState
from images.operations import removal, swaps
from images.requirement_files import Supplied, SuppliedFile
from images.requirements import PipRequirement
from tests import factories
from tests.browser.pages import DESKTOP, PHONE, drop_files
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User, Workspace

FOLDER = Path("test-results/screenshots")
LOOKS = {
    f"{name}-{scheme}": (viewport, scheme)
    for name, viewport in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
}


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


@dataclass(frozen=True)
class Camera:
    """Opens pages in one look, and takes pictures named by it."""

    look: str
    new_page: Callable[..., Page]

    def open(self, user: User | None) -> Page:
        viewport, scheme = LOOKS[self.look]
        return self.new_page(user, viewport=viewport, color_scheme=scheme)

    def shoot(self, page: Page, name: str, whole: bool = True) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=FOLDER / f"{name}-{self.look}.png", full_page=whole)


@pytest.fixture(params=list(LOOKS))
def camera(request: pytest.FixtureRequest, new_page: Callable[..., Page]) -> Camera:
    return Camera(request.param, new_page)


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
    lock = with_annotations(
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


def test_pictures_of_an_image_of_others(camera: Camera, cast: Cast, base: BaseImage) -> None:
    """What a viewer sees who owns none of it: whose it is, and *Copy* where others have *Alter*."""
    furnish(cast, base)
    copy = factories.make_image(
        "credit-scoring-eu", base=base, created_by=cast.viewer, created_in=cast.workspace
    )
    original = ManagedImage.objects.get(name="credit-scoring")
    ManagedImage.objects.filter(pk=copy.pk).update(copied_from=original)
    page = camera.open(cast.viewer)
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    for name, path in (
        ("others-image", f"{pane}/image/credit-scoring"),
        ("others-revisions", f"{pane}/image/credit-scoring/revisions"),
        ("others-failed", f"{pane}/image/fraud-graph"),
        ("others-copy", f"{pane}/new?copy=credit-scoring"),
        ("own-copy", f"{pane}/image/credit-scoring-eu"),
        ("others-refused", f"{pane}/image/credit-scoring/alter"),
        ("others-pane", pane),
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        camera.shoot(page, name)
    page.get_by_label("Actions for credit-scoring", exact=True).click()
    camera.shoot(page, "others-menu", whole=False)


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


def account_pages(cast: Cast, page: Page, shoot: Callable[[str], None]) -> None:
    """One's own account; what protects it asks for the password once more."""
    page.goto("/account/authenticator")
    shoot("account-authenticator")
    TOTP.activate(cast.admin, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(cast.admin)
    cast.admin.set_password("correct horse battery staple")
    cast.admin.save()
    page.context.clear_cookies()
    page.goto("/signin?next=/account/recovery-codes")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    shoot("signin-wrong")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in", exact=True).click()
    shoot("signin-second-step")
    page.get_by_label("Code").fill(RecoveryCodes.activate(cast.admin).get_unused_codes()[0])
    page.get_by_role("button", name="Continue").click()
    shoot("account-confirm")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Confirm").click()
    shoot("account-codes")
    for name, path in (
        ("account", "/account"),
        ("account-security", "/account/security"),
        ("account-sessions", "/account/sessions"),
        ("account-password", "/account/password"),
        ("account-authenticator-off", "/account/authenticator/remove"),
        ("account-passkey", "/account/passkeys/new"),
        ("account-codes-new", "/account/recovery-codes/new"),
    ):
        page.goto(path)
        shoot(name)


def test_pictures(camera: Camera, cast: Cast, base: BaseImage) -> None:
    page = camera.open(cast.admin)

    def shoot(name: str, whole: bool = True) -> None:
        page.wait_for_load_state("networkidle")
        camera.shoot(page, name, whole)

    settings = f"/workspaces/{cast.workspace.pk}/settings"
    pane = f"{settings}/managed-images"
    page.goto(pane)
    shoot("pane-empty")
    furnish(cast, base)
    for name, path in (
        ("workspaces", "/workspaces"),
        ("summary", f"/workspaces/{cast.workspace.pk}"),
        ("general", settings),
        ("pane", pane),
        ("members", f"{settings}/members"),
        ("members-add", f"{settings}/members/add"),
        ("workspace-new", "/workspaces/new"),
        ("workspace-remove", f"/workspaces/{cast.workspace.pk}/remove"),
        ("organization", "/organization"),
        ("accounts", "/organization/members"),
        ("registry", "/organization/registry"),
        ("audit", "/organization/audit"),
        ("all-tokens", "/organization/tokens"),
        ("tokens", f"{settings}/tokens"),
        ("programs", "/programs"),
        ("api-docs", "/api/docs"),
        ("pane-no-match", f"{pane}?q=torch"),
        ("new", f"{pane}/new"),
        ("pane-library", f"{pane}?library=pandas&library=numpy%3D%3D2.5.0"),
        ("pane-unreadable", f"{pane}?library=pandas%3E2"),
        ("compare-empty", f"{pane}/compare"),
        ("compare", f"{pane}/compare?a=churn-xgboost&b=credit-scoring"),
        ("compare-unknown", f"{pane}/compare?a=churn-xgboost&b=credit:build-9"),
        ("image-ready", f"{pane}/image/credit-scoring"),
        ("image-libraries", f"{pane}/image/credit-scoring/libraries"),
        ("image-builds", f"{pane}/image/credit-scoring/builds"),
        ("image-revisions", f"{pane}/image/credit-scoring/revisions"),
        ("image-no-models", f"{pane}/image/credit-scoring/models"),
        ("image-no-libraries", f"{pane}/image/pricing-lightgbm/libraries"),
        ("image-no-revisions", f"{pane}/image/fraud-graph/revisions"),
        ("image-building", f"{pane}/image/pricing-lightgbm"),
        ("image-failed", f"{pane}/image/fraud-graph"),
        ("remove-page", f"{pane}/image/credit-scoring/remove"),
        ("not-found", "/nowhere"),
    ):
        page.goto(path)
        shoot(name)
    page.goto(f"{pane}/new")
    page.get_by_label("Name").fill("one-more")
    page.get_by_label("Python version").select_option("3.11")
    page.get_by_label("Libraries").fill("numpy>=2\npandas")
    page.get_by_role("button", name="Create image").click()
    shoot("new-satisfied")
    page.goto("/programs")
    page.locator(".menu-up summary").click()
    shoot("user-menu", whole=False)
    page.goto(f"{settings}/tokens")
    page.get_by_label("Name").fill("nightly-training")
    page.get_by_role("button", name="Create Token").click()
    shoot("token-made")
    page.goto(f"{pane}/new")
    page.get_by_label("Libraries").fill("scikit-learn\nscipy=1.14\n-e .")
    drop_files(page, ("pyproject.toml", PROJECT), ("constraints.txt", "numpy<3\n"))
    page.locator("summary", has_text="pyproject.toml").click()
    shoot("new-read")
    alteration = changed_files(ManagedImage.objects.get(name="credit-scoring"))
    page.goto(f"{pane}/image/credit-scoring/alter")
    shoot("alter")
    page.goto(f"{pane}/image/credit-scoring/alter/{alteration.pk}")
    shoot("alteration")
    page.goto(pane)
    page.get_by_label("Actions for credit-scoring").click()
    shoot("menu", whole=False)
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").wait_for()
    shoot("dialog", whole=False)
    page.goto(f"{pane}/new")
    page.get_by_label("Name").fill("My Model")
    page.get_by_label("Libraries").fill("numpy\n-r other.txt\nhttps://example.org/a.whl")
    page.get_by_role("button", name="Create image").click()
    shoot("new-errors")
    viewer = camera.open(cast.viewer)
    viewer.goto(pane)
    viewer.get_by_label("Actions for credit-scoring").click()
    camera.shoot(viewer, "menu-viewer", whole=False)
    account_pages(cast, page, shoot)
    stranger = camera.open(None)
    stranger.goto("/signin")
    camera.shoot(stranger, "signin", whole=False)


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


def test_pictures_of_models(camera: Camera, cast: Cast, base: BaseImage) -> None:
    page = camera.open(cast.admin)
    # These pages poll, so the network never rests.
    shoot = partial(camera.shoot, page)

    models = f"/workspaces/{cast.workspace.pk}/models"
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    page.goto(models)
    shoot("models-empty")
    furnish(cast, base)
    churn = furnish_models(cast)
    removal.remove_image(Actor(cast.admin), "tabular-baseline")
    one = f"{models}/{churn.pk}"
    for name, path in (
        ("models", models),
        ("model", one),
        ("model-new", f"{models}/new"),
        ("model-remove", f"{one}/remove"),
        ("swap", f"{one}/swap"),
        ("swap-managed", f"{one}/swap/managed/embeddings-small"),
        ("swap-external", f"{one}/swap/external"),
        ("swap-build", f"{one}/swap/build"),
        ("pane-removed", pane),
        ("remove-used", f"{pane}/image/credit-scoring/remove"),
        ("image-models", f"{pane}/image/credit-scoring/models"),
    ):
        page.goto(path)
        shoot(name)
    page.goto(pane)
    page.get_by_label("Actions for credit-scoring").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").wait_for()
    shoot("dialog-used", whole=False)
    for name in ("Fraud graph", "Old scoring", "Segments", "Vendor model"):
        page.goto(models)
        page.get_by_role("link", name=name).first.click()
        page.get_by_role("heading", name=name).wait_for()
        shoot(f"model-{name.lower().replace(' ', '-')}")


def test_pictures_of_a_missing_base_image(camera: Camera, cast: Cast, db: None) -> None:
    """The pane and the form of a new image while none can be built, to an administrator and a member."""
    admin, member = camera.open(cast.admin), camera.open(cast.member)
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"

    def shoot(name: str) -> None:
        for who, page in (("admin", admin), ("member", member)):
            for what, path in (("pane", pane), ("new", f"{pane}/new")):
                page.goto(path)
                page.get_by_role("heading", level=1).wait_for()
                camera.shoot(page, f"{what}-base-{name}-{who}")

    shoot("missing")
    failed = factories.make_base_image(
        state=WorkState.FAILED, is_current=False, source="suite:bookworm",
        platform_version="2026.11.24", error_code="base_image_unusable",
        error_message="The package mirror at http://deb.debian.org/debian did not answer within 30 seconds.",
        error_hint="See whether the builds worker reaches it, or set RI_DEBIAN_MIRROR.",
    )  # fmt: skip
    shoot("failed")
    factories.make_base_image(platform_version="2026.11.01", image_type=failed.image_type)
    factories.make_image("churn-xgboost", base=BaseImage.objects.current()[0])
    shoot("outdated")


def test_pictures_of_source_builds(camera: Camera, cast: Cast, base: BaseImage) -> None:
    """A wheel that was built here; one that is trusted no more; requirements that cannot be read."""
    discarded = import_module("images.migrations.0019_discard_shared_source_builds")
    image = factories.make_image(
        "credit-scoring", base=base, created_by=cast.manager, created_in=cast.workspace,
        libraries={"numpy": "2.4.6", "docopt": "0.6.2"},
    )  # fmt: skip
    wheel = BuiltWheel.objects.create(
        key="a", filename="docopt-0.6.2-py2.py3-none-any.whl", sha256="a" * 64, size_bytes=13_706,
        source_filename="docopt-0.6.2.tar.gz", source_sha256="49b3a825280bd66b3aa83585ef59c4a8" * 2,
        image_name="credit-scoring", build_number=1, builder="builds-1",
    )  # fmt: skip
    InstalledLibrary.objects.filter(name="docopt").update(built_wheel=wheel, sha256=wheel.sha256)
    build = image.builds.get()
    build.lock = factories.lock_of(numpy="2.4.6", docopt="0.6.2")
    asked = (*build.spec.pip_requirements, PipRequirement("docopt"))
    build.spec = replace(build.spec, pip_requirements=asked)
    build.started_at = build.finished_at = timezone.now()
    build.save()
    owner, member = camera.open(cast.manager), camera.open(cast.member)
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    owner.goto(f"{pane}/image/credit-scoring/libraries")
    owner.get_by_text("Built here").wait_for()
    camera.shoot(owner, "image-built-here")
    Build.objects.filter(pk=build.pk).update(renewal=discarded.WHY)
    ManagedImage.objects.update(status=Status.OUTDATED)
    for name in ("image-renewal", "image-renewing"):
        for who, page in (("owner", owner), ("member", member)):
            page.goto(f"{pane}/image/credit-scoring")
            page.get_by_role("heading", level=1).wait_for()
            camera.shoot(page, f"{name}-{who}")
        upgrades.dispatch()
    owner.goto(f"{pane}/image/credit-scoring")
    owner.get_by_label("Actions for credit-scoring", exact=True).click()
    camera.shoot(owner, "image-menu-owner", whole=False)


def test_pictures_of_refusals(camera: Camera, cast: Cast, base: BaseImage) -> None:
    """Forty-eight lines that cannot be read, and a form that is larger than what is taken."""
    page = camera.open(cast.member)
    form = f"/workspaces/{cast.workspace.pk}/settings/managed-images/new"
    page.goto(form)
    page.get_by_label("Name").fill("one-more")
    page.get_by_label("Libraries").evaluate("(field) => { field.value = 'numpy '.repeat(500000) }")
    page.get_by_role("button", name="Create image").click()
    page.get_by_text("413").wait_for()
    camera.shoot(page, "too-large")
    page.goto(form)
    page.get_by_label("Name").fill("one-more")
    wrong = "\n".join(f"https://example.org/{number}.whl" for number in range(48))
    page.get_by_label("Libraries").fill(wrong)
    page.get_by_role("button", name="Create image").click()
    page.get_by_role("alert").wait_for()
    camera.shoot(page, "new-many-errors")
