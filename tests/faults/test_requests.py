"""Requests that meet each other, and messages that no longer fit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.instance import Instance
from tests.faults.run import FAILED, READY, Run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
GONE = "lost"
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


def test_twenty_clients_create_one_name(run: Run, instance: Instance) -> None:
    name = run.name("wanted")

    def create(number: int) -> int:
        body = {"name": name, "pipRequirements": [{"name": f"lib{number % 3}"}]}
        return instance.ask("POST", "/v1/images", body, user=f"user-{number % 4}").status_code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(create, range(20)))
    assert answers == [200, *[409] * 19]
    run.expected[name] = (READY,)


def test_removal_races_everything_else(run: Run, instance: Instance) -> None:
    """Whichever comes first: at the end the image is there and ready, or gone, and the registry agrees."""
    names = run.load(4, ends=(READY, FAILED, GONE), prefix="raced")
    instance.settle()
    for name in names:
        instance.ask("POST", f"/v1/images/{name}:rebuild", {}, user="admin")
    instance.settle()

    def against(instance: Instance, name: str) -> None:
        wanted = [{"name": f"lib{run.chance.randrange(20)}"}]
        calls = [
            ("DELETE", f"/v1/images/{name}", None),
            ("POST", f"/v1/images/{name}:rebuild", {}),
            ("PATCH", f"/v1/images/{name}", {"pipRequirements": wanted}),
            ("POST", f"/v1/images/{name}:rollBack", {"build": 1}),
            ("POST", f"/v1/images/{name}:restore", {}),
            ("POST", f"/v1/images/{name}:delete", {}),
            ("POST", f"/v1/images/{name}:cancel", {}),
        ]
        for method, path, body in run.chance.choices(calls, k=10):
            answer = instance.ask(method, path, body, user="admin")
            assert answer.status_code < 500, answer.text
            time.sleep(run.chance.uniform(0, 0.4))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: against(instance, name), [*names, *names]))
    run.fault_ended()


@pytest.mark.soak
def test_an_upgrade_of_the_base_image_races_removal_and_alteration(
    run: Run, instance: Instance
) -> None:
    names = run.load(4, ends=(READY, FAILED, GONE), prefix="upgraded")
    instance.settle()
    instance.import_base(run.name("base"), "--no-wait")
    for name in names:
        time.sleep(run.chance.uniform(0, 2))
        match run.chance.randrange(3):
            case 0:
                instance.ask("DELETE", f"/v1/images/{name}", user="admin")
            case 1:
                wanted = {"pipRequirements": [{"name": "lib1"}]}
                instance.ask("PATCH", f"/v1/images/{name}", wanted, user="admin")
            case _:
                instance.kill(run.chance.choice(("builds-1", "builds-2", "registry")))
    run.fault_ended()


def test_old_messages_reach_new_code(run: Run, instance: Instance) -> None:
    instance.manage("shell", "-v", "0", "-c", OLD_MESSAGES)
    run.load(3)
    run.fault_ended()
