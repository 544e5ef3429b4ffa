"""One run of a scenario: what was asked for, how long it took to recover, and what the verifier says."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from tests.faults.asked import READY, VERBS, Asked, Call
from tests.faults.installation import USERS, Installation

# What may be refused in a race; whatever is answered otherwise is a defect.
REFUSALS = (400, 404, 409)


@dataclass
class Run:
    """The scenario's view of the installation. `asked` are the accepted calls by image."""

    installation: Installation
    chance: random.Random
    asked: dict[str, Asked] = field(default_factory=dict)
    # Other seconds that are told, by what they are of.
    measured: dict[str, float] = field(default_factory=dict)
    # What the logs may tell of in this scenario, beside a database that is away.
    may_log: tuple[str, ...] = ()
    # Images of which so many must be ready.
    _shares: list[tuple[list[str], int]] = field(default_factory=list)
    _number: int = field(default_factory=partial(next, itertools.count()))
    _began_at: float = field(default_factory=time.monotonic)
    _fault_ended_at: float = 0.0
    _settled_at: float = 0.0

    def name(self, what: str) -> str:
        return f"run-{self._number}-{what}"

    # --- requests ----------------------------------------------------------------------------------------

    def load(
        self,
        count: int,
        *,
        prefix: str = "load",
        failures: Collection[str] = (),
        must_fail: bool = False,
        ready: float = 0.0,
        new: int = 1,
    ) -> list[str]:
        """Ask for so many images, several at a time. All must end ready, but for those that fail with one of
        these codes: all of them if they must, and otherwise never so many that less than this share is ready.
        """
        names = [self.name(f"{prefix}-{number}") for number in range(count)]
        for name in names:
            self.asked[name] = Asked(frozenset(failures), must_fail)
        wanted = [self.installation.some_libraries(new=new) for _ in names]
        users = [f"user-{self.chance.randrange(USERS)}" for _ in names]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.create, names, wanted, users))
        self._shares.append((names, math.ceil(count * ready)))
        return names

    def create(
        self, name: str, libraries: Sequence[str], user: str = "user-0", **more: object
    ) -> None:
        """Ask for an image until it is accepted; a request whose answer was lost is found made.

        `more` are fields of the request.
        """
        items = [{"name": library, "versionSpecifier": "==1.0"} for library in libraries]
        began = time.monotonic()
        body = {"name": name, "pipRequirements": items, **more}
        answer = self.installation.ask("POST", "/v1/images", body, user=user)
        assert answer.status_code in (200, 409), answer.text
        self.accept(name, "create", began, libraries)

    def ask(
        self,
        name: str,
        verb: str,
        *,
        libraries: Sequence[str] | None = None,
        build: int | None = None,
    ) -> httpx.Response:
        """Ask something of an image, once; what is accepted counts. `libraries` are what it has by that."""
        method, path = VERBS[verb]
        body: dict[str, Any] = {"build": build} if build else {}
        if verb == "alter":
            body = {"pipRequirements": [{"name": library} for library in libraries or ()]}
        began = time.monotonic()
        answer = self.installation.ask(
            method,
            f"/v1/images/{name}{path}",
            None if method == "DELETE" else body,
            user="admin",
            patient=False,
        )
        assert answer.status_code in (200, *REFUSALS), answer.text
        if answer.status_code == 200:
            self.accept(name, verb, began, libraries)
        return answer

    def accept(self, name: str, verb: str, began: float, libraries: Sequence[str] | None) -> None:
        kept = None if libraries is None else frozenset(libraries)
        call = Call(verb, began, time.monotonic(), kept)
        self.asked.setdefault(name, Asked()).calls.append(call)

    def settle_ready(self) -> None:
        """Wait until everything has its end, and be sure that each image is ready: a race begins there."""
        self.installation.settle()
        assert not (found := self.wrong_ends()), found

    # --- the end -----------------------------------------------------------------------------------------

    def fault_ended(self) -> None:
        """From now on the instance may recover."""
        self._fault_ended_at = time.monotonic()

    def finish(self) -> str:
        """Wait for all ends and have all verified; gives what is wrong."""
        self._fault_ended_at = self._fault_ended_at or time.monotonic()
        self.installation.settle()
        self._settled_at = time.monotonic()
        self.installation.await_attestations()
        self.installation.await_deliveries()
        return "; ".join(map(str, self.problems()))

    def delete_images(self) -> None:
        """Have the images deleted for good, and wait for nothing."""
        for name in self.asked:
            self.installation.ask("DELETE", f"/v1/images/{name}", user="admin")
            self.installation.ask("POST", f"/v1/images/{name}:delete", {}, user="admin")

    @property
    def recovery(self) -> float:
        """The seconds from the fault's end to the last end of a request."""
        return max(0.0, self._settled_at - self._fault_ended_at)

    @property
    def whole(self) -> float:
        return time.monotonic() - self._began_at

    def problems(self) -> list[Any]:
        found: list[Any] = self.installation.new_findings()
        found += self.wrong_ends()
        found += self.installation.new_losses()
        found += self.untold_ends()
        if self.installation.outside() != self.installation.foreign:
            found.append("something outside the prefix was touched")
        tolerated = (*self.installation.tolerated, *self.may_log)
        return found + self.installation.logs.new_defects(tolerated)

    def wrong_ends(self) -> list[str]:
        """Images that have not become what was asked for last, or hold something else."""
        images = {name: self.installation.image(name) for name in self.asked}
        removed = self.installation.removed()
        found = [
            f"{name} {problem}"
            for name, asked in self.asked.items()
            for problem in asked.problems(images[name], removed=name in removed)
        ]
        ready = {name for name, image in images.items() if image and image["status"] == READY}
        for names, least in self._shares:
            if len(ready.intersection(names)) < least:
                found.append(f"fewer than {least} of {len(names)} are ready: {', '.join(names)}")
        return found

    def untold_ends(self) -> list[str]:
        """Images of whose end no webhook message tells."""
        has = self.installation.receiver.has
        found = []
        for name in self.asked:
            image = self.installation.image(name)
            if image is None:
                is_told = has("image.removed", name)
            elif image["status"] == READY:
                is_told = has("image.ready", name, digest=image["digest"])
            else:
                is_told = has("image.failed", name)
            if not is_told:
                found.append(f"no webhook message tells what became of {name}")
        return found
