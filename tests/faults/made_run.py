"""An instance that `make run` runs: it is asked like any other, ended and started again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ri_platform.env import read_env_file
from ri_platform.local import services
from ri_platform.local.start import DATABASE
from tests.faults.installation import HOME, START_SECONDS, Installation, create_database, wait_for
from tests.faults.proxy import FaultProxy
from tests.faults.shelf import shelf
from tests.local import make_run
from tests.local_aws import LocalAWS


@dataclass(kw_only=True)
class MadeRun(Installation):
    """What `make run` started, and how it is started again."""

    index_proxy: FaultProxy
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def log_files(self) -> list[Path]:
        return [self.state / "run.log"]

    def recover(self) -> None:
        super().recover()
        self.index_proxy.recover()

    def start(self) -> None:
        """Start it as `make run` does; returns once the console answers."""
        with (self.folder / "make-run.log").open("ab") as log:
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", "ri_platform.local"],
                cwd=HOME,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        answers = services.wait_until_answers(
            f"{self.web}/readyz",
            START_SECONDS,
            is_hopeless=lambda: process.poll() is not None,
        )
        assert answers, (self.folder / "make-run.log").read_text()[-2000:]

    def end(self, how: signal.Signals) -> None:
        """End it; returns once it can be started again."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait()
        # Its children end with it, but not at the same moment; PostgreSQL stays if it was killed.
        ports = [int(address.rpartition(":")[2]) for address in (self.web, self.aws.url)]
        wait_for(lambda: all(map(services.port_is_free, ports)), 30, "its ports are free")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def read_addresses(self) -> None:
        """Take over what `make run` has chosen, as `manage.py` finds it."""
        self.environment |= read_env_file(self.state / "run.env")
        keys = json.loads((self.state / "aws-keys.json").read_text())
        self.aws = LocalAWS(self.environment["RI_AWS_ENDPOINT_URL"], keys)


@contextmanager
def made_run(folder: Path, chance: random.Random) -> Iterator[MadeRun]:
    """Start it, with one base image and users, and end all of it."""
    folder.mkdir()
    port = services.free_port()
    with ExitStack() as stack:
        index = stack.enter_context(shelf(folder))
        index_proxy = stack.enter_context(FaultProxy(index, chance).serving())
        environment = {
            **make_run.environment(folder / "state", port),
            **make_run.without_a_way_to_a_base_image(folder / "bin"),
            "BUILDERS": "2",
            "RI_PACKAGE_INDEX_URL": f"{index_proxy.address}/simple",
            "RI_IMPORT_CHECK": "off",
            "RI_WEBHOOKS_ALLOW_PRIVATE": "true",
            "UV_CACHE_DIR": str(folder / "uv"),
            "DJANGO_SETTINGS_MODULE": "ri_platform.settings",
        }
        made = MadeRun(
            folder=folder,
            chance=chance,
            aws=LocalAWS("", {}),
            environment=environment,
            web=f"http://127.0.0.1:{port}",
            index_proxy=index_proxy,
        )
        stack.enter_context(made.receiver.serving())
        stack.callback(make_run.await_the_end_of_all, made.state)
        made.state.mkdir(mode=0o700)
        postgres = services.start_postgres(made.state / "postgres")
        create_database(postgres, DATABASE)
        postgres.stop()
        stack.callback(made.stop)
        made.start()
        made.read_addresses()
        stack.callback(made.end_verifier)
        made.prepare()
        yield made
