"""Requests that meet each other, and messages that no longer fit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.asked import READY
from tests.faults.installation import SETTLE_SECONDS, wait_for
from tests.faults.instance import Instance
from tests.faults.run import Run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
MANIFESTS = r"PUT /v2/.*/manifests/build-.*"
OLD_MESSAGES = """
from celery import current_app
app = current_app
for name, args, kwargs in (
    ("images.tasks.run_build", [], {}),
    ("images.tasks.run_build", ["not a number"], {}),
    ("images.tasks.run_build", [1, 2, 3], {}),
    ("images.tasks.run_build", [10**15], {}),
    ("images.tasks.run_build", [None], {}),
    ("images.tasks.run_build", [], {"pk": 1, "version": 3}),
    ("images.tasks.build_image", [1], {}),
    ("images.tasks.resolve_alteration", [-1], {}),
    ("images.tasks.import_base_image", [0], {}),
):
    app.send_task(name, args, kwargs, queue="builds", declare=())
for name in ("prepare_repository", "delete_repository", "tidy_repository", "sweep"):
    app.send_task("images.tasks." + name, ["x"], {}, queue="registry", declare=())
"""
# How Celery tells of them.
UNFIT = (
    r"KeyError: 'images\.tasks\.build_image'",
    r"TypeError: .*(positional argument|unexpected keyword argument)",
    r"(ValueError|TypeError): Field 'id' expected a number",
    r"DataError: (.*out of range|invalid input syntax for type integer)",
)


def test_twenty_clients_create_one_name(run: Run, instance: Instance) -> None:
    name = run.name("wanted")

    def create(number: int) -> int:
        library, began = f"lib{number % 3}", time.monotonic()
        body = {"name": name, "pipRequirements": [{"name": library}]}
        user = f"user-{number % 4}"
        answer = instance.ask("POST", "/v1/images", body, user=user, patient=False)
        if answer.status_code == 200:
            run.accept(name, "create", began, [library])
        return answer.status_code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(create, range(20)))
    assert answers == [200, *[409] * 19]


def test_removal_races_everything_else(run: Run) -> None:
    """Whichever comes first: what was accepted last is what the image is at the end, and the registry agrees.

    One image is removed and restored at last, one is removed, and one may be deleted for good at any time.
    """
    names = run.load(4, prefix="raced")
    run.settle_ready()
    for name in names:
        assert run.ask(name, "rebuild").status_code == 200
    run.settle_ready()
    restored, removed, _, deleted = names

    def against(name: str) -> None:
        verbs = ["remove", "rebuild", "alter", "roll back", "restore", "cancel"]
        verbs += ["delete"] * (name == deleted)
        for verb in run.chance.choices(verbs, k=10):
            libraries = None
            if verb == "alter":
                libraries = [f"lib{run.chance.randrange(20)}"]
            elif verb == "roll back":
                libraries = first_libraries[name]
            run.ask(name, verb, libraries=libraries, build=1 if verb == "roll back" else None)
            time.sleep(run.chance.uniform(0, 0.4))

    first_libraries = {name: sorted(run.asked[name].calls[0].libraries or ()) for name in names}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(against, [*names, *names]))
    for name in (restored, removed):
        # Unless the race has left it removed.
        assert run.ask(name, "remove").status_code in (200, 404)
    assert run.ask(restored, "restore").status_code == 200
    run.fault_ended()


@pytest.mark.soak
def test_an_upgrade_of_the_base_image_races_removal_and_alteration(
    run: Run, instance: Instance
) -> None:
    """Each meets an upgrade that is under way, and what is there at the end stands on the new base."""
    names = run.load(6, prefix="upgraded")
    run.settle_ready()
    # Long enough to be met; a worker that is killed is away for longer.
    instance.aws_proxy.slow_down(MANIFESTS, 2)
    version = run.name("base")
    instance.import_base(version, "--no-wait")
    kinds = ["remove", "alter", "kill", run.chance.choice(("remove", "kill"))]
    for kind in run.chance.sample(kinds, len(kinds)):
        wait_for(lambda: upgrades(instance, names), SETTLE_SECONDS, "an upgrade is under way")
        name = (upgrades(instance, names) or names)[0]
        match kind:
            case "remove":
                assert run.ask(name, "remove").status_code == 200
            case "alter":
                wait_for(
                    lambda name=name: run.ask(name, "alter", libraries=["lib1"]).status_code == 200,  # type: ignore[misc]
                    SETTLE_SECONDS,
                    "the alteration is accepted once the upgrade is over",
                )
            case _:
                instance.kill(run.chance.choice(("builds-1", "builds-2", "registry")))
    instance.aws_proxy.recover()
    run.fault_ended()
    instance.settle()
    found = [image for name in names if (image := instance.image(name))]
    assert {image["rimeTag"] for image in found if image["status"] == READY} == {version}


def upgrades(instance: Instance, names: list[str]) -> list[str]:
    """Those of these images that are being upgraded."""
    found = instance.rows(
        "SELECT i.name FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
        "WHERE b.reason = 'upgrade' AND b.state IN ('queued', 'running') AND i.name = ANY(%s)",
        names,
    )
    return [row[0] for row in found]


def test_old_messages_reach_new_code(run: Run, instance: Instance) -> None:
    """They are dropped, with a line in the log, and end no worker."""
    run.may_log = UNFIT
    before = instance.process_ids()
    instance.manage("shell", "-v", "0", "-c", OLD_MESSAGES)
    run.load(3)
    run.fault_ended()
    instance.settle()
    wait_for(
        lambda: (
            not instance.rows(
                "SELECT 1 FROM pgmq.q_builds WHERE message::text LIKE '%%images.tasks.build_image%%'"
            )
        ),
        SETTLE_SECONDS,
        "the old messages are taken",
    )
    assert instance.process_ids() == before
