"""`make screenshots`: every page at desktop and phone width, in light and dark, for eyes to judge.

Not collected by `make test` (its name does not start with `test_`). The pictures go to
`test-results/screenshots`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.utils import timezone
from playwright.sync_api import Page

from images.jobs import upgrades
from images.models import (
    BaseImage,
    Build,
    BuiltWheel,
    InstalledLibrary,
    ManagedImage,
    Status,
)
from images.models.instance import MarkState
from images.models.lease import WorkState
from images.operations import removal, swaps
from images.operations.default_image import set_default_image
from images.requirements import PipRequirement
from images.run_time.request import RunRequest
from ri_platform.local.services import free_port
from tests import factories
from tests.browser.furnished import (
    PROJECT,
    changed_files,
    furnish,
    furnish_drifts,
    furnish_models,
    furnish_unknown_repositories,
)
from tests.browser.pages import DESKTOP, PHONE, drop_files
from tests.cast import Cast
from tests.web_process import web_process
from workspaces.access import Actor
from workspaces.models import PasswordMail, User

FOLDER = Path("test-results/screenshots")
LOOKS = {
    f"{name}-{scheme}": (viewport, scheme)
    for name, viewport in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
}


@dataclass(frozen=True)
class Camera:
    """Opens pages in one look, and takes pictures named by it."""

    look: str
    new_page: Callable[..., Page]

    def open(self, user: User | None, **options: object) -> Page:
        viewport, scheme = LOOKS[self.look]
        return self.new_page(user, viewport=viewport, color_scheme=scheme, **options)

    def shoot(self, page: Page, name: str, whole: bool = True) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=FOLDER / f"{name}-{self.look}.png", full_page=whole)


@pytest.fixture(params=list(LOOKS))
def camera(request: pytest.FixtureRequest, new_page: Callable[..., Page]) -> Camera:
    return Camera(request.param, new_page)


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


def test_pictures_of_another_instances_mark(camera: Camera, cast: Cast, base: BaseImage) -> None:
    """What those who run the instance see, and everybody else, while nothing is built."""
    waiting = factories.make_image("waiting", base=base, status=Status.BUILDING_FIRST_TIME)
    factories.make_instance(MarkState.FOREIGN, marked_by=str(factories.INSTANCE_ID))
    shoot_refusal(camera, cast, waiting, "refused")


def test_pictures_of_a_copy_of_the_database(camera: Camera, cast: Cast, base: BaseImage) -> None:
    waiting = factories.make_image("waiting", base=base, status=Status.BUILDING_FIRST_TIME)
    factories.make_instance(database="another")
    shoot_refusal(camera, cast, waiting, "copy")


def shoot_refusal(camera: Camera, cast: Cast, waiting: ManagedImage, what: str) -> None:
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    for name, user, path in (
        ("pane", cast.admin, pane),
        ("pane-viewer", cast.viewer, pane),
        ("image", cast.admin, f"{pane}/image/{waiting.name}"),
        ("registry", cast.admin, "/organization/registry"),
    ):
        page = camera.open(user)
        page.goto(path)
        page.wait_for_load_state("networkidle")
        camera.shoot(page, f"{what}-{name}")


def test_pictures_of_drift(camera: Camera, cast: Cast, base: BaseImage) -> None:
    """What the registry lost, on every page that tells it, and what no record knows."""
    furnish(cast, base)
    furnish_drifts(base)
    furnish_unknown_repositories()
    lost = ManagedImage.objects.get(name="tabular-baseline")
    model = factories.make_model(cast.workspace, image=lost, name="Baseline")
    page = camera.open(cast.admin)
    workspace = f"/workspaces/{cast.workspace.pk}"
    pane = f"{workspace}/settings/managed-images"
    for name, path in (
        ("drift-pane", pane),
        ("drift-healing", f"{pane}/image/churn-xgboost"),
        ("drift-refused", f"{pane}/image/credit-scoring"),
        ("drift-lost", f"{pane}/image/tabular-baseline"),
        ("drift-models", f"{workspace}/models"),
        ("drift-model", f"{workspace}/models/{model.pk}"),
        ("drift-registry", "/organization/registry"),
        ("unknown-delete-page", "/organization/registry/delete/churn-lightgbm-2026"),
    ):
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        camera.shoot(page, name)
    page.goto(f"{pane}/image/credit-scoring")
    page.get_by_text("What was found").click()
    camera.shoot(page, "drift-findings")
    page.goto("/organization/registry")
    page.get_by_label("Delete churn-lightgbm-2026").click()
    page.get_by_role("dialog").wait_for()
    camera.shoot(page, "unknown-delete-dialog", whole=False)
    page.get_by_role("button", name="Delete repository").click()
    page.get_by_text("is being deleted").wait_for()
    camera.shoot(page, "unknown-decided", whole=False)


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


def test_pictures_of_default_images(camera: Camera, cast: Cast, base: BaseImage) -> None:
    furnish(cast, base)
    factories.make_model(cast.workspace, name="Segments")
    factories.make_image("with-all", base=base, libraries={"numpy": "2.4.6", "xgboost": "3.2.0"})
    page = camera.open(cast.admin)
    workspace = f"/workspaces/{cast.workspace.pk}"
    page.goto(f"{workspace}/settings")
    camera.shoot(page, "default-image-none")
    asks = RunRequest(ram_megabytes=4096, cpu_millicores=1500, random_seed=42)
    choice = swaps.ManagedChoice("churn-xgboost")
    set_default_image(Actor(cast.manager), cast.workspace, choice, asks)
    model = factories.make_model(cast.workspace, name="Churn")
    own = ManagedImage.objects.get(name="credit-scoring")
    factories.make_model(cast.workspace, name="Scoring", image=own)
    image = f"{workspace}/settings/managed-images/image/churn-xgboost"
    for path, name in (
        (f"{workspace}/settings", "default-image"),
        (f"{workspace}/settings/default-image", "default-image-choose"),
        (f"{workspace}/models", "models-on-default"),
        (f"{workspace}/models/{model.pk}", "model-on-default"),
        (f"{workspace}/models/{model.pk}/swap", "swap-from-default"),
        (f"{workspace}/models/{model.pk}/missing?module=xgboost", "missing-module"),
        (f"{workspace}/models/{model.pk}/missing?module=numpy", "missing-module-installed"),
        (f"{workspace}/models/{model.pk}/missing?module=%3F", "missing-module-refused"),
        (f"{image}/models", "image-default-of"),
        (f"{image}/remove", "remove-default-image"),
    ):
        page.goto(path)
        camera.shoot(page, name)
    page.goto(f"{workspace}/settings/default-image")
    page.get_by_label("Managed image").fill("absent")
    page.get_by_role("button", name="Use as default").click()
    page.get_by_role("alert").wait_for()
    camera.shoot(page, "default-image-refused")
    viewer = camera.open(cast.viewer)
    viewer.goto(f"{workspace}/settings")
    camera.shoot(viewer, "default-image-viewer")


@pytest.fixture(scope="module")
def mailing(django_db_setup: None) -> Iterator[str]:
    """The address of a web process that has a mail server."""
    mail = {"EMAIL_URL": "smtp://127.0.0.1:9", "RI_EMAIL_FROM": "platform@example.org"}
    with web_process(free_port(), **mail) as address:
        yield address


def test_pictures_of_mail(camera: Camera, cast: Cast, mailing: str) -> None:
    User.objects.filter(pk=cast.member.pk).update(email="member@example.org")
    page = camera.open(cast.admin, base_url=mailing)
    account = f"/organization/members/{cast.member.pk}"
    page.goto(f"{account}/reset-password")
    camera.shoot(page, "mail-reset")
    page.goto("/organization/members/new")
    camera.shoot(page, "mail-create-account")
    mail = PasswordMail.objects.create(user=cast.member, to="member@example.org", console="")
    for state, error in (
        ("waiting", ""),
        ("waiting", "The mail server cannot be reached: Connection refused."),
        ("failed", "The mail server refused the address (550)."),
        ("sent", ""),
    ):
        PasswordMail.objects.filter(pk=mail.pk).update(
            state=state, error=error, sent_at=timezone.now()
        )
        page.goto(f"{account}/mail")
        camera.shoot(page, f"mail-{state}{'-again' if error else ''}")
    stranger = camera.open(None, base_url=mailing)
    stranger.goto("/signin")
    camera.shoot(stranger, "mail-signin")
    stranger.get_by_role("link", name="Forgot your password?").click()
    camera.shoot(stranger, "mail-forgot")
    stranger.get_by_label("Username or e-mail address").fill("member")
    stranger.get_by_role("button", name="Send me a link").click()
    stranger.get_by_role("status").wait_for()
    camera.shoot(stranger, "mail-forgot-sent")
